//! Methods that fail, that not everybody may call, and that end the connection.

use signalr::{Authorization, Context, HubBuilder, HubError};

use super::hub::Golden;

pub(crate) fn register(builder: HubBuilder<Golden>) -> HubBuilder<Golden> {
    builder
        .method("Throw", throw)
        .method("ThrowLater", throw_later)
        .method("ThrowHub", throw_hub)
        .method("ThrowHubInner", throw_hub_inner)
        .method("Secured", secured)
        .allow(Authorization::Authenticated)
        .method("Never", never)
        .allow(Authorization::Nobody)
        .method("Abort", abort)
}

async fn throw() -> Result<(), HubError> {
    Err(HubError::internal("InvalidOperationException", "bang"))
}

async fn throw_later() -> Result<(), HubError> {
    tokio::task::yield_now().await;
    Err(HubError::internal("InvalidOperationException", "later"))
}

async fn throw_hub() -> Result<(), HubError> {
    Err(HubError::new("hub bang"))
}

/// In .NET it wraps another exception, of which clients see nothing.
async fn throw_hub_inner() -> Result<(), HubError> {
    Err(HubError::new("outer"))
}

async fn secured() -> &'static str {
    "secured"
}

async fn never() -> &'static str {
    "never"
}

async fn abort(context: Context) {
    context.abort();
}
