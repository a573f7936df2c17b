//! Tendril as a whole: one hub and one worker on free ports over a fresh data folder.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    Api, binaries,
    ports::free_port,
    process::{Process, Program, tail},
    token::Issuer,
};

/// Long enough for an unoptimised binary on a busy machine.
const START_TIME: Duration = Duration::from_secs(60);
const STOP_TIME: Duration = Duration::from_secs(60);

/// What a test sets beyond the defaults of `make run`.
#[derive(Debug, Clone, Default)]
pub struct SystemOptions {
    /// Further settings of the hub.
    pub hub: Vec<(&'static str, String)>,
    /// Further settings of the worker.
    pub worker: Vec<(&'static str, String)>,
    /// Does not show the logs at the end.
    pub quiet: bool,
}

/// A running system. Everything is killed and removed when it is dropped. The
/// ends of both logs are printed then, which the test runner shows of tests
/// that fail.
#[derive(Debug)]
pub struct System {
    hub: Service,
    worker: Service,
    /// Where the hub listens.
    pub hub_port: u16,
    /// What its tokens are signed with.
    pub issuer: Issuer,
    /// `ZIRAAI_INTERNAL_SECRET`.
    pub internal_secret: String,
    folder: TempDir,
    quiet: bool,
}

#[derive(Debug)]
struct Service {
    program: Program,
    process: Option<Process>,
    port: u16,
}

impl System {
    /// Starts hub and worker and waits until both are healthy.
    pub async fn start(options: SystemOptions) -> Result<Self> {
        let mut system = Self::prepare(options)?;
        system.start_hub().await?;
        system.start_worker().await?;
        Ok(system)
    }

    /// As [`System::start`], with the defaults.
    pub async fn start_default() -> Result<Self> {
        Self::start(SystemOptions::default()).await
    }

    /// Chooses ports, secrets and folders, and starts nothing.
    pub fn prepare(options: SystemOptions) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("tendril-e2e-").tempdir()?;
        let hub_port = free_port()?;
        let worker_port = free_port()?;
        let issuer = Issuer {
            secret: random_secret(),
            issuer: "tendril-e2e".to_owned(),
            audience: "tendril-e2e".to_owned(),
        };
        let internal_secret = random_secret();
        let shared = [
            ("ASPNETCORE_ENVIRONMENT", "Development".to_owned()),
            ("ZIRAAI_INTERNAL_SECRET", internal_secret.clone()),
            ("WebAPI__BaseUrl", format!("http://127.0.0.1:{hub_port}")),
        ];
        let hub = [
            ("PORT", hub_port.to_string()),
            ("DATA_DIR", folder.path().join("data").display().to_string()),
            ("Jwt__Secret", issuer.secret.clone()),
            ("Jwt__Issuer", issuer.issuer.clone()),
            ("Jwt__Audience", issuer.audience.clone()),
            // No load balancer has to notice that the hub leaves.
            ("Drain__Delay", "0".to_owned()),
        ];
        let worker = [("PORT", worker_port.to_string())];
        let service = |name, port, settings: Vec<(&'static str, String)>| -> Result<Service> {
            let environment = settings
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect();
            let log = folder.path().join(format!("{name}.log"));
            let program = Program {
                name,
                path: binaries::binary(name)?,
                environment,
                log,
            };
            Ok(Service {
                program,
                process: None,
                port,
            })
        };
        std::fs::create_dir_all(folder.path().join("data"))?;
        Ok(Self {
            hub: service("hub-api", hub_port, join(&shared, &hub, options.hub))?,
            worker: service(
                "analysis-worker",
                worker_port,
                join(&shared, &worker, options.worker),
            )?,
            hub_port,
            issuer,
            internal_secret,
            folder,
            quiet: options.quiet,
        })
    }

    /// The hub's address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.hub_port)
    }

    /// The plant analysis hub's address.
    #[must_use]
    pub fn hub_url(&self) -> String {
        format!("{}/hubs/plantanalysis", self.url())
    }

    /// The REST surface as one user sees it.
    #[must_use]
    pub fn api(&self, user: i64) -> Api {
        Api::new(self.url(), self.issuer.token(user))
    }

