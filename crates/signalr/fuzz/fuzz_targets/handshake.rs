//! Any bytes as a handshake request.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| signalr_fuzz::handshake::check(input));
