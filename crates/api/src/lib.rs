//! Mainstay's local API: HTTP and JSON on a Unix socket or a named pipe, for the owner alone.
//!
//! Everything a person can do goes through it. The command line is one client of it among others.
#![forbid(unsafe_code)]

pub mod types;
