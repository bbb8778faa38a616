//! Any bytes as a script of what happens to a server and its clients.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pointsman::mqtt::fuzzing::session(bytes));
