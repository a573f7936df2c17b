//! Any bytes as a stream of JSON hub messages.

#![no_main]

use libfuzzer_sys::fuzz_target;
use signalr::protocol::HubProtocol;

mod stream;

fuzz_target!(|input: &[u8]| stream::read(HubProtocol::Json, input));
