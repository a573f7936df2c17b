//! Invocations: what the channels of all, connections, groups and users carry.

use bytes::Bytes;
use rmp::encode;

use super::{WireError, reader::Reader};

/// Far more protocols than any server speaks.
const MOST_PROTOCOLS: usize = 16;

/// `[[excluded..], {protocol: frame}, invocation id, return channel, origin]`,
/// the third and fourth only where an answer is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation<S> {
    /// Ids of connections that do not get it.
    pub excluded: Vec<S>,
    /// The message with its framing, by the name of each protocol.
    pub frames: Vec<(S, Bytes)>,
    /// The answer that is wanted.
    pub answer: Option<Answer<S>>,
    /// The node that it comes from. .NET does not say.
    pub origin: Option<S>,
}

/// That the client is to answer, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<S> {
    /// The invocation's id, as it stands in the frames.
    pub invocation_id: S,
    /// The channel on which the answer is awaited, without the prefix of all
    /// channels.
    pub return_channel: S,
}

impl<S: AsRef<str>> Invocation<S> {
    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let frames: usize = self.frames.iter().map(|(_, frame)| frame.len() + 20).sum();
        let mut out = Vec::with_capacity(frames + self.excluded.len() * 24 + 160);
        let known = if self.answer.is_some() { 4 } else { 2 };
        array(&mut out, known + usize::from(self.origin.is_some()));
        array(&mut out, self.excluded.len());
        for id in &self.excluded {
            text(&mut out, id.as_ref());
        }
        encode::write_map_len(&mut out, count(self.frames.len())).expect(INFALLIBLE);
        for (protocol, frame) in &self.frames {
            text(&mut out, protocol.as_ref());
            encode::write_bin(&mut out, frame).expect(INFALLIBLE);
        }
        if let Some(answer) = &self.answer {
            text(&mut out, answer.invocation_id.as_ref());
            text(&mut out, answer.return_channel.as_ref());
        }
        if let Some(origin) = &self.origin {
            text(&mut out, origin.as_ref());
        }
        out
    }
}

impl<'a> Invocation<&'a str> {
    /// Reads what a server published.
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub fn read(payload: &'a Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        let items = reader.array(2, "Invocation")?;
        let excluded = (0..reader.array_length()?)
            .map(|_| reader.str())
            .collect::<Result<_, _>>()?;
        let protocols = reader.map_length()?;
        if protocols > MOST_PROTOCOLS {
            return Err(WireError::TooMany("protocols"));
        }
        let frames = (0..protocols)
            .map(|_| Ok((reader.str()?, reader.binary()?)))
            .collect::<Result<_, WireError>>()?;
        // As .NET reads it: a third item alone is no wanted answer.
        let answer = match items > 3 {
            true => Some(Answer {
                invocation_id: reader.str()?,
                return_channel: reader.str()?,
            }),
            false => None,
        };
        // Whatever another kind of server puts there is none of ours.
        let origin = match items == 3 || items > 4 {
            true => reader.maybe_str(),
            false => None,
        };
        Ok(Self {
            excluded,
            frames,
            answer,
            origin,
        })
    }
}

pub(super) const INFALLIBLE: &str = "a Vec takes whatever is written";

pub(super) fn array(out: &mut Vec<u8>, items: usize) {
    encode::write_array_len(out, count(items)).expect(INFALLIBLE);
}

pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    encode::write_str(out, text).expect(INFALLIBLE);
}

fn count(items: usize) -> u32 {
    u32::try_from(items).expect("4,000,000,000 items do not fit into memory")
}
