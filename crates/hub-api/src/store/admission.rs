//! What is admitted to the log: idempotency keys and fencing tokens.
//!
//! It decides over a whole batch from what the database said of its keys and
//! jobs, as if each notification had come alone and in order. It never reads
//! or writes: every database's writer asks it.

use std::collections::HashMap;

use super::log::{NewNotification, Stream};

/// The first answer to a request, for giving it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum FirstAnswer {
    /// It is in the log.
    Stored {
        /// The entry.
        notification_id: i64,
        /// Its sequence.
        sequence: i64,
    },
    /// It is the batch's entry of this index, admitted just before.
    InBatch(usize),
}

/// An idempotency key that is known.
#[derive(Debug)]
pub(in crate::store) struct KnownKey {
    /// The hash of the first request.
    pub(in crate::store) body_hash: String,
    /// Its answer.
    pub(in crate::store) answer: FirstAnswer,
}

/// What the database says of a job.
#[derive(Debug)]
pub(in crate::store) struct KnownJob {
    /// Its analysis.
    pub(in crate::store) analysis_id: i64,
    /// The owner's stream.
    pub(in crate::store) owner: Stream,
    /// The last attempt's token.
    pub(in crate::store) token: Option<String>,
    /// True while an attempt holds it (leased or parked).
    pub(in crate::store) held: bool,
    /// Set once it has ended.
    pub(in crate::store) ended: Option<FirstAnswer>,
}

/// What becomes of one notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Verdict {
    /// It enters the log and, with an outcome, ends its job.
    Enter,
    /// It was there before.
    Repeated(FirstAnswer),
    /// The key came with another body.
    Conflict,
    /// No such job.
    UnknownJob,
    /// The job is of another owner.
    NotOwner,
    /// The token is not the lease's.
    Stale,
}

/// What is known of a batch, and grows while it is admitted.
#[derive(Debug, Default)]
pub(in crate::store) struct Admission {
    /// By scope and key.
    pub(in crate::store) keys: HashMap<(String, String), KnownKey>,
    /// By job id.
    pub(in crate::store) jobs: HashMap<i64, KnownJob>,
}

impl Admission {
    /// Decides on the batch's notification of this index. What it admits is
    /// known to all that follow.
    pub(in crate::store) fn admit(&mut self, index: usize, new: &NewNotification) -> Verdict {
        if let Some(key) = &new.idempotency
            && let Some(known) = self.keys.get(&(key.scope.clone(), key.key.clone()))
        {
            return if known.body_hash == key.body_hash {
                Verdict::Repeated(known.answer)
            } else {
                Verdict::Conflict
            };
        }
        let verdict = self.admit_outcome(index, new);
        if verdict == Verdict::Enter
            && let Some(key) = &new.idempotency
        {
            let known = KnownKey {
                body_hash: key.body_hash.clone(),
                answer: FirstAnswer::InBatch(index),
            };
            self.keys
                .insert((key.scope.clone(), key.key.clone()), known);
        }
        verdict
    }

    fn admit_outcome(&mut self, index: usize, new: &NewNotification) -> Verdict {
        let Some(outcome) = &new.outcome else {
            return Verdict::Enter;
        };
        let Some(job) = self.jobs.get_mut(&outcome.job_id) else {
            return Verdict::UnknownJob;
        };
        if job.owner != new.stream {
            return Verdict::NotOwner;
        }
        let is_last_attempt = job.token.as_ref() == Some(&outcome.token);
        match job.ended {
            Some(answer) if is_last_attempt => Verdict::Repeated(answer),
            None if is_last_attempt && job.held => {
                job.ended = Some(FirstAnswer::InBatch(index));
                Verdict::Enter
            }
            _ => Verdict::Stale,
        }
    }
}

#[cfg(test)]
mod tests {
    use shared_dto::UserId;

    use super::*;
    use crate::store::{Idempotency, Outcome, Terminal};

    fn notification(
        user: i64,
        key: Option<(&str, &str)>,
        attempt: Option<&str>,
    ) -> NewNotification {
        NewNotification {
            stream: Stream::of_user(&UserId::from(user)),
            event: "E".into(),
            payload: "{}".into(),
            analysis_id: None,
            idempotency: key.map(|(key, hash)| Idempotency {
                scope: "notify".into(),
                key: key.into(),
                body_hash: hash.into(),
            }),
            outcome: attempt.map(|token| Outcome {
                job_id: 7,
                token: token.into(),
                terminal: Terminal::Failed("no".into()),
            }),
            trace: None,
        }
    }

    fn with_job(held: bool, ended: Option<FirstAnswer>) -> Admission {
        let mut admission = Admission::default();
        let owner = Stream::of_user(&UserId::from(42));
        let token = Some("current".to_owned());
        admission.jobs.insert(
            7,
            KnownJob {
                analysis_id: 1,
                owner,
                token,
                held,
                ended,
            },
        );
        admission
    }

    #[test]
    fn a_key_admits_one_body_once_within_a_batch() {
        let mut admission = Admission::default();
        assert_eq!(
            admission.admit(0, &notification(1, Some(("k", "a")), None)),
            Verdict::Enter
        );
        let again = admission.admit(1, &notification(1, Some(("k", "a")), None));
        assert_eq!(again, Verdict::Repeated(FirstAnswer::InBatch(0)));
        let other = admission.admit(2, &notification(1, Some(("k", "b")), None));
        assert_eq!(other, Verdict::Conflict);
    }

    #[test]
    fn a_job_ends_once_within_a_batch() {
        let mut admission = with_job(true, None);
        let first = admission.admit(0, &notification(42, Some(("a", "1")), Some("current")));
        assert_eq!(first, Verdict::Enter);
        let second = admission.admit(1, &notification(42, Some(("b", "2")), Some("current")));
        assert_eq!(second, Verdict::Repeated(FirstAnswer::InBatch(0)));
        let stale = admission.admit(2, &notification(42, None, Some("older")));
        assert_eq!(stale, Verdict::Stale);
    }

    #[test]
    fn what_does_not_hold_the_job_is_refused_and_leaves_no_key() {
        let mut admission = with_job(false, None);
        let queued = admission.admit(0, &notification(42, Some(("k", "a")), Some("current")));
        assert_eq!(queued, Verdict::Stale);
        let mut admission = with_job(true, None);
        let foreign = admission.admit(0, &notification(43, Some(("k", "a")), Some("current")));
        assert_eq!(foreign, Verdict::NotOwner);
        assert!(admission.keys.is_empty());
        admission.jobs.clear();
        let unknown = admission.admit(0, &notification(42, None, Some("current")));
        assert_eq!(unknown, Verdict::UnknownJob);
    }

    #[test]
    fn a_repeated_post_of_the_attempt_that_ended_the_job_gets_the_first_answer() {
        let first = FirstAnswer::Stored {
            notification_id: 5,
            sequence: 2,
        };
        let mut admission = with_job(false, Some(first));
        let again = admission.admit(0, &notification(42, None, Some("current")));
        assert_eq!(again, Verdict::Repeated(first));
        assert_eq!(
            admission.admit(1, &notification(42, None, Some("older"))),
            Verdict::Stale
        );
    }
}
