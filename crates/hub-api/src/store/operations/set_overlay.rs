//! The attempt that holds an analysis sets its overlay picture.

use crate::store::{
    OverlaySet, StoreError,
    database::{Sql, locking, run},
    writer::{Operation, Work},
};

const FIND: Sql = locking!(
    "SELECT j.token = $1 AND j.state IN ('leased', 'parked'), a.overlay_key
     FROM analyses a JOIN jobs j ON j.analysis_id = a.id WHERE a.id = $2",
    "FOR UPDATE OF j"
);

const SET: Sql = Sql::same("UPDATE analyses SET overlay_key = $1 WHERE id = $2");

/// Sets the key of the overlay picture.
#[derive(Debug)]
pub(in crate::store) struct SetOverlay {
    pub(in crate::store) analysis_id: i64,
    pub(in crate::store) token: String,
    pub(in crate::store) overlay_key: String,
}

impl Operation for SetOverlay {
    type Output = OverlaySet;

    async fn run(&self, work: &mut Work<'_>) -> Result<OverlaySet, StoreError> {
        let found: Option<(Option<bool>, Option<String>)> = run!(
            work.tx.conn().await?,
            FIND,
            [self.token.as_str(), self.analysis_id],
            fetch_optional
        )?;
        let Some((holds, before)) = found else {
            return Ok(OverlaySet::Unknown);
        };
        if holds != Some(true) {
            return Ok(OverlaySet::Stale);
        }
        run!(
            work.tx.conn().await?,
            SET,
            [self.overlay_key.as_str(), self.analysis_id],
            execute
        )?;
        Ok(OverlaySet::Set {
            replaced: before.filter(|key| *key != self.overlay_key),
        })
    }
}
