//! The limits of one user: uploads, and calls of the hub's methods over all of
//! the user's connections.

use std::{sync::Arc, time::Instant};

use futures_util::future::BoxFuture;
use shared_dto::UserId;
use signalr::{HubError, HubFilter, InvocationInfo, Next};

use super::RateLimit;
use crate::config::LimitsConfig;

/// Users that are told apart; more than one hub has. Where it has more, those
/// beyond are not limited: none of them has done anything.
const MOST_USERS: usize = 100_000;

/// The limits of all users. A rate of 0 is none.
#[derive(Debug)]
pub(crate) struct UserLimits {
    uploads: Option<RateLimit<UserId>>,
    invocations: Option<RateLimit<Arc<str>>>,
}

impl UserLimits {
    pub(crate) fn new(config: LimitsConfig) -> Self {
        Self {
            uploads: rate(config.uploads_per_minute),
            invocations: rate(config.invocations_per_minute),
        }
    }

    /// One upload of `user`, or in how many seconds it may come.
    pub(crate) fn upload(&self, user: &UserId) -> Result<(), u32> {
        match &self.uploads {
            Some(limit) => limit.take(user.clone(), Instant::now()),
            None => Ok(()),
        }
    }
}

fn rate<K: std::hash::Hash + Eq>(a_minute: u32) -> Option<RateLimit<K>> {
    (a_minute > 0).then(|| RateLimit::per_minute(a_minute, MOST_USERS).or_pass())
}

/// Refuses calls of a user who calls too often, unknown methods included.
#[derive(Debug)]
pub(crate) struct InvocationLimit(pub(crate) Arc<UserLimits>);

impl HubFilter for InvocationLimit {
    fn invoke<'a>(
        &'a self,
        info: &'a InvocationInfo,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), HubError>> {
        let user = info.context.user_id();
        if let (Some(limit), Some(user)) = (&self.0.invocations, user)
            && let Err(seconds) = limit.take(Arc::clone(user), Instant::now())
        {
            let text = format!("That is too often. Try again in {seconds} s.");
            return Box::pin(async move { Err(HubError::new(text)) });
        }
        next.run()
    }
}
