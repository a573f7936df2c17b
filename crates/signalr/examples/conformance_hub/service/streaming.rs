//! Methods that return streams.

use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::{self, Stream, StreamExt as _};
use signalr::{Authorization, CancellationToken, Context, HubBuilder, HubError};

use super::hub::Golden;

pub(crate) fn register(builder: HubBuilder<Golden>) -> HubBuilder<Golden> {
    builder
        .streaming_method("Stream", count)
        .streaming_method("StreamChannel", count)
        .streaming_method("StreamTask", count)
        .streaming_method("StreamThrow", count_and_throw)
        .streaming_method("StreamThrowHub", count_and_throw_hub)
        .streaming_method("StreamThrowEarly", throw_early)
        .streaming_method("StreamThrowEarlyHub", throw_early_hub)
        .streaming_method("StreamNull", nothing)
        .streaming_method("StreamNullChannel", nothing)
        .streaming_method("StreamForever", forever)
        .method("WasCancelled", was_cancelled)
        .streaming_method("NeverStream", never)
        .allow(Authorization::Nobody)
}

async fn count(items: i32) -> impl Stream<Item = i32> + Send + 'static {
    stream::iter(0..items)
}

fn count_then(
    items: i32,
    error: HubError,
) -> impl Stream<Item = Result<i32, HubError>> + Send + 'static {
    stream::iter((0..items).map(Ok)).chain(stream::once(ready(Err(error))))
}

async fn count_and_throw(items: i32) -> impl Stream<Item = Result<i32, HubError>> + Send + 'static {
    count_then(
        items,
        HubError::internal("InvalidOperationException", "stream bang"),
    )
}

async fn count_and_throw_hub(
    items: i32,
) -> impl Stream<Item = Result<i32, HubError>> + Send + 'static {
    count_then(items, HubError::new("stream hub bang"))
}

async fn throw_early() -> Result<stream::Empty<i32>, HubError> {
    Err(HubError::internal(
        "InvalidOperationException",
        "early bang",
    ))
}

async fn throw_early_hub() -> Result<stream::Empty<i32>, HubError> {
    Err(HubError::new("early hub bang"))
}

/// .NET's null where a stream was promised.
async fn nothing() -> Option<stream::Empty<i32>> {
    None
}

async fn never() -> stream::Empty<i32> {
    stream::empty()
}

/// Whether a stream of this connection ended by its token.
#[derive(Debug, Default)]
struct Cancelled(AtomicBool);

async fn forever(
    context: Context,
    token: CancellationToken,
) -> impl Stream<Item = i32> + Send + 'static {
    let cancelled = context.insert(Cancelled::default());
    let end = async move {
        token.cancelled().await;
        cancelled.0.store(true, Ordering::Release);
        None
    };
    stream::once(ready(Some(0)))
        .chain(stream::once(end))
        .filter_map(ready)
}

async fn was_cancelled(context: Context) -> bool {
    context
        .get::<Cancelled>()
        .is_some_and(|cancelled| cancelled.0.load(Ordering::Acquire))
}
