//! A private RabbitMQ, with an epmd of its own: the one that a broker starts
//! by itself outlives it, listens to the world, and is shared with strangers.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::{io::AsyncWriteExt as _, sync::OnceCell};

use crate::{
    Error, free_port,
    server::{Home, Launch, Server, on_free_port, on_path, shared},
};

const PACKAGE: &str = "rabbitmq-server";

/// A RabbitMQ server with the user `guest`.
#[derive(Debug)]
pub struct RabbitMq {
    /// Its process, to be killed, frozen and started again on the same port.
    pub process: Server,
    _epmd: Server,
    home: Home,
    port: u16,
    epmd_port: u16,
    virtual_hosts: AtomicU64,
    calls: AtomicU64,
}

impl RabbitMq {
    /// The server that all tests of this process share.
    ///
    /// # Panics
    /// When it does not start; the message says why.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<RabbitMq> = OnceCell::const_new();
        shared(&SHARED, "RabbitMQ", Self::start).await
    }

    /// A server of one's own. It takes some seconds.
    pub async fn start() -> Result<Self, Error> {
        let program = find_program()?;
        on_free_port(|port| Self::start_on(port, program.clone())).await
    }

    async fn start_on(port: u16, program: PathBuf) -> Result<Self, Error> {
        let home = Home::create("tendril-rabbitmq-", None)?;
        let epmd_port = free_port()?;
        let mut epmd = start_epmd(&home, epmd_port).await?;
        write_configuration(home.path(), port)?;
        let launch = Launch {
            name: "rabbitmq",
            program,
            arguments: Vec::new(),
            environment: environment(home.path(), port, epmd_port, free_port()?),
            owner: None,
            ready: "Server startup complete",
            stop: "-TERM",
        };
        let server = Server::start(&home, launch).await?;
        if !epmd.is_running() {
            // The broker found a stranger's, which may end at any time.
            return Err(Error::Ended {
                name: "epmd",
                log: "address already in use".to_owned(),
            });
        }
        Ok(Self {
            process: server,
            _epmd: epmd,
            home,
            port,
            epmd_port,
            virtual_hosts: AtomicU64::new(0),
            calls: AtomicU64::new(0),
        })
    }

    /// Makes an empty virtual host and gives its URL.
    ///
    /// # Panics
    /// When the broker refuses it.
    pub async fn new_vhost(&self) -> String {
        let number = self.virtual_hosts.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{number}");
        let code = format!(
            r#"ok = rabbit_vhost:add(<<"{name}">>, <<"tests">>),
               All = <<".*">>,
               ok = rabbit_auth_backend_internal:set_permissions(
                   <<"guest">>, <<"{name}">>, All, All, All, <<"tests">>)."#
        );
        match self.evaluate(&code).await {
            Ok(_) => format!("{}/{name}", self.url()),
            Err(error) => panic!("no virtual host for this test: {error}"),
        }
    }

    /// Runs Erlang code in the broker and gives what it returned. This is what
    /// `rabbitmqctl eval` does, in a hundredth of its time.
    pub async fn evaluate(&self, code: &str) -> Result<String, Error> {
        let cookie = self.home.path().join("home/.erlang.cookie");
        let cookie = fs::read_to_string(&cookie).map_err(Error::io("cannot read", &cookie))?;
        // Two calls at a time need two names.
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let own_name = format!("call{}x{number}", std::process::id());
        let mut process = tokio::process::Command::new("erl_call")
            .args(["-c", &cookie, "-h", &own_name])
            .args(["-n", &node_name(self.port), "-e"])
            .env("HOME", self.home.path().join("home"))
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::io("cannot run", "erl_call"))?;
        if let Some(mut stdin) = process.stdin.take() {
            // It waits for a line that ends with a full stop.
            let written = stdin.write_all(format!("{code}\n").as_bytes()).await;
            written.map_err(Error::io("cannot write to", "erl_call"))?;
        }
        let output = process.wait_with_output().await;
        let output = output.map_err(Error::io("cannot run", "erl_call"))?;
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = answer
            .strip_prefix("{ok, ")
            .and_then(|it| it.strip_suffix('}'));
        if let (true, Some(value)) = (output.status.success(), value) {
            return Ok(value.to_owned());
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(Error::Command {
            command: "erl_call",
            output: format!("{answer}{errors}"),
        })
    }

    /// The URL of the default virtual host.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// The URL of the default virtual host by way of another port, a proxy's.
    #[must_use]
    pub fn url_at(&self, port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}")
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Several brokers may meet at one epmd for a moment, so the port is in the name.
fn node_name(port: u16) -> String {
    format!("tendril{port}@localhost")
}

async fn start_epmd(home: &Home, port: u16) -> Result<Server, Error> {
    let missing = Error::Missing {
        program: "epmd",
        package: PACKAGE,
    };
    let launch = Launch {
        name: "epmd",
        program: on_path("epmd").ok_or(missing)?,
        arguments: ["-d", "-port", &port.to_string(), "-address", "127.0.0.1"]
            .map(Into::into)
            .to_vec(),
        environment: Vec::new(),
        owner: None,
        ready: "epmd running",
        stop: "-TERM",
    };
    Server::start(home, launch).await
}

fn write_configuration(folder: &Path, port: u16) -> Result<(), Error> {
    let text = format!(
        "listeners.tcp.1 = 127.0.0.1:{port}\n\
         log.file = false\n\
         log.console = true\n\
         log.console.level = info\n\
         disk_free_limit.absolute = 10MB\n"
    );
    let file = folder.join("rabbitmq.conf");
    fs::write(&file, text).map_err(Error::io("cannot write", &file))?;
    let home = folder.join("home");
    fs::create_dir_all(&home).map_err(Error::io("cannot make", &home))
}

fn environment(
    folder: &Path,
    port: u16,
    epmd: u16,
    distribution: u16,
) -> Vec<(&'static str, OsString)> {
    let within = |name: &str| folder.join(name).into_os_string();
    vec![
        // The cookie is kept in it.
        ("HOME", within("home")),
        ("RABBITMQ_NODENAME", node_name(port).into()),
        ("RABBITMQ_MNESIA_BASE", within("mnesia")),
        ("RABBITMQ_LOG_BASE", within("log")),
        ("RABBITMQ_CONFIG_FILE", within("rabbitmq")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", within("enabled_plugins")),
        ("RABBITMQ_PID_FILE", within("rabbitmq.pid")),
        ("RABBITMQ_CONF_ENV_FILE", "/dev/null".into()),
        ("RABBITMQ_DIST_PORT", distribution.to_string().into()),
        ("ERL_EPMD_PORT", epmd.to_string().into()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
        // Idle schedulers must not take the processors from the tests.
        (
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "+sbwt none +sbwtdcpu none +sbwtdio none".into(),
        ),
    ]
}

/// Not the one on the path: that changes to another user and to the system's folders.
fn find_program() -> Result<PathBuf, Error> {
    let libraries = fs::read_dir("/usr/lib/rabbitmq/lib").into_iter().flatten();
    let programs = libraries
        .flatten()
        .map(|version| version.path().join("sbin/rabbitmq-server"))
        .filter(|program| program.is_file());
    programs.max().ok_or(Error::Missing {
        program: "rabbitmq-server",
        package: PACKAGE,
    })
}
