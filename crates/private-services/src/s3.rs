//! A private S3-compatible store: moto's server, from PyPI.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::OnceCell,
};

use crate::{
    Error,
    server::{Home, Launch, Server, on_free_port, shared},
};

/// An object store that keeps everything in memory, and takes any key.
#[derive(Debug)]
pub struct S3 {
    /// Its process, to be killed, frozen and started again on the same port.
    pub process: Server,
    _home: Home,
    port: u16,
    buckets: AtomicU32,
}

impl S3 {
    /// The server that all tests of this process share.
    ///
    /// # Panics
    /// When it does not start; the message says why.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<S3> = OnceCell::const_new();
        shared(&SHARED, "S3 store", Self::start).await
    }

    /// A server of one's own.
    pub async fn start() -> Result<Self, Error> {
        let program = find_program()?;
        on_free_port(async |port| Self::start_on(port, program.clone()).await).await
    }

    async fn start_on(port: u16, program: PathBuf) -> Result<Self, Error> {
        let home = Home::create("tendril-s3-", None)?;
        let launch = Launch {
            name: "moto",
            program,
            arguments: ["-H", "127.0.0.1", "-p", &port.to_string()]
                .map(Into::into)
                .into(),
            environment: vec![("PYTHONUNBUFFERED", "1".into())],
            owner: None,
            ready: "Running on http",
            stop: "-TERM",
        };
        Ok(Self {
            process: Server::start(&home, launch).await?,
            _home: home,
            port,
            buckets: AtomicU32::new(0),
        })
    }

    /// Its address, for path-style requests.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes a bucket.
    pub async fn new_bucket(&self) -> Result<String, Error> {
        let number = self.buckets.fetch_add(1, Ordering::Relaxed);
        let bucket = format!("bucket-{number}");
        self.put(&bucket)
            .await
            .map_err(Error::io("cannot make the bucket", &bucket))?;
        Ok(bucket)
    }

    async fn put(&self, bucket: &str) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let request = format!(
            "PUT /{bucket} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        if answer.split(' ').nth(1) == Some("200") {
            return Ok(());
        }
        Err(std::io::Error::other(answer))
    }
}

fn find_program() -> Result<PathBuf, Error> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("moto/.venv/bin/moto_server");
    if program.is_file() {
        return Ok(program);
    }
    Err(Error::Missing {
        program: "moto_server",
        package: "python3-venv",
    })
}
