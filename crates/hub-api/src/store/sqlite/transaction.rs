//! The writer's transaction, begun by its first statement and committed by
//! its last: a lone append is two hops to the database's thread, not five.

use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::statement::{Args, MAX_ROWS, Role, RowsStatement};
use crate::store::StoreError;

/// A transaction that begins with its first statement. It must end with a
/// commit or, after any error, with a roll-back.
#[derive(Debug)]
pub(super) struct Transaction<'c> {
    conn: &'c mut SqliteConnection,
    begun: bool,
}

impl<'c> Transaction<'c> {
    pub(super) fn new(conn: &'c mut SqliteConnection) -> Self {
        Self { conn, begun: false }
    }

    /// The connection, inside the transaction.
    pub(super) async fn conn(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        if !self.begun {
            sqlx::query("BEGIN IMMEDIATE")
                .execute(&mut *self.conn)
                .await?;
            self.begun = true;
        }
        Ok(self.conn)
    }

    /// Runs the statement over `items`, and gives back its rows in no order.
    pub(super) async fn fetch_rows<T>(
        &mut self,
        statement: &RowsStatement,
        items: &[T],
        bind: impl FnMut(&mut Args, &T) + Copy,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let mut rows = Vec::new();
        for chunk in items.chunks(MAX_ROWS) {
            rows.append(
                &mut self
                    .fetch_chunk(statement, Args::default(), chunk, bind)
                    .await?,
            );
        }
        Ok(rows)
    }

    /// Runs the statement over at most [`MAX_ROWS`] items, after the arguments
    /// that `args` holds already.
    pub(super) async fn fetch_chunk<T>(
        &mut self,
        statement: &RowsStatement,
        args: Args,
        items: &[T],
        bind: impl FnMut(&mut Args, &T),
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let role = if self.begun { Role::Plain } else { Role::Begin };
        self.begun = true;
        let (sql, args) = statement.bind(role, args, items, bind);
        Ok(sqlx::query_with(sql, args)
            .fetch_all(&mut *self.conn)
            .await?)
    }

    /// Runs the statement over `items`, for its effect.
    pub(super) async fn execute_rows<T>(
        &mut self,
        statement: &RowsStatement,
        items: &[T],
        bind: impl FnMut(&mut Args, &T) + Copy,
    ) -> Result<(), StoreError> {
        self.fetch_rows(statement, items, bind).await.map(drop)
    }

    /// Runs the statement over `items` and commits.
    pub(super) async fn commit_rows<T>(
        mut self,
        statement: &RowsStatement,
        items: &[T],
        bind: impl FnMut(&mut Args, &T) + Copy,
    ) -> Result<(), StoreError> {
        let last = items.len().saturating_sub(1) / MAX_ROWS * MAX_ROWS;
        let (first, last) = items.split_at(last);
        self.execute_rows(statement, first, bind).await?;
        if last.is_empty() || !self.begun {
            self.execute_rows(statement, last, bind).await?;
            return self.commit().await;
        }
        let (sql, args) = statement.bind(Role::Commit, Args::default(), last, bind);
        sqlx::query_with(sql, args).execute(&mut *self.conn).await?;
        Ok(())
    }

    async fn commit(self) -> Result<(), StoreError> {
        if self.begun {
            sqlx::query("COMMIT").execute(self.conn).await?;
        }
        Ok(())
    }
}

/// Ends a transaction that met an error.
pub(super) async fn roll_back(conn: &mut SqliteConnection) {
    // Where BEGIN failed, and on some errors where SQLite rolls back by itself
    // (disk full, I/O), it says here that no transaction is active. Should one
    // be left open all the same, the next BEGIN fails and says so.
    if let Err(error) = sqlx::query("ROLLBACK").execute(conn).await {
        tracing::debug!(%error, "store.rollback_refused");
    }
}
