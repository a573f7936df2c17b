//! POST: what a client without a WebSocket sends.

use std::{fmt, pin::pin, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use http::{Response, StatusCode, request::Parts};
use http_body_util::BodyExt as _;

use super::{Lookup, TransportKind, answer, look_up};
use crate::{connection::Stage, server::Core};

pub(super) async fn post<B>(core: &Arc<Core>, parts: &Parts, body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: fmt::Display + Send,
{
    let connection = match look_up(core, parts) {
        Lookup::Found(connection) => connection,
        Lookup::Missing => return answer::text(StatusCode::BAD_REQUEST, answer::ID_REQUIRED),
        Lookup::Remote(..) | Lookup::Unknown => {
            return answer::text(StatusCode::NOT_FOUND, answer::NO_CONNECTION);
        }
    };
    if connection.transport() == Some(TransportKind::WebSockets) {
        return answer::text(
            StatusCode::METHOD_NOT_ALLOWED,
            "POST requests are not allowed for WebSocket connections.",
        );
    }
    let _turn = connection.http().post.lock().await;
    if connection.stage() >= Stage::Ending {
        return answer::text(StatusCode::NOT_FOUND, "");
    }
    let mut body = pin!(body);
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = connection.until_ending() => return answer::text(StatusCode::NOT_FOUND, ""),
        };
        match frame {
            None => return answer::text(StatusCode::OK, ""),
            Some(Ok(frame)) => {
                let Ok(bytes) = frame.into_data() else {
                    continue;
                };
                if !connection.receive(&bytes).await {
                    return answer::text(StatusCode::NOT_FOUND, "");
                }
            }
            // What came before it broke off stays.
            Some(Err(_)) => return answer::text(StatusCode::BAD_REQUEST, ""),
        }
    }
}
