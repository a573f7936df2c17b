//! What a hub in Development offers to the pages of the one who develops.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::UserId;

/// `POST /api/development/token`: a token is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DevelopmentTokenRequest {
    /// Whose token it is to be.
    pub user_id: UserId,
    /// The roles that it is to name, e.g. `Admin`.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// The answer: a token like any other.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DevelopmentToken {
    /// For `Authorization: Bearer`.
    pub token: String,
    /// When it ends.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

impl std::fmt::Debug for DevelopmentToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevelopmentToken")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
