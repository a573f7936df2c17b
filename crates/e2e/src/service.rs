//! One hub or worker: a process that is started until it is healthy, and ends
//! in each of the ways that processes end.

use std::{process::ExitStatus, time::Duration};

use anyhow::{Context as _, Result, bail};
use tokio::time::{Instant, sleep};

use crate::process::{Process, Program, Signal, tail};

/// Long enough for an unoptimised binary on a busy machine.
const START_TIME: Duration = Duration::from_secs(60);
const STOP_TIME: Duration = Duration::from_secs(60);

/// A hub or a worker.
#[derive(Debug)]
pub struct Service {
    pub(crate) program: Program,
    pub(crate) process: Option<Process>,
    pub(crate) port: u16,
}

impl Service {
    pub(crate) fn new(program: Program, port: u16) -> Self {
        Self {
            program,
            process: None,
            port,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref()?.id()
    }

    /// Starts it (again) and waits until it is healthy.
    pub async fn start(&mut self) -> Result<()> {
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

    /// kill -9.
    pub async fn kill(&mut self) -> Result<()> {
        self.take()?.kill().await
    }

    /// SIGTERM; fails when it does not end by itself, or with an error.
    pub async fn stop(&mut self) -> Result<()> {
        let status = self.take()?.terminate(STOP_TIME).await?;
        if !status.success() {
            bail!("{} ended with {status} upon SIGTERM", self.program.name);
        }
        Ok(())
    }

    /// SIGSTOP.
    pub async fn freeze(&mut self) -> Result<()> {
        self.running()?.signal(Signal::Stop).await
    }

    /// SIGCONT.
    pub async fn thaw(&mut self) -> Result<()> {
        self.running()?.signal(Signal::Continue).await
    }

    /// SIGHUP.
    pub async fn hang_up(&mut self) -> Result<()> {
        self.running()?.signal(Signal::HangUp).await
    }

    /// Whether it ended unasked.
    pub fn has_ended(&mut self) -> Result<bool> {
        match &mut self.process {
            Some(process) => Ok(process.ended()?.is_some()),
            None => Ok(false),
        }
    }

    /// How it ended, if it did so unasked; it can be started again then.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let Some(process) = &mut self.process else {
            return Ok(None);
        };
        let status = process.ended()?;
        if status.is_some() {
            self.process = None;
        }
        Ok(status)
    }

    pub(crate) fn take(&mut self) -> Result<Process> {
        self.process
            .take()
            .with_context(|| format!("{} does not run", self.program.name))
    }

    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) {
        let environment = &mut self.program.environment;
        environment.retain(|(key, _)| key != name);
        environment.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    fn running(&self) -> Result<&Process> {
        self.process
            .as_ref()
            .with_context(|| format!("{} does not run", self.program.name))
    }
}

async fn is_healthy(http: &reqwest::Client, url: &str) -> bool {
    http.get(url)
        .send()
        .await
        .is_ok_and(|answer| answer.status().is_success())
}
