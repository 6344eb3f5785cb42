//! Only tests: see tests/public_api.rs.
