//! Mainstay's policy: when a service starts, stops, waits, is asked how it does, and is given up.
//!
//! Pure: no clock, no I/O, no threads, no chance but a seed. The whole contract is five verbs (after quinn-proto):
//! make a [`Supervisor`], let it [`handle`](Supervisor::handle) each [`Input`], take its
//! [effects](Supervisor::poll_effect) and do them, come back at its [deadline](Supervisor::next_deadline), and
//! write down its [snapshots](Supervisor::take_dirty).
#![forbid(unsafe_code)]

mod backoff;
mod effect;
mod event;
mod id;
mod input;
mod json;
mod plan;
pub mod record;
mod refusal;
mod service;
mod status;
mod supervisor;
#[cfg(test)]
mod testing;
mod time;
mod words;

pub use effect::Effect;
pub use event::{Event, EventKind};
pub use id::{BadName, RunId, ServiceName};
pub use input::{Exit, Input, ProbeKind, ProbeOutcome, Request, signal_name, signal_number};
pub use plan::{
    Check, Condition, ExitAction, Launch, LogPlan, Plan, ProbePlan, RestartPlan, RestartPolicy, ServicePlan,
    StartLimit, StartMode, StopAction, StopPlan, StopStep,
};
pub use refusal::{Refusal, RefusalKind};
pub use status::{ProbeStatus, ServiceStatus, StateName};
pub use supervisor::{Supervisor, table};
pub use time::Time;
