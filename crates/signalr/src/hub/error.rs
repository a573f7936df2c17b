//! What a hub method fails with, and what its client sees of it.

use std::fmt;

use crate::protocol::WriteError;

/// Why an invocation failed.
///
/// [`HubError::new`] makes an error whose text the client sees (ASP.NET Core's
/// `HubException`). Any other error converts into one whose text stays on the
/// server unless detailed errors are on:
///
/// ```
/// use signalr::HubError;
///
/// async fn divide(a: i32, b: i32) -> Result<i32, HubError> {
///     if b == 0 {
///         return Err(HubError::new("the divisor must not be 0"));
///     }
///     let text = std::fs::read_to_string("limits")?; // hidden from clients
///     Ok(a / b + text.len() as i32)
/// }
/// ```
///
/// A `Result` with an error that is none (a `String`, say) is no return value
/// of a method, so that no error is sent as a result by mistake: see
/// [`NotAnError`](crate::markers::NotAnError).
#[derive(Clone)]
pub struct HubError(Box<Fault>);

/// The kinds of failure, each with its own text on the wire.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Shown to the client.
    Hub(String),
    /// Hidden unless detailed errors are on.
    Internal { exception: String, message: String },
    /// No such method.
    UnknownMethod,
    /// The arguments do not fit the method.
    Binding(String),
    /// The caller may not call the method.
    Unauthorized,
    /// The whole text, as the client sees it.
    Exact(String),
    /// The result has no form in the client's protocol: the connection ends.
    Unwritable(WriteError),
    /// A streaming method gave no stream.
    NoStream,
}

impl HubError {
    /// An error whose text the client sees.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Fault::Hub(message.into()).into()
    }

    /// An error that the client sees only with detailed errors, under that
    /// name of an exception type.
    #[must_use]
    pub fn internal(exception: impl Into<String>, message: impl Into<String>) -> Self {
        Fault::Internal {
            exception: exception.into(),
            message: message.into(),
        }
        .into()
    }

    /// Whether the hub failed, and not the call.
    pub(crate) fn is_internal(&self) -> bool {
        matches!(self.fault(), Fault::Internal { .. } | Fault::Unwritable(_))
    }

    pub(crate) fn fault(&self) -> &Fault {
        &self.0
    }

    /// `{ExceptionType}: {message}`, where the client may see it.
    pub(crate) fn shown(&self, detailed: bool) -> Option<String> {
        match &*self.0 {
            Fault::Hub(message) => Some(format!("HubException: {message}")),
            Fault::Internal { exception, message } => {
                detailed.then(|| format!("{exception}: {message}"))
            }
            _ => None,
        }
    }

    /// The error of the Completion that answers an invocation of `target`.
    pub(crate) fn completion_text(&self, target: &str, detailed: bool) -> String {
        match &*self.0 {
            Fault::UnknownMethod => format!(
                "Failed to invoke '{target}' due to an error on the server. HubException: Method does not exist."
            ),
            Fault::Binding(message) => {
                let text = format!("Failed to invoke '{target}' due to an error on the server.");
                with_detail(
                    text,
                    detailed.then(|| format!("InvalidDataException: {message}")),
                )
            }
            Fault::Unauthorized => {
                format!("Failed to invoke '{target}' because user is unauthorized")
            }
            Fault::Exact(text) => text.clone(),
            Fault::NoStream => format!(
                "The value returned by the streaming method '{target}' is not a ChannelReader<> or \
                 IAsyncEnumerable<>."
            ),
            Fault::Hub(_) | Fault::Internal { .. } | Fault::Unwritable(_) => with_detail(
                format!("An unexpected error occurred invoking '{target}' on the server."),
                self.shown(detailed),
            ),
        }
    }

    /// The error of the Completion that ends a stream.
    pub(crate) fn stream_text(&self, detailed: bool) -> String {
        let text = "An error occurred on the server while streaming results.".to_owned();
        with_detail(text, self.shown(detailed))
    }
}

fn with_detail(text: String, detail: Option<String>) -> String {
    match detail {
        Some(detail) => format!("{text} {detail}"),
        None => text,
    }
}

impl From<Fault> for HubError {
    fn from(fault: Fault) -> Self {
        Self(Box::new(fault))
    }
}

/// Every error but `HubError` itself (which for this reason is no
/// [`std::error::Error`]) stays on the server.
impl<E: std::error::Error> From<E> for HubError {
    fn from(error: E) -> Self {
        let name = std::any::type_name::<E>();
        let name = name.split('<').next().unwrap_or(name);
        Self::internal(name.rsplit("::").next().unwrap_or(name), error.to_string())
    }
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Fault::Hub(message) | Fault::Exact(message) => f.write_str(message),
            Fault::Internal { exception, message } => write!(f, "{exception}: {message}"),
            Fault::UnknownMethod => f.write_str("Method does not exist."),
            Fault::Binding(message) => f.write_str(message),
            Fault::Unauthorized => f.write_str("the caller may not call this method"),
            Fault::Unwritable(error) => write!(f, "the result cannot be written: {error}"),
            Fault::NoStream => f.write_str("the streaming method gave no stream"),
        }
    }
}

impl fmt::Debug for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
