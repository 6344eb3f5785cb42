//! Mainstay's local API: HTTP and JSON on a Unix socket or a named pipe, for the owner alone.
//!
//! Everything a person can do goes through it. The command line is one client of it among others.
//!
//! [`types`] is what goes over the wire, [`routes`] where, and [`Client`] does it. [`endpoints`] is the table of all
//! requests, from which the server's router and the OpenAPI [`document`] are made.
#![forbid(unsafe_code)]

mod client;
pub mod endpoints;
mod error;
mod events;
mod http;
mod logs;
mod openapi;
mod records;
pub mod routes;
pub mod types;

/// What the entry of a service in services.msc is called, beside the one of its stack. No stack has an `@` in its name.
pub fn entry_name(stack: &str, service: &str) -> String {
    format!("{stack}@{service}")
}

pub use client::Client;
pub use error::ClientError;
pub use events::Events;
pub use logs::Logs;
pub use openapi::document;
