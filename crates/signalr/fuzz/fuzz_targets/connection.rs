//! Any bytes, in any cuts, from a client of a hub.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| signalr_fuzz::connection::check(input));
