//! `GET /internal/analyses/{id}/image`: the photo, for the worker.

use axum::{extract::State, response::Response};
use http::{
    HeaderValue,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use shared_dto::problem::Problem;

use super::guard::Internal;
use crate::{
    http::{ApiError, AppState, params::Id},
    store::Photo,
};

/// Get the photo of an analysis
#[utoipa::path(
    get,
    path = "/internal/analyses/{id}/image",
    tag = "internal",
    security(("internalSecret" = [])),
    params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = 200, description = "The picture", content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "image/webp"))),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn internal_image(
    _: Internal,
    Id(id): Id,
    State(state): State<AppState>,
) -> Result<Response, ApiError> {
    let absent = || ApiError::not_found("picture");
    let Photo::Stored { key, .. } = state.store.pictures_of(id).await?.ok_or_else(absent)?.photo
    else {
        return Err(absent());
    };
    let image = state.images.open(&key).await?.ok_or_else(absent)?;
    let mut response = Response::new(image.body);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(image.media_type.as_str()),
    );
    headers.insert(CONTENT_LENGTH, HeaderValue::from(image.length));
    Ok(response)
}
