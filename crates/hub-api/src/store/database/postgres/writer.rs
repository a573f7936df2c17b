//! The connection that writes: reconnects by itself, and finds out what became
//! of a commit whose answer was lost.

use std::time::Duration;

use sqlx::{ConnectOptions, Connection, PgConnection, Row, postgres::PgConnectOptions};
use tokio::time::timeout;

use super::{
    Doubt,
    presence::{ENTER, LEAVE},
};
use crate::store::{
    Clock, LoggedEntry, StoreError, StoreOptions, UnixMillis,
    database::{Conn, Transaction},
};

/// How long a roll-back or a farewell may take before the connection is dropped.
const FAREWELL: Duration = Duration::from_secs(1);

/// One message begins the transaction and asks for its time and its id.
const BEGIN: &str = "BEGIN; SELECT (extract(epoch FROM now()) * 1000)::int8, \
                     pg_current_xact_id()::text";

/// The connection, while there is one.
#[derive(Debug)]
pub(in crate::store) struct PostgresWriter {
    connect: PgConnectOptions,
    conn: Option<PgConnection>,
    clock: Clock,
    patience: Duration,
    doubt: Doubt,
}

impl PostgresWriter {
    pub(super) fn new(connect: PgConnectOptions, options: &StoreOptions, clock: Clock) -> Self {
        Self {
            connect,
            conn: None,
            clock,
            patience: options.patience,
            doubt: Doubt::default(),
        }
    }

    /// A connection that died while it idled is found out here, before
    /// anything was written: that is tried once more.
    pub(in crate::store::database) async fn begin(
        &mut self,
    ) -> Result<(Transaction<'_>, UnixMillis), StoreError> {
        let had_one = self.conn.is_some();
        let now = match self.ask_to_begin().await {
            Err(_) if had_one => {
                self.conn = None;
                self.ask_to_begin().await?
            }
            begun => begun?,
        };
        let conn = self.conn.as_mut().ok_or(StoreError::TimedOut)?;
        Ok((
            Transaction::postgres(Conn::Postgres(conn), &mut self.doubt),
            now,
        ))
    }

    async fn ask_to_begin(&mut self) -> Result<UnixMillis, StoreError> {
        let conn = connected(&mut self.conn, &self.connect, self.patience).await?;
        let rows = timeout(self.patience, sqlx::raw_sql(BEGIN).fetch_all(conn))
            .await
            .map_err(|_| StoreError::TimedOut)??;
        let row = rows
            .first()
            .ok_or(StoreError::Unreadable { what: "clock" })?;
        self.doubt.begun(row.try_get(1)?);
        let now = UnixMillis(row.try_get(0)?);
        self.clock.follow(now);
        // A clock that a test moves is that test's.
        Ok(if self.clock.is_following() {
            now
        } else {
            self.clock.now()
        })
    }

    /// Rolls back where the connection is well, and else drops it: the server
    /// ends its side.
    pub(in crate::store::database) async fn roll_back(&mut self, error: StoreError) -> StoreError {
        let refused = error.is_refusal();
        let in_doubt = self.doubt.is_pending() && !refused;
        if refused && let Some(mut conn) = self.conn.take() {
            let rolled_back = timeout(FAREWELL, sqlx::raw_sql("ROLLBACK").execute(&mut conn)).await;
            if rolled_back.is_ok_and(|done| done.is_ok()) {
                self.conn = Some(conn);
            }
        } else {
            self.conn = None;
        }
        if in_doubt {
            if !self.doubt.has_entries() {
                self.doubt.over();
            }
            // It may have been carried out.
            return StoreError::TimedOut;
        }
        self.doubt.over();
        error
    }

    pub(in crate::store::database) fn is_in_doubt(&self) -> bool {
        self.doubt.is_pending()
    }

    /// The entries of the commit in doubt, where it was carried out.
    pub(in crate::store::database) async fn resolve(
        &mut self,
    ) -> Result<Vec<LoggedEntry>, StoreError> {
        let conn = connected(&mut self.conn, &self.connect, self.patience).await?;
        let answer = timeout(self.patience, self.doubt.ask(conn))
            .await
            .unwrap_or(Err(StoreError::TimedOut));
        match answer {
            Ok(Some(entries)) => {
                self.doubt.over();
                Ok(entries)
            }
            // Its old session still holds what it locked. It ends soon.
            Ok(None) => Err(StoreError::TimedOut),
            Err(error) => {
                self.conn = None;
                Err(error)
            }
        }
    }

    pub(in crate::store::database) async fn close(self) -> Result<(), StoreError> {
        if let Some(mut conn) = self.conn {
            // The server ends the session either way.
            let farewell = async {
                sqlx::raw_sql(LEAVE).execute(&mut conn).await?;
                conn.close().await
            };
            let _ = timeout(FAREWELL, farewell).await;
        }
        Ok(())
    }
}

async fn connected<'c>(
    conn: &'c mut Option<PgConnection>,
    options: &PgConnectOptions,
    patience: Duration,
) -> Result<&'c mut PgConnection, StoreError> {
    if conn.is_none() {
        let enter = async {
            let mut fresh = options.connect().await?;
            sqlx::raw_sql(ENTER).execute(&mut fresh).await?;
            Ok::<_, sqlx::Error>(fresh)
        };
        let fresh = timeout(patience, enter)
            .await
            .map_err(|_| StoreError::TimedOut)??;
        *conn = Some(fresh);
    }
    conn.as_mut().ok_or(StoreError::TimedOut)
}
