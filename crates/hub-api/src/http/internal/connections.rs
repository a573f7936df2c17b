//! `GET` and `DELETE /internal/users/{id}/connections`: who is connected, and
//! sending them away. Operators do the same at a path of their own.

use axum::{Json, extract::State};
use shared_dto::{
    UserId,
    connection::{ConnectionsClosed, UserConnections},
    problem::Problem,
};

use super::guard::Internal;
use crate::{
    delivery::Delivery,
    http::{ApiError, params::PathUser},
};

/// List the connections of a user
///
/// On all nodes, as far as they answer within a second.
#[utoipa::path(
    get,
    path = "/internal/users/{id}/connections",
    tag = "internal",
    security(("internalSecret" = [])),
    params(("id" = String, Path)),
    responses(
        (status = 200, body = UserConnections),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_connections(
    _: Internal,
    PathUser(user): PathUser,
    State(delivery): State<Delivery>,
) -> Result<Json<UserConnections>, ApiError> {
    Ok(listed(&delivery, &user).await)
}

/// Close the connections of a user
///
/// On all nodes, as far as they answer within a second. Their clients are told not to reconnect by themselves.
#[utoipa::path(
    delete,
    path = "/internal/users/{id}/connections",
    tag = "internal",
    security(("internalSecret" = [])),
    params(("id" = String, Path)),
    responses(
        (status = 200, body = ConnectionsClosed),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn close_connections(
    _: Internal,
    PathUser(user): PathUser,
    State(delivery): State<Delivery>,
) -> Result<Json<ConnectionsClosed>, ApiError> {
    Ok(closed(&delivery, &user).await)
}

pub(in crate::http) async fn listed(delivery: &Delivery, user: &UserId) -> Json<UserConnections> {
    let connections = delivery.connections_of(user).await;
    Json(UserConnections { connections })
}

pub(in crate::http) async fn closed(delivery: &Delivery, user: &UserId) -> Json<ConnectionsClosed> {
    let closed = delivery.close_connections_of(user).await;
    Json(ConnectionsClosed { closed })
}
