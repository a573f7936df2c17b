//! UTF-8 checked piece by piece: a character may be cut between two reads.

/// Remembers the start of a character whose end has not come yet.
#[derive(Debug, Default)]
pub(super) struct Utf8Checker {
    pending: [u8; 4],
    pending_len: u8,
}

impl Utf8Checker {
    /// Takes the next piece; false when the text is not UTF-8.
    pub(super) fn push(&mut self, mut piece: &[u8]) -> bool {
        while self.pending_len > 0 {
            let Some((&first, rest)) = piece.split_first() else {
                return true;
            };
            self.pending[usize::from(self.pending_len)] = first;
            self.pending_len += 1;
            piece = rest;
            match std::str::from_utf8(&self.pending[..usize::from(self.pending_len)]) {
                Ok(_) => self.pending_len = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        match std::str::from_utf8(piece) {
            Ok(_) => true,
            Err(error) if error.error_len().is_some() => false,
            Err(error) => {
                let tail = &piece[error.valid_up_to()..];
                self.pending[..tail.len()].copy_from_slice(tail);
                self.pending_len = tail.len() as u8;
                true
            }
        }
    }

    /// Whether the text may end here.
    pub(super) fn at_boundary(&self) -> bool {
        self.pending_len == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_cut_gives_the_verdict_of_the_whole(
            bytes in prop_oneof![
                any::<Vec<u8>>(),
                any::<String>().prop_map(String::into_bytes),
            ],
            cut in any::<prop::sample::Index>(),
        ) {
            let cut = cut.index(bytes.len() + 1);
            let mut checker = Utf8Checker::default();
            let valid = checker.push(&bytes[..cut]) && checker.push(&bytes[cut..]) && checker.at_boundary();
            prop_assert_eq!(valid, std::str::from_utf8(&bytes).is_ok());
        }
    }
}
