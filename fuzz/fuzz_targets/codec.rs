//! Any bytes as the packets of every version.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pointsman::mqtt::fuzzing::codec(bytes));
