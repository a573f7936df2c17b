//! Which hubs are at work on the database: each writer holds a share of one
//! advisory lock for as long as its session lives.

use sqlx::{PgConnection, postgres::PgDatabaseError};

/// Ends the share before the session, which the server ends a little later.
pub(super) const LEAVE: &str = "SELECT pg_advisory_unlock_shared(7305808869231650933)";

/// Any number that is this lock's alone.
pub(super) const ENTER: &str = "SELECT pg_advisory_lock_shared(7305808869231650933)";

/// The whole lock, for a hub that starts. The session of one that was just
/// ended is waited for a little.
const ALONE: &str = "SET lock_timeout = '500ms'; SELECT pg_advisory_lock(7305808869231650933)";

/// True when no hub is at work, and none enters before the session ends.
pub(super) async fn is_alone(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    match sqlx::raw_sql(ALONE).execute(conn).await {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error))
            if error
                .try_downcast_ref::<PgDatabaseError>()
                .is_some_and(|error| error.code() == LOCK_NOT_AVAILABLE) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
