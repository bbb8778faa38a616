//! Two patterns and an event, with zero bytes between them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pointsman_rules::fuzzing::pattern(bytes));
