//! Counting a stateful client's messages, so that each is processed once.
//!
//! Ids are implicit: the first Invocation, StreamItem, Completion,
//! StreamInvocation or CancelInvocation is 1. After a reattach the client
//! says with Sequence which id comes next, and repeats what was not
//! acknowledged (HubProtocol.md, "Sequence"; ASP.NET Core's MessageBuffer).

use crate::close::CloseReason;

/// The inbound ids of one connection.
#[derive(Debug)]
pub(crate) struct InboundCount {
    /// Highest id that was processed.
    processed: i64,
    /// Id of the next counted message.
    next: i64,
}

impl Default for InboundCount {
    fn default() -> Self {
        Self {
            processed: 0,
            next: 1,
        }
    }
}

impl InboundCount {
    /// A counted message came: whether it is new.
    pub(crate) fn is_new(&mut self) -> bool {
        let id = self.next;
        self.next += 1;
        if id <= self.processed {
            return false;
        }
        self.processed = id;
        true
    }

    /// Whether the next counted message was processed before.
    pub(crate) fn next_is_repeat(&self) -> bool {
        self.next <= self.processed
    }

    pub(crate) fn processed(&self) -> i64 {
        self.processed
    }

    /// The client says which id comes next.
    pub(crate) fn sequence(&mut self, id: i64) -> Result<(), CloseReason> {
        // ASP.NET Core takes an id below 1 and then drops messages for ever
        // (dotnet/aspnetcore#69283).
        let problem = if id > self.processed + 1 {
            "Sequence ID greater than amount of messages we've received."
        } else if id < 1 {
            "Sequence ID must be at least 1."
        } else {
            self.next = id;
            return Ok(());
        };
        Err(CloseReason::Protocol {
            exception: "InvalidOperationException",
            message: problem.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_after_a_reattach_are_not_new() {
        let mut count = InboundCount::default();
        assert!(count.is_new() && count.is_new());
        count.sequence(2).unwrap();
        assert!(!count.is_new());
        assert!(count.is_new());
        assert_eq!(count.processed(), 3);
    }

    #[test]
    fn a_sequence_beyond_what_came_or_below_1_ends_the_connection() {
        let mut count = InboundCount::default();
        assert!(count.sequence(2).is_err());
        assert!(count.sequence(0).is_err());
        assert!(count.sequence(1).is_ok());
    }
}
