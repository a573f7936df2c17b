//! Running one invocation: filters, the method, its answer.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::BoxStream};

use tracing::Instrument as _;

use super::Connection;
use crate::{
    InvocationOutcome, ObservedInvocation,
    close::CloseReason,
    hub::{Answer, BoundCall, Call, Context, Fault, HubError, InvocationInfo, ReplyKind, filter},
    outbox::Frame,
    protocol::HubProtocol,
};

/// A call that was accepted.
pub(crate) struct Accepted {
    pub(crate) connection: Arc<Connection>,
    pub(crate) call: Arc<Call>,
    /// The method's declared name, or the client's spelling.
    pub(crate) target: Arc<str>,
    pub(crate) known: bool,
    pub(crate) argument_count: usize,
    pub(crate) protocol: HubProtocol,
    pub(crate) invocation_id: Option<Arc<str>>,
    /// The method with its arguments, or why there is none.
    pub(crate) bound: Result<BoundCall, HubError>,
    /// Stream ids that end with this call.
    pub(crate) uploads: Vec<Box<str>>,
    /// The call is an active stream of the client.
    pub(crate) streaming: bool,
    /// What it runs in; disabled unless an observer wants one.
    pub(crate) span: tracing::Span,
}

/// What is left of a call.
pub(crate) struct Finished {
    pub(crate) call: Arc<Call>,
    pub(crate) uploads: Vec<Box<str>>,
    pub(crate) invocation_id: Option<Arc<str>>,
    /// It was a stream.
    pub(crate) streaming: bool,
    /// The connection cannot go on.
    pub(crate) fatal: Option<CloseReason>,
}

/// A call that is dropped before its end (its connection ended first) tells
/// whoever still holds its token.
struct CancelOnDrop(Option<Arc<Call>>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(call) = &self.0 {
            call.cancel();
        }
    }
}

/// Runs the call to its end and answers it.
pub(crate) fn run(accepted: Accepted) -> BoxFuture<'static, Finished> {
    let span = accepted.span.clone();
    let ran = finish(accepted);
    if span.is_disabled() {
        return Box::pin(ran);
    }
    Box::pin(ran.instrument(span))
}

async fn finish(accepted: Accepted) -> Finished {
    let call = Arc::clone(&accepted.call);
    let mut unfinished = CancelOnDrop(Some(Arc::clone(&call)));
    let invocation_id = accepted.invocation_id.clone();
    let streaming = accepted.streaming;
    let mut accepted = accepted;
    let uploads = std::mem::take(&mut accepted.uploads);
    let fatal = answer(accepted).await.err();
    call.release_slot();
    unfinished.0 = None;
    Finished {
        call,
        uploads,
        invocation_id,
        streaming,
        fatal,
    }
}

async fn answer(accepted: Accepted) -> Result<(), CloseReason> {
    let Accepted {
        connection,
        call,
        target,
        known,
        protocol,
        invocation_id,
        ..
    } = &accepted;
    let (connection, call, target, known, protocol, invocation_id) = (
        Arc::clone(connection),
        Arc::clone(call),
        Arc::clone(target),
        *known,
        *protocol,
        invocation_id.clone(),
    );
    let observed = connection.core().observer.is_some().then(Instant::now);
    let reply = AssertUnwindSafe(invoke(accepted)).catch_unwind().await;
    let reply = reply.unwrap_or_else(|_| {
        tracing::error!(hub.method = %target, "a hub method panicked");
        Err(HubError::internal("Panic", "The hub method panicked."))
    });
    if let Some((observer, began)) = connection.core().observer.as_ref().zip(observed) {
        observer.invoked(&ObservedInvocation {
            method: &target,
            known,
            outcome: outcome(&reply),
            took: began.elapsed(),
        });
    }
    let detailed = connection.core().options.enable_detailed_errors;
    match reply {
        Ok(ReplyKind::Completion(None)) => Ok(()),
        Ok(ReplyKind::Completion(Some(frame))) => {
            // The call holds its slot until its answer is queued: a client
            // that does not read its answers gets no further calls.
            let _ = connection.send_in_turn(frame).await;
            Ok(())
        }
        Ok(ReplyKind::Items(items)) => {
            let id = invocation_id.expect("a stream invocation has an id");
            send_items(&connection, &call, protocol, &id, items, detailed).await
        }
        Err(error) => {
            log_failure(&target, &error);
            if let Fault::Unwritable(cause) = error.fault() {
                return Err(CloseReason::Unwritable(cause.clone()));
            }
            if let Some(id) = invocation_id {
                let text = error.completion_text(&target, detailed);
                send_end(&connection, protocol, &id, Some(&text)).await;
            }
            Ok(())
        }
    }
}

fn outcome(reply: &Result<ReplyKind, HubError>) -> InvocationOutcome {
    match reply {
        Ok(_) => InvocationOutcome::Completed,
        Err(error) if error.is_internal() => InvocationOutcome::Failed,
        Err(_) => InvocationOutcome::Refused,
    }
}

/// The method inside its filters.
async fn invoke(accepted: Accepted) -> Result<ReplyKind, HubError> {
    let Accepted {
        connection,
        call,
        target,
        known,
        argument_count,
        protocol,
        invocation_id,
        bound,
        ..
    } = accepted;
    let core = Arc::clone(connection.core());
    let method = async move {
        bound?(Answer {
            protocol,
            invocation_id,
        })
        .await
    };
    if core.filters.is_empty() {
        return method.await;
    }
    let context = Context::new(connection, Some(call));
    let info = InvocationInfo {
        context,
        target,
        known,
        argument_count,
    };
    filter::invoke(&core.filters, &info, Box::pin(method)).await
}

async fn send_items(
    connection: &Arc<Connection>,
    call: &Arc<Call>,
    protocol: HubProtocol,
    id: &str,
    mut items: BoxStream<'static, Result<Frame, HubError>>,
    detailed: bool,
) -> Result<(), CloseReason> {
    loop {
        let next = AssertUnwindSafe(items.next())
            .catch_unwind()
            .await
            .unwrap_or_else(|_| {
                tracing::error!("a hub stream panicked");
                Some(Err(HubError::internal("Panic", "The stream panicked.")))
            });
        match next {
            Some(Ok(frame)) => {
                if connection.send_in_turn(frame).await.is_err() {
                    return Ok(());
                }
                // A stream that is always ready must not keep the connection
                // from reading the client's cancellation.
                tokio::task::consume_budget().await;
            }
            Some(Err(error)) => {
                if let Fault::Unwritable(cause) = error.fault() {
                    return Err(CloseReason::Unwritable(cause.clone()));
                }
                let text = error.stream_text(detailed);
                let cancelled = call.cancellation().is_cancelled();
                send_end(
                    connection,
                    protocol,
                    id,
                    (!cancelled).then_some(text.as_str()),
                )
                .await;
                return Ok(());
            }
            None => {
                send_end(connection, protocol, id, None).await;
                return Ok(());
            }
        }
    }
}

/// A Completion without a result.
pub(crate) async fn send_end(
    connection: &Connection,
    protocol: HubProtocol,
    id: &str,
    error: Option<&str>,
) {
    let frame = Frame::message(protocol, |out| {
        protocol.write_end(out, id, error);
        Ok(())
    });
    let _ = connection
        .send_in_turn(frame.expect("ids and texts can be written"))
        .await;
}

/// Faults of the client are its own affair; those of the hub are logged.
fn log_failure(target: &str, error: &HubError) {
    if error.is_internal() {
        tracing::error!(hub.method = target, %error, "a hub method failed");
    } else {
        tracing::debug!(hub.method = target, %error, "an invocation was refused");
    }
}
