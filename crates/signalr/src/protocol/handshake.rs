//! The handshake: the first message of a connection, JSON text whatever the
//! encoding of the messages after it.
//!
//! Owns its parsing, the choice of protocol and the answers, in ASP.NET Core's
//! words. It does not wait for the bytes, nor limit their number: the
//! connection does.

use super::json::{self, Fault, ReadError, Reader};
use super::{HubProtocol, MAX_VERSION, ProtocolError, TransferFormat};

/// What [`parse_request`] found at the start of its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParsedRequest {
    /// A request; the first `consumed` bytes of the input are it.
    Request {
        /// The request.
        request: HandshakeRequest,
        /// Its length with the separator. Hub messages may follow.
        consumed: usize,
    },
    /// No whole request yet.
    Incomplete,
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeRequest {
    /// The protocol's name as the client spelt it.
    pub protocol: String,
    /// The protocol's version.
    pub version: i32,
}

/// Why a handshake fails. The text is what the client is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// No protocol of that name.
    #[error("The protocol '{protocol}' is not supported.")]
    UnknownProtocol {
        /// The name as the client spelt it.
        protocol: String,
    },
    /// A later version than [`MAX_VERSION`].
    #[error("The server does not support version {version} of the '{protocol}' protocol.")]
    UnsupportedVersion {
        /// The name as the client spelt it.
        protocol: String,
        /// The version asked for.
        version: i32,
    },
    /// A binary protocol on a transport that carries only text.
    #[error(
        "Cannot use the '{protocol}' protocol on the current transport. The transport does not \
         support '{}' transfer format.",
        format_name(*.format)
    )]
    TransferFormat {
        /// The protocol.
        protocol: &'static str,
        /// What it needs.
        format: TransferFormat,
    },
    /// The request came too late or was too long.
    #[error("Handshake was canceled.")]
    Canceled,
    /// Bytes that are no handshake request.
    #[error("An unexpected error occurred during connection handshake.")]
    Malformed(#[source] ProtocolError),
}

impl HandshakeError {
    /// The text for a client of a hub that shows detailed errors.
    #[must_use]
    pub fn detailed(&self) -> String {
        match self {
            Self::Malformed(cause) => format!("{self} {}: {}", cause.exception, cause.message),
            _ => self.to_string(),
        }
    }
}

/// Reads the request at the start of `input`.
///
/// # Errors
/// [`HandshakeError::Malformed`] for a text that is no request.
pub fn parse_request(input: &[u8]) -> Result<ParsedRequest, HandshakeError> {
    let Some(end) = memchr::memchr(json::RECORD_SEPARATOR, input) else {
        return Ok(ParsedRequest::Incomplete);
    };
    let text = &input[..end];
    let request = read_request(text).map_err(|error| {
        HandshakeError::Malformed(match error {
            ReadError::Fault(fault) => json_fault(fault, text),
            ReadError::Protocol(error) => *error,
        })
    })?;
    Ok(ParsedRequest::Request {
        request,
        consumed: end + 1,
    })
}

/// Property names are compared with case, the last doubled one counts, unknown
/// ones and text behind the object are ignored.
fn read_request(text: &[u8]) -> Result<HandshakeRequest, ReadError> {
    let mut reader = Reader::new(text);
    json::enter_message(&mut reader)?;
    let (mut protocol, mut version) = (None, None);
    while let Some(name) = reader.next_name()? {
        match &*name.name() {
            b"protocol" => protocol = Some(json::read_string(&mut reader, "protocol")?),
            b"version" => version = Some(json::read_int32(&mut reader, "version")?),
            _ => reader.skip_value()?,
        }
    }
    let missing =
        |name| ProtocolError::invalid_data(format!("Missing required property '{name}'."));
    Ok(HandshakeRequest {
        protocol: protocol.ok_or_else(|| missing("protocol"))?.into_owned(),
        version: version.ok_or_else(|| missing("version"))?,
    })
}

fn json_fault(fault: Fault, text: &[u8]) -> ProtocolError {
    ProtocolError {
        exception: "JsonReaderException",
        message: fault.describe(text),
    }
}

impl HandshakeRequest {
    /// The protocol to speak, from those that a hub supports, on a transport
    /// that carries `transport`: a binary one carries text as well.
    ///
    /// # Errors
    /// The first thing that stands against it.
    pub fn accept(
        &self,
        supported: &[HubProtocol],
        transport: TransferFormat,
    ) -> Result<HubProtocol, HandshakeError> {
        let protocol = HubProtocol::from_name(&self.protocol)
            .filter(|protocol| supported.contains(protocol))
            .ok_or_else(|| HandshakeError::UnknownProtocol {
                protocol: self.protocol.clone(),
            })?;
        if self.version > MAX_VERSION {
            return Err(HandshakeError::UnsupportedVersion {
                protocol: self.protocol.clone(),
                version: self.version,
            });
        }
        let format = protocol.transfer_format();
        if format == TransferFormat::Binary && transport == TransferFormat::Text {
            return Err(HandshakeError::TransferFormat {
                protocol: protocol.name(),
                format,
            });
        }
        Ok(protocol)
    }
}

/// Appends the answer: success, or why not.
pub fn write_response(out: &mut Vec<u8>, error: Option<&str>) {
    out.push(b'{');
    if let Some(error) = error {
        out.extend_from_slice(br#""error":"#);
        json::write_string(out, error);
    }
    out.extend_from_slice(&[b'}', json::RECORD_SEPARATOR]);
}

fn format_name(format: TransferFormat) -> &'static str {
    match format {
        TransferFormat::Text => "Text",
        TransferFormat::Binary => "Binary",
    }
}

#[cfg(test)]
mod tests;
