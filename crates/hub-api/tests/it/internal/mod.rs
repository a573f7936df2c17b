//! The internal link, as workers and other services use it.

mod jobs;
mod notifications;
mod broadcast;
mod refusals;
mod overlays;
mod guard;

use serde_json::{Value, json};

/// So many lists in one another.
pub(super) fn nested(deep: usize) -> Value {
    (1..deep).fold(json!([]), |inner, _| json!([inner]))
}

pub(super) fn completed(user: &str, analysis: &Value) -> Value {
    json!({
        "type": "analysis.completed",
        "userId": user,
        "notification": {
            "analysisId": analysis,
            "status": "Completed",
            "imageUrl": format!("/api/v1/plantanalyses/{analysis}/image"),
        },
    })
}
