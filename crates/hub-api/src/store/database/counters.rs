//! The counters of a SQLite file, as the process that writes it knows them:
//! the newest notification id, and the head of each stream.
//!
//! It is the only one that writes, so that most transactions need not ask for
//! them. They are written with the entries that took from them, and after a
//! roll-back nothing is known. Should another process have written all the
//! same, an id or a sequence is taken twice: the log's keys refuse that, and so
//! does the statement for ids that the file has left behind. The transaction is
//! tried again with what the file says.

use std::collections::HashMap;

use crate::store::Stream;

/// Heads that are kept; more are forgotten together.
const MOST_HEADS: usize = 16_384;

/// What is known of the counters.
#[derive(Debug, Default)]
pub(in crate::store) struct Counters {
    newest_id: i64,
    heads: HashMap<Stream, i64>,
}

impl Counters {
    /// Nothing is known any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// To be called between two transactions.
    pub(super) fn keep_small(&mut self) {
        if self.heads.len() > MOST_HEADS {
            self.forget();
        }
    }

    /// The head of `stream`, with what the transaction under way has taken.
    /// Where it is known, so is the newest id.
    pub(in crate::store) fn head(&self, stream: &Stream) -> Option<i64> {
        self.heads.get(stream).copied()
    }

    /// What the file says of the streams `asked` for: a row for each that it
    /// has, and one without a stream for the newest id.
    pub(in crate::store) fn learn(
        &mut self,
        asked: &[&Stream],
        rows: impl IntoIterator<Item = (Option<String>, i64)>,
    ) {
        let mut found = HashMap::new();
        for (stream, value) in rows {
            match stream {
                Some(stream) => drop(found.insert(stream, value)),
                // What this transaction has taken already is not in the file yet.
                None => self.newest_id = self.newest_id.max(value),
            }
        }
        for stream in asked {
            let head = found.get(stream.as_str()).copied().unwrap_or(0);
            self.heads.insert((*stream).clone(), head);
        }
    }

    /// Takes the next notification id and the next sequence of `stream`, which
    /// must be known.
    pub(in crate::store) fn take(&mut self, stream: &Stream) -> Option<(i64, i64)> {
        let head = self.heads.get_mut(stream)?;
        *head += 1;
        self.newest_id += 1;
        Some((self.newest_id, *head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared_dto::UserId;

    #[test]
    fn what_is_taken_follows_what_the_file_says_until_it_is_forgotten() {
        let (a, b) = (
            Stream::of_user(&UserId::from(1)),
            Stream::of_user(&UserId::from(2)),
        );
        let mut counters = Counters::default();
        assert_eq!(counters.take(&a), None);
        counters.learn(&[&a], [(None, 9), (Some(a.as_str().to_owned()), 4)]);
        assert_eq!(counters.take(&a), Some((10, 5)));
        // Another stream in the same transaction: the file still says 9.
        counters.learn(&[&b], [(None, 9)]);
        assert_eq!(counters.take(&b), Some((11, 1)));
        assert_eq!(counters.take(&a), Some((12, 6)));
        assert_eq!(counters.head(&a), Some(6));
        counters.forget();
        assert_eq!(counters.head(&a), None);
    }
}
