//! Filters: code around invocations, connects and disconnects.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

use super::{Context, DisconnectReason, HubError, ReplyKind};

/// The invocation that a filter sees.
#[derive(Debug)]
pub struct InvocationInfo {
    /// Who calls.
    pub context: Context,
    /// The method as it was declared, or as the client spelt it when there is
    /// no such method.
    pub target: Arc<str>,
    /// Whether the hub has that method.
    pub known: bool,
    /// How many arguments came.
    pub argument_count: usize,
}

/// Code around the invocations, connects and disconnects of a hub. Filters
/// run in the order in which they were added, the first one outermost. Unlike
/// those of ASP.NET Core they also see calls of unknown methods and calls whose
/// arguments do not fit, so a rate limit cannot be passed by them.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use futures_util::future::BoxFuture;
/// use signalr::{HubError, HubFilter, InvocationInfo, Next};
///
/// /// A thousand calls a connection.
/// struct Limit;
///
/// impl HubFilter for Limit {
///     fn invoke<'a>(
///         &'a self,
///         info: &'a InvocationInfo,
///         next: Next<'a>,
///     ) -> BoxFuture<'a, Result<(), HubError>> {
///         let calls = info.context.get_or_insert_with(|| AtomicU32::new(0));
///         Box::pin(async move {
///             if calls.fetch_add(1, Ordering::Relaxed) >= 1000 {
///                 return Err(HubError::new("That was enough."));
///             }
///             next.run().await
///         })
///     }
/// }
/// # struct Chat;
/// # impl signalr::Hub for Chat {}
/// # signalr::HubServer::builder(Chat).filter(Limit);
/// ```
pub trait HubFilter: Send + Sync + 'static {
    /// Around an invocation. Not calling `next` refuses the call.
    fn invoke<'a>(
        &'a self,
        info: &'a InvocationInfo,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), HubError>> {
        let _ = info;
        next.run()
    }

    /// Around [`Hub::on_connected`](super::Hub::on_connected).
    fn connected<'a>(
        &'a self,
        context: &'a Context,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), HubError>> {
        let _ = context;
        next.run()
    }

    /// Around [`Hub::on_disconnected`](super::Hub::on_disconnected).
    fn disconnected<'a>(
        &'a self,
        context: &'a Context,
        reason: &'a DisconnectReason,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), HubError>> {
        let _ = (context, reason);
        next.run()
    }
}

/// The innermost thing that filters stand around.
pub(crate) type NextStep<'a> = Box<dyn FnOnce() -> BoxFuture<'a, Result<(), HubError>> + Send + 'a>;

/// What a filter stands in front of.
pub struct Next<'a>(NextStep<'a>);

impl<'a> Next<'a> {
    /// Goes on: to the next filter, in the end to the method.
    #[must_use]
    pub fn run(self) -> BoxFuture<'a, Result<(), HubError>> {
        (self.0)()
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").finish_non_exhaustive()
    }
}

/// Runs `innermost` inside all filters around a call.
pub(crate) async fn invoke(
    filters: &[Arc<dyn HubFilter>],
    info: &InvocationInfo,
    innermost: BoxFuture<'_, Result<ReplyKind, HubError>>,
) -> Result<ReplyKind, HubError> {
    let mut reply = None;
    let slot = &mut reply;
    let last: NextStep<'_> = Box::new(move || {
        Box::pin(async move {
            *slot = Some(innermost.await?);
            Ok(())
        })
    });
    around(filters, last, &|filter, next| filter.invoke(info, next)).await?;
    reply.ok_or_else(|| HubError::internal("InvalidOperationException", "A filter gave no answer."))
}

/// Runs `innermost` inside all filters around a connect.
pub(crate) async fn connected(
    filters: &[Arc<dyn HubFilter>],
    context: &Context,
    innermost: BoxFuture<'static, Result<(), HubError>>,
) -> Result<(), HubError> {
    let last: NextStep<'_> = Box::new(move || innermost);
    around(filters, last, &|filter, next| {
        filter.connected(context, next)
    })
    .await
}

/// Runs `innermost` inside all filters around a disconnect.
pub(crate) async fn disconnected(
    filters: &[Arc<dyn HubFilter>],
    context: &Context,
    reason: &DisconnectReason,
    innermost: BoxFuture<'static, ()>,
) -> Result<(), HubError> {
    let last: NextStep<'_> = Box::new(move || {
        Box::pin(async move {
            innermost.await;
            Ok(())
        })
    });
    around(filters, last, &|filter, next| {
        filter.disconnected(context, reason, next)
    })
    .await
}

type Step<'a> =
    dyn Fn(&'a dyn HubFilter, Next<'a>) -> BoxFuture<'a, Result<(), HubError>> + Sync + 'a;

fn around<'a>(
    filters: &'a [Arc<dyn HubFilter>],
    innermost: NextStep<'a>,
    step: &'a Step<'a>,
) -> BoxFuture<'a, Result<(), HubError>> {
    match filters.split_first() {
        None => innermost(),
        Some((first, rest)) => step(
            &**first,
            Next(Box::new(move || around(rest, innermost, step))),
        ),
    }
}
