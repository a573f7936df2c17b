//! Any bytes as a handshake request.

use signalr::protocol::handshake::{ParsedRequest, parse_request, write_response};
use signalr::protocol::{HubProtocol, TransferFormat};

/// A request is accepted, or refused with an answer that is one record.
pub fn check(input: &[u8]) {
    let refusal = match parse_request(input) {
        Ok(ParsedRequest::Request { request, consumed }) => {
            assert!(consumed <= input.len());
            assert_eq!(
                parse_request(&input[..consumed - 1]),
                Ok(ParsedRequest::Incomplete),
                "a request ends where its record does"
            );
            request
                .accept(&HubProtocol::ALL, TransferFormat::Text)
                .err()
        }
        Ok(ParsedRequest::Incomplete) => None,
        Err(error) => Some(error),
    };
    if let Some(refusal) = refusal {
        let mut out = Vec::new();
        write_response(&mut out, Some(&refusal.detailed()));
        assert_eq!(out.iter().filter(|byte| **byte == 0x1e).count(), 1);
    }
}
