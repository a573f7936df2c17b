//! `GET /api/v1/plantanalyses/{id}/image` and `/overlay`: the pictures, for
//! whoever has a signed link, or for the owner.

use axum::{
    extract::{FromRequestParts as _, Request, State},
    response::Response,
};
use http::{
    HeaderName, HeaderValue,
    header::{
        CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
        ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
    },
};
use shared_dto::problem::Problem;

use crate::{
    auth::Caller,
    http::{
        ApiError, AppState,
        params::{Id, Query},
        problem::Kind,
    },
    images::StoredImage,
    store::Photo,
};

#[derive(Debug, Clone, Copy)]
enum Picture {
    Photo,
    Overlay,
}

/// Get the photo
///
/// Opens by a signed link (`imageUrl` of an analysis or notification), or for
/// the owner by bearer token.
#[utoipa::path(
    get,
    path = "/api/v1/plantanalyses/{id}/image",
    tag = "analyses",
    security((), ("bearer" = [])),
    params(
        ("id" = i64, Path, minimum = 1),
        ("expires" = Option<i64>, Query, description = "of a signed link"),
        ("signature" = Option<String>, Query, description = "of a signed link"),
    ),
    responses(
        (status = 200, description = "The picture", content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "image/webp"))),
        (status = 304, description = "The caller has it already"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get_image(
    State(state): State<AppState>,
    Id(id): Id,
    query: Query,
    request: Request,
) -> Result<Response, ApiError> {
    picture(&state, id, &query, request, Picture::Photo).await
}

/// Get the photo with the symptoms outlined
///
/// Opens as the photo does.
#[utoipa::path(
    get,
    path = "/api/v1/plantanalyses/{id}/overlay",
    tag = "analyses",
    security((), ("bearer" = [])),
    params(
        ("id" = i64, Path, minimum = 1),
        ("expires" = Option<i64>, Query, description = "of a signed link"),
        ("signature" = Option<String>, Query, description = "of a signed link"),
    ),
    responses(
        (status = 200, description = "The picture", content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "image/webp"))),
        (status = 304, description = "The caller has it already"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get_overlay(
    State(state): State<AppState>,
    Id(id): Id,
    query: Query,
    request: Request,
) -> Result<Response, ApiError> {
    picture(&state, id, &query, request, Picture::Overlay).await
}

async fn picture(
    state: &AppState,
    id: i64,
    query: &Query,
    request: Request,
    which: Picture,
) -> Result<Response, ApiError> {
    let path = request.uri().path().to_owned();
    let (mut parts, _) = request.into_parts();
    let signed = query.text("signature")?;
    let reader = match signed {
        Some(signature) => {
            let expires = query.integer("expires")?.unwrap_or(0);
            if !state
                .links
                .opens_picture(&path, expires, signature, state.store.clock().now())
            {
                let detail =
                    "The link is not valid, or no longer. Load the analysis for a new one.";
                return Err(ApiError::new(Kind::FORBIDDEN, detail));
            }
            None
        }
        None => Some(
            Caller::from_request_parts(&mut parts, state)
                .await?
                .0
                .user_id,
        ),
    };
    let absent = || ApiError::not_found("picture");
    let pictures = state.store.pictures_of(id).await?.ok_or_else(absent)?;
    if reader.is_some_and(|reader| reader != pictures.user) {
        return Err(absent());
    }
    let key = match (which, pictures.photo) {
        (Picture::Overlay, _) => pictures.overlay_key.ok_or_else(absent)?,
        (Picture::Photo, Photo::Stored { key, .. }) => key,
        (Picture::Photo, Photo::Remote { .. }) => return Err(absent()),
    };
    let tag = format!("\"{key}\"");
    if parts
        .headers
        .get(IF_NONE_MATCH)
        .is_some_and(|had| had.as_bytes() == tag.as_bytes())
    {
        return Ok(unchanged(&tag));
    }
    let image = state.images.open(&key).await?.ok_or_else(absent)?;
    Ok(answer(image, &tag, &file_name(id, which)))
}

fn file_name(id: i64, which: Picture) -> String {
    match which {
        Picture::Photo => format!("analysis-{id}"),
        Picture::Overlay => format!("analysis-{id}-overlay"),
    }
}

fn unchanged(tag: &str) -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = http::StatusCode::NOT_MODIFIED;
    insert(&mut response, ETAG, tag);
    response
}

/// The picture is somebody's upload: a browser must take it for a picture and
/// nothing else, even when it is opened by itself.
fn answer(image: StoredImage, tag: &str, name: &str) -> Response {
    let mut response = Response::new(image.body);
    let kind = image.media_type;
    insert(&mut response, CONTENT_TYPE, kind.as_str());
    insert(&mut response, CONTENT_LENGTH, &image.length.to_string());
    insert(&mut response, ETAG, tag);
    insert(&mut response, CACHE_CONTROL, "private, max-age=86400");
    insert(&mut response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    insert(
        &mut response,
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; sandbox",
    );
    // Pages of other origins show it in <img>; the link is what is secret.
    insert(
        &mut response,
        HeaderName::from_static("cross-origin-resource-policy"),
        "cross-origin",
    );
    let disposition = format!("inline; filename=\"{name}.{}\"", kind.extension());
    insert(&mut response, CONTENT_DISPOSITION, &disposition);
    response
}

fn insert(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
