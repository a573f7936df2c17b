//! `/openapi.json`: the document that is generated from the handlers.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::Extension,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use utoipa::{
    OpenApi as _,
    openapi::{
        OpenApi,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Tendril hub",
        description = "Uploads, analyses and notifications over REST, and the internal link to workers. Errors are problem+json (RFC 9457).",
    ),
    tags(
        (name = "analyses", description = "Uploading a photo, and what became of it"),
        (name = "notifications", description = "The caller's notification log"),
        (name = "admin", description = "For operators, with the role Admin"),
        (name = "internal", description = "For workers and other services of the same system"),
        (name = "callbacks", description = "For outside analysers, at the signed addresses that they were given"),
        (name = "health", description = "What works"),
    ),
    components(schemas(
        shared_dto::notification::AnalysisCompleted,
        shared_dto::notification::AnalysisFailed,
        shared_dto::notification::AnalysisProgress,
        shared_dto::notification::Resumed,
    )),
)]
struct Document;

/// The document without its routes.
pub(super) fn base() -> OpenApi {
    let mut document = Document::openapi();
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let secret = ApiKey::Header(ApiKeyValue::with_description(
        "X-Internal-Secret",
        "The secret that the hub shares with its workers",
    ));
    components.add_security_scheme("internalSecret", SecurityScheme::ApiKey(secret));
    document
}

/// The document as it is sent, made once.
#[derive(Debug, Clone)]
pub(super) struct Rendered(Arc<Bytes>);

impl Rendered {
    pub(super) fn new(document: &OpenApi) -> Self {
        // The document is made of plain strings and maps, which always serialise.
        let text = serde_json::to_vec(document).unwrap_or_default();
        Self(Arc::new(text.into()))
    }
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "health",
    responses((status = 200, content_type = "application/json"))
)]
pub(super) async fn openapi_json(Extension(document): Extension<Rendered>) -> Response {
    let mut response = Body::from(Bytes::clone(&document.0)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=300"),
    );
    response
}
