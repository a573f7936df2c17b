//! What a client sends beside invocations: the items of its streams, and the
//! results that the hub asked it for.

use bytes::Bytes;

use super::{Dispatched, Session};
use crate::{
    close::CloseReason,
    hub::{Pushed, UploadError},
    protocol::{Completion, CompletionOutcome, StreamItem},
};

impl Session {
    pub(super) fn stream_item(&mut self, item: &StreamItem<'_>) -> Result<Dispatched, CloseReason> {
        if self
            .inbound
            .as_ref()
            .is_some_and(|inbound| inbound.next_is_repeat())
        {
            self.is_new();
            return Ok(Dispatched::Done);
        }
        let sink = self.uploads.get(&*item.invocation_id);
        let Some((_, sink)) = sink else {
            // Property order decides in ASP.NET Core: the item cannot be read
            // before its stream is known.
            if item.item_before_id {
                return Err(CloseReason::Protocol {
                    exception: "KeyNotFoundException",
                    message: format!("No stream with id '{}' could be found.", item.invocation_id),
                });
            }
            self.is_new();
            return Ok(Dispatched::Done);
        };
        if sink.push(item.item) == Pushed::Full {
            return Ok(Dispatched::Blocked);
        }
        // Counted only once it is taken. One that is of the wrong type counts
        // too, as it does for the client (ASP.NET Core forgets it, and the two
        // counts drift apart).
        self.is_new();
        Ok(Dispatched::Done)
    }

    pub(super) fn completion(
        &mut self,
        completion: Completion<'_>,
        frame: &[u8],
    ) -> Result<(), CloseReason> {
        let id = &*completion.invocation_id;
        if let Some((_, sink)) = self.uploads.remove(id) {
            sink.end(match completion.outcome {
                CompletionOutcome::Error(error) => Err(UploadError::Client(error.into_owned())),
                _ => Ok(()),
            });
            return Ok(());
        }
        let core = self.connection.core();
        let own = self.connection.id();
        let answered = core.client_results.complete(own, id, &completion.outcome)?;
        if let (Some(back), Some(relay)) = (answered, &core.relay) {
            // As the client wrote it: only the node that asked reads it.
            relay.complete(back.to, self.protocol, Bytes::copy_from_slice(frame));
        }
        Ok(())
    }
}
