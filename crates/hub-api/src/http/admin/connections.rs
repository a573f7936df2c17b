//! `/api/admin/connections` and `/api/admin/users/{id}/connections`: who is
//! connected, and sending them away; role Admin.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use shared_dto::{
    connection::{ConnectionsClosed, UserConnections},
    problem::Problem,
};
use signalr::ConnectionSummary;
use utoipa::ToSchema;

use crate::{
    auth::Admin,
    delivery::Delivery,
    http::{
        ApiError,
        internal::connections,
        params::{PathUser, Query},
    },
    hub::operations::Operations,
};

/// What a client is told that an operator sent away.
const SENT_AWAY: &str = "An operator closed this connection.";

/// Some of this node's connections.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeConnections {
    /// How many there are.
    total: usize,
    /// Those for which most bytes wait, as many as were asked for.
    connections: Vec<NodeConnection>,
}

/// A connection of this node.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeConnection {
    /// Its id, which is no secret.
    connection_id: String,
    /// Its user.
    user_id: Option<String>,
    /// `WebSockets`, `ServerSentEvents` or `LongPolling`.
    transport: &'static str,
    /// `json` or `messagepack`.
    protocol: &'static str,
    /// Bytes that wait to be written to it: a slow client has many.
    waiting_bytes: usize,
}

impl From<ConnectionSummary> for NodeConnection {
    fn from(summary: ConnectionSummary) -> Self {
        Self {
            connection_id: summary.connection_id.to_string(),
            user_id: summary.user_id,
            transport: summary.transport,
            protocol: summary.protocol,
            waiting_bytes: summary.waiting_bytes,
        }
    }
}

/// List connections of this node (role Admin)
///
/// The slowest first: those for which most bytes wait.
#[utoipa::path(
    get,
    path = "/api/admin/connections",
    tag = "admin",
    security(("bearer" = [])),
    params(("limit" = Option<i64>, Query, description = "1 to 100, 20 where it is missing")),
    responses(
        (status = 200, body = NodeConnections),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn node_connections(
    _: Admin,
    query: Query,
    State(operations): State<Operations>,
) -> Result<Json<NodeConnections>, ApiError> {
    let limit = query.limit()?;
    let mut all = operations.clients.connections();
    let total = all.len();
    all.sort_unstable_by_key(|each| std::cmp::Reverse(each.waiting_bytes));
    let connections = all
        .into_iter()
        .take(limit as usize)
        .map(NodeConnection::from);
    Ok(Json(NodeConnections {
        total,
        connections: connections.collect(),
    }))
}

/// Close a connection of this node (role Admin)
///
/// Its client is told not to reconnect by itself.
#[utoipa::path(
    delete,
    path = "/api/admin/connections/{id}",
    tag = "admin",
    security(("bearer" = [])),
    params(("id" = String, Path)),
    responses(
        (status = 200, body = ConnectionsClosed),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn close_connection(
    Admin(operator): Admin,
    Path(id): Path<String>,
    State(operations): State<Operations>,
) -> Result<Json<ConnectionsClosed>, ApiError> {
    let absent = || ApiError::not_found("connection");
    let all = operations.clients.connections();
    let found = all
        .into_iter()
        .find(|each| each.connection_id.to_string() == id);
    let user = found.and_then(|each| each.user_id).ok_or_else(absent)?;
    let contexts = operations.clients.context().connections_of(&user);
    let context = contexts
        .into_iter()
        .find(|each| each.connection_id().to_string() == id)
        .ok_or_else(absent)?;
    context.close(Some(SENT_AWAY.to_owned()), false);
    tracing::info!(operator = %operator.user_id, connection.id = id, "an operator closed a connection");
    Ok(Json(ConnectionsClosed { closed: 1 }))
}

/// List the connections of a user (role Admin)
///
/// On all nodes, as far as they answer within a second.
#[utoipa::path(
    get,
    path = "/api/admin/users/{id}/connections",
    tag = "admin",
    security(("bearer" = [])),
    params(("id" = String, Path)),
    responses(
        (status = 200, body = UserConnections),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn admin_connections(
    _: Admin,
    PathUser(user): PathUser,
    State(delivery): State<Delivery>,
) -> Result<Json<UserConnections>, ApiError> {
    Ok(connections::listed(&delivery, &user).await)
}

/// Close the connections of a user (role Admin)
///
/// On all nodes, as far as they answer within a second. Their clients are told
/// not to reconnect by themselves.
#[utoipa::path(
    delete,
    path = "/api/admin/users/{id}/connections",
    tag = "admin",
    security(("bearer" = [])),
    params(("id" = String, Path)),
    responses(
        (status = 200, body = ConnectionsClosed),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn admin_close_connections(
    Admin(operator): Admin,
    PathUser(user): PathUser,
    State(delivery): State<Delivery>,
) -> Result<Json<ConnectionsClosed>, ApiError> {
    let closed = connections::closed(&delivery, &user).await;
    tracing::info!(
        operator = %operator.user_id,
        closed = closed.closed,
        "an operator closed connections"
    );
    Ok(closed)
}
