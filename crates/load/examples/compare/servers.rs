//! The servers that are measured, each started anew for each run.

use std::{
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::{
    Parts, System, SystemOptions,
    binaries::{binary, workspace_root},
    ports::free_port,
};
use private_services::{Postgres, Redis};
use serde_json::Value;

use crate::runs::Run;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// The bare floor.
    Floor,
    /// hub-api on SQLite.
    Hub,
    /// hub-api on PostgreSQL.
    OnPostgres,
    /// One of two hubs on PostgreSQL and Redis: it has the clients, the other is posted to.
    OneOfTwo,
}

impl Server {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Hub => "hub",
            Self::OnPostgres => "hub on PostgreSQL",
            Self::OneOfTwo => "one of two hubs",
        }
    }
}

/// The programs.
pub(crate) struct Servers {
    load: PathBuf,
    floor: PathBuf,
}

/// A process that ends when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Servers {
    /// Builds what is measured as this program was built.
    pub(crate) fn build() -> Result<Self> {
        let own = std::env::current_exe()?;
        let folder = own.parent().and_then(|examples| examples.parent());
        let folder = folder.context("this program is in no folder")?.to_owned();
        let mut build = Command::new(env!("CARGO"));
        build.current_dir(workspace_root()).args([
            "build",
            "--locked",
            "-q",
            "-p",
            "load",
            "--bins",
            "--example",
            "floor",
        ]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        ensure!(build.status()?.success(), "the load tester does not build");
        // The hub, too, unless TENDRIL_BIN_DIR says where it is.
        binary("hub-api")?;
        Ok(Self {
            load: folder.join("tendril-load"),
            floor: folder.join("examples/floor"),
        })
    }

    /// One run against a server of its own; gives its report.
    pub(crate) async fn measure(
        &mut self,
        server: Server,
        run: &Run,
        seconds: u32,
    ) -> Result<Value> {
        match server {
            Server::Floor => self.floor(run, seconds),
            Server::Hub => self.hub((run, seconds), Parts::default(), 1).await,
            Server::OnPostgres => {
                let database = Postgres::shared().await.new_database().await;
                let parts = Parts {
                    database: Some(database),
                    ..Parts::default()
                };
                self.hub((run, seconds), parts, 1).await
            }
            Server::OneOfTwo => {
                let parts = Parts {
                    database: Some(Postgres::shared().await.new_database().await),
                    redis: Some(Redis::shared().await.url()),
                    ..Parts::default()
                };
                self.hub((run, seconds), parts, 2).await
            }
        }
    }

    fn floor(&self, run: &Run, seconds: u32) -> Result<Value> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let floor = Running(Command::new(&self.floor).arg(&address).spawn()?);
        let patience = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(&address).is_err() {
            ensure!(Instant::now() < patience, "the floor does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut load = self.load((run, seconds), floor.0.id());
        load.args(["--url", &format!("http://{address}/hub"), "--secret", "any"]);
        report(load)
    }

    async fn hub(&self, run: (&Run, u32), parts: Parts, hubs: usize) -> Result<Value> {
        let options = SystemOptions {
            parts: Some(parts),
            hubs,
            hub: vec![("RUST_LOG", "warn".to_owned())],
            quiet: true,
            ..SystemOptions::default()
        };
        let mut system = System::prepare(options).await?;
        for hub in system.hubs() {
            hub.start().await?;
        }
        let ports: Vec<u16> = system.hubs().iter().map(|hub| hub.port()).collect();
        let pid = system.hubs()[0].pid().context("the hub runs")?;
        let claims = format!(
            r#"{{"iss":"{}","aud":"{}"}}"#,
            system.issuer.issuer, system.issuer.audience
        );
        let url = format!("http://127.0.0.1:{}/hubs/plantanalysis", ports[0]);
        let mut load = self.load(run, pid);
        load.args(["--url", &url, "--claims", &claims])
            .env("TENDRIL_LOAD_SECRET", &system.issuer.secret)
            .env("TENDRIL_LOAD_INTERNAL_SECRET", &system.internal_secret);
        if let [_, other] = ports.as_slice() {
            load.args(["--post-to", &format!("http://127.0.0.1:{other}")]);
        }
        let report = tokio::task::spawn_blocking(move || report(load)).await??;
        Ok(report)
    }

    fn load(&self, (run, seconds): (&Run, u32), pid: u32) -> Command {
        let mut load = Command::new(&self.load);
        let duration = format!("{seconds}s");
        load.args(run.arguments.split(' '))
            .args(["--duration", &duration])
            .args(["--pid", &pid.to_string(), "--json", "--quiet"]);
        load
    }
}

fn report(mut load: Command) -> Result<Value> {
    let output = load.stderr(Stdio::inherit()).output()?;
    let report: Value =
        serde_json::from_slice(&output.stdout).context("the load tester gave no report")?;
    if let Some(why) = report["void"].as_str() {
        bail!("void: {why}");
    }
    for figure in ["lost", "duplicates", "failed"] {
        if report[figure] != 0 {
            bail!("{figure}: {report:#}");
        }
    }
    Ok(report)
}
