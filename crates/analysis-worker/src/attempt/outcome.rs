//! What an attempt can come to.

use std::time::Duration;

use shared_dto::analysis::AnalysisResult;

/// What the user is told when nothing better is known.
pub(crate) const TRY_AGAIN: &str = "The analysis could not be completed. Please try again later.";

/// The end of an attempt. [`super::report`] is the one place that acts on it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The analysis has a result.
    Done(Box<AnalysisResult>),
    /// Another attempt may fare better.
    Retry(Failure, Option<Duration>),
    /// No attempt ever will.
    Reject(Failure),
    /// An outside analyser will post its answer; the job waits at the hub.
    Park(Duration),
    /// The worker leaves before the attempt was over.
    HandBack,
    /// The job belongs to another attempt by now.
    Lost,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// For the operator.
    pub(crate) error: String,
    /// For the user.
    pub(crate) user_message: String,
}

impl Failure {
    pub(crate) fn new(error: impl Into<String>, user_message: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            user_message: user_message.into(),
        }
    }
}

impl Outcome {
    /// Another attempt, with the general message.
    pub(crate) fn retry(error: impl Into<String>) -> Self {
        Self::Retry(Failure::new(error, TRY_AGAIN), None)
    }

    /// The end of the analysis.
    pub(crate) fn reject(error: impl Into<String>, user_message: impl Into<String>) -> Self {
        Self::Reject(Failure::new(error, user_message))
    }
}
