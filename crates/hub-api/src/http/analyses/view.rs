//! An analysis as its owner sees it.

use shared_dto::analysis::{Analysis, AnalysisStatus};

use crate::{
    links::Links,
    store::{AnalysisRow, Photo, UnixMillis, image_path},
};

/// The DTO of `row`, its pictures as links that open without a header.
pub(super) fn analysis(row: AnalysisRow, links: &Links, now: UnixMillis) -> Analysis {
    let image_url = match row.photo {
        Photo::Stored { .. } => links.picture(&image_path(row.id), now),
        Photo::Remote { url } => url,
    };
    let overlay_path = format!("/api/v1/plantanalyses/{}/overlay", row.id);
    Analysis {
        analysis_id: row.id,
        user_id: row.user,
        status: row.status,
        crop_type: row.crop_type,
        notes: row.notes,
        image_url: Some(image_url),
        overlay_url: row.overlay_key.map(|_| links.picture(&overlay_path, now)),
        progress: row
            .progress
            .filter(|_| row.status == AnalysisStatus::Processing),
        result: row.result,
        error_message: row.error_message,
        created_at: row.created_at.to_datetime(),
        completed_at: row.completed_at.map(UnixMillis::to_datetime),
    }
}
