//! `/callbacks/jobs/{id}/*`: where outside analysers tell progress and post
//! their answer. The address itself, signed for one attempt, is the permission.

pub(crate) mod progress;
pub(crate) mod result;

use super::{ApiError, AppState, params::Query, problem::Kind};
use crate::links::Callback;

/// The attempt that the address was made for.
fn attempt(state: &AppState, kind: Callback, job_id: i64, query: &Query) -> Result<u32, ApiError> {
    let refused = || ApiError::new(Kind::FORBIDDEN, "The address is not valid, or no longer.");
    let number = query
        .integer("attempt")?
        .and_then(|number| u32::try_from(number).ok());
    let (Some(attempt), Some(expires), Some(signature)) =
        (number, query.integer("exp")?, query.text("sig")?)
    else {
        return Err(refused());
    };
    let what = (kind, job_id, attempt);
    let now = state.store.clock().now();
    if state.links.opens_callback(what, expires, signature, now) {
        Ok(attempt)
    } else {
        Err(refused())
    }
}
