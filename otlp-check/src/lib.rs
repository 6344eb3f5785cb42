//! See `tests/collector.rs`.
