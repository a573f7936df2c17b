//! Why a server is not there.

use std::{io, path::PathBuf, time::Duration};

/// What can go wrong with a private server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Debian package is not installed.
    #[error("{program} is missing: apt-get install {package} (make test does it)")]
    Missing {
        /// What was looked for.
        program: &'static str,
        /// What has it.
        package: &'static str,
    },
    /// The server ended while it started.
    #[error("{name} ended while it started:\n{log}")]
    Ended {
        /// The server.
        name: &'static str,
        /// The end of what it wrote.
        log: String,
    },
    /// The server did not do what it was told in time.
    #[error("{name} took more than {limit:?} to {what}:\n{log}")]
    Slow {
        /// The server.
        name: &'static str,
        /// What it was to do.
        what: &'static str,
        /// How long was waited.
        limit: Duration,
        /// The end of what it wrote.
        log: String,
    },
    /// The server is not in the state that the call needs.
    #[error("{name} {state}")]
    State {
        /// The server.
        name: &'static str,
        /// The state that is in the way.
        state: &'static str,
    },
    /// A command that prepares or steers a server failed.
    #[error("{command} failed: {output}")]
    Command {
        /// The command.
        command: &'static str,
        /// What it wrote.
        output: String,
    },
    /// No port below the range of outgoing connections is free.
    #[error("no loopback port is free")]
    NoPort,
    /// The system refused something.
    #[error("{what} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    /// Whether the server ended because another one has its port.
    pub(crate) fn is_port_in_use(&self) -> bool {
        let Self::Ended { log, .. } = self else {
            return false;
        };
        let log = log.to_lowercase();
        log.contains("address already in use") || log.contains("eaddrinuse")
    }
}
