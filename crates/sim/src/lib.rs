//! A fake operating system with virtual time that tries to break Mainstay's policy.
//!
//! A [`History`](history::History) is made from a seed: a plan, and everything the outside does to it. The
//! [`World`](world::World) plays it to a supervisor and its keeper, hour after hour in a few milliseconds. Each step
//! of the supervisor goes into a trace, which the [rules](invariants) follow; so does a [reference](model) that
//! says what somebody who has read the documentation expects. A history that fails is [shrunk](shrink) and written
//! down as a recording, the same as `mainstay debug record` writes.
//!
//! ```text
//! seed ─► history ─► world ──inputs──► Supervisor ──effects──► world
//!                                          │
//!                                        trace ─► rules, reference
//!                                          └────► recording ─► regressions/
//! ```
#![forbid(unsafe_code)]

pub mod check;
pub mod history;
pub mod invariants;
pub mod model;
pub mod plans;
pub mod recording;
pub mod rng;
pub mod shrink;
pub mod trace;
pub mod transition;
pub mod world;
