//! Analyses as callers see them: what an upload writes and what a reader gets.

use shared_dto::{
    UserId,
    analysis::{AnalysisResult, AnalysisStatus, Progress},
};

use super::clock::UnixMillis;

/// A client's idempotency key, and the hash of what it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// Keys of different scopes never meet: `notify`, `upload:user:42`.
    pub scope: String,
    /// The client's key.
    pub key: String,
    /// The hash of the request; another hash under the same key is a conflict.
    pub body_hash: String,
}

/// An accepted upload: it becomes an analysis and its job in one transaction.
#[derive(Debug, Clone)]
pub struct NewAnalysis {
    /// The owner.
    pub user: UserId,
    /// What grows there, in the uploader's words.
    pub crop_type: Option<String>,
    /// The uploader's notes.
    pub notes: Option<String>,
    /// Where the photo is.
    pub photo: Photo,
    /// Makes a repeated upload give back the first analysis.
    pub idempotency: Option<Idempotency>,
    /// The W3C trace context of the upload, for the worker to continue.
    pub trace_context: Option<String>,
}

/// Where a photo is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Photo {
    /// In the image store.
    Stored {
        /// Its key there.
        key: String,
        /// `image/jpeg` and the like, judged by content.
        media_type: String,
    },
    /// At an address that the uploader gave.
    Remote {
        /// The address.
        url: String,
    },
}

/// What became of a [`NewAnalysis`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// Accepted: its status is `Processing`.
    Created {
        /// The new analysis.
        analysis_id: i64,
    },
    /// The same request came before.
    Repeated {
        /// The analysis of the first request.
        analysis_id: i64,
        /// Where it stands now.
        status: AnalysisStatus,
    },
    /// The idempotency key was used before with another body.
    Conflict,
}

/// One analysis as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisRow {
    /// The analysis.
    pub id: i64,
    /// Its owner.
    pub user: UserId,
    /// Where it stands.
    pub status: AnalysisStatus,
    /// What grows there, in the uploader's words.
    pub crop_type: Option<String>,
    /// The uploader's notes.
    pub notes: Option<String>,
    /// Where the photo is.
    pub photo: Photo,
    /// The key of the photo with the symptoms outlined, once there is one.
    pub overlay_key: Option<String>,
    /// The last progress that was told.
    pub progress: Option<Progress>,
    /// What was found, once it is `Completed`.
    pub result: Option<AnalysisResult>,
    /// What the user was told, once it is `Failed`.
    pub error_message: Option<String>,
    /// When it was accepted.
    pub created_at: UnixMillis,
    /// When it ended.
    pub completed_at: Option<UnixMillis>,
}

/// A page of a user's analyses, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysesPage {
    /// At most `limit` analyses.
    pub items: Vec<AnalysisRow>,
    /// The `before` of the next page; absent on the last.
    pub next_before: Option<i64>,
}

/// The pictures of an analysis, whoever owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pictures {
    /// The owner.
    pub user: UserId,
    /// The photo.
    pub photo: Photo,
    /// The key of the photo with the symptoms outlined, once there is one.
    pub overlay_key: Option<String>,
}

/// Whose picture one would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PictureOf {
    /// The photo of one of this user's analyses.
    User(UserId),
    /// The overlay of this analysis.
    Analysis(i64),
}

/// What became of an overlay picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OverlaySet {
    /// It is the analysis' overlay now.
    Set {
        /// The key of the one that it replaced, which nothing points to any more.
        replaced: Option<String>,
    },
    /// The token is no longer that of the job's lease.
    Stale,
    /// There is no such analysis.
    Unknown,
}

/// The path that the log keeps for an uploaded photo: below the hub's public
/// address, unsigned.
#[must_use]
pub fn image_path(analysis_id: i64) -> String {
    format!("/api/v1/plantanalyses/{analysis_id}/image")
}
