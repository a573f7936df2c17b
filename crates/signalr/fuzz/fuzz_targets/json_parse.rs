//! Any bytes as a stream of JSON hub messages.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| signalr_fuzz::messages::check_json(input));
