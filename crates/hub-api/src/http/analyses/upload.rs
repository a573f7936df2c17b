//! `POST /api/v1/plantanalyses/analyze-async`: accepts a photo for analysis.

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header::LOCATION};
use shared_dto::{
    UserId,
    analysis::{AnalysisAccepted, AnalysisStatus},
    problem::Problem,
};
use telemetry::trace::TraceParent;

use super::{
    photo::{self, Source},
    receive,
};
use crate::{
    auth::Caller,
    hex::hex,
    http::{ApiError, AppState, params, problem::Kind},
    store::{Created, Idempotency, NewAnalysis, Photo, PictureOf, StoreError},
};

/// Upload a photo
///
/// As multipart (`image`, and where wanted `cropType` and `notes`) or as JSON
/// (`image` as base64 or data URL, or `imageUrl`). The type is judged by
/// content: JPEG, PNG or WebP.
#[utoipa::path(
    post,
    path = "/api/v1/plantanalyses/analyze-async",
    tag = "analyses",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters; a repeated request gives the first answer")),
    request_body(
        description = "The photo",
        content((receive::UploadForm = "multipart/form-data"), (receive::UploadJson = "application/json"))
    ),
    responses(
        (status = 202, body = AnalysisAccepted, headers(("Location" = String))),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 408, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn upload(
    State(state): State<AppState>,
    Caller(principal): Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let limited = state.limits.upload(&principal.user_id);
    limited.map_err(ApiError::too_many)?;
    let key = params::idempotency_key(request.headers())?;
    let trace_context = trace_context(&request);
    let upload = receive::receive(&state, request).await?;
    let sender = Sender {
        idempotency: key.map(|key| Idempotency {
            scope: format!("upload:user:{}", principal.user_id),
            key,
            body_hash: upload.hash(),
        }),
        user: principal.user_id,
        trace_context,
    };
    // A photo whose client left in between would be kept for no analysis.
    let accepted = accept(state.clone(), upload, sender);
    answer(state.finishing.run("upload", accepted).await?)
}

/// Whose upload it is, and what came with it but the form.
struct Sender {
    user: UserId,
    idempotency: Option<Idempotency>,
    trace_context: Option<String>,
}

/// Keeps the photo, and writes the analysis that needs it.
async fn accept(
    state: AppState,
    upload: receive::Upload,
    sender: Sender,
) -> Result<Created, ApiError> {
    let stored = photo::store(&state, upload.source).await?;
    let kept = stored.key().map(str::to_owned);
    let owner = PictureOf::User(sender.user.clone());
    let created = state
        .store
        .create_analysis(NewAnalysis {
            idempotency: sender.idempotency,
            user: sender.user,
            crop_type: upload.crop_type,
            notes: upload.notes,
            photo: stored.photo,
            trace_context: sender.trace_context,
        })
        .await;
    // A photo that became no analysis is not kept.
    match (kept, &created) {
        (None, _) | (_, Ok(Created::Created { .. })) => {}
        // It may have become one in spite of the error.
        (Some(key), Err(StoreError::TimedOut)) => state.in_doubt.add(key, owner),
        (Some(key), _) => state.images.remove(&key).await,
    }
    Ok(created?)
}

/// Upload a photo (the older path)
///
/// The same as `/api/v1/plantanalyses/analyze-async`.
#[utoipa::path(
    post,
    path = "/api/v1/plantanalyses/async",
    tag = "analyses",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters; a repeated request gives the first answer")),
    request_body(
        description = "The photo",
        content((receive::UploadForm = "multipart/form-data"), (receive::UploadJson = "application/json"))
    ),
    responses(
        (status = 202, body = AnalysisAccepted, headers(("Location" = String))),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn upload_alias(
    state: State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    upload(state, caller, request).await
}

fn answer(created: Created) -> Result<Response, ApiError> {
    let (analysis_id, status) = match created {
        Created::Created { analysis_id } => {
            tracing::Span::current().record("analysis", analysis_id);
            tracing::info!(analysis = analysis_id, "analysis.accepted");
            (analysis_id, AnalysisStatus::Processing)
        }
        Created::Repeated {
            analysis_id,
            status,
        } => (analysis_id, status),
        Created::Conflict => {
            return Err(ApiError::field(
                Kind::IDEMPOTENCY,
                "Idempotency-Key",
                "it came before with another body",
                "a new key for a new request",
            ));
        }
    };
    let accepted = Json(AnalysisAccepted {
        analysis_id,
        status,
    });
    let mut response = (StatusCode::ACCEPTED, accepted).into_response();
    let location = format!("/api/v1/plantanalyses/{analysis_id}");
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// The W3C trace context of this request, for the worker to continue: its span
/// where spans are exported, or else the caller's.
fn trace_context(request: &Request) -> Option<String> {
    TraceParent::current()
        .or_else(|| TraceParent::of_headers(request.headers()))
        .map(TraceParent::to_text)
}

impl photo::Stored {
    fn key(&self) -> Option<&str> {
        match &self.photo {
            Photo::Stored { key, .. } => Some(key),
            Photo::Remote { .. } => None,
        }
    }
}

impl receive::Upload {
    /// The hash of what was uploaded, the same in whatever form it came: the
    /// boundary of a multipart body is another one each time.
    fn hash(&self) -> String {
        use sha2::{Digest as _, Sha256};
        let mut hash = Sha256::new();
        let (kind, bytes): (&[u8], &[u8]) = match &self.source {
            Source::Bytes(bytes) => (b"bytes", bytes),
            Source::Url(url) => (b"url", url.as_str().as_bytes()),
        };
        let crop_type = self.crop_type.as_deref().map(str::as_bytes);
        let notes = self.notes.as_deref().map(str::as_bytes);
        for part in [Some(kind), Some(bytes), crop_type, notes] {
            // The lengths keep parts apart that would else read the same together.
            hash.update(
                part.map_or(-1, |part| i64::try_from(part.len()).unwrap_or(-1))
                    .to_be_bytes(),
            );
            hash.update(part.unwrap_or_default());
        }
        hex(&hash.finalize())
    }
}
