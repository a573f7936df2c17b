//! The attempt that holds an analysis sets its overlay picture.

use sqlx::Row;

use crate::store::{
    OverlaySet, StoreError,
    sqlite::{queue::Operation, work::Work},
};

/// Sets the key of the overlay picture.
#[derive(Debug)]
pub(in crate::store::sqlite) struct SetOverlay {
    pub(in crate::store::sqlite) analysis_id: i64,
    pub(in crate::store::sqlite) token: String,
    pub(in crate::store::sqlite) overlay_key: String,
}

impl Operation for SetOverlay {
    type Output = OverlaySet;

    async fn run(&self, work: &mut Work<'_>) -> Result<OverlaySet, StoreError> {
        let row = sqlx::query(
            "SELECT j.token = ? AND j.state IN ('leased', 'parked'), a.overlay_key
             FROM analyses a JOIN jobs j ON j.analysis_id = a.id WHERE a.id = ?",
        )
        .bind(self.token.as_str())
        .bind(self.analysis_id)
        .fetch_optional(work.tx.conn().await?)
        .await?;
        let Some(row) = row else {
            return Ok(OverlaySet::Unknown);
        };
        if row.try_get::<Option<bool>, _>(0)? != Some(true) {
            return Ok(OverlaySet::Stale);
        }
        sqlx::query("UPDATE analyses SET overlay_key = ? WHERE id = ?")
            .bind(self.overlay_key.as_str())
            .bind(self.analysis_id)
            .execute(work.tx.conn().await?)
            .await?;
        let before: Option<String> = row.try_get(1)?;
        Ok(OverlaySet::Set {
            replaced: before.filter(|key| *key != self.overlay_key),
        })
    }
}
