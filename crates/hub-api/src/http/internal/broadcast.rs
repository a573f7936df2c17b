//! `POST /internal/broadcast`: maintenance and price messages to everybody who
//! is connected, on all nodes. Nothing of it is logged.

use axum::{Json, extract::State};
use http::StatusCode;
use shared_dto::{
    broadcast::{BroadcastAccepted, BroadcastRequest},
    problem::Problem,
};
use signalr::protocol::RawJson;

use super::{
    checks::{self, Faults},
    guard::Internal,
};
use crate::{
    delivery::Delivery,
    http::{ApiError, json::ApiJson},
    hub::plant_analysis,
};

/// The longest body: the arguments and their names.
const LONGEST_BODY: usize = 128 * 1024;
const LONGEST_ARGUMENTS: usize = 64 * 1024;
const MOST_ARGUMENTS: usize = 16;
const LONGEST_GROUP: usize = 128;

/// Send a message to all connections, or to a group
///
/// On all nodes. It is not logged: clients that are away do not get it.
#[utoipa::path(
    post,
    path = "/internal/broadcast",
    tag = "internal",
    security(("internalSecret" = [])),
    request_body = BroadcastRequest,
    responses(
        (status = 202, body = BroadcastAccepted, description = "Handed to the connections"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn broadcast(
    _: Internal,
    State(delivery): State<Delivery>,
    ApiJson(request): ApiJson<BroadcastRequest, LONGEST_BODY>,
) -> Result<(StatusCode, Json<BroadcastAccepted>), ApiError> {
    let arguments = check(&request)?;
    let connections = delivery
        .broadcast(&request.event, &arguments, request.group.as_deref())
        .await
        .map_err(|error| ApiError::internal(error, "write a broadcast"))?;
    let accepted = BroadcastAccepted { connections };
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

/// Gives the arguments as they are sent.
fn check(request: &BroadcastRequest) -> Result<Vec<RawJson>, ApiError> {
    let mut faults = Faults::default();
    checks::event(&request.event, "event", &mut faults);
    let texts = request.arguments.iter().map(|argument| argument.get());
    let length: usize = texts.clone().map(str::len).sum();
    faults.check(
        request.arguments.len() <= MOST_ARGUMENTS,
        "arguments",
        "there are too many",
        "at most 16",
    );
    faults.check(
        length <= LONGEST_ARGUMENTS,
        "arguments",
        "they are too large",
        "at most 64 KiB together",
    );
    // Read once, so that no client's protocol is the first to find a fault.
    let mut deepest = 0;
    let arguments: Result<Vec<RawJson>, serde_json::Error> = texts
        .map(|text| {
            deepest = deepest.max(checks::depth(&serde_json::from_str(text)?));
            Ok(RawJson::from_text(text))
        })
        .collect();
    if arguments.is_err() {
        faults.add("arguments", "one cannot be read", "well-formed JSON values");
    }
    checks::shallow(deepest, "arguments", &mut faults);
    if let Some(group) = &request.group {
        let good =
            (1..=LONGEST_GROUP).contains(&group.len()) && !group.chars().any(char::is_control);
        let accepted = "1 to 128 bytes without control characters";
        faults.check(good, "group", "it is no name of a group", accepted);
    }
    if let Some(hub) = &request.hub {
        let known = [plant_analysis::NAME, plant_analysis::PATH].contains(&hub.as_str());
        faults.check(known, "hub", "there is no such hub", plant_analysis::NAME);
    }
    faults.into_result()?;
    Ok(arguments.unwrap_or_default())
}
