//! Whether an analysis has a picture, asked behind all that is being written.

use crate::store::{
    PictureOf, StoreError,
    database::{Sql, run},
    writer::{Operation, Work},
};

const PHOTO: Sql =
    Sql::same("SELECT EXISTS (SELECT 1 FROM analyses WHERE user_id = $1 AND image_key = $2)");

const OVERLAY: Sql =
    Sql::same("SELECT EXISTS (SELECT 1 FROM analyses WHERE id = $1 AND overlay_key = $2)");

/// Looks for the key of a picture. It reads only, and yet goes through the
/// writer: what waited there before it has been written by then, or never
/// will be.
#[derive(Debug)]
pub(in crate::store) struct NamesPicture {
    pub(in crate::store) of: PictureOf,
    pub(in crate::store) key: String,
}

impl Operation for NamesPicture {
    type Output = bool;

    async fn run(&self, work: &mut Work<'_>) -> Result<bool, StoreError> {
        let conn = work.tx.conn().await?;
        let key = self.key.as_str();
        let (named,): (bool,) = match &self.of {
            PictureOf::User(user) => run!(conn, PHOTO, [user.as_str(), key], fetch_one)?,
            PictureOf::Analysis(id) => run!(conn, OVERLAY, [*id, key], fetch_one)?,
        };
        Ok(named)
    }
}
