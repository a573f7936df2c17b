//! Whether the schema of a database is the one that this hub makes, without
//! changing it.

use sqlx::{ConnectOptions as _, migrate::Migrator};
use tokio::time::timeout;

use super::{Conn, Sql, columns, postgres, run, sqlite};
use crate::store::{StoreError, StoreOptions, options::Location};

const APPLIED: Sql = Sql::same("SELECT version, success FROM _sqlx_migrations");

columns!(Applied {
    version: i64,
    success: bool,
});

/// How the schema is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// As this hub makes it.
    Current,
    /// There is none yet.
    Missing,
    /// Steps are to be done.
    Behind {
        /// How many.
        steps: usize,
    },
    /// A newer hub has been here.
    Ahead,
    /// A step was begun and not finished.
    Broken,
}

/// Looks at the schema of the database that `options` name.
///
/// # Errors
/// [`StoreError`] when it cannot be reached or read.
pub async fn schema(options: StoreOptions) -> Result<Schema, StoreError> {
    let (applied, known) = match &options.location {
        Location::Sqlite(path) if !path.exists() => return Ok(Schema::Missing),
        Location::Sqlite(path) => {
            let mut conn = sqlite::reading(&options, path).connect().await?;
            let applied = applied(Conn::Sqlite(&mut conn)).await;
            (applied, sqlite::migrations())
        }
        Location::Postgres(address) => {
            let connect = postgres::session(&options, address);
            let mut conn = timeout(options.patience, connect.connect())
                .await
                .map_err(|_| StoreError::TimedOut)??;
            let applied = applied(Conn::Postgres(&mut conn)).await;
            (applied, postgres::migrations())
        }
    };
    Ok(judge(applied?.as_deref(), &known))
}

/// The steps that were done; none where there is no table of them.
async fn applied(conn: Conn<'_>) -> Result<Option<Vec<Applied>>, StoreError> {
    let found: Result<Vec<Applied>, sqlx::Error> = run!(conn, APPLIED, [], fetch_all);
    match found {
        Ok(applied) => Ok(Some(applied)),
        Err(sqlx::Error::Database(error))
            if error.code().as_deref() == Some("42P01")
                || error.message().contains("no such table") =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn judge(applied: Option<&[Applied]>, known: &Migrator) -> Schema {
    let Some(applied) = applied else {
        return Schema::Missing;
    };
    if applied.iter().any(|step| !step.success) {
        return Schema::Broken;
    }
    let is_applied = |version: i64| applied.iter().any(|step| step.version == version);
    let steps = known
        .iter()
        .filter(|step| !is_applied(step.version))
        .count();
    let is_known = |version: i64| known.iter().any(|step| step.version == version);
    if steps > 0 {
        Schema::Behind { steps }
    } else if applied.iter().all(|step| is_known(step.version)) {
        Schema::Current
    } else {
        Schema::Ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_applied_is_compared_with_what_is_known() {
        let known = sqlite::migrations();
        let all: Vec<i64> = known.iter().map(|step| step.version).collect();
        let of = |versions: &[i64], success| {
            let steps: Vec<Applied> = versions
                .iter()
                .map(|version| Applied {
                    version: *version,
                    success,
                })
                .collect();
            judge(Some(&steps), &known)
        };
        assert_eq!(judge(None, &known), Schema::Missing);
        assert_eq!(of(&all, true), Schema::Current);
        assert_eq!(of(&all, false), Schema::Broken);
        assert_eq!(of(&all[1..], true), Schema::Behind { steps: 1 });
        let newer = [all.as_slice(), &[9999]].concat();
        assert_eq!(of(&newer, true), Schema::Ahead);
    }
}
