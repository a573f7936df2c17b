//! The work: uploads and notifications, sent until they are accepted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rand::RngExt as _;
use reqwest::{Client, Method, RequestBuilder, StatusCode, multipart};
use serde_json::{Value, json};
use shared_dto::{
    analysis::{AnalysisAccepted, AnalysisStatus},
    notify::{INTERNAL_SECRET_HEADER, NotifyAccepted},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, Interval, interval, sleep},
};

use super::{
    Phase, Plan,
    ground::Access,
    ledger::{Entry, Ledger},
};
use crate::{Api, photo};

/// No fault lasts as long.
const PATIENCE: Duration = Duration::from_secs(180);
/// Different photos; each is uploaded many times.
const PHOTOS: u64 = 16;
/// Plain notifications name analyses that the hub does not know.
const UNKNOWN_ANALYSES: i64 = 1_000_000_000;

/// How the sending went.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Requests that were sent again, as they were not answered or refused for now.
    pub(super) repeated: usize,
}

struct Sender {
    access: Arc<Access>,
    ledger: Arc<Ledger>,
    photos: Vec<Vec<u8>>,
    http: Client,
    /// Between two of the same user.
    pace: Duration,
    repeated: AtomicUsize,
}

/// Sends everything, and tells which phase it is.
pub(super) async fn run(
    plan: &Plan,
    access: &Arc<Access>,
    ledger: &Arc<Ledger>,
    phase: &watch::Sender<Phase>,
) -> Result<Load> {
    let sender = Sender::new(plan.users, plan.rate, access, ledger)?;
    let mut notifications = sender.notify_all(plan.notifications, plan.users);
    let analyses = async {
        let ids = sender
            .upload_all(plan.built_in, plan.users, "built-in")
            .await?;
        for (user, id) in ids {
            sender.await_end(user, id).await?;
        }
        phase.send_replace(Phase::Webhook);
        sender
            .upload_all(plan.analyses, plan.users, "webhook")
            .await?;
        anyhow::Ok(())
    };
    analyses.await?;
    while let Some(done) = notifications.join_next().await {
        done??;
    }
    Ok(Load {
        repeated: sender.repeated.load(Ordering::Relaxed),
    })
}

/// Sends notifications only.
pub(super) async fn notify(
    total: usize,
    users: usize,
    rate: u32,
    access: &Arc<Access>,
    ledger: &Arc<Ledger>,
) -> Result<Load> {
    let sender = Sender::new(users, rate, access, ledger)?;
    let mut notifications = sender.notify_all(total, users);
    while let Some(done) = notifications.join_next().await {
        done??;
    }
    Ok(Load {
        repeated: sender.repeated.load(Ordering::Relaxed),
    })
}

/// Each user's number, from 1, and share of a total.
fn shares(total: usize, users: usize) -> impl Iterator<Item = (i64, usize)> {
    let share = move |user: usize| total / users + usize::from(user < total % users);
    (1..).zip((0..users).map(share))
}