    /// Starts the hub (again), on the same port and data.
    pub async fn start_hub(&mut self) -> Result<()> {
        self.hub.start().await
    }

    /// Starts the worker (again).
    pub async fn start_worker(&mut self) -> Result<()> {
        self.worker.start().await
    }

    /// kill -9.
    pub async fn kill_hub(&mut self) -> Result<()> {
        self.hub.take()?.kill().await
    }

    /// kill -9.
    pub async fn kill_worker(&mut self) -> Result<()> {
        self.worker.take()?.kill().await
    }

    /// SIGTERM; fails when it does not end by itself, or with an error.
    pub async fn stop_hub(&mut self) -> Result<()> {
        self.hub.stop().await
    }

    /// SIGTERM; fails when it does not end by itself, or with an error.
    pub async fn stop_worker(&mut self) -> Result<()> {
        self.worker.stop().await
    }

    /// Gives away the running worker; the next one that is started listens elsewhere.
    pub fn replace_worker(&mut self) -> Result<Process> {
        let process = self.worker.take()?;
        self.worker.port = free_port()?;
        let environment = &mut self.worker.program.environment;
        environment.retain(|(name, _)| name != "PORT");
        environment.push(("PORT".to_owned(), self.worker.port.to_string()));
        Ok(process)
    }

    /// The hub's process, to be sent signals.
    pub fn hub_process(&self) -> Result<&Process> {
        self.hub.process.as_ref().context("the hub does not run")
    }

    /// The worker's process, to be sent signals.
    pub fn worker_process(&self) -> Result<&Process> {
        self.worker
            .process
            .as_ref()
            .context("the worker does not run")
    }

    /// The hub's binary and settings, for its other commands.
    #[must_use]
    pub fn hub_program(&self) -> &Program {
        &self.hub.program
    }

    /// Everything that a service has logged so far.
    pub fn logs(&self) -> Result<String> {
        let mut logs = String::new();
        for service in [&self.hub, &self.worker] {
            logs.push_str(&std::fs::read_to_string(&service.program.log).unwrap_or_default());
        }
        Ok(logs)
    }

    /// The folder that holds data and logs.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if self.quiet {
            return;
        }
        for service in [&self.hub, &self.worker] {
            let Program { name, log, .. } = &service.program;
            eprintln!("---- the last lines of {name} ----\n{}", tail(log, 80));
        }
    }
}

impl Service {
    async fn start(&mut self) -> Result<()> {
        if self.process.is_some() {
            bail!("{} runs already", self.program.name);
        }
        let mut process = self.program.start()?;
        let deadline = Instant::now() + START_TIME;
        let health = format!("http://127.0.0.1:{}/health", self.port);
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .build()?;
        while !is_healthy(&http, &health).await {
            if let Some(status) = process.ended()? {
                let log = tail(&self.program.log, 40);
                bail!(
                    "{} ended while it started ({status}):\n{log}",
                    self.program.name
                );
            }
            if Instant::now() > deadline {
                let log = tail(&self.program.log, 40);
                bail!(
                    "{} was not healthy in {START_TIME:?}:\n{log}",
                    self.program.name
                );
            }
            sleep(Duration::from_millis(20)).await;
        }
        self.process = Some(process);
        Ok(())
    }

    fn take(&mut self) -> Result<Process> {
        self.process
            .take()
            .with_context(|| format!("{} does not run", self.program.name))
    }

    async fn stop(&mut self) -> Result<()> {
        let status = self.take()?.terminate(STOP_TIME).await?;
        if !status.success() {
            bail!("{} ended with {status} upon SIGTERM", self.program.name);
        }
        Ok(())
    }
}

async fn is_healthy(http: &reqwest::Client, url: &str) -> bool {
    http.get(url)
        .send()
        .await
        .is_ok_and(|answer| answer.status().is_success())
}

/// Later settings win.
fn join(
    shared: &[(&'static str, String)],
    own: &[(&'static str, String)],
    further: Vec<(&'static str, String)>,
) -> Vec<(&'static str, String)> {
    shared.iter().chain(own).cloned().chain(further).collect()
}

fn random_secret() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives random numbers");
    URL_SAFE_NO_PAD.encode(bytes)
}
