//! The one error of every handler: problem+json (RFC 9457).
//!
//! A client is told what it can change. Causes on this side are logged once,
//! with an id that the client is given, and never shown.

use std::fmt::Display;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use shared_dto::problem::{FieldError, PROBLEM_JSON, Problem};

use crate::{
    auth::{Refusal, Turned},
    images::ImageStoreError,
    lifecycle::describe,
    store::StoreError,
};

/// A store that cannot answer is asked again after this time.
const STORE_RETRY_SECONDS: u32 = 2;

/// A kind of problem: its URI, its title and its usual status.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    uri: &'static str,
    title: &'static str,
    status: StatusCode,
}

macro_rules! kinds {
    ($($name:ident: $status:ident, $uri:literal, $title:literal;)*) => {
        impl Kind {
            $(pub(crate) const $name: Self =
                Self { uri: concat!("/problems/", $uri), title: $title, status: StatusCode::$status };)*
        }
    };
}

kinds! {
    INVALID_REQUEST: BAD_REQUEST, "invalid-request", "The request is not valid";
    INVALID_IMAGE: BAD_REQUEST, "invalid-image", "The image cannot be used";
    NOT_SIGNED_IN: UNAUTHORIZED, "not-signed-in", "A valid bearer token is needed";
    WRONG_SECRET: UNAUTHORIZED, "not-authorised", "Not authorised";
    FORBIDDEN: FORBIDDEN, "forbidden", "Not allowed";
    NOT_FOUND: NOT_FOUND, "not-found", "There is nothing here";
    METHOD: METHOD_NOT_ALLOWED, "method-not-allowed", "This method is not served here";
    TIMEOUT: REQUEST_TIMEOUT, "timeout", "The request took too long";
    IDEMPOTENCY: CONFLICT, "idempotency-key-reused", "The idempotency key was used for another request";
    STALE_ATTEMPT: CONFLICT, "stale-attempt", "The attempt is no longer the job's";
    TOO_LARGE: PAYLOAD_TOO_LARGE, "too-large", "The request is too large";
    MEDIA_TYPE: UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "This type of content is not accepted";
    UNPROCESSABLE: UNPROCESSABLE_ENTITY, "unprocessable", "The request contradicts what is known";
    TOO_MANY: TOO_MANY_REQUESTS, "too-many-requests", "Too many requests";
    INTERNAL: INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side";
    UNAVAILABLE: SERVICE_UNAVAILABLE, "unavailable", "The service cannot answer at the moment";
}

/// An answer that tells what went wrong.
#[derive(Debug, Clone)]
pub struct ApiError(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    problem: Problem,
    retry_after: Option<u32>,
    challenge: Option<&'static str>,
}

impl ApiError {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            problem: Problem {
                kind: kind.uri.to_owned(),
                title: kind.title.to_owned(),
                status: kind.status.as_u16(),
                detail: Some(detail.into()),
                errors: Vec::new(),
            },
            retry_after: None,
            challenge: None,
        }))
    }

    /// A problem with one field.
    pub(crate) fn field(
        kind: Kind,
        field: impl Into<String>,
        detail: impl Into<String>,
        accepted: impl Into<String>,
    ) -> Self {
        let (detail, accepted) = (detail.into(), accepted.into());
        let field = FieldError {
            field: field.into(),
            detail,
            accepted,
        };
        Self::fields(kind, vec![field])
    }

    /// A problem with several fields; at least one.
    pub(crate) fn fields(kind: Kind, errors: Vec<FieldError>) -> Self {
        let detail = errors.first().map_or_else(String::new, |first| {
            format!(
                "{}: {}. Accepted: {}.",
                first.field, first.detail, first.accepted
            )
        });
        let mut error = Self::new(kind, detail);
        error.0.problem.errors = errors;
        error
    }

    /// An invalid field of an otherwise readable request.
    pub(crate) fn invalid(
        field: impl Into<String>,
        detail: impl Into<String>,
        accepted: impl Into<String>,
    ) -> Self {
        Self::field(Kind::INVALID_REQUEST, field, detail, accepted)
    }

    /// No token, or one that is not accepted. Why is logged, not told.
    pub(crate) fn unauthorized(turned: Turned) -> Self {
        if let Some(seconds) = turned.wait {
            return Self::too_many(seconds);
        }
        let (detail, challenge) = match turned.refusal {
            Refusal::Missing => ("Send the header Authorization: Bearer <token>.", "Bearer"),
            _ => (
                "The bearer token is not valid.",
                "Bearer error=\"invalid_token\"",
            ),
        };
        let mut error = Self::new(Kind::NOT_SIGNED_IN, detail);
        error.0.challenge = Some(challenge);
        error
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(Kind::NOT_FOUND, format!("No such {what}."))
    }

    pub(crate) fn too_large(field: &str, limit: usize) -> Self {
        Self::field(
            Kind::TOO_LARGE,
            field,
            "it is too large",
            format!("at most {limit} bytes"),
        )
    }

    pub(crate) fn too_many(retry_after: u32) -> Self {
        Self::new(Kind::TOO_MANY, format!("Try again in {retry_after} s.")).retry_after(retry_after)
    }

    /// What cannot be had for now.
    pub(crate) fn unavailable(retry_after: u32) -> Self {
        Self::new(Kind::UNAVAILABLE, format!("Try again in {retry_after} s."))
            .retry_after(retry_after)
    }

    /// A fault of ours: logged once under an id, which is all that the client learns.
    pub(crate) fn internal(cause: impl Display, doing: &'static str) -> Self {
        let mut random = [0; 8];
        // An id that repeats is no harm; a request must not fail over it.
        let _ = getrandom::fill(&mut random);
        let id = format!("{:016x}", u64::from_be_bytes(random));
        tracing::error!(error.id = %id, error = %cause, doing, "request failed");
        Self::new(Kind::INTERNAL, format!("It was logged under {id}."))
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The body of the answer.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.0.problem).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.0.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.0.challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::UnstorableText) {
            let detail = "A text holds the character U+0000, which cannot be stored.";
            return Self::new(Kind::INVALID_REQUEST, detail);
        }
        if error.is_transient() {
            tracing::warn!(error = %describe(&error), "the store cannot answer at the moment");
            return Self::unavailable(STORE_RETRY_SECONDS);
        }
        Self::internal(describe(&error), "use the store")
    }
}

impl From<ImageStoreError> for ApiError {
    fn from(error: ImageStoreError) -> Self {
        tracing::error!(error = %describe(&error), "the image store failed");
        Self::unavailable(STORE_RETRY_SECONDS)
    }
}
