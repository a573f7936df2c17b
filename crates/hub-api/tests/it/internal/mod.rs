//! The internal link, as workers and other services use it.

mod jobs;
mod notifications;
mod broadcast;
mod refusals;
mod overlays;
mod guard;

use serde_json::{Value, json};

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
