//! `/callbacks/jobs/{id}/*`: where outside analysers tell progress and post
//! their answer. The address itself, signed for one attempt, is the permission.

pub(crate) mod progress;
pub(crate) mod result;

use super::{ApiError, AppState, params::Query, problem::Kind};
use crate::links::Callback;

/// The attempt that the address was made for.
fn attempt(state: &AppState, kind: Callback, job_id: i64, query: &Query) -> Result<u32, ApiError> {
    let number = query
        .integer("attempt")?
        .and_then(|number| u32::try_from(number).ok());
    let (Some(attempt), Some(expires), Some(signature)) =
        (number, query.integer("exp")?, query.text("sig")?)
    else {
        return Err(refused());
    };
    opens(state, (kind, job_id, attempt), expires, signature)
        .then_some(attempt)
        .ok_or_else(refused)
}

/// The attempt whose `resultUrl` has these parameters, if it opens.
pub(super) fn permitted(
    state: &AppState,
    job_id: i64,
    (attempt, expires, signature): (u32, i64, String),
) -> Option<u32> {
    let what = (Callback::Result, job_id, attempt);
    opens(state, what, expires, &signature).then_some(attempt)
}

fn opens(state: &AppState, what: (Callback, i64, u32), expires: i64, signature: &str) -> bool {
    let now = state.store.clock().now();
    state.links.opens_callback(what, expires, signature, now)
}

/// The address was not made here, was changed, or is too old.
fn refused() -> ApiError {
    ApiError::new(Kind::FORBIDDEN, "The address is not valid, or no longer.")
}
