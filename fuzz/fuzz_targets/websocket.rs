//! Any bytes as WebSocket frames as the server reads them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pointsman::mqtt::fuzzing::websocket(bytes));
