//! The n8n analyser: one call of a workflow's webhook an attempt.
//!
//! Owns the request and what each way of answering means; `docs/n8n.md` is the
//! contract. The key that makes repeated calls recognisable is the job's, the
//! same on every attempt: a connection that breaks in the middle says nothing
//! of what the workflow did.

mod answer;
mod fields;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::{
    Response, Url,
    multipart::{Form, Part},
    redirect,
};
use secrecy::ExposeSecret as _;
use shared_dto::jobs::LeasedJob;

use self::answer::Answer;
use crate::{
    attempt::{Failure, Outcome, ProgressSender},
    body,
    config::{Address, N8nConfig},
    hub::{retry_after, traced},
    metrics::{Figures, N8nCall},
    photo,
};

/// What the user is told when the workflow cannot be used.
const UNAVAILABLE: &str =
    "The analysis service is not available at the moment. Please try again later.";

/// What the user is told when the workflow answers nonsense.
const NO_RESULT: &str = "The analysis gave no usable result. Please try again later.";

/// Why the webhook cannot be called at all.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The authentication header cannot be sent.
    #[error("the n8n authentication header or its value cannot stand in an HTTP request")]
    Header,
    /// The HTTP client cannot be made.
    #[error("cannot make an HTTP client for n8n")]
    Client(#[source] reqwest::Error),
}

/// Calls a webhook.
#[derive(Debug)]
pub(super) struct N8n {
    http: reqwest::Client,
    webhook: Url,
    settings: N8nConfig,
    figures: Arc<Figures>,
}

