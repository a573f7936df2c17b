//! [`Backplane`] without its type.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};

use super::{
    Backplane, BackplaneError, BackplaneNode, Channel, GroupChange, RemoteCompletion,
    RemoteInvocation, SubscriptionChange,
};
use crate::ConnectionId;

/// What the hub holds of its backplane.
pub(crate) trait Carrier: Send + Sync {
    fn start(&self, node: BackplaneNode);

    fn publish<'a>(
        &'a self,
        channel: &'a Channel,
        invocation: &'a RemoteInvocation,
    ) -> BoxFuture<'a, Result<Option<usize>, BackplaneError>>;

    fn subscribe<'a>(
        &'a self,
        changes: &'a [SubscriptionChange],
    ) -> BoxFuture<'a, Result<(), BackplaneError>>;

    fn change_group<'a>(
        &'a self,
        change: GroupChange,
        group: &'a str,
        id: ConnectionId,
    ) -> BoxFuture<'a, Result<(), BackplaneError>>;

    fn complete<'a>(
        &'a self,
        return_to: &'a str,
        completion: &'a RemoteCompletion,
    ) -> BoxFuture<'a, Result<(), BackplaneError>>;
}

impl<B: Backplane> Carrier for B {
    fn start(&self, node: BackplaneNode) {
        Backplane::start(self, node);
    }

    fn publish<'a>(
        &'a self,
        channel: &'a Channel,
        invocation: &'a RemoteInvocation,
    ) -> BoxFuture<'a, Result<Option<usize>, BackplaneError>> {
        Box::pin(Backplane::publish(self, channel, invocation))
    }

    fn subscribe<'a>(
        &'a self,
        changes: &'a [SubscriptionChange],
    ) -> BoxFuture<'a, Result<(), BackplaneError>> {
        Box::pin(Backplane::subscribe(self, changes))
    }

    fn change_group<'a>(
        &'a self,
        change: GroupChange,
        group: &'a str,
        id: ConnectionId,
    ) -> BoxFuture<'a, Result<(), BackplaneError>> {
        Box::pin(Backplane::change_group(self, change, group, id))
    }

    fn complete<'a>(
        &'a self,
        return_to: &'a str,
        completion: &'a RemoteCompletion,
    ) -> BoxFuture<'a, Result<(), BackplaneError>> {
        Box::pin(Backplane::complete(self, return_to, completion))
    }
}

/// Asks the backplane for something: it may hang or panic, the hub goes on.
pub(super) async fn within<T>(
    limit: Duration,
    ask: impl AsyncFnOnce() -> Result<T, BackplaneError>,
) -> Result<T, BackplaneError> {
    // Inside of the guard the call itself as well: it may be no `async fn`.
    let guarded = AssertUnwindSafe(async { ask().await }).catch_unwind();
    match tokio::time::timeout(limit, guarded).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(BackplaneError::Unavailable("it panicked".to_owned())),
        Err(_) => Err(BackplaneError::TimedOut),
    }
}

pub(crate) type SharedCarrier = Arc<dyn Carrier>;
