//! What progenitor, a generator of clients, makes of the API's OpenAPI document: the types, and the methods of the
//! client. Made anew in each build; the tests hold them against the types that the daemon answers with.

/// The types of the generated client.
#[allow(missing_docs, clippy::all, reason = "a generator wrote it")]
pub mod types {
    include!(concat!(env!("OUT_DIR"), "/types.rs"));
}

/// The signatures of the generated client's methods, a line each.
pub const METHODS: &str = include_str!(concat!(env!("OUT_DIR"), "/methods.txt"));
