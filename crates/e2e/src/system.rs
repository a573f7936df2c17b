//! Tendril as a whole: hubs and workers on free ports over fresh data.

use std::path::{Path, PathBuf};

use anyhow::Result;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tempfile::TempDir;

use crate::{
    Api, Balancer, SmallDisk, binaries,
    ports::free_port,
    process::{Process, Program, tail},
    service::Service,
    set::{Parts, Set},
    token::Issuer,
};

/// What a test sets beyond the defaults of `make run`.
#[derive(Debug, Clone, Default)]
pub struct SystemOptions {
    /// The servers that it uses; those of the set that `TENDRIL_SET` names when `None`.
    pub parts: Option<Parts>,
    /// Two or more stand behind a balancer; 0 means 1.
    pub hubs: usize,
    /// 0 means 1.
    pub workers: usize,
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
    hubs: Vec<Service>,
    workers: Vec<Service>,
    balancer: Option<Balancer>,
    /// Where the hub listens, or the balancer before several hubs.
    pub hub_port: u16,
    /// What its tokens are signed with.
    pub issuer: Issuer,
    /// `ZIRAAI_INTERNAL_SECRET`.
    pub internal_secret: String,
    folder: TempDir,
    quiet: bool,
}

impl System {
    /// Starts hubs and workers and waits until all are healthy.
    pub async fn start(options: SystemOptions) -> Result<Self> {
        let mut system = Self::prepare(options).await?;
        system.start_services().await?;
        Ok(system)
    }

    /// As [`System::start`], with the defaults.
    pub async fn start_default() -> Result<Self> {
        Self::start(SystemOptions::default()).await
    }

