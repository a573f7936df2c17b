//! Methods that take streams of the client.

use std::time::Duration;

use futures_util::stream::{Stream, StreamExt as _};
use signalr::{HubBuilder, HubError, Upload, UploadError};

use super::hub::Golden;

pub(crate) fn register(builder: HubBuilder<Golden>) -> HubBuilder<Golden> {
    builder
        .method("Upload", upload)
        .method("UploadCatch", upload_catch)
        .method("UploadTwo", upload_two)
        .streaming_method("UploadEcho", upload_echo)
        .method("UploadFirst", upload_first)
        .method("UploadLate", upload_late)
}

/// The exception that .NET's reader throws.
fn exception(error: UploadError) -> HubError {
    match error {
        UploadError::Disconnected => {
            HubError::internal("OperationCanceledException", error.to_string())
        }
        UploadError::Client(_) | UploadError::Item => HubError::new(error.to_string()),
    }
}

/// The sum so far and how the stream ended.
async fn sum(mut numbers: Upload<i32>) -> (i32, Result<(), UploadError>) {
    let mut sum = 0;
    while let Some(number) = numbers.next().await {
        match number {
            Ok(number) => sum += number,
            Err(error) => return (sum, Err(error)),
        }
    }
    (sum, Ok(()))
}

async fn upload(numbers: Upload<i32>) -> Result<i32, HubError> {
    let (sum, end) = sum(numbers).await;
    end.map(|()| sum).map_err(exception)
}

async fn upload_catch(numbers: Upload<i32>) -> String {
    match sum(numbers).await {
        (sum, Ok(())) => sum.to_string(),
        (sum, Err(UploadError::Disconnected)) => format!("{sum}, OperationCanceledException"),
        (sum, Err(error)) => format!("{sum}, HubException: {error}"),
    }
}

async fn upload_two(
    tag: Option<String>,
    numbers: Upload<i32>,
    mut texts: Upload<Option<String>>,
) -> Result<String, HubError> {
    let (sum, end) = sum(numbers).await;
    end.map_err(exception)?;
    let mut result = format!("{}{sum}", tag.unwrap_or_default());
    while let Some(text) = texts.next().await {
        result.push_str(&text.map_err(exception)?.unwrap_or_default());
    }
    Ok(result)
}

async fn upload_echo(
    texts: Upload<Option<String>>,
) -> impl Stream<Item = Result<String, HubError>> + Send + 'static {
    texts.map(|text| {
        text.map(|text| text.unwrap_or_default() + "!")
            .map_err(exception)
    })
}

async fn upload_first(mut numbers: Upload<i32>) -> Result<i32, HubError> {
    match numbers.next().await {
        Some(number) => number.map_err(exception),
        None => Err(HubError::internal(
            "ChannelClosedException",
            "The channel has been closed.",
        )),
    }
}

async fn upload_late(millis: u64, numbers: Upload<i32>) -> Result<i32, HubError> {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    upload(numbers).await
}
