//! Whom a server's process and files belong to.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use crate::Error;

/// A user and their group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

impl Owner {
    /// Whom to run a server as that refuses to run as root: the named user, who
    /// came with the package; `None`, which is oneself, for everybody but root.
    pub(crate) fn instead_of_root(name: &str) -> Result<Option<Self>, Error> {
        let own = fs::metadata("/proc/self").map_err(Error::io("cannot look at", "/proc/self"))?;
        if own.uid() != 0 {
            return Ok(None);
        }
        let users =
            fs::read_to_string("/etc/passwd").map_err(Error::io("cannot read", "/etc/passwd"))?;
        let found = users.lines().find_map(|line| Self::of_line(line, name));
        found.map(Some).ok_or(Error::State {
            name: "PostgreSQL",
            state: "refuses to run as root, and there is no user postgres to run it as",
        })
    }

    /// `name:password:user:group:..`
    fn of_line(line: &str, name: &str) -> Option<Self> {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        Some(Self {
            user: fields.nth(1)?.parse().ok()?,
            group: fields.next()?.parse().ok()?,
        })
    }

    /// Makes a file or folder theirs.
    pub(crate) fn take(self, path: &Path) -> Result<(), Error> {
        std::os::unix::fs::chown(path, Some(self.user), Some(self.group))
            .map_err(Error::io("cannot give away", path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name() {
        let owner = Owner {
            user: 101,
            group: 104,
        };
        let line = "postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash";
        assert_eq!(Owner::of_line(line, "postgres"), Some(owner));
        assert_eq!(Owner::of_line(line, "postgre"), None);
        assert_eq!(Owner::of_line("postgres", "postgres"), None);
    }
}
