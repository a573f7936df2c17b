//! Analyses: what a client uploads, sees and gets back.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::UserId;

/// Where an analysis stands. It starts as `Processing` and ends once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum AnalysisStatus {
    /// Accepted; a worker has it or will have it.
    Processing,
    /// Ended with a result.
    Completed,
    /// Ended without one; `errorMessage` says why.
    Failed,
}

impl AnalysisStatus {
    /// The status as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "Processing",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
        }
    }
}

/// The answer to an accepted upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisAccepted {
    /// The new analysis.
    #[schema(example = 1)]
    pub analysis_id: i64,
    /// Always `Processing` for a new analysis; where it stands for a repeated request.
    pub status: AnalysisStatus,
}

/// One analysis, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// The analysis.
    pub analysis_id: i64,
    /// Its owner.
    pub user_id: UserId,
    /// Where it stands.
    pub status: AnalysisStatus,
    /// What grows there, in the uploader's words.
    pub crop_type: Option<String>,
    /// The uploader's notes.
    pub notes: Option<String>,
    /// The photo: a link that opens without a header for some days.
    pub image_url: Option<String>,
    /// The photo with the symptoms outlined, once there is one.
    pub overlay_url: Option<String>,
    /// The last progress that a worker told, while it is `Processing`.
    pub progress: Option<Progress>,
    /// What the analysis found, once it is `Completed`.
    pub result: Option<AnalysisResult>,
    /// Why it failed, in words for the user, once it is `Failed`.
    pub error_message: Option<String>,
    /// When it was accepted.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it ended.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub completed_at: Option<OffsetDateTime>,
}

/// How far an analysis is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// 0 to 100.
    pub percent: u8,
    /// A short machine-readable name of the step, e.g. `segmenting`.
    pub stage: String,
    /// The step in words for the user.
    pub message: String,
}

/// A page of analyses, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisPage {
    /// At most `limit` analyses.
    pub items: Vec<Analysis>,
    /// Give it as `before` to get the next page; absent on the last.
    pub next_before: Option<i64>,
}

/// What an analysis found. Analysers fill what they know; `details` carries
/// what only they know.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisResult {
    /// 0 (dead) to 100 (no symptom seen).
    pub overall_health_score: Option<u8>,
    /// The main finding, in words for the user.
    pub primary_concern: Option<String>,
    /// What grows there, where the analyser knows it or was told.
    pub crop_type: Option<String>,
    /// 0 to 1: how far the analyser trusts itself.
    pub confidence: Option<f64>,
    /// What was found on the leaf, largest first.
    #[serde(default)]
    pub symptoms: Vec<Symptom>,
    /// Leaf area as a share of the photo, 0 to 1.
    pub leaf_area_share: Option<f64>,
    /// How bad it is as a whole: `none`, `low`, `moderate`, `high`, `severe`.
    pub severity: Option<String>,
    /// What a user should do or know.
    #[serde(default)]
    pub recommendations: Vec<String>,
    /// What made the result, e.g. `builtin-colour-screening/1` or `n8n`.
    pub analyser: Option<String>,
    /// What the analyser says of its own limits.
    pub disclaimer: Option<String>,
    /// Anything else the analyser answered, unread by the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub details: Option<serde_json::Value>,
}

/// One kind of symptom on the leaf.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Symptom {
    /// `chlorosis`, `rust`, `necrosis`, `mildew`, or what another analyser names.
    pub kind: String,
    /// Its share of the leaf area, 0 to 1.
    pub leaf_share: f64,
    /// Number of separate patches.
    pub patches: u32,
}
