//! A client's stream, as the method that takes it sees it.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, Waker},
};

use futures_util::Stream;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use crate::{connection::Connection, protocol::RawValue};

/// Why an upload ended before its time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The client ended the stream with this error.
    #[error("{0}")]
    Client(String),
    /// An item was not of the stream's type.
    #[error("Failed to bind Stream message.")]
    Item,
    /// The connection ended first.
    #[error("The underlying connection was closed.")]
    Disconnected,
}

/// A stream that a client sends to a hub method. Items wait in a bounded
/// buffer; while it is full, the client's connection is not read.
///
/// ```
/// use futures_util::StreamExt;
/// use signalr::{HubError, Upload};
///
/// async fn sum(mut numbers: Upload<i64>) -> Result<i64, HubError> {
///     let mut sum = 0;
///     while let Some(number) = numbers.next().await {
///         sum += number?;
///     }
///     Ok(sum)
/// }
/// ```
pub struct Upload<T> {
    shared: Arc<Mutex<Buffer<T>>>,
    connection: Arc<Connection>,
}

struct Buffer<T> {
    items: VecDeque<T>,
    capacity: usize,
    end: Option<Result<(), UploadError>>,
    reader: Option<Waker>,
    /// The method no longer reads.
    abandoned: bool,
    /// An item was refused because the buffer was full.
    writer_waits: bool,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Taken, or not wanted any more.
    Taken,
    /// The buffer is full: offer it again after a wake.
    Full,
    /// Not of the stream's type: the stream ended with an error.
    NotBound,
}

/// The connection's end of an [`Upload`].
pub(crate) trait UploadSink: Send + fmt::Debug {
    fn push(&self, item: RawValue<'_>) -> Pushed;
    fn end(&self, end: Result<(), UploadError>);
}

impl<T: DeserializeOwned + Send + 'static> Upload<T> {
    pub(crate) fn new(connection: Arc<Connection>, capacity: usize) -> (Self, Box<dyn UploadSink>) {
        let shared = Arc::new(Mutex::new(Buffer {
            items: VecDeque::new(),
            capacity: capacity.max(1),
            end: None,
            reader: None,
            abandoned: false,
            writer_waits: false,
        }));
        (
            Self {
                shared: Arc::clone(&shared),
                connection,
            },
            Box::new(Sink(shared)),
        )
    }
}

impl<T> Stream for Upload<T> {
    type Item = Result<T, UploadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let mut buffer = self.shared.lock();
        if let Some(item) = buffer.items.pop_front() {
            if std::mem::take(&mut buffer.writer_waits) {
                self.connection.wake_driver();
            }
            return Poll::Ready(Some(Ok(item)));
        }
        match &mut buffer.end {
            Some(end) => match std::mem::replace(end, Ok(())) {
                Ok(()) => Poll::Ready(None),
                Err(error) => Poll::Ready(Some(Err(error))),
            },
            None => {
                buffer.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Upload<T> {
    fn drop(&mut self) {
        let mut buffer = self.shared.lock();
        buffer.abandoned = true;
        buffer.items.clear();
        if buffer.writer_waits {
            self.connection.wake_driver();
        }
    }
}

impl<T> fmt::Debug for Upload<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").finish_non_exhaustive()
    }
}

struct Sink<T>(Arc<Mutex<Buffer<T>>>);

impl<T> fmt::Debug for Sink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned + Send> UploadSink for Sink<T> {
    fn push(&self, item: RawValue<'_>) -> Pushed {
        let mut buffer = self.0.lock();
        if buffer.abandoned || buffer.end.is_some() {
            return Pushed::Taken;
        }
        if buffer.items.len() >= buffer.capacity {
            buffer.writer_waits = true;
            return Pushed::Full;
        }
        let pushed = match item.deserialize() {
            Ok(item) => {
                buffer.items.push_back(item);
                Pushed::Taken
            }
            Err(_) => {
                buffer.end = Some(Err(UploadError::Item));
                Pushed::NotBound
            }
        };
        wake(&mut buffer.reader);
        pushed
    }

    fn end(&self, end: Result<(), UploadError>) {
        let mut buffer = self.0.lock();
        buffer.end.get_or_insert(end);
        wake(&mut buffer.reader);
    }
}

fn wake(reader: &mut Option<Waker>) {
    if let Some(waker) = reader.take() {
        waker.wake();
    }
}
