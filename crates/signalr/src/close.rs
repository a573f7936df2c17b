//! Why connections end: every reason, with what the client is told.

use crate::{EndStatus, hub::HubError, protocol::WriteError};

/// Why the server ends a connection.
#[derive(Debug)]
pub(crate) enum CloseReason {
    /// The client sent a Close message, or closed its WebSocket in good order.
    ClientClosed {
        /// The error in the client's Close message.
        error: Option<String>,
    },
    /// The client ended its connection with DELETE (long polling).
    Deleted,
    /// The transport broke.
    TransportLost,
    /// The client sent bytes that are no hub message.
    Protocol {
        /// The .NET exception that clients see with detailed errors.
        exception: &'static str,
        /// What is wrong.
        message: String,
    },
    /// The client broke the WebSocket protocol (RFC 6455).
    Violation {
        /// The close code that answers it.
        code: u16,
        /// What it did.
        reason: &'static str,
    },
    /// Nothing came from the client within the client timeout.
    ClientTimeout,
    /// The handshake was refused.
    Handshake,
    /// No handshake came in time.
    HandshakeTimeout,
    /// A write made no progress within the send timeout, or too much waits to
    /// be written.
    SlowClient,
    /// A result or a message could not be written.
    Unwritable(WriteError),
    /// `Hub::on_connected` failed.
    ConnectRefused(HubError),
    /// Hub code called `abort`.
    Aborted,
    /// Hub code panicked outside of a method.
    HubPanicked,
    /// The caller's authentication expired.
    AuthenticationExpired,
    /// The server goes away; clients may reconnect.
    ServerShutdown,
    /// The hub ends this connection with a text for its user.
    Closed {
        /// What the client is told.
        error: Option<String>,
        /// Whether it may reconnect.
        allow_reconnect: bool,
    },
}

/// What a client is told of a [`CloseReason`], where it is told anything.
pub(crate) struct CloseMessage {
    pub(crate) error: Option<String>,
    pub(crate) allow_reconnect: bool,
}

const WITH_ERROR: &str = "Connection closed with an error.";

impl CloseReason {
    /// What [`name`](Self::name) may give.
    pub(crate) const NAMES: &'static [&'static str] = &[
        "client-closed",
        "deleted",
        "transport-lost",
        "protocol-error",
        "websocket-violation",
        "client-timeout",
        "handshake",
        "handshake-timeout",
        "slow-client",
        "unwritable",
        "connect-refused",
        "aborted",
        "hub-panicked",
        "authentication-expired",
        "server-shutdown",
        "closed",
    ];

    /// A short name for logs and metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::ClientClosed { .. } => "client-closed",
            Self::Deleted => "deleted",
            Self::TransportLost => "transport-lost",
            Self::Protocol { .. } => "protocol-error",
            Self::Violation { .. } => "websocket-violation",
            Self::ClientTimeout => "client-timeout",
            Self::Handshake => "handshake",
            Self::HandshakeTimeout => "handshake-timeout",
            Self::SlowClient => "slow-client",
            Self::Unwritable(_) => "unwritable",
            Self::ConnectRefused(_) => "connect-refused",
            Self::Aborted => "aborted",
            Self::HubPanicked => "hub-panicked",
            Self::AuthenticationExpired => "authentication-expired",
            Self::ServerShutdown => "server-shutdown",
            Self::Closed { .. } => "closed",
        }
    }

    /// A message is longer than the hub takes.
    pub(crate) fn too_large(limit: usize) -> Self {
        Self::Protocol {
            exception: "InvalidDataException",
            message: format!(
                "The maximum message size of {limit}B was exceeded. The message size can be \
                 configured in AddHubOptions."
            ),
        }
    }

    /// What ASP.NET Core's metrics call it.
    pub(crate) fn status(&self) -> EndStatus {
        match self {
            Self::ClientTimeout | Self::HandshakeTimeout | Self::SlowClient => EndStatus::Timeout,
            Self::ServerShutdown => EndStatus::AppShutdown,
            _ => EndStatus::NormalClosure,
        }
    }

    /// What the peer did, for the log.
    pub(crate) fn detail(&self) -> &str {
        match self {
            Self::Violation { reason, .. } => reason,
            Self::Protocol { message, .. } => message,
            _ => "",
        }
    }

    /// The Close message for it; `None` where none is sent.
    pub(crate) fn message(&self, detailed: bool) -> Option<CloseMessage> {
        let failed = |detail: Option<String>, allow_reconnect| {
            let error = match detail {
                Some(detail) => format!("{WITH_ERROR} {detail}"),
                None => WITH_ERROR.to_owned(),
            };
            Some(CloseMessage {
                error: Some(error),
                allow_reconnect,
            })
        };
        match self {
            Self::Handshake
            | Self::HandshakeTimeout
            | Self::HubPanicked
            | Self::TransportLost
            | Self::Violation { .. } => None,
            Self::ClientClosed { .. } | Self::Aborted => Some(CloseMessage {
                error: None,
                allow_reconnect: false,
            }),
            Self::Protocol { exception, message } => {
                failed(detailed.then(|| format!("{exception}: {message}")), true)
            }
            Self::ClientTimeout => failed(
                detailed.then(|| {
                    "OperationCanceledException: Client hasn't sent a message/ping within the \
                     configured ClientTimeoutInterval."
                        .to_owned()
                }),
                true,
            ),
            Self::SlowClient => failed(Some("The client reads too slowly.".to_owned()), true),
            Self::Unwritable(error) => failed(
                detailed.then(|| format!("{}: {error}", error.exception())),
                true,
            ),
            Self::ConnectRefused(error) => failed(error.shown(detailed), false),
            Self::Deleted | Self::AuthenticationExpired | Self::ServerShutdown => {
                Some(CloseMessage {
                    error: None,
                    allow_reconnect: true,
                })
            }
            Self::Closed {
                error,
                allow_reconnect,
            } => Some(CloseMessage {
                error: error.clone(),
                allow_reconnect: *allow_reconnect,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CloseReason;

    #[test]
    fn every_name_is_listed() {
        let source = include_str!("close.rs");
        let (_, after) = source.split_once("fn name(&self)").unwrap();
        let (body, _) = after.split_once("\n    }\n").unwrap();
        let names: Vec<&str> = body.split('"').skip(1).step_by(2).collect();
        assert_eq!(names, CloseReason::NAMES);
    }
}
