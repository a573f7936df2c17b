//! `GET /api/v1/plantanalyses/{id}`: one analysis of the caller.

use axum::{Json, extract::State};
use shared_dto::{analysis::Analysis, problem::Problem};

use super::view;
use crate::{
    auth::Caller,
    http::{ApiError, params::Id},
    links::Links,
    store::Store,
};

/// Get an analysis
///
/// Somebody else's analysis is not found.
#[utoipa::path(
    get,
    path = "/api/v1/plantanalyses/{id}",
    tag = "analyses",
    security(("bearer" = [])),
    params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = 200, body = Analysis),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get_analysis(
    Caller(principal): Caller,
    Id(id): Id,
    State(store): State<Store>,
    State(links): State<Links>,
) -> Result<Json<Analysis>, ApiError> {
    let row = store.analysis_of(&principal.user_id, id).await?;
    let row = row.ok_or_else(|| ApiError::not_found("analysis"))?;
    Ok(Json(view::analysis(row, &links, store.clock().now())))
}
