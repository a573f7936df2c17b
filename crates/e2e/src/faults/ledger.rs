//! What was accepted, on the disk.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::Mutex,
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// One acceptance.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub(super) enum Entry {
    /// The hub answered 202 to an upload.
    Analysis { user: i64, id: i64 },
    /// The hub answered that a notification is in the log.
    #[serde(rename_all = "camelCase")]
    Notification {
        user: i64,
        /// Its place among the user's: they were sent one after the other.
        number: i64,
        notification_id: i64,
        sequence: i64,
    },
}

impl Entry {
    pub(super) fn user(&self) -> i64 {
        match self {
            Self::Analysis { user, .. } | Self::Notification { user, .. } => *user,
        }
    }
}

/// The ledger's file.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    file: Mutex<File>,
}

impl Ledger {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path)
            .with_context(|| format!("the ledger {} cannot be written", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(file),
        })
    }

    pub(super) fn write(&self, entry: Entry) -> Result<()> {
        let line = serde_json::to_string(&entry)? + "\n";
        let mut file = self.file.lock().expect("no holder of this lock panics");
        Ok(file.write_all(line.as_bytes())?)
    }

    /// All entries, as the disk has them.
    pub(super) fn read(&self) -> Result<Vec<Entry>> {
        let lines = BufReader::new(File::open(&self.path)?).lines();
        lines
            .map(|line| Ok(serde_json::from_str(&line?)?))
            .collect()
    }
}
