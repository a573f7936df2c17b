//! `GET /internal/ping`: whether a worker and the hub understand each other.

use http::StatusCode;
use shared_dto::problem::Problem;

use super::guard::Internal;

/// Try the internal link
///
/// 204 says that the hub is there and the secret is the right one.
#[utoipa::path(
    get,
    path = "/internal/ping",
    tag = "internal",
    security(("internalSecret" = [])),
    responses(
        (status = 204, description = "It works"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn ping(_: Internal) -> StatusCode {
    StatusCode::NO_CONTENT
}
