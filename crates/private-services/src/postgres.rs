//! A private PostgreSQL.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::sync::OnceCell;

use crate::{
    Error,
    owner::Owner,
    server::{Home, Launch, Server, on_free_port, shared},
};

const PACKAGE: &str = "postgresql";

/// A PostgreSQL server whose only user is `postgres`, without a password.
///
/// It does not sync to the disk: whatever happens to its process, what it has
/// handed to the system is there when it is back.
#[derive(Debug)]
pub struct Postgres {
    /// Its process, to be killed, frozen and started again on the same port.
    pub process: Server,
    _home: Home,
    port: u16,
    databases: AtomicU64,
}

impl Postgres {
    /// The server that all tests of this process share.
    ///
    /// # Panics
    /// When it does not start; the message says why.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        shared(&SHARED, "PostgreSQL", Self::start).await
    }

    /// A server of one's own.
    pub async fn start() -> Result<Self, Error> {
        let programs = find_programs()?;
        on_free_port(|port| Self::start_on(port, programs.clone())).await
    }

    async fn start_on(port: u16, programs: PathBuf) -> Result<Self, Error> {
        let owner = Owner::instead_of_root("postgres")?;
        let home = Home::create("tendril-postgres-", owner)?;
        let data = home.path().join("data");
        make_data_folder(&programs.join("initdb"), &data, owner).await?;
        let launch = Launch {
            name: "postgresql",
            program: programs.join("postgres"),
            arguments: arguments(&data, port),
            environment: Vec::new(),
            owner,
            ready: "database system is ready to accept connections",
            // Fast shutdown: sessions are ended, not waited for.
            stop: "-INT",
        };
        Ok(Self {
            process: Server::start(&home, launch).await?,
            _home: home,
            port,
            databases: AtomicU64::new(0),
        })
    }

    /// Makes an empty database and gives its URL.
    ///
    /// # Panics
    /// When the server refuses it.
    pub async fn new_database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        match self.create(&name).await {
            Ok(()) => self.url(&name),
            Err(error) => panic!("no database for this test: {error}\n{}", self.process.log()),
        }
    }

    async fn create(&self, name: &str) -> Result<(), sqlx::Error> {
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        // Copying template0's files takes a tenth of the time of logging them.
        let statement = format!("CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy");
        connection.execute(sqlx::AssertSqlSafe(statement)).await?;
        connection.close().await
    }

    /// The URL of a database.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_at(self.port, database)
    }

    /// The URL of a database by way of another port, a proxy's.
    #[must_use]
    pub fn url_at(&self, port: u16, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/{database}")
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn arguments(data: &Path, port: u16) -> Vec<std::ffi::OsString> {
    let mut arguments = vec!["-D".into(), data.into()];
    let settings = [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        "fsync=off".to_owned(),
        "max_connections=400".to_owned(),
        "shared_buffers=64MB".to_owned(),
    ];
    for setting in settings {
        arguments.extend(["-c".into(), setting.into()]);
    }
    arguments
}

async fn make_data_folder(initdb: &Path, data: &Path, owner: Option<Owner>) -> Result<(), Error> {
    let mut command = tokio::process::Command::new(initdb);
    command
        .arg("-D")
        .arg(data)
        .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"])
        .args(["--locale", "C.UTF-8"])
        .current_dir(data.parent().unwrap_or(data))
        .kill_on_drop(true);
    if let Some(owner) = owner {
        command.uid(owner.user).gid(owner.group);
    }
    let output = command
        .output()
        .await
        .map_err(Error::io("cannot run", initdb))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Command {
        command: "initdb",
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Debian keeps each major version in a folder of its own; the newest is taken.
fn find_programs() -> Result<PathBuf, Error> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let newest = versions
        .flatten()
        .filter_map(|version| {
            let number: u32 = version.file_name().to_str()?.parse().ok()?;
            let programs = version.path().join("bin");
            programs
                .join("initdb")
                .is_file()
                .then_some((number, programs))
        })
        .max();
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file())
    };
    let found = newest.map(|(_, programs)| programs).or_else(on_path);
    found.ok_or(Error::Missing {
        program: "initdb",
        package: PACKAGE,
    })
}
