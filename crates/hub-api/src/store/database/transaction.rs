//! The writer's transaction. In SQLite it is begun by its first statement and
//! committed by its last: a lone append to a stream that is known is one hop to
//! the database's thread. In PostgreSQL it was begun before, with the question
//! for the time.

use sqlx::{FromRow, postgres::PgRow, sqlite::SqliteRow};

use super::{
    Conn, Counters, RowsStatement,
    postgres::Doubt,
    rows::{Args, MAX_ROWS, Role},
};
use crate::store::{LoggedEntry, StoreError};

/// A transaction. It must end with a commit or, after any error, with a
/// roll-back.
#[derive(Debug)]
pub(in crate::store) struct Transaction<'c> {
    conn: Conn<'c>,
    begun: bool,
    /// SQLite's counters.
    counters: Option<&'c mut Counters>,
    /// Where it is noted that a commit is under way.
    doubt: Option<&'c mut Doubt>,
}

impl<'c> Transaction<'c> {
    /// One that begins with its first statement.
    pub(super) fn sqlite(conn: Conn<'c>, counters: &'c mut Counters) -> Self {
        Self {
            conn,
            begun: false,
            counters: Some(counters),
            doubt: None,
        }
    }

    /// One that has begun.
    pub(super) fn postgres(conn: Conn<'c>, doubt: &'c mut Doubt) -> Self {
        Self {
            conn,
            begun: true,
            counters: None,
            doubt: Some(doubt),
        }
    }

    /// True where others write as well, and wait for its row locks.
    pub(in crate::store) fn is_shared(&self) -> bool {
        matches!(self.conn, Conn::Postgres(_))
    }

    /// The counters, where they are this process's alone.
    pub(in crate::store) fn counters(&mut self) -> Option<&mut Counters> {
        self.counters.as_deref_mut()
    }

    /// The connection, inside the transaction.
    pub(in crate::store) async fn conn(&mut self) -> Result<Conn<'_>, StoreError> {
        if !self.begun {
            control(&mut self.conn, "BEGIN IMMEDIATE").await?;
            self.begun = true;
        }
        Ok(self.conn.again())
    }

    /// Runs the statement over `items`, and gives back its rows in no order.
    pub(in crate::store) async fn fetch_rows<T, R>(
        &mut self,
        statement: &RowsStatement,
        items: &[T],
        bind: impl FnMut(&mut Args, &T) + Copy,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let mut rows = Vec::new();
        for chunk in items.chunks(MAX_ROWS) {
            rows.append(&mut self.fetch_chunk(statement, None, chunk, bind).await?);
        }
        Ok(rows)
    }

    /// Runs the statement over at most [`MAX_ROWS`] items. `trailing` is one
    /// argument more in PostgreSQL.
    pub(in crate::store) async fn fetch_chunk<T, R>(
        &mut self,
        statement: &RowsStatement,
        trailing: Option<i64>,
        items: &[T],
        bind: impl FnMut(&mut Args, &T),
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let role = if self.begun { Role::Plain } else { Role::Begin };
        self.begun = true;
        fetch(self.conn.again(), (statement, role, trailing), items, bind).await
    }

    /// Runs the statement over `items`, for its effect.
    pub(in crate::store) async fn execute_rows<T>(
        &mut self,
        statement: &RowsStatement,
        items: &[T],
        bind: impl FnMut(&mut Args, &T) + Copy,
    ) -> Result<(), StoreError> {
        let _: Vec<()> = self.fetch_rows(statement, items, bind).await?;
        Ok(())
    }

    /// Runs the statement over the log's new entries and commits.
    pub(in crate::store) async fn commit_entries(
        self,
        statement: &RowsStatement,
        entries: &[LoggedEntry],
        bind: impl FnMut(&mut Args, &LoggedEntry) + Copy,
    ) -> Result<(), StoreError> {
        match self.conn {
            Conn::Sqlite(_) => self.commit_to_file(statement, entries, bind).await,
            Conn::Postgres(_) => self.commit_to_server(statement, entries, bind).await,
        }
    }

    async fn commit_to_file(
        mut self,
        statement: &RowsStatement,
        entries: &[LoggedEntry],
        bind: impl FnMut(&mut Args, &LoggedEntry) + Copy,
    ) -> Result<(), StoreError> {
        let Conn::Sqlite(conn) = &mut self.conn else {
            unreachable!("the caller has looked");
        };
        let mut chunks = entries.chunks(MAX_ROWS).peekable();
        while let Some(chunk) = chunks.next() {
            let role = match (self.begun, chunks.peek().is_none()) {
                (true, false) => Role::Plain,
                (false, false) => Role::Begin,
                (true, true) => Role::Commit,
                (false, true) => Role::Whole,
            };
            self.begun = true;
            let (sql, args) = statement.bind_sqlite(role, chunk, bind);
            sqlx::query_with(sql, args).execute(&mut **conn).await?;
        }
        if entries.is_empty() && self.begun {
            control(&mut self.conn, "COMMIT").await?;
        }
        Ok(())
    }

    async fn commit_to_server(
        mut self,
        statement: &RowsStatement,
        entries: &[LoggedEntry],
        bind: impl FnMut(&mut Args, &LoggedEntry) + Copy,
    ) -> Result<(), StoreError> {
        self.execute_rows(statement, entries, bind).await?;
        if let Some(doubt) = &mut self.doubt {
            doubt.committing(entries);
        }
        control(&mut self.conn, "COMMIT").await?;
        if let Some(doubt) = self.doubt {
            doubt.committed();
        }
        Ok(())
    }
}

/// Runs a statement over at most [`MAX_ROWS`] items.
async fn fetch<T, R>(
    conn: Conn<'_>,
    (statement, role, trailing): (&RowsStatement, Role, Option<i64>),
    items: &[T],
    bind: impl FnMut(&mut Args, &T),
) -> Result<Vec<R>, StoreError>
where
    R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    Ok(match conn {
        Conn::Sqlite(conn) => {
            let (sql, args) = statement.bind_sqlite(role, items, bind);
            sqlx::query_as_with(sql, args).fetch_all(conn).await?
        }
        Conn::Postgres(conn) => {
            let (sql, args) = statement.bind_postgres(trailing, items, bind);
            sqlx::query_as_with(sql, args).fetch_all(conn).await?
        }
    })
}

/// Reads with a statement over `items`, outside of a transaction.
pub(in crate::store) async fn read_rows<T, R>(
    mut conn: Conn<'_>,
    statement: &RowsStatement,
    items: &[T],
    bind: impl FnMut(&mut Args, &T) + Copy,
) -> Result<Vec<R>, StoreError>
where
    R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    // PostgreSQL takes any number of rows at once.
    let most = match conn {
        Conn::Sqlite(_) => MAX_ROWS,
        Conn::Postgres(_) => items.len().max(1),
    };
    let mut rows = Vec::new();
    for chunk in items.chunks(most) {
        rows.append(&mut fetch(conn.again(), (statement, Role::Plain, None), chunk, bind).await?);
    }
    Ok(rows)
}

async fn control(conn: &mut Conn<'_>, sql: &'static str) -> Result<(), sqlx::Error> {
    match conn {
        Conn::Sqlite(conn) => sqlx::query(sql).execute(&mut **conn).await.map(drop),
        // The simple protocol: nothing is prepared, and one message is sent.
        Conn::Postgres(conn) => sqlx::raw_sql(sql).execute(&mut **conn).await.map(drop),
    }
}