impl Sender {
    fn new(
        users: usize,
        rate: u32,
        access: &Arc<Access>,
        ledger: &Arc<Ledger>,
    ) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            access: Arc::clone(access),
            ledger: Arc::clone(ledger),
            photos: (0..PHOTOS).map(photo::small).collect(),
            // A frozen hub must not hold a sender for long.
            http: Client::builder().timeout(Duration::from_secs(8)).build()?,
            pace: Duration::from_secs(1) * u32::try_from(users)? / rate,
            repeated: AtomicUsize::new(0),
        }))
    }

    fn notify_all(self: &Arc<Self>, total: usize, users: usize) -> JoinSet<Result<()>> {
        let shares = shares(total, users);
        shares
            .map(|(user, count)| Arc::clone(self).notify(user, count))
            .collect()
    }

    /// The owners and numbers of the analyses that were accepted.
    async fn upload_all(
        self: &Arc<Self>,
        total: usize,
        users: usize,
        batch: &'static str,
    ) -> Result<Vec<(i64, i64)>> {
        let mut uploads = JoinSet::new();
        for (user, count) in shares(total, users) {
            uploads.spawn(Arc::clone(self).upload(user, count, batch));
        }
        let mut ids = Vec::with_capacity(total);
        while let Some(accepted) = uploads.join_next().await {
            ids.extend(accepted??);
        }
        Ok(ids)
    }

    async fn upload(
        self: Arc<Self>,
        user: i64,
        count: usize,
        batch: &'static str,
    ) -> Result<Vec<(i64, i64)>> {
        let api = self.access.api(user);
        let mut turns = self.turns().await;
        let mut ids = Vec::with_capacity(count);
        for number in 0..count {
            turns.tick().await;
            let photo = &self.photos[number % self.photos.len()];
            let key = format!("{batch}-{user}-{number}");
            let accepted: AnalysisAccepted =
                self.send(|| upload_request(&api, photo, &key)).await?;
            let id = accepted.analysis_id;
            self.ledger.write(Entry::Analysis { user, id })?;
            ids.push((user, id));
        }
        Ok(ids)
    }

    async fn notify(self: Arc<Self>, user: i64, count: usize) -> Result<()> {
        let url = format!("{}/internal/notify", self.access.url);
        let mut turns = self.turns().await;
        for number in (1..).take(count) {
            turns.tick().await;
            let body = notification(user, number);
            let request = || {
                let request = self.http.post(&url).json(&body);
                let request = request.header(INTERNAL_SECRET_HEADER, &self.access.internal_secret);
                Ok(request.header("Idempotency-Key", format!("plain-{user}-{number}")))
            };
            let accepted: NotifyAccepted = self.send(request).await?;
            self.ledger.write(Entry::Notification {
                user,
                number,
                notification_id: accepted.notification_id.context("it was not logged")?,
                sequence: accepted.sequence.context("it was not logged")?,
            })?;
        }
        Ok(())
    }

    /// Users begin at different times, so that not all send at once.
    async fn turns(&self) -> Interval {
        let share = rand::random::<f64>();
        sleep(self.pace.mul_f64(share)).await;
        interval(self.pace)
    }

    /// Sends the same request until it is accepted. A refusal that is not for
    /// now only is an error.
    async fn send<T: serde::de::DeserializeOwned>(
        &self,
        request: impl Fn() -> Result<RequestBuilder>,
    ) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let refusal = match request()?.send().await {
                Ok(answer) if answer.status().is_success() => match answer.json().await {
                    Ok(accepted) => return Ok(accepted),
                    Err(error) => error.to_string(),
                },
                Ok(answer) if is_for_now(answer.status()) => answer.status().to_string(),
                Ok(answer) => {
                    let path = answer.url().path().to_owned();
                    bail!(
                        "{path} answered {}: {}",
                        answer.status(),
                        answer.text().await?
                    )
                }
                Err(error) => error.to_string(),
            };
            if Instant::now() > deadline {
                bail!("nothing was accepted for {PATIENCE:?}, at last: {refusal}");
            }
            self.repeated.fetch_add(1, Ordering::Relaxed);
            let wait = rand::rng().random_range(200..600);
            sleep(Duration::from_millis(wait)).await;
        }
    }

    async fn await_end(&self, user: i64, id: i64) -> Result<()> {
        let api = self.access.api(user);
        let deadline = Instant::now() + PATIENCE;
        loop {
            // While the hub is away nothing is known.
            if let Ok(analysis) = api.analysis(id).await
                && analysis.status != AnalysisStatus::Processing
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("analysis {id} did not end within {PATIENCE:?}");
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

fn is_for_now(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_MANY_REQUESTS
}

fn upload_request(api: &Api, photo: &[u8], key: &str) -> Result<RequestBuilder> {
    let part = multipart::Part::bytes(photo.to_vec())
        .file_name("photo.jpg")
        .mime_str("image/jpeg")?;
    let form = multipart::Form::new().part("image", part);
    Ok(api
        .request(Method::POST, "/api/v1/plantanalyses/analyze-async")
        .timeout(Duration::from_secs(8))
        .header("Idempotency-Key", key)
        .multipart(form))
}

/// In turns about an analysis that the hub does not know, and of another kind of job.
fn notification(user: i64, number: i64) -> Value {
    if number % 2 == 0 {
        return json!({
            "event": "ReportReady",
            "userId": user,
            "payload": { "number": number, "userId": user },
        });
    }
    json!({
        "type": "analysis.completed",
        "userId": user,
        "notification": {
            "analysisId": UNKNOWN_ANALYSES + number,
            "userId": user,
            "status": "Completed",
            "completedAt": "2026-01-01T00:00:00Z",
            "deepLink": format!("app://analysis/{}", UNKNOWN_ANALYSES + number),
        },
    })
}

/// The number of a plain notification, from its payload in the log.
pub(super) fn number_of(payload: &Value) -> Option<i64> {
    let analysis = payload["analysisId"].as_i64();
    match analysis {
        Some(id) if id > UNKNOWN_ANALYSES => Some(id - UNKNOWN_ANALYSES),
        Some(_) => None,
        None => payload["number"].as_i64(),
    }
}
