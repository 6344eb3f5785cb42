//! What Mainstay measures: counters that never fall, and what is made of them.
//!
//! No clock and no system calls but those of files: the daemon samples, and tells what it saw.
#![forbid(unsafe_code)]

mod rising;

pub use rising::{Counts, Rising};
