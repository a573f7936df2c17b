//! Any bytes as a handshake request.

#![no_main]

use libfuzzer_sys::fuzz_target;
use signalr::protocol::handshake::{ParsedRequest, parse_request, write_response};
use signalr::protocol::{HubProtocol, TransferFormat};

fuzz_target!(|input: &[u8]| {
    let refusal = match parse_request(input) {
        Ok(ParsedRequest::Request { request, consumed }) => {
            assert!(consumed <= input.len());
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
});