    /// Chooses ports, secrets and folders, and starts no service.
    pub async fn prepare(options: SystemOptions) -> Result<Self> {
        let parts = match options.parts {
            Some(parts) => parts,
            None => Parts::shared(Set::from_environment()?).await?,
        };
        let folder = tempfile::Builder::new().prefix("tendril-e2e-").tempdir()?;
        let hub_ports = free_ports(options.hubs)?;
        let worker_ports = free_ports(options.workers)?;
        let balancer = match hub_ports.as_slice() {
            [_] => None,
            several => Some(Balancer::start(several).await?),
        };
        let hub_port = balancer.as_ref().map_or(hub_ports[0], Balancer::port);
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
            // Not the files of whatever folder the tests are started in.
            ("CONFIG_DIR", folder.path().display().to_string()),
        ];
        let hub = [
            ("DATA_DIR", folder.path().join("data").display().to_string()),
            ("Jwt__Secret", issuer.secret.clone()),
            ("Jwt__Issuer", issuer.issuer.clone()),
            ("Jwt__Audience", issuer.audience.clone()),
            // A few users do what many would.
            ("Limits__UploadsPerMinute", "0".to_owned()),
            ("Limits__InvocationsPerMinute", "0".to_owned()),
            // No load balancer has to notice that the hub leaves.
            ("Drain__Delay", "0".to_owned()),
        ];
        std::fs::create_dir_all(folder.path().join("data"))?;
        let hub = join(&[&shared, &hub, &parts.hub_settings(), &options.hub]);
        let worker = join(&[&shared, &parts.worker_settings(), &options.worker]);
        let log = folder.path();
        Ok(Self {
            hubs: services("hub-api", &hub_ports, &hub, log)?,
            workers: services("analysis-worker", &worker_ports, &worker, log)?,
            balancer,
            hub_port,
            issuer,
            internal_secret,
            quiet: options.quiet,
            folder,
        })
    }

    /// Starts whatever does not run.
    pub async fn start_services(&mut self) -> Result<()> {
        for service in self.hubs.iter_mut().chain(&mut self.workers) {
            if service.process.is_none() {
                service.start().await?;
            }
        }
        Ok(())
    }

    /// Gives the workers another setting, from their next start on; `None` takes it away.
    pub fn set_workers(&mut self, name: &str, value: Option<&str>) {
        for worker in &mut self.workers {
            worker.set(name, value);
        }
    }

    /// Whether the workers were given a setting.
    #[must_use]
    pub fn workers_have(&self, name: &str) -> bool {
        let environment = &self.workers[0].program.environment;
        environment.iter().any(|(key, _)| key == name)
    }

    /// Every hub.
    pub fn hubs(&mut self) -> &mut [Service] {
        &mut self.hubs
    }

    /// Every worker.
    pub fn workers(&mut self) -> &mut [Service] {
        &mut self.workers
    }

    /// What stands before several hubs.
    #[must_use]
    pub fn balancer(&self) -> Option<&Balancer> {
        self.balancer.as_ref()
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

    /// Lets the first hub run on this disk, from its next start on: its data
    /// is there then.
    pub fn put_hub_on(&mut self, disk: &SmallDisk) -> Result<()> {
        let hub = &mut self.hubs[0];
        hub.program.path = disk.script_of(&hub.program.path, self.folder.path())?;
        hub.set("DATA_DIR", Some(&disk.folder().display().to_string()));
        Ok(())
    }

    /// Starts the first hub (again), on the same port and data.
    pub async fn start_hub(&mut self) -> Result<()> {
        self.hubs[0].start().await
    }

    /// Starts the first worker (again).
    pub async fn start_worker(&mut self) -> Result<()> {
        self.workers[0].start().await
    }

    /// kill -9.
    pub async fn kill_hub(&mut self) -> Result<()> {
        self.hubs[0].kill().await
    }

    /// kill -9.
    pub async fn kill_worker(&mut self) -> Result<()> {
        self.workers[0].kill().await
    }

    /// SIGTERM; fails when it does not end by itself, or with an error.
    pub async fn stop_hub(&mut self) -> Result<()> {
        self.hubs[0].stop().await
    }

    /// SIGTERM; fails when it does not end by itself, or with an error.
    pub async fn stop_worker(&mut self) -> Result<()> {
        self.workers[0].stop().await
    }

    /// Gives away the running worker; the next one that is started listens elsewhere.
    pub fn replace_worker(&mut self) -> Result<Process> {
        let worker = &mut self.workers[0];
        let process = worker.take()?;
        worker.port = free_port()?;
        worker.set("PORT", Some(&worker.port.to_string()));
        Ok(process)
    }

    /// The first hub's binary and settings, for its other commands.
    #[must_use]
    pub fn hub_program(&self) -> &Program {
        &self.hubs[0].program
    }

    /// The same of the first worker.
    #[must_use]
    pub fn worker_program(&self) -> &Program {
        &self.workers[0].program
    }

    /// Where the first worker listens.
    #[must_use]
    pub fn worker_port(&self) -> u16 {
        self.workers[0].port
    }

    /// Everything that the services have logged so far.
    pub fn logs(&self) -> Result<String> {
        let mut logs = String::new();
        for service in self.hubs.iter().chain(&self.workers) {
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
        for service in self.hubs.iter().chain(&self.workers) {
            let Program { name, log, .. } = &service.program;
            eprintln!("---- the last lines of {name} ----\n{}", tail(log, 80));
        }
    }
}

/// At least one.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let ports = (0..count.max(1)).map(|_| free_port());
    Ok(ports.collect::<Result<_, _>>()?)
}

fn services(
    name: &'static str,
    ports: &[u16],
    settings: &[(&'static str, String)],
    folder: &Path,
) -> Result<Vec<Service>> {
    let service = |(index, &port): (usize, &u16)| -> Result<Service> {
        let mut environment: Vec<_> = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        environment.push(("PORT".to_owned(), port.to_string()));
        let program = Program {
            name,
            path: binaries::binary(name)?,
            environment,
            log: folder.join(format!("{name}-{index}.log")),
        };
        Ok(Service::new(program, port))
    };
    ports.iter().enumerate().map(service).collect()
}

/// Later settings win.
fn join(settings: &[&[(&'static str, String)]]) -> Vec<(&'static str, String)> {
    settings.concat()
}

fn random_secret() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives random numbers");
    URL_SAFE_NO_PAD.encode(bytes)
}
