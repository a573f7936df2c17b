//! `PUT /internal/analyses/{id}/overlay`: the photo with the symptoms outlined.

use axum::{
    extract::{Request, State},
    http::StatusCode,
};
use bytes::Bytes;
use shared_dto::{jobs::ATTEMPT_TOKEN_HEADER, problem::Problem};

use super::{
    checks::{self, Faults},
    guard::Internal,
    notify::stale,
};
use crate::{
    http::{
        ApiError, AppState, analyses,
        body::{self, Bounds},
        memory::Share,
        params::Id,
    },
    images::MediaType,
    store::{OverlaySet, PictureOf, StoreError},
};

/// Set the overlay picture
///
/// For the attempt whose token is in `X-Attempt-Token`. The body is the
/// picture itself; its type is judged by content.
#[utoipa::path(
    put,
    path = "/internal/analyses/{id}/overlay",
    tag = "internal",
    security(("internalSecret" = [])),
    params(
        ("id" = i64, Path, minimum = 1),
        ("X-Attempt-Token" = String, Header, description = "the token of the lease"),
    ),
    request_body(description = "The picture", content((Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/webp"))),
    responses(
        (status = 204, description = "It is the analysis' overlay now"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The token is no longer the lease's"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn put_overlay(
    _: Internal,
    Id(id): Id,
    State(state): State<AppState>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let (parts, body) = request.into_parts();
    let token = parts
        .headers
        .get(ATTEMPT_TOKEN_HEADER)
        .and_then(|value| value.to_str().ok());
    let token = token.unwrap_or_default().to_owned();
    let mut faults = Faults::default();
    checks::token(&token, "X-Attempt-Token", &mut faults);
    faults.into_result()?;
    let bounds = Bounds {
        bytes: state.config.upload.max_bytes,
        idle: state.config.server.body_idle_timeout,
    };
    let mut memory = state.upload_memory.share();
    memory.take(bounds.bytes).await?;
    let picture = body::read(&parts.headers, body, bounds).await?;
    let media_type = analyses::judge(&state, picture.clone(), "body").await?;
    let overlay = Overlay {
        id,
        token,
        picture,
        media_type,
        _memory: memory,
    };
    // A picture whose worker left in between would be kept for nobody.
    let set = overlay.set(state.clone());
    state.finishing.run("overlay", set).await
}

/// An overlay that was received whole.
struct Overlay {
    id: i64,
    token: String,
    picture: Bytes,
    media_type: MediaType,
    /// Held until the picture is done with.
    _memory: Share,
}

impl Overlay {
    /// Keeps the picture, and makes it that of the analysis.
    async fn set(self, state: AppState) -> Result<StatusCode, ApiError> {
        let key = state.images.put(self.picture, self.media_type).await?;
        let set = state
            .store
            .set_overlay(self.id, self.token, key.clone())
            .await;
        let (superfluous, answer) = match set {
            Ok(OverlaySet::Set { replaced }) => (replaced, Ok(StatusCode::NO_CONTENT)),
            Ok(OverlaySet::Unknown) => (Some(key), Err(ApiError::not_found("analysis"))),
            Ok(OverlaySet::Stale) => (Some(key), Err(stale())),
            // It may have been set in spite of the error: then it is needed.
            Err(error @ StoreError::TimedOut) => {
                state.in_doubt.add(key, PictureOf::Analysis(self.id));
                (None, Err(error.into()))
            }
            Err(error) => (Some(key), Err(error.into())),
        };
        if let Some(picture) = superfluous {
            state.images.remove(&picture).await;
        }
        answer
    }
}