impl N8n {
    pub(super) fn new(
        webhook: &Address,
        settings: &N8nConfig,
        figures: Arc<Figures>,
    ) -> Result<Self, ClientError> {
        let mut headers = HeaderMap::new();
        if let Some(secret) = &settings.auth_secret {
            let name = HeaderName::from_bytes(settings.auth_header.as_bytes())
                .map_err(|_| ClientError::Header)?;
            let mut value =
                HeaderValue::from_str(secret.expose_secret()).map_err(|_| ClientError::Header)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let http = reqwest::Client::builder()
            .user_agent(crate::USER_AGENT)
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .connect_timeout(settings.connect_timeout)
            // Calls are minutes apart: a kept connection would be a dead one.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(ClientError::Client)?;
        Ok(Self {
            http,
            webhook: webhook.url().clone(),
            settings: settings.clone(),
            figures,
        })
    }

    pub(super) async fn analyse(
        &self,
        job: &LeasedJob,
        photo: Bytes,
        progress: &ProgressSender,
    ) -> Outcome {
        let Some(media_type) = photo::media_type(&photo) else {
            return Outcome::reject(
                "the photo is no JPEG, PNG or WebP",
                "The file is not a JPEG, PNG or WebP photo",
            );
        };
        let form = match form(job, photo, media_type) {
            Ok(form) => form,
            Err(error) => return Outcome::retry(format!("cannot make the request: {error}")),
        };
        progress.tell(10, "analysing", "The photo is being analysed");
        let total = self.settings.total_timeout;
        let began = Instant::now();
        let called = tokio::time::timeout(total, self.call(job, form)).await;
        let (outcome, call) = called.unwrap_or_else(|_| {
            let error = format!("n8n did not answer within {total:?}");
            let failure = Failure::new(error, "The analysis took too long.");
            (Outcome::Retry(failure, None), N8nCall::TimedOut)
        });
        self.figures.called_n8n(call, began.elapsed());
        outcome
    }

    async fn call(&self, job: &LeasedJob, form: Form) -> (Outcome, N8nCall) {
        let call = self
            .http
            .post(self.webhook.clone())
            .header("idempotency-key", &job.idempotency_key)
            .multipart(form);
        let response = match traced(call).send().await {
            Ok(response) => response,
            Err(error) => {
                let error = format!("n8n cannot be reached: {}", body::describe(error));
                let outcome = Outcome::Retry(Failure::new(error, UNAVAILABLE), None);
                return (outcome, N8nCall::Unreachable);
            }
        };
        match response.status() {
            StatusCode::ACCEPTED => (Outcome::Park(self.settings.park), N8nCall::Parked),
            status if status.is_success() => {
                let outcome = self.read(job, response).await;
                let parked = matches!(outcome, Outcome::Park(_));
                let call = if parked {
                    N8nCall::Parked
                } else {
                    N8nCall::Answered
                };
                (outcome, call)
            }
            _ => (self.refused(response).await, N8nCall::Refused),
        }
    }

    async fn read(&self, job: &LeasedJob, response: Response) -> Outcome {
        let (cap, pause) = (self.settings.max_answer_bytes, self.settings.read_timeout);
        match body::read(response, cap, pause).await {
            Ok(body) => match answer::read(&body, job.analysis_id) {
                Answer::Started => Outcome::Park(self.settings.park),
                answer => outcome(answer, &body),
            },
            Err(error) => {
                let error = format!("n8n's answer cannot be read: {error}");
                Outcome::Retry(Failure::new(error, NO_RESULT), None)
            }
        }
    }

    /// A status that is no success. What the same request may get past later
    /// is another attempt; 404 is so because n8n answers it while it starts.
    async fn refused(&self, response: Response) -> Outcome {
        let status = response.status();
        let after = retry_after(response.headers());
        let body = body::read(
            response,
            64 * 1_024,
            self.settings.read_timeout.min(Duration::from_secs(5)),
        )
        .await
        .unwrap_or_default();
        tracing::warn!(%status, excerpt = body::excerpt(&body), "n8n refused");
        let failure = Failure::new(format!("n8n answered {status}"), UNAVAILABLE);
        let passes = !status.is_client_error() || matches!(status.as_u16(), 404 | 408 | 425 | 429);
        if passes {
            Outcome::Retry(failure, after)
        } else {
            Outcome::Reject(failure)
        }
    }
}

/// The outcome of an answer that was posted to a job's `resultUrl`.
pub(super) fn outcome_of_reply(job: &LeasedJob, body: &str) -> Outcome {
    outcome(
        answer::read(body.as_bytes(), job.analysis_id),
        body.as_bytes(),
    )
}

fn outcome(answer: Answer, body: &[u8]) -> Outcome {
    match answer {
        Answer::Result(result) => Outcome::Done(result),
        Answer::Failed {
            error,
            user_message,
            retryable,
        } => {
            let failure = Failure::new(error, user_message.unwrap_or_else(|| NO_RESULT.to_owned()));
            if retryable {
                Outcome::Retry(failure, None)
            } else {
                Outcome::Reject(failure)
            }
        }
        Answer::Started => unusable("it only says that a workflow was started", body),
        Answer::Invalid(why) => unusable(&why, body),
    }
}

fn unusable(why: &str, body: &[u8]) -> Outcome {
    tracing::warn!(
        why,
        excerpt = body::excerpt(body),
        "n8n's answer is no result"
    );
    Outcome::Retry(
        Failure::new(format!("n8n's answer is no result: {why}"), NO_RESULT),
        None,
    )
}

/// No more of the user than the workflow needs: neither id nor address.
fn form(job: &LeasedJob, photo: Bytes, media_type: &'static str) -> reqwest::Result<Form> {
    let extension = media_type.trim_start_matches("image/");
    let length = photo.len() as u64;
    let image = Part::stream_with_length(photo, length)
        .file_name(format!("analysis-{}.{extension}", job.analysis_id))
        .mime_str(media_type)?;
    let mut form = Form::new()
        .text("analysisId", job.analysis_id.to_string())
        .text("attempt", job.attempt.to_string())
        .text("idempotencyKey", job.idempotency_key.clone())
        .text("progressUrl", job.progress_url.clone())
        .text("resultUrl", job.result_url.clone());
    for (name, value) in [("cropType", &job.crop_type), ("notes", &job.notes)] {
        if let Some(value) = value {
            form = form.text(name, value.clone());
        }
    }
    Ok(form.part("image", image))
}
