//! One operating system process under test, with its log in a file.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// How a process is started, as often as a test wants.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its name in messages.
    pub name: &'static str,
    /// The binary.
    pub path: PathBuf,
    /// Its whole environment, but for `PATH` and what chooses the log's detail.
    pub environment: Vec<(String, String)>,
    /// Where its output goes; starts append.
    pub log: PathBuf,
}

/// What is sent to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: end in order.
    Terminate,
    /// SIGSTOP: freeze.
    Stop,
    /// SIGCONT: thaw.
    Continue,
    /// SIGHUP: read the settings again.
    HangUp,
}

/// A started process. It is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
}

impl Program {
    /// Starts the process.
    pub fn start(&self) -> Result<Process> {
        let log = self.open_log()?;
        let mut command = Command::new(&self.path);
        command
            .env_clear()
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().cloned());
        for inherited in ["PATH", "RUST_LOG", "RUST_BACKTRACE"] {
            if let Some(value) = std::env::var_os(inherited) {
                command.env(inherited, value);
            }
        }
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let child = command
            .spawn()
            .with_context(|| format!("{} does not start", self.name))?;
        Ok(Process {
            name: self.name,
            child,
        })
    }

    fn open_log(&self) -> Result<File> {
        let mut options = OpenOptions::new();
        let log = options.create(true).append(true).open(&self.log);
        log.with_context(|| format!("the log {} cannot be written", self.log.display()))
    }
}

impl Process {
    /// Its process id, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// SIGKILL: it gets no chance to do anything, and is gone on return.
    pub async fn kill(mut self) -> Result<()> {
        self.child
            .kill()
            .await
            .with_context(|| format!("{} cannot be killed", self.name))
    }

    /// SIGTERM, and waits for its end.
    pub async fn terminate(mut self, within: Duration) -> Result<ExitStatus> {
        self.signal(Signal::Terminate).await?;
        match timeout(within, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("{} did not end within {within:?} of SIGTERM", self.name),
        }
    }

    /// Sends a signal.
    pub async fn signal(&self, signal: Signal) -> Result<()> {
        let Some(pid) = self.child.id() else {
            bail!("{} has ended already", self.name);
        };
        let name = match signal {
            Signal::Terminate => "-TERM",
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
            Signal::HangUp => "-HUP",
        };
        // The kill program, as sending signals from Rust needs unsafe code.
        let status = Command::new("kill")
            .args([name, &pid.to_string()])
            .status()
            .await?;
        if !status.success() {
            bail!("{} could not be sent {name}", self.name);
        }
        Ok(())
    }

    /// Its exit status, when it has ended by itself.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }
}

/// The last lines of a log, to be shown when a test fails.
#[must_use]
pub fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_else(|error| format!("({error})"));
    let skipped = text.lines().count().saturating_sub(lines);
    text.lines().skip(skipped).collect::<Vec<_>>().join("\n")
}
