//! However the bytes arrive, the messages are the same.

use proptest::prelude::*;
use proptest::sample::Index;

use crate::sent::{message, protocol, read_all};

proptest! {
    #[test]
    fn any_cut_of_the_input_gives_the_same_messages(
        protocol in protocol(),
        messages in proptest::collection::vec(message(), 1..5),
        cuts in proptest::collection::vec(any::<Index>(), 0..8),
    ) {
        let mut bytes = Vec::new();
        for message in &messages {
            message.write(protocol, &mut bytes);
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let (mut buffer, mut read, mut fed) = (Vec::new(), Vec::new(), 0);
        for cut in cuts {
            buffer.extend_from_slice(&bytes[fed..cut]);
            fed = cut;
            let (more, consumed) = read_all(protocol, &buffer);
            read.extend(more);
            buffer.drain(..consumed);
        }
        prop_assert!(buffer.is_empty());
        prop_assert_eq!(read, messages);
    }

    #[test]
    fn nothing_is_read_before_the_last_byte(protocol in protocol(), message in message()) {
        let mut bytes = Vec::new();
        message.write(protocol, &mut bytes);
        for end in 0..bytes.len() {
            let (read, consumed) = read_all(protocol, &bytes[..end]);
            prop_assert!(read.is_empty() && consumed == 0);
        }
    }
}
