//! The public REST surface, as one user's app calls it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use reqwest::{RequestBuilder, Response, StatusCode, multipart};
use serde::de::DeserializeOwned;
use shared_dto::{
    analysis::{Analysis, AnalysisAccepted, AnalysisStatus},
    notification::{Notification, NotificationPage},
};
use tokio::time::{Instant, sleep};

/// One user's view of the hub.
#[derive(Clone)]
pub struct Api {
    base: String,
    token: String,
    http: reqwest::Client,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl Api {
    /// Calls `base` with `token`.
    #[must_use]
    pub fn new(base: String, token: String) -> Self {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            .build();
        Self {
            base,
            token,
            http: http.expect("a client without special settings can be built"),
        }
    }

    /// A request with the user's token.
    pub fn request(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token)
    }

    /// Uploads a photo and returns the analysis that it started.
    ///
    /// A server may close a connection that was idle just when a request comes
    /// (RFC 9112, section 9.5), so that nobody knows whether it was taken: it
    /// is sent again under the same key, as an app would do.
    pub async fn upload(&self, photo: Vec<u8>) -> Result<i64> {
        static UPLOADS: AtomicU64 = AtomicU64::new(1);
        let number = UPLOADS.fetch_add(1, Ordering::Relaxed);
        let key = format!("upload-{}-{number}", std::process::id());
        let mut repeats = 3;
        let answer = loop {
            match self.upload_under(&key, &photo).await {
                Err(error) if repeats > 0 && error.is_request() && !error.is_timeout() => {
                    repeats -= 1;
                }
                answer => break answer.context("the upload got no answer")?,
            }
        };
        let accepted: AnalysisAccepted = expect(answer, StatusCode::ACCEPTED).await?;
        Ok(accepted.analysis_id)
    }

    async fn upload_under(&self, key: &str, photo: &[u8]) -> reqwest::Result<Response> {
        let part = multipart::Part::bytes(photo.to_vec())
            .file_name("photo.jpg")
            .mime_str("image/jpeg")?;
        let form = multipart::Form::new()
            .part("image", part)
            .text("cropType", "wheat");
        self.request(reqwest::Method::POST, "/api/v1/plantanalyses/analyze-async")
            .header("Idempotency-Key", key)
            .multipart(form)
            .send()
            .await
    }

    /// One analysis.
    pub async fn analysis(&self, id: i64) -> Result<Analysis> {
        self.get(&format!("/api/v1/plantanalyses/{id}")).await
    }

    /// Waits for an analysis to end.
    pub async fn await_end(&self, id: i64, within: Duration) -> Result<Analysis> {
        let deadline = Instant::now() + within;
        loop {
            let analysis = self.analysis(id).await?;
            if analysis.status != AnalysisStatus::Processing {
                return Ok(analysis);
            }
            if Instant::now() > deadline {
                bail!(
                    "analysis {id} did not end within {within:?}: {:?}",
                    analysis.progress
                );
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// One page of the user's log.
    pub async fn notifications(&self, after: i64, limit: u32) -> Result<NotificationPage> {
        self.get(&format!(
            "/api/v1/notifications?after={after}&limit={limit}"
        ))
        .await
    }

    /// The user's whole log.
    pub async fn whole_log(&self) -> Result<Vec<Notification>> {
        let mut log: Vec<Notification> = Vec::new();
        loop {
            let page = self
                .notifications(log.last().map_or(0, |n| n.sequence), 100)
                .await?;
            if page.items.is_empty() {
                return Ok(log);
            }
            log.extend(page.items);
        }
    }

    /// Reads JSON from a path.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = self.request(reqwest::Method::GET, path).send().await;
        expect(
            answer.with_context(|| format!("GET {path} got no answer"))?,
            StatusCode::OK,
        )
        .await
    }
}

/// The body, if the status is the expected one; else an error with both.
pub async fn expect<T: DeserializeOwned>(answer: Response, status: StatusCode) -> Result<T> {
    let (got, path) = (answer.status(), answer.url().path().to_owned());
    let body = answer.text().await?;
    if got != status {
        bail!("{path} answered {got}, not {status}: {body}");
    }
    serde_json::from_str(&body).with_context(|| format!("{path} answered {body}"))
}
