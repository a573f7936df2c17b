//! What can go wrong with a call to the hub, and which of it passes.

use std::time::Duration;

use http::StatusCode;

use crate::{
    backoff::{Backoff, spread},
    body::BodyError,
};

/// Why a call to the hub has no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HubError {
    /// No answer came.
    #[error("the hub cannot be reached: {0}")]
    Unreachable(String),
    /// The hub cannot serve now: 408, 429 or 5xx, or any refusal that is not
    /// its own.
    #[error("the hub answered {status}: {detail}")]
    Unavailable {
        status: StatusCode,
        detail: String,
        /// What `Retry-After` asks for.
        retry_after: Option<Duration>,
    },
    /// The breaker keeps the call back; the hub was not called.
    #[error("the hub is left alone for {retry_in:?}")]
    BreakerOpen { retry_in: Duration },
    /// The body of a good answer cannot be used.
    #[error("the hub's answer cannot be read: {0}")]
    Unreadable(String),
    /// A good answer has a longer body than is allowed.
    #[error("the hub's answer is too long: {0}")]
    TooLong(BodyError),
    /// 409 of the hub: the attempt's token is no longer that of the lease.
    #[error("the job belongs to another attempt")]
    Stale,
    /// Any other status of the hub: asking again would bring the same.
    #[error("the hub refused with {status}: {detail}")]
    Refused { status: StatusCode, detail: String },
}

impl HubError {
    /// How long to wait before the same call is worth another try; `None`
    /// when it never is.
    pub(crate) fn retry_in(&self, backoff: &mut Backoff) -> Option<Duration> {
        match self {
            Self::Unreachable(_) | Self::Unreadable(_) => Some(backoff.next()),
            Self::Unavailable { retry_after, .. } => {
                let own = backoff.next();
                Some(retry_after.map_or(own, |asked| spread(asked).max(own)))
            }
            // No attempt is spent: the back-off stays where it is.
            Self::BreakerOpen { retry_in } => Some(spread(*retry_in)),
            Self::TooLong(_) | Self::Stale | Self::Refused { .. } => None,
        }
    }

    /// Whether the hub refuses the worker rather than what it asks for: wrong
    /// secret, or not on the allow-list. An operator can mend that.
    pub(crate) fn is_about_the_worker(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            }
            _ => false,
        }
    }

    /// Whether the job is no longer this attempt's: another has it, or it has
    /// ended and is gone.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Stale => true,
            Self::Refused { status, .. } => {
                matches!(*status, StatusCode::NOT_FOUND | StatusCode::GONE)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_waited_for_as_long_as_the_hub_asks_and_the_rest_is_final() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
        let asked = Duration::from_secs(20);
        let unavailable = |retry_after| HubError::Unavailable {
            status: StatusCode::TOO_MANY_REQUESTS,
            detail: String::new(),
            retry_after,
        };
        let wait = unavailable(Some(asked)).retry_in(&mut backoff).unwrap();
        assert!(
            wait >= asked && wait <= asked + Duration::from_secs(5),
            "{wait:?}"
        );
        assert!(unavailable(None).retry_in(&mut backoff).unwrap() <= Duration::from_millis(20));
        for status in [
            StatusCode::BAD_REQUEST,
            StatusCode::UNAUTHORIZED,
            StatusCode::FOUND,
        ] {
            let refused = HubError::Refused {
                status,
                detail: String::new(),
            };
            assert_eq!(refused.retry_in(&mut backoff), None);
            assert!(!refused.is_lost());
        }
        assert_eq!(HubError::Stale.retry_in(&mut backoff), None);
    }
}
