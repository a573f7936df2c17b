//! `GET` and `DELETE /internal/users/{id}/connections`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// The open connections of one user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserConnections {
    /// The oldest first.
    pub connections: Vec<ConnectionInfo>,
}

/// One open connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionInfo {
    /// The SignalR connection id, which is no secret.
    pub connection_id: String,
    /// The hub's path, e.g. `/hubs/plantanalysis`.
    pub hub: String,
    /// `WebSockets`, `ServerSentEvents` or `LongPolling`.
    pub transport: String,
    /// When it was opened.
    #[serde(with = "time::serde::rfc3339")]
    pub connected_at: OffsetDateTime,
}

/// How many connections a `DELETE` closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionsClosed {
    /// Connections that were told to close.
    pub closed: usize,
}
