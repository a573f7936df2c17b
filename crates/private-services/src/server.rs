//! A server's process: started, found ready, killed, frozen and started again,
//! on the same port and data.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    sync::OnceCell,
    time::{Instant, sleep},
};

use crate::{
    Error,
    family::{self, Signal, Watchdog},
    owner::Owner,
};

/// A broker on a busy machine takes its time.
const START_TIME: Duration = Duration::from_secs(120);
const STOP_TIME: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How often a start is tried whose port another process took in between.
const PORTS_TRIED: usize = 5;

/// How a process is started.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// For messages and for the names of its files.
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(&'static str, OsString)>,
    /// Other than oneself.
    pub(crate) owner: Option<Owner>,
    /// What it writes when it serves.
    pub(crate) ready: &'static str,
    /// The signal upon which it ends in order.
    pub(crate) stop: &'static str,
}

/// A folder in which servers live, and the watchdog over both.
#[derive(Debug)]
pub(crate) struct Home {
    watchdog: Watchdog,
}

impl Home {
    /// A fresh folder, which belongs to `owner`.
    pub(crate) fn create(prefix: &str, owner: Option<Owner>) -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir()
            .map_err(Error::io("cannot make", std::env::temp_dir()))?;
        let watchdog = Watchdog::start(folder.path())?;
        // From here on the watchdog removes it, also when this process is killed.
        let folder = folder.keep();
        let pids = folder.join("pids");
        fs::create_dir(&pids).map_err(Error::io("cannot make", &pids))?;
        if let Some(owner) = owner {
            owner.take(&folder)?;
            owner.take(&pids)?;
        }
        Ok(Self { watchdog })
    }

    pub(crate) fn path(&self) -> &Path {
        self.watchdog.folder()
    }
}

/// The process of a server. Its port and its folder stay the same as it ends
/// and starts again.
#[derive(Debug)]
pub struct Server {
    launch: Launch,
    log: PathBuf,
    pid_file: PathBuf,
    process: Option<Child>,
}

impl Server {
    /// Starts the process and waits until it serves.
    pub(crate) async fn start(home: &Home, launch: Launch) -> Result<Self, Error> {
        let mut server = Self {
            log: home.path().join(format!("{}.log", launch.name)),
            pid_file: home.path().join("pids").join(launch.name),
            launch,
            process: None,
        };
        server.try_to_start().await?;
        Ok(server)
    }

    /// Starts the process again and waits until it serves. Right after a kill its port or its lock may
    /// still be taken, so it is tried for a while.
    pub async fn start_again(&mut self) -> Result<(), Error> {
        if self.process.is_some() {
            return Err(self.in_state("runs already"));
        }
        let deadline = Instant::now() + START_TIME;
        loop {
            match self.try_to_start().await {
                Err(Error::Ended { .. }) if Instant::now() < deadline => {
                    sleep(Duration::from_millis(200)).await;
                }
                result => return result,
            }
        }
    }

    /// SIGKILL to the process and all its children; they are gone on return.
    pub async fn kill(&mut self) -> Result<(), Error> {
        let pid = self.pid()?;
        family::signal(pid, Signal::Kill).await?;
        self.wait_for_end().await
    }

    /// Ends it in order.
    pub async fn stop(&mut self) -> Result<(), Error> {
        let pid = self.pid()?;
        let status = tokio::process::Command::new("kill")
            .args([self.launch.stop, &pid.to_string()])
            .status()
            .await
            .map_err(Error::io("cannot run", "kill"))?;
        if !status.success() {
            return Err(self.in_state("has ended by itself"));
        }
        self.wait_for_end().await
    }

    /// SIGSTOP to the process and all its children: connections stand, nothing
    /// answers.
    pub async fn freeze(&mut self) -> Result<(), Error> {
        family::signal(self.pid()?, Signal::Stop).await
    }

