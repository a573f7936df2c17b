//! Signals to a server and its children, and the watchdog that outlives the
//! test process. Both are `family.sh`: sending signals from Rust needs unsafe
//! code, and the watchdog must be a process of its own anyway.

use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use crate::Error;

const SCRIPT: &str = include_str!("family.sh");

/// What is sent to all processes of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signal {
    Stop,
    Continue,
    Kill,
}

/// Sends a signal to a process and all that descend from it.
pub(crate) async fn signal(root: u32, signal: Signal) -> Result<(), Error> {
    let sent = tokio::task::spawn_blocking(move || signal_now(root, signal)).await;
    sent.expect("sending a signal does not panic")
}

/// As [`signal`], for the few hundredths of a second that it takes.
pub(crate) fn signal_now(root: u32, signal: Signal) -> Result<(), Error> {
    let name = match signal {
        Signal::Stop => "STOP",
        Signal::Continue => "CONT",
        Signal::Kill => "KILL",
    };
    let status = Command::new("sh")
        .args(["-c", SCRIPT, "sh", "signal", name, &root.to_string()])
        .status()
        .map_err(Error::io("cannot run", "sh"))?;
    if !status.success() {
        return Err(Error::Command {
            command: "sending a signal",
            output: status.to_string(),
        });
    }
    Ok(())
}

/// Ends the servers of a folder, and removes it, when this process ends or the
/// watchdog is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    process: Child,
    /// The system closes it with the last process that holds it, which is this one.
    pipe: Option<ChildStdin>,
    folder: PathBuf,
}

impl Watchdog {
    pub(crate) fn start(folder: &Path) -> Result<Self, Error> {
        let mut process = Command::new("sh")
            .args(["-c", SCRIPT, "sh", "watch"])
            .arg(folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            // A test runner waits until nobody holds its pipes.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C goes to the group of the test process.
            .process_group(0)
            .spawn()
            .map_err(Error::io("cannot run", "sh"))?;
        let pipe = process.stdin.take();
        Ok(Self {
            process,
            pipe,
            folder: folder.to_owned(),
        })
    }

    /// The folder that it watches over.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // It cannot be helped if it fails, and the watchdog does not.
        let _ = self.process.wait();
    }
}
