//! A rule in SQL and a payload, with a zero byte between them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pointsman_rules::fuzzing::sql(bytes));
