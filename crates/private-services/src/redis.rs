//! A private Redis.

use std::path::PathBuf;

use tokio::sync::OnceCell;

use crate::{
    Error,
    server::{Home, Launch, Server, on_free_port, shared},
};

/// A Redis server that keeps nothing on the disk. Tests that share one keep
/// apart by their channel prefixes.
#[derive(Debug)]
pub struct Redis {
    /// Its process, to be killed, frozen and started again on the same port.
    pub process: Server,
    _home: Home,
    port: u16,
}

impl Redis {
    /// The server that all tests of this process share.
    ///
    /// # Panics
    /// When it does not start; the message says why.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Redis> = OnceCell::const_new();
        shared(&SHARED, "Redis", Self::start).await
    }

    /// A server of one's own.
    pub async fn start() -> Result<Self, Error> {
        let program = find_program()?;
        on_free_port(|port| Self::start_on(port, program.clone())).await
    }

    pub(crate) async fn start_on(port: u16, program: PathBuf) -> Result<Self, Error> {
        let home = Home::create("tendril-redis-", None)?;
        let mut arguments = vec!["--port".into(), port.to_string().into()];
        let further = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        arguments.extend(further.map(Into::into));
        arguments.extend(["--dir".into(), home.path().into()]);
        let launch = Launch {
            name: "redis",
            program,
            arguments,
            environment: Vec::new(),
            owner: None,
            ready: "Ready to accept connections",
            stop: "-TERM",
        };
        Ok(Self {
            process: Server::start(&home, launch).await?,
            _home: home,
            port,
        })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// Its URL by way of another port, a proxy's.
    #[must_use]
    pub fn url_at(&self, port: u16) -> String {
        format!("redis://127.0.0.1:{port}")
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn find_program() -> Result<PathBuf, Error> {
    crate::server::on_path("redis-server").ok_or(Error::Missing {
        program: "redis-server",
        package: "redis-server",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn another_port_is_taken_when_a_stranger_was_faster() {
        let program = find_program().unwrap();
        let stranger = Redis::start().await.unwrap();
        let refused = Redis::start_on(stranger.port, program.clone()).await;
        let refused = refused.unwrap_err();
        assert!(refused.is_port_in_use(), "{refused}");
        let first = std::sync::atomic::AtomicBool::new(true);
        let server = on_free_port(|port| {
            let first = first.swap(false, std::sync::atomic::Ordering::Relaxed);
            let port = if first { stranger.port } else { port };
            Redis::start_on(port, program.clone())
        });
        assert_ne!(server.await.unwrap().port, stranger.port);
    }
}
