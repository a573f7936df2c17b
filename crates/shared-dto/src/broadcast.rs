//! `POST /internal/broadcast`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A message to every connection of a hub, or of one of its groups. It is not
/// logged: whoever is away does not get it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BroadcastRequest {
    /// The event, e.g. `Maintenance`.
    pub event: String,
    /// Its arguments, sent as they are.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub arguments: Vec<Box<RawValue>>,
    /// Only the connections in this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The hub's name, `plantanalysis` where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<String>,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BroadcastAccepted {
    /// Connections on the hub that was called; those of others are not counted.
    pub connections: usize,
}
