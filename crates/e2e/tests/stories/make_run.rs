//! `make run` and `make demo`, as their scripts: they come up, show the
//! notification, end in order, and say what is wrong when something is.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::{binaries, ports::free_port};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStderr, ChildStdout, Command},
    time::timeout,
};

use crate::PATIENCE;

#[tokio::test]
async fn comes_up_shows_the_notification_and_ends() -> Result<()> {
    let place = Place::new()?;
    let mut run = place.run()?;
    let announced = run.read_until("curl -H").await?;
    ensure!(
        announced.contains(&format!("http://localhost:{}", place.port)),
        "{announced}"
    );
    let token = place.script("token.sh").output().await?;
    let token = String::from_utf8(token.stdout)?;
    ensure!(token.trim().split('.').count() == 3, "no token: {token}");
    secrets_are_kept_from_others(&place.data(), &announced)?;

    let demo = place
        .script("demo.sh")
        .env("TIMEOUT", "60")
        .output()
        .await?;
    let shown = String::from_utf8_lossy(&demo.stdout).into_owned();
    ensure!(
        demo.status.success(),
        "{shown}{}",
        String::from_utf8_lossy(&demo.stderr)
    );
    for part in [
        "%",
        "Notification 1 ",
        "Completed",
        "Health score",
        "Symptoms outlined",
    ] {
        ensure!(shown.contains(part), "{part} is not in {shown}");
    }
    ensure!(run.end().await?.success(), "it did not end in order");

    // Again, with what is there.
    let mut run = place.run()?;
    run.read_until("Tendril runs at").await?;
    ensure!(run.end().await?.success());
    let demo = place.script("demo.sh").output().await?;
    let why = String::from_utf8_lossy(&demo.stderr).into_owned();
    ensure!(!demo.status.success() && why.contains("make run"), "{why}");
    Ok(())
}

#[tokio::test]
async fn names_the_process_that_died() -> Result<()> {
    for name in ["analysis-worker", "hub-api"] {
        let place = Place::new()?;
        let mut run = place.run()?;
        run.read_until("Tendril runs at").await?;
        let killed = Command::new("kill")
            .args(["-9", &run.child_named(name)?.to_string()])
            .status()
            .await?;
        ensure!(killed.success());
        let status = timeout(PATIENCE, run.process.wait())
            .await
            .context("it runs on")??;
        ensure!(!status.success());
        let errors = run.errors().await?;
        let word = if name == "hub-api" { "hub" } else { "worker" };
        ensure!(
            errors.contains(&format!("the {word} ended by itself")),
            "{errors}"
        );
        ensure!(
            TcpStream::connect(("127.0.0.1", place.port)).await.is_err(),
            "the hub is left over"
        );
    }
    Ok(())
}

#[tokio::test]
async fn says_that_the_port_is_taken() -> Result<()> {
    let place = Place::new()?;
    let _listener = TcpListener::bind(("127.0.0.1", place.port)).await?;
    let output = place.script("run.sh").output().await?;
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success());
    ensure!(
        why.contains(&format!("port {} is taken", place.port)),
        "{why}"
    );
    Ok(())
}

/// A data folder and ports of its own.
struct Place {
    folder: TempDir,
    port: u16,
    worker_port: u16,
    binaries: PathBuf,
}

impl Place {
    fn new() -> Result<Self> {
        let hub = binaries::binary("hub-api")?;
        let binaries = hub.parent().context("the hub is in no folder")?.to_owned();
        let folder = tempfile::Builder::new().prefix("tendril-run-").tempdir()?;
        Ok(Self {
            folder,
            port: free_port()?,
            worker_port: free_port()?,
            binaries,
        })
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(binaries::workspace_root().join("scripts").join(name));
        command
            .env("PORT", self.port.to_string())
            .env("WORKER_PORT", self.worker_port.to_string())
            .env("DATA_DIR", self.data())
            .env("TENDRIL_BIN_DIR", &self.binaries)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    fn run(&self) -> Result<Running> {
        let mut command = self.script("run.sh");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().context("run.sh does not start")?;
        let output = process.stdout.take().context("no output")?;
        let errors = process.stderr.take().context("no errors")?;
        Ok(Running {
            process,
            output: BufReader::new(output),
            errors,
        })
    }
}

struct Running {
    process: Child,
    output: BufReader<ChildStdout>,
    errors: ChildStderr,
}

impl Running {
    /// All lines up to the one that holds `text`.
    async fn read_until(&mut self, text: &str) -> Result<String> {
        let mut all = String::new();
        let reading = async {
            while self.output.read_line(&mut all).await? > 0 {
                if all.contains(text) {
                    return Ok(true);
                }
            }
            anyhow::Ok(false)
        };
        let found = timeout(PATIENCE, reading).await;
        if !matches!(found, Ok(Ok(true))) {
            let errors = self.errors().await.unwrap_or_default();
            anyhow::bail!("{text} did not come in {all}{errors}");
        }
        Ok(all)
    }

    async fn errors(&mut self) -> Result<String> {
        let mut lines = BufReader::new(&mut self.errors).lines();
        let mut errors = String::new();
        while let Ok(Ok(Some(line))) = timeout(Duration::from_secs(5), lines.next_line()).await {
            errors.push_str(&line);
            errors.push('\n');
        }
        Ok(errors)
    }

    /// SIGTERM, and its end.
    async fn end(mut self) -> Result<ExitStatus> {
        let pid = self.process.id().context("it has ended already")?;
        ensure!(
            Command::new("kill")
                .args(["-TERM", &pid.to_string()])
                .status()
                .await?
                .success()
        );
        // Its output must be read, or it could wait for us.
        let mut lines = self.output.lines();
        let drain = async { while let Ok(Some(_)) = lines.next_line().await {} };
        let (status, ()) = timeout(PATIENCE, async { tokio::join!(self.process.wait(), drain) })
            .await
            .context("it does not end")?;
        Ok(status?)
    }

    fn child_named(&self, name: &str) -> Result<u32> {
        let pid = self.process.id().context("it has ended already")?;
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        for child in children.split_whitespace() {
            let command = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&command).contains(name) {
                return Ok(child.parse()?);
            }
        }
        anyhow::bail!("{name} is not among the children {children}")
    }
}

/// Each secret's file is for its owner alone, and none was printed.
fn secrets_are_kept_from_others(data: &Path, printed: &str) -> Result<()> {
    let mut found = 0;
    for file in std::fs::read_dir(data.join("secrets"))? {
        let path = file?.path();
        let mode = std::fs::metadata(&path)?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "{} has mode {mode:o}", path.display());
        let secret = std::fs::read_to_string(&path)?;
        ensure!(
            secret.trim().len() >= 32 && !printed.contains(secret.trim()),
            "{}",
            path.display()
        );
        found += 1;
    }
    ensure!(found == 2, "{found} secrets were made");
    Ok(())
}
