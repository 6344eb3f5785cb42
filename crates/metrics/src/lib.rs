//! What Mainstay measures: counters that never fall, their table, the history on disk, and what is made of them.
//!
//! No clock and no system calls but those of files: the daemon samples, and tells what it saw.
#![forbid(unsafe_code)]

mod counters;
pub mod export;
mod point;
mod rising;
pub mod store;
pub mod table;
pub mod text;

pub use counters::{Answers, BUCKETS, Cause, Counters, MAX_EXITS};
pub use point::{FIGURES, Figure, Stretch, Summary, Values, fold, moment};
pub use rising::{Counts, Rising};
pub use store::{Series, Store};
