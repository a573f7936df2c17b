//! Why Redis did not do something.

use redis::RedisError;

/// Why Redis did not do something. It shows no address and no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// There is no connection now.
    #[error("Redis is not connected")]
    NotConnected,
    /// It did not answer in time.
    #[error("Redis did not answer in time")]
    TimedOut,
    /// The connection broke, or could not be made.
    #[error("the connection to Redis broke: {0}")]
    Lost(String),
    /// It said no, e.g. `NOAUTH`, `NOPERM`, `OOM`.
    #[error("Redis refused: {0}")]
    Refused(String),
}

impl From<RedisError> for LinkError {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        // An error's details may repeat what was sent; its code and kind do not.
        match error.code() {
            Some(code) => Self::Refused(code.to_owned()),
            None if error.is_io_error() || error.is_unrecoverable_error() => {
                Self::Lost(io_kind(&error).unwrap_or_else(|| error.category().to_owned()))
            }
            None => Self::Refused(error.category().to_owned()),
        }
    }
}

fn io_kind(error: &RedisError) -> Option<String> {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return Some(io.kind().to_string());
        }
        source = cause.source();
    }
    None
}
