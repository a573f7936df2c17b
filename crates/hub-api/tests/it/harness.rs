//! A real hub on a free port with a folder of its own, and a caller.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::File,
    io::Cursor,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use hub_api::{
    config::{Config, Sources},
    lifecycle::Shutdown,
    serve::{Listeners, listen},
};
use reqwest::{Client, Method, RequestBuilder, Response, multipart};
use serde_json::{Value, json};
use shared_dto::UserId;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};

pub(crate) const INTERNAL_SECRET: &str = "an internal secret of the tests, long enough";

/// A running hub. Dropping it ends it.
pub(crate) struct Hub {
    pub(crate) base: String,
    pub(crate) internal_base: String,
    pub(crate) config: Config,
    /// What its settings were read from.
    pub(crate) sources: Sources,
    pub(crate) shutdown: Shutdown,
    left: oneshot::Receiver<Result<(), hub_api::RunError>>,
    client: Client,
    dir: TempDir,
    process: Option<Child>,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With settings, as environment variables.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let (dir, sources, config) = prepare(settings, 0);
        let shutdown = Shutdown::new();
        let (tell, left) = oneshot::channel();
        let (tell_ports, ports) = oneshot::channel();
        let (hub_config, hub_shutdown) = (config.clone(), shutdown.clone());
        // A runtime of its own, as in a process of its own.
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
            let result = runtime.block_on(async {
                let public = listen(0).unwrap();
                let internal = hub_config
                    .server
                    .internal_port
                    .map(|port| listen(port).unwrap());
                let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
                let internal_port = internal.as_ref().map_or_else(|| port(&public), port);
                tell_ports.send((port(&public), internal_port)).unwrap();
                hub_api::run(hub_config, Listeners { public, internal }, hub_shutdown).await
            });
            let _ = tell.send(result);
        });
        let (port, internal_port) = ports.await.unwrap();
        let hub = Self {
            base: format!("http://127.0.0.1:{port}"),
            internal_base: format!("http://127.0.0.1:{internal_port}"),
            config,
            sources,
            shutdown,
            left,
            client: caller(),
            dir,
            process: None,
        };
        hub.get("/health/live")
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
        hub
    }

    /// The binary as a process of its own, for what is measured: the one in
    /// the folder `TENDRIL_BIN_DIR` where that is set, as for `crates/e2e`.
    pub(crate) async fn as_process(settings: &[(&str, &str)]) -> Self {
        let port = private_services::free_port().unwrap();
        let (dir, sources, config) = prepare(settings, port);
        let log = File::create(dir.path().join("log")).unwrap();
        let process = Command::new(binary())
            .env_clear()
            // Of two variables of one name the last counts here.
            .envs(sources.variables.iter().cloned().rev())
            .env("CONFIG_DIR", &sources.config_dir)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let base = format!("http://127.0.0.1:{port}");
        let hub = Self {
            internal_base: base.clone(),
            base,
            config,
            sources,
            shutdown: Shutdown::new(),
            left: oneshot::channel().1,
            client: caller(),
            dir,
            process: Some(process),
        };
        for _ in 0..600 {
            if hub.get("/health/live").send().await.is_ok() {
                return hub;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = std::fs::read_to_string(hub.dir.path().join("log"));
        panic!("the hub does not start: {log:?}");
    }

    pub(crate) fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn address(&self) -> String {
        self.base.trim_start_matches("http://").to_owned()
    }

    pub(crate) fn token(&self, user: &str) -> String {
        let user = UserId::new(user).unwrap();
        hub_api::auth::mint(&self.config, &user, &[], Duration::from_secs(600)).unwrap()
    }

    /// A token as another system signs it: tokens are minted in Development only.
    pub(crate) fn token_in_production(&self, user: &str) -> String {
        let mut config = self.config.clone();
        config.environment = hub_api::config::Environment::Development;
        let user = UserId::new(user).unwrap();
        hub_api::auth::mint(&config, &user, &[], Duration::from_secs(600)).unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// A request of a signed-in user.
    pub(crate) fn by(&self, user: &str, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(self.token(user))
    }

    /// What `user` gets.
    pub(crate) async fn get_by(&self, user: &str, path: &str) -> Value {
        read(self.by(user, Method::GET, path).send().await.unwrap(), 200).await
    }

    /// A request of a worker.
    pub(crate) fn internal(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.internal_base))
            .header("X-Internal-Secret", INTERNAL_SECRET)
    }

    /// An internal call that is answered with `status`.
    pub(crate) async fn call(&self, path: &str, body: &Value, status: u16) -> Value {
        let sent = self
            .internal(Method::POST, path)
            .json(body)
            .send()
            .await
            .unwrap();
        read(sent, status).await
    }

    pub(crate) fn upload(&self, user: &str, image: Vec<u8>) -> RequestBuilder {
        let part = multipart::Part::bytes(image).file_name("leaf.exe");
        let form = multipart::Form::new()
            .part("image", part)
            .text("cropType", "wheat");
        self.by(user, Method::POST, "/api/v1/plantanalyses/analyze-async")
            .multipart(form)
    }

    /// Uploads a photo and gives the analysis' id.
    pub(crate) async fn uploaded(&self, user: &str) -> i64 {
        let sent = self
            .upload(user, photo(image::ImageFormat::Jpeg))
            .send()
            .await
            .unwrap();
        read(sent, 202).await["analysisId"].as_i64().unwrap()
    }

    /// Leases one job.
    pub(crate) async fn leased(&self) -> Value {
        let request = json!({"workerId": "w1", "maxJobs": 1, "waitSeconds": 5});
        let answer = self.call("/internal/jobs/lease", &request, 200).await;
        answer["jobs"][0].clone()
    }
}

