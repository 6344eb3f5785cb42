//! The daemon: the brain of a stack. It decides with `core`, asks probes, keeps the events and answers the API.
//!
//! It owns nothing that matters: processes, pipes and its own state are the keeper's, so that it can be killed,
//! hang or be replaced at any moment.
//!
//! - [`driver`](mod@driver) is one synchronous loop on the main thread: wakes in, one transaction out.
//! - The I/O thread has the API's server and the probes, on a tokio runtime of that one thread.
#![forbid(unsafe_code)]

mod api;
mod asked;
mod driver;
mod effects;
mod events_log;
mod files;
mod hooks;
mod limits;
mod message;
mod metrics;
mod observers;
mod otlp;
mod outbox;
mod outputs;
mod plan_store;
mod plan_writer;
mod probes;
mod record;
mod revisions;
mod run;
mod secrets;
mod sending;
mod sessions;
mod shelf;
mod take_over;
mod watching;
mod welcome;

pub use observers::Observer;
pub use plan_store::{
    MAX_PLAN, PlanError, Source, StoredPlan, plan_path, read_plan, write_plan, write_plan_to,
};
pub use run::{Args, DaemonError, run};
pub use watching::ConfigSource;
