//! The text by which a message that comes back is known: of which run it is,
//! of which stream, which one of that stream, and when it was to be sent.
//!
//! It has a fixed form, so that it is found in the bytes of either protocol
//! without reading the message that it travels in.

use memchr::memmem;

/// What every probe begins with.
const MARK: &[u8] = b"tl1.";
const LENGTH: usize = MARK.len() + 8 + 1 + 16 + 1 + 16 + 1 + 16;

/// One message of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probe {
    /// Of which run; others' messages are none of ours.
    pub(crate) run: u32,
    /// Whose messages these are: a user's place, or [`Probe::TO_ALL`].
    pub(crate) stream: u64,
    /// Its place in the stream, from 0.
    pub(crate) number: u64,
    /// When it was to be sent, in nanoseconds since the run's start.
    pub(crate) due: u64,
}

impl Probe {
    /// The stream of broadcasts.
    pub(crate) const TO_ALL: u64 = u64::MAX;

    /// The text that travels.
    pub(crate) fn text(&self) -> String {
        let Self {
            run,
            stream,
            number,
            due,
        } = self;
        format!("tl1.{run:08x}.{stream:016x}.{number:016x}.{due:016x}")
    }

    /// The first probe within `bytes`.
    pub(crate) fn find(bytes: &[u8]) -> Option<Self> {
        let start = memmem::find(bytes, MARK)?;
        let text = bytes.get(start..start + LENGTH)?;
        let field = |at: usize, digits: usize| {
            let text = std::str::from_utf8(text.get(at..at + digits)?).ok()?;
            u64::from_str_radix(text, 16).ok()
        };
        Some(Self {
            run: u32::try_from(field(4, 8)?).ok()?,
            stream: field(13, 16)?,
            number: field(30, 16)?,
            due: field(47, 16)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_sent_is_found(run: u32, stream: u64, number: u64, due: u64, before in "[a-z\"{:]{0,40}", after in ".{0,40}") {
            let probe = Probe { run, stream, number, due };
            let message = format!("{before}{}{after}", probe.text());
            prop_assert_eq!(Probe::find(message.as_bytes()), Some(probe));
        }

        #[test]
        fn other_bytes_are_no_probe(bytes: Vec<u8>) {
            prop_assert_eq!(Probe::find(&bytes), None);
        }
    }

    #[test]
    fn a_probe_that_is_cut_off_is_none() {
        let probe = Probe {
            run: 1,
            stream: 2,
            number: 3,
            due: 4,
        };
        let text = probe.text();
        assert_eq!(text.len(), LENGTH);
        assert_eq!(Probe::find(&text.as_bytes()[..LENGTH - 1]), None);
    }
}
