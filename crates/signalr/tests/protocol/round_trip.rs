//! What was written is what is read.

use proptest::prelude::*;

use crate::sent::{message, protocol, read_all};

proptest! {
    #[test]
    fn a_message_is_read_as_it_was_written(protocol in protocol(), message in message()) {
        let mut bytes = Vec::new();
        message.write(protocol, &mut bytes);
        let (read, consumed) = read_all(protocol, &bytes);
        prop_assert_eq!(consumed, bytes.len());
        prop_assert_eq!(read, vec![message]);
    }
}
