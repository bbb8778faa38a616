//! A script and a payload, with a zero byte between them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pointsman_rules::fuzzing::script(bytes));
