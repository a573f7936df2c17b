//! `GET /api/v1/plantanalyses`: the caller's analyses, newest first.

use axum::{Json, extract::State};
use shared_dto::{analysis::AnalysisPage, problem::Problem};

use super::view;
use crate::{
    auth::Caller,
    http::{ApiError, params::Query},
    links::Links,
    store::Store,
};

/// List analyses
///
/// Newest first. Give `nextBefore` as `before` to get the next page.
#[utoipa::path(
    get,
    path = "/api/v1/plantanalyses",
    tag = "analyses",
    security(("bearer" = [])),
    params(
        ("limit" = Option<i64>, Query, description = "1 to 100, 20 where it is missing"),
        ("before" = Option<i64>, Query, description = "only analyses with a lower id"),
    ),
    responses(
        (status = 200, body = AnalysisPage),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_analyses(
    Caller(principal): Caller,
    query: Query,
    State(store): State<Store>,
    State(links): State<Links>,
) -> Result<Json<AnalysisPage>, ApiError> {
    let (limit, before) = (query.limit()?, query.position("before")?);
    let page = store.analyses_of(&principal.user_id, before, limit).await?;
    let now = store.clock().now();
    let items = page
        .items
        .into_iter()
        .map(|row| view::analysis(row, &links, now))
        .collect();
    Ok(Json(AnalysisPage {
        items,
        next_before: page.next_before,
    }))
}
