//! A connection that reads, lent by the pool.
//!
//! The pool takes one back only once the server has answered it, and waits
//! for that without end. One whose question is still open is closed instead:
//! should the network be gone, the pool would otherwise lose its place.

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};

/// The connection, until it is dropped. It goes back to the pool only where
/// [`finished`](Self::finished) was called.
#[derive(Debug)]
pub(in crate::store) struct PostgresReader {
    conn: PoolConnection<Postgres>,
    finished: bool,
}

impl PostgresReader {
    pub(in crate::store::database) async fn acquire(pool: &PgPool) -> Result<Self, sqlx::Error> {
        Ok(Self {
            conn: pool.acquire().await?,
            finished: false,
        })
    }

    pub(in crate::store::database) fn conn(&mut self) -> &mut PgConnection {
        &mut self.conn
    }

    /// All that was asked has been answered.
    pub(in crate::store::database) fn finished(mut self) {
        self.finished = true;
    }
}

impl Drop for PostgresReader {
    fn drop(&mut self) {
        if !self.finished {
            self.conn.close_on_drop();
        }
    }
}