impl Hub {
    /// Waits until the hub has left by itself.
    pub(crate) async fn left(&mut self) -> Result<(), hub_api::RunError> {
        let left = tokio::time::timeout(Duration::from_secs(20), &mut self.left);
        left.await.expect("the hub leaves").unwrap()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shutdown.kill();
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A folder of its own for a hub, and its settings.
fn prepare(settings: &[(&str, &str)], port: u16) -> (TempDir, Sources, Config) {
    let dir = tempfile::tempdir().unwrap();
    let port = port.to_string();
    // Of two variables of one name the first counts.
    let mut variables = settings.to_vec();
    variables.extend([
        ("ASPNETCORE_ENVIRONMENT", "Development"),
        ("DATA_DIR", dir.path().to_str().unwrap()),
        ("PORT", &port),
        ("Jwt__Secret", "a signing secret of the tests, long enough"),
        ("WebAPI__InternalSecret", INTERNAL_SECRET),
        ("Drain__Delay", "0"),
        ("Drain__Spread", "0"),
    ]);
    let variables = variables
        .into_iter()
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect();
    let sources = Sources {
        config_dir: dir.path().join("no-such-folder"),
        variables,
    };
    let config = Config::load_from(&sources).unwrap();
    (dir, sources, config)
}

fn caller() -> Client {
    let client = Client::builder().no_proxy();
    client.timeout(Duration::from_secs(30)).build().unwrap()
}

fn binary() -> PathBuf {
    match std::env::var_os("TENDRIL_BIN_DIR") {
        Some(folder) => Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(folder)
            .join("hub-api"),
        None => env!("CARGO_BIN_EXE_hub-api").into(),
    }
}

/// The body of an answer that has `status`; null where there is none.
pub(crate) async fn read(response: Response, status: u16) -> Value {
    let (got, url) = (response.status(), response.url().path().to_owned());
    let body = response.text().await.unwrap();
    assert_eq!(got.as_u16(), status, "{url}: {body}");
    serde_json::from_str(&body).unwrap_or(Value::Null)
}

/// Asserts a problem of the given status about the given field.
pub(crate) async fn problem(response: Response, status: u16, field: Option<&str>) -> Value {
    let kind = response.headers().get("content-type").cloned();
    let url = response.url().clone();
    let problem = read(response, status).await;
    assert_eq!(kind.unwrap(), "application/problem+json", "{url}");
    assert_eq!(problem["status"], status);
    assert!(problem["type"].as_str().unwrap().starts_with("/problems/"));
    assert!(problem["title"].is_string() && problem["detail"].is_string());
    if let Some(field) = field {
        let error = &problem["errors"][0];
        assert_eq!(error["field"], field, "{problem}");
        for words in ["detail", "accepted"] {
            assert!(!error[words].as_str().unwrap().is_empty(), "{problem}");
        }
    }
    problem
}

/// A small photo.
pub(crate) fn photo(format: image::ImageFormat) -> Vec<u8> {
    sized(64, 48, format)
}

pub(crate) fn sized(width: u32, height: u32, format: image::ImageFormat) -> Vec<u8> {
    let picture =
        image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 60]));
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}
