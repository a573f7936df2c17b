//! A disk of a few megabytes, for a test to fill: a file system in memory, in
//! a mount namespace of its own. It ends with the process that keeps it, which
//! ends with the test, however that ends.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// How a namespace is entered: as root, or else as the root of a namespace of users.
const WAYS: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];

/// Mounts, says so, and then stays for as long as its input is open.
const KEEP: &str = r#"mount -t tmpfs -o "size=$2m" tmpfs "$1" && echo mounted && exec cat"#;

/// The disk. It is gone when it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    keeper: Child,
    keeper_id: u32,
    /// Of a namespace of users, which is entered as well.
    of_users: bool,
    folder: TempDir,
}

impl SmallDisk {
    /// A disk of so many megabytes; `None` where the system lets nobody mount
    /// one, which is said where the test runner does not hide it.
    pub async fn mount(megabytes: u32) -> Result<Option<Self>> {
        let mut refusals = String::new();
        for way in WAYS {
            match Self::mount_in(way, megabytes).await? {
                Ok(disk) => return Ok(Some(disk)),
                Err(refused) => refusals.push_str(&refused),
            }
        }
        // Not by eprintln!, whose text is shown of failing tests only.
        writeln!(
            std::io::stderr(),
            "\nNOT TESTED: a full disk. This system refuses to mount one, as root and in a \
             namespace of users:\n{refusals}"
        )?;
        Ok(None)
    }

    async fn mount_in(way: &[&str], megabytes: u32) -> Result<Result<Self, String>> {
        let folder = tempfile::Builder::new().prefix("tendril-disk-").tempdir()?;
        let mut keeper = Command::new("unshare")
            .args(way)
            .args(["sh", "-c", KEEP, "sh"])
            .arg(folder.path())
            .arg(megabytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("unshare does not start")?;
        let keeper_id = keeper.id().context("unshare has ended")?;
        let said = keeper.stdout.take().context("unshare has no output")?;
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line).await?;
        if line.trim() != "mounted" {
            let ended = keeper.wait_with_output().await?;
            return Ok(Err(String::from_utf8_lossy(&ended.stderr).into_owned()));
        }
        Ok(Ok(Self {
            keeper,
            keeper_id,
            of_users: way.contains(&"--user"),
            folder,
        }))
    }

    /// Where it is for whoever runs on it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it is for everybody else.
    #[must_use]
    pub fn seen_from_outside(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper_id));
        let folder = self.folder.path();
        root.join(folder.strip_prefix("/").unwrap_or(folder))
    }

    /// A script, put into `into`, that becomes `program` on this disk.
    pub(crate) fn script_of(&self, program: &Path, into: &Path) -> Result<PathBuf> {
        let user = if self.of_users {
            "--user --preserve-credentials "
        } else {
            ""
        };
        let text = format!(
            "#!/bin/sh\nexec nsenter --target {} {user}--mount -- '{}' \"$@\"\n",
            self.keeper_id,
            program.display()
        );
        let name = program.file_name().context("a program has a name")?;
        let script = into.join(name).with_extension("sh");
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(true).write(true).mode(0o700);
        file.open(&script)?.write_all(text.as_bytes())?;
        Ok(script)
    }

    /// Takes whatever room is left.
    pub fn fill(&self) -> Result<()> {
        let mut ballast = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.ballast())?;
        loop {
            match ballast.write_all(&[0; 4096]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error).context("the disk is not filled"),
            }
        }
    }

    /// Gives the room back that [`fill`](Self::fill) took.
    pub fn make_room(&self) -> Result<()> {
        Ok(fs::remove_file(self.ballast())?)
    }

    fn ballast(&self) -> PathBuf {
        self.seen_from_outside().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The namespace is left by whatever ran in it; the folder outside is empty.
        let _ = self.keeper.start_kill();
    }
}
