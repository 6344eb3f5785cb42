//! Any bytes as a configuration, in all three formats. The property tests of the config crate call the same function
//! with the corpus beside this.
#![no_main]

#[path = "../../crates/config/tests/common/entry.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entry::try_bytes(bytes));
