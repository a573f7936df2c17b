//! `POST /internal/jobs/result`: a worker brings an outside analyser's answer
//! that came over the result queue.
//!
//! What authorises the answer is the signature of the analyser's `resultUrl`,
//! as if the analyser had posted it there: a worker's word is not enough, for
//! whoever may publish to the queue chose what the message says.

use axum::extract::State;
use http::StatusCode;
use reqwest::Url;
use serde_json::Value;
use shared_dto::{problem::Problem, queue::OutsideResult};

use super::guard::Internal;
use crate::http::{
    ApiError, AppState,
    callbacks::{self, result},
    json::ApiJson,
    problem::Kind,
};

/// The answer itself is bounded as at `resultUrl`; escapes make its JSON longer.
const LONGEST_BODY: usize = 2 * result::LONGEST_BODY;

/// Bring an outside answer
///
/// The message of the result queue as it came: `resultUrl`, whose signature
/// must be good, and `result`. The first answer of an attempt counts.
#[utoipa::path(
    post,
    path = "/internal/jobs/result",
    tag = "internal",
    security(("internalSecret" = [])),
    request_body = OutsideResult,
    responses(
        (status = 202, description = "It was stored"),
        (status = 200, description = "There is an answer already, or the job has ended"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Another attempt is under way"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "`resultUrl` was not made here, or is too old"),
    )
)]
pub(crate) async fn outside_result(
    _: Internal,
    State(state): State<AppState>,
    ApiJson(message): ApiJson<OutsideResult, LONGEST_BODY>,
) -> Result<StatusCode, ApiError> {
    // 403 would mean that the worker may not call here, and that is another matter.
    let refused = || {
        ApiError::new(
            Kind::UNPROCESSABLE,
            "The address is not valid, or no longer.",
        )
    };
    let (job_id, parameters) = read(&message.result_url).ok_or_else(refused)?;
    let attempt = callbacks::permitted(&state, job_id, parameters).ok_or_else(refused)?;
    let text = match message.result {
        Value::String(text) => text,
        json => json.to_string(),
    };
    result::keep(&state, job_id, attempt, text).await
}

/// The job and the signed parameters of a `resultUrl`. Its host is not looked
/// at: nothing is sent there, and the signature does not cover it.
fn read(result_url: &str) -> Option<(i64, (u32, i64, String))> {
    let url = Url::parse(result_url).ok()?;
    let (_, rest) = url.path().rsplit_once("/callbacks/jobs/")?;
    let job_id = rest.strip_suffix("/result")?.parse().ok()?;
    let of = |name: &str| {
        url.query_pairs()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.into_owned())
    };
    let parameters = (
        of("attempt")?.parse().ok()?,
        of("exp")?.parse().ok()?,
        of("sig")?,
    );
    Some((job_id, parameters))
}
