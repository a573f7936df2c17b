//! The disk is full: nothing is acknowledged, and nothing that was is lost.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Clients, ConnectionOptions, Parts, SmallDisk, System, SystemOptions, Webhook, log_check, photo,
};
use reqwest::{Method, Response, StatusCode, multipart};
use serde_json::{Value, json};

use crate::{COMPLETED, FAILED, OWNER, PATIENCE, without_repeats};

const EVENT: &str = "ReportReady";
const UPLOAD: &str = "/api/v1/plantanalyses/analyze-async";

/// What a caller repeats until it is accepted, each under a key of its own.
#[derive(Debug, Clone, Copy)]
enum Call {
    /// A photo: the disk refuses the picture's file.
    Photo(u64),
    /// The address of a photo: the database refuses.
    Address(u64),
    /// A notification of another service.
    Report(u64),
}

impl Call {
    async fn make(self, system: &System) -> Result<Response> {
        let api = system.api(OWNER);
        let request = match self {
            Self::Photo(seed) => {
                let part = multipart::Part::bytes(photo::small(seed)).file_name("photo.jpg");
                let form = multipart::Form::new().part("image", part);
                api.request(Method::POST, UPLOAD).multipart(form)
            }
            Self::Address(number) => {
                let url = format!("https://photos.example.org/{number}.jpg");
                api.request(Method::POST, UPLOAD)
                    .json(&json!({ "imageUrl": url }))
            }
            Self::Report(number) => reqwest::Client::new()
                .post(format!("{}/internal/notify", system.url()))
                .header("X-Internal-Secret", &system.internal_secret)
                .json(&json!({ "event": EVENT, "userId": OWNER, "payload": { "report": number } })),
        };
        let key = format!("{self:?}");
        Ok(request.header("Idempotency-Key", key).send().await?)
    }

    async fn is_refused(self, system: &System) -> Result<()> {
        let answer = self.make(system).await?;
        let (status, wait) = (
            answer.status(),
            answer.headers().contains_key("retry-after"),
        );
        let body = answer.text().await?;
        ensure!(
            status == StatusCode::SERVICE_UNAVAILABLE && wait,
            "{self:?} on a full disk: {status}, {body}"
        );
        Ok(())
    }

    /// The answer, twice the same; the analysis of an upload.
    async fn is_accepted_once(self, system: &System) -> Result<Option<i64>> {
        let mut answers = Vec::new();
        for _ in 0..2 {
            let answer = self.make(system).await?;
            let status = answer.status();
            let mut body: Value = answer.json().await?;
            ensure!(status.is_success(), "{self:?}: {status}, {body}");
            // How many heard of it, and how far it has come since, may differ.
            for passing in ["connections", "status"] {
                body[passing].take();
            }
            answers.push(body);
        }
        ensure!(answers[0] == answers[1], "{self:?}: {answers:?}");
        Ok(answers[0]["analysisId"].as_i64())
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_on_a_full_disk_and_nothing_is_lost() -> Result<()> {
    let Some(disk) = SmallDisk::mount(12).await? else {
        return Ok(());
    };
    let webhook = Webhook::start(Duration::from_secs(3)).await?;
    let mut system = system_on(&disk, &webhook).await?;
    let clients = Clients::start()?;
    let options = ConnectionOptions::new("phone", &system.hub_url(), &system.issuer.token(OWNER))
        .listening_to(&[EVENT, COMPLETED, FAILED]);
    let phone = clients.open(options.reconnecting()).await?;
    let api = system.api(OWNER);
    let mut analyses = vec![api.upload(photo::small(1)).await?];
    api.await_end(analyses[0], PATIENCE).await?;
    let pictures = disk.seen_from_outside().join("images");

    // The second time the hub dies on the full disk.
    for (round, dies) in (1..).zip([false, true]) {
        let calls = webhook.calls().values().sum::<usize>() + 1;
        analyses.push(api.upload(photo::small(10 + round)).await?);
        webhook.await_calls(calls, PATIENCE).await?;
        Call::Report(100 + round).is_accepted_once(&system).await?;
        disk.fill()?;
        let before = (files_in(&pictures)?, api.whole_log().await?.len());
        let repeated = [Call::Photo, Call::Address, Call::Report].map(|call| call(20 + round));
        for call in repeated.into_iter().chain(repeated) {
            call.is_refused(&system).await?;
        }
        health_tells(&system).await?;
        // The worker has a result, and repeats it until it is taken.
        webhook.await_answers(calls, PATIENCE).await?;
        let after = (files_in(&pictures)?, api.whole_log().await?.len());
        ensure!(before == after, "pictures and log: {before:?}, {after:?}");
        if dies {
            system.kill_hub().await?;
        }
        disk.make_room()?;
        if dies {
            system.start_hub().await?;
        }
        for call in repeated {
            analyses.extend(call.is_accepted_once(&system).await?);
        }
        for id in &analyses {
            api.await_end(*id, PATIENCE).await?;
        }
    }
    ensure!(
        system.logs()?.contains("database or disk is full"),
        "the disk was never full for the database"
    );
    let log = api.whole_log().await?;
    log_check::check_log(&log, &analyses)?;
    let mut reports: Vec<_> = log
        .iter()
        .filter_map(|it| it.payload["report"].as_u64())
        .collect();
    reports.sort_unstable();
    ensure!(reports == [21, 22, 101, 102], "{reports:?}");
    let head = log.len() as i64;
    phone
        .wait_until(PATIENCE, |_| {
            phone.sequences().contains(&head).then_some(())
        })
        .await?;
    log_check::check_received(&without_repeats(&phone.sequences()), head)
}

/// Its data is on the disk; its worker has an analyser that takes its time.
async fn system_on(disk: &SmallDisk, webhook: &Webhook) -> Result<System> {
    let mut system = System::prepare(SystemOptions {
        // PostgreSQL's disk is not the hub's.
        parts: Some(Parts::default()),
        hub: vec![("Images__AllowedHosts__0", "photos.example.org".to_owned())],
        worker: vec![("N8N__WebhookUrl", webhook.url())],
        ..SystemOptions::default()
    })
    .await?;
    system.put_hub_on(disk)?;
    system.start_services().await?;
    Ok(system)
}

/// The hub serves on, and says that it cannot write.
async fn health_tells(system: &System) -> Result<()> {
    let answer = reqwest::get(format!("{}/health", system.url())).await?;
    let status = answer.status();
    let report: Value = answer.json().await?;
    ensure!(
        status == StatusCode::OK && report["status"] == "Degraded",
        "{status}, {report}"
    );
    for name in ["database", "images"] {
        let checks = report["checks"].as_array().context("checks")?;
        let check = checks.iter().find(|check| check["name"] == name);
        ensure!(
            check.is_some_and(|check| check["status"] == "Degraded"),
            "{name}: {report}"
        );
    }
    Ok(())
}

/// The files in a folder and those below it.
fn files_in(folder: &Path) -> Result<usize> {
    let mut files = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files += match entry.file_type()?.is_dir() {
            true => files_in(&entry.path())?,
            false => 1,
        };
    }
    Ok(files)
}
