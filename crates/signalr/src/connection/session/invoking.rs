//! Invocations of the client: checked, bound to their method, and begun.

use std::{
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use futures_util::FutureExt as _;

use super::{Running, Session, UnderWay};
use crate::{
    close::CloseReason,
    connection::call::{self, Accepted},
    hub::{BoundCall, Call, Context, Fault, HubError, Method, Sinks},
    protocol::Invocation,
};

/// Calls of one client that may be under way at the same time, streams among
/// them: what a client can make the server remember is bounded.
const MAX_RUNNING: usize = 1000;

impl Session {
    pub(super) fn invocation(
        &mut self,
        invocation: &Invocation<'_>,
        streaming: bool,
        cx: &mut TaskContext<'_>,
    ) -> Result<(), CloseReason> {
        if invocation.stray_payload && invocation.invocation_id.is_some() {
            return Ok(());
        }
        let core = Arc::clone(self.connection.core());
        let method = core.methods.get(&invocation.target);
        let call = Arc::new(Call::default());
        if self.left {
            call.cancel();
        }
        let context = Context::new(Arc::clone(&self.connection), Some(Arc::clone(&call)));
        let id: Option<Arc<str>> = invocation.invocation_id.as_deref().map(Arc::from);
        let bound = match method {
            Some(method) => self.bind(method, context, invocation, streaming),
            None => Err(Fault::UnknownMethod.into()),
        };
        let mut uploads = Vec::new();
        let bound = bound.map(|(bound, sinks)| {
            for (stream_id, sink) in sinks {
                uploads.push(stream_id.clone());
                let taken_over = self.uploads.insert(stream_id, (Arc::clone(&call), sink));
                self.displaced.extend(taken_over);
            }
            bound
        });
        let runs = bound.is_ok();
        let name = method.map_or(&*invocation.target, |method| &*method.name);
        let span = core.span(name, &invocation.headers);
        let takes_slot = !streaming && uploads.is_empty();
        let accepted = Accepted {
            connection: Arc::clone(&self.connection),
            call: Arc::clone(&call),
            target: name.into(),
            span,
            known: method.is_some(),
            argument_count: invocation.arguments.len(),
            protocol: self.protocol,
            invocation_id: id.clone(),
            bound,
            uploads,
            streaming: streaming && runs,
        };
        if let Some(id) = id.filter(|_| streaming && runs) {
            self.streams.insert(id, Arc::clone(&call));
        }
        if takes_slot {
            self.slots.push(call);
        }
        self.start(accepted, cx)
    }

    /// Most methods end at once: only those that wait are kept.
    fn start(&mut self, accepted: Accepted, cx: &mut TaskContext<'_>) -> Result<(), CloseReason> {
        let cancellable = accepted
            .invocation_id
            .clone()
            .filter(|_| !accepted.streaming);
        let call = Arc::clone(&accepted.call);
        let streaming = accepted.streaming;
        let mut future = call::run(accepted);
        match future.poll_unpin(cx) {
            Poll::Ready(finished) => self.finish(finished),
            Poll::Pending => {
                let under_way =
                    |set: &Option<Box<Running>>| set.as_ref().map_or(0, |set| set.len());
                if under_way(&self.running) + under_way(&self.streaming) >= MAX_RUNNING {
                    return Err(CloseReason::Closed {
                        error: Some(format!(
                            "More than {MAX_RUNNING} invocations are under way."
                        )),
                        allow_reconnect: false,
                    });
                }
                let set = match streaming {
                    true => &mut self.streaming,
                    false => &mut self.running,
                };
                set.get_or_insert_default().push(UnderWay {
                    call: Arc::clone(&call),
                    future,
                });
                if let Some(id) = cancellable {
                    self.plain.insert(id, call);
                }
                cx.waker().wake_by_ref();
                Ok(())
            }
        }
    }

    /// Every check before a method runs, in the order of ASP.NET Core.
    fn bind(
        &mut self,
        method: &Method,
        context: Context,
        invocation: &Invocation<'_>,
        streaming: bool,
    ) -> Result<(BoundCall, Sinks), HubError> {
        let name = &method.name;
        let (provided, expected) = (invocation.arguments.len(), method.arguments);
        if provided != expected {
            let message = format!(
                "Invocation provides {provided} argument(s) but target expects {expected}."
            );
            return Err(Fault::Binding(message).into());
        }
        let capacity = self.connection.core().options.stream_buffer_capacity;
        let principal = self.connection.principal();
        let bound = method.bind(context, invocation, capacity)?;
        if !method.authorization.allows(principal.as_deref()) {
            return Err(Fault::Unauthorized.into());
        }
        let exact = |text: String| Err(Fault::Exact(text).into());
        if method.streaming && !streaming {
            return exact(format!(
                "The client attempted to invoke the streaming '{name}' method with a non-streaming invocation."
            ));
        }
        if !method.streaming && streaming {
            return exact(format!(
                "The client attempted to invoke the non-streaming '{name}' method with a streaming invocation."
            ));
        }
        let (sent, wanted) = (invocation.stream_ids.len(), method.uploads);
        if sent != wanted {
            let message = format!("Client sent {sent} stream(s), Hub method expects {wanted}.");
            return Err(HubError::new(message));
        }
        if streaming
            && let Some(id) = invocation.invocation_id.as_deref()
            && self.streams.remove(id).is_some()
        {
            // As recorded, the refusal also takes the active stream's
            // cancellation away.
            return exact(format!("Invocation ID '{id}' is already in use."));
        }
        Ok(bound)
    }
}
