//! Any bytes, in any cuts, as the frames of a WebSocket client.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| signalr_fuzz::frames::check(input));