    /// SIGCONT to the process and all its children.
    pub async fn thaw(&mut self) -> Result<(), Error> {
        family::signal(self.pid()?, Signal::Continue).await
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| matches!(process.try_wait(), Ok(None)))
    }

    /// The end of what it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        tail(&self.log, 0)
    }

    fn pid(&self) -> Result<u32, Error> {
        let process = self.process.as_ref();
        process
            .map(Child::id)
            .ok_or_else(|| self.in_state("does not run"))
    }

    async fn try_to_start(&mut self) -> Result<(), Error> {
        let written = fs::metadata(&self.log).map_or(0, |file| file.len());
        self.process = Some(self.spawn()?);
        let deadline = Instant::now() + START_TIME;
        // What it writes says that this very process serves. That something
        // answers on the port does not: it may be a stranger.
        while !tail(&self.log, written).contains(self.launch.ready) {
            if self.ended()?.is_some() {
                return Err(Error::Ended {
                    name: self.launch.name,
                    log: tail(&self.log, written),
                });
            }
            if Instant::now() > deadline {
                return Err(self.slow("start", START_TIME));
            }
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    fn spawn(&self) -> Result<Child, Error> {
        let folder = self.log.parent().unwrap_or(Path::new("/"));
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(Error::io("cannot write", &self.log))?;
        let errors = log
            .try_clone()
            .map_err(Error::io("cannot write", &self.log))?;
        // The process writes its own id before it becomes the server, so that
        // there is no moment in which the watchdog would not know of it.
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"echo $$ > "$1" && shift && exec "$@""#, "sh"])
            .arg(&self.pid_file)
            .arg(&self.launch.program)
            .args(&self.launch.arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("LC_ALL", "C.UTF-8")
            .envs(self.launch.environment.iter().map(|(k, v)| (k, v)))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0);
        if let Some(owner) = self.launch.owner {
            command.uid(owner.user).gid(owner.group);
        }
        command
            .spawn()
            .map_err(Error::io("cannot run", &self.launch.program))
    }

    async fn wait_for_end(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + STOP_TIME;
        while self.ended()?.is_none() {
            if Instant::now() > deadline {
                return Err(self.slow("end", STOP_TIME));
            }
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// How it ended. Its id may be given to a stranger then, so it is forgotten.
    fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        let Some(process) = &mut self.process else {
            return Ok(None);
        };
        let status = process
            .try_wait()
            .map_err(Error::io("cannot wait for", &self.launch.program))?;
        if status.is_some() {
            self.process = None;
            fs::remove_file(&self.pid_file).map_err(Error::io("cannot remove", &self.pid_file))?;
        }
        Ok(status)
    }

    fn slow(&self, what: &'static str, limit: Duration) -> Error {
        Error::Slow {
            name: self.launch.name,
            what,
            limit,
            log: self.log(),
        }
    }

    fn in_state(&self, state: &'static str) -> Error {
        Error::State {
            name: self.launch.name,
            state,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // The watchdog would do it, too. But what was never waited for
            // stays as a zombie.
            let _ = family::signal_now(process.id(), Signal::Kill);
            let _ = process.wait();
        }
    }
}

/// The server that all tests of a process share, started by the first.
pub(crate) async fn shared<T>(
    cell: &'static OnceCell<T>,
    what: &str,
    start: impl AsyncFnOnce() -> Result<T, Error>,
) -> &'static T {
    // Boxed: it would make the future of every test as large as itself.
    let start = async || match Box::pin(start()).await {
        Ok(server) => server,
        Err(error) => panic!("no {what} for this test: {error}"),
    };
    cell.get_or_init(start).await
}

/// Starts a server on a free port, and on another when a stranger was faster.
pub(crate) async fn on_free_port<T, F>(start: impl Fn(u16) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut tried = 1;
    loop {
        match start(crate::free_port()?).await {
            Err(error) if error.is_port_in_use() && tried < PORTS_TRIED => tried += 1,
            result => return result,
        }
    }
}

/// What a log says from a position on, at most its last 8 KiB.
fn tail(log: &Path, from: u64) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let from = usize::try_from(from).unwrap_or(0);
    let start = from.max(bytes.len().saturating_sub(8 * 1024));
    String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned()
}

/// Where a program is.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut candidates = std::env::split_paths(&path).map(|folder| folder.join(program));
    candidates.find(|candidate| candidate.is_file())
}
