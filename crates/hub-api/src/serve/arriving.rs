//! Notes whether a request's body was read to its end. One that was not ends
//! its connection: the answer must say so, or the client would send its next
//! request into the closing connection.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// The body of a request.
#[derive(Debug)]
pub(super) struct Arriving {
    body: Incoming,
    ended: Ended,
}

/// Whether the body was read to its end.
#[derive(Debug, Clone)]
pub(super) struct Ended(Arc<AtomicBool>);

impl Ended {
    pub(super) fn is_ended(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Watches `body`; nothing is to be watched where there is none.
pub(super) fn watch(body: Incoming) -> (Arriving, Ended) {
    let ended = Ended(Arc::new(AtomicBool::new(body.is_end_stream())));
    (
        Arriving {
            body,
            ended: ended.clone(),
        },
        ended,
    )
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let last = matches!(polled, Poll::Ready(None));
        if last || self.body.is_end_stream() {
            self.ended.0.store(true, Ordering::Release);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
