//! Mainstay's policy: when a service starts, stops, waits, is asked how it does, and is given up.
//!
//! Pure: no clock, no I/O, no threads, no chance but a seed. The whole contract is five verbs (after quinn-proto):
//! make a [`Supervisor`], let it [`handle`](Supervisor::handle) each [`Input`], take its
//! [effects](Supervisor::poll_effect) and do them, come back at its [deadline](Supervisor::next_deadline), and
//! write down its [snapshots](Supervisor::take_dirty).
//!
//! ```
//! use mainstay_core::{Effect, Input, Plan, Request, ServiceName, ServicePlan, StateName, Supervisor, Time};
//!
//! let (mut plan, now) = (Plan::default(), Time::ZERO);
//! plan.services.insert(ServiceName::new("api")?, ServicePlan::default());
//! let mut supervisor = Supervisor::new(plan, 7, now);
//!
//! supervisor.handle(now, Input::Request { by: "a person".into(), request: Request::Up });
//! while let Some(effect) = supervisor.poll_effect() {
//!     if let Effect::Spawn { run, .. } = effect {
//!         supervisor.handle(now, Input::Spawned { run, pid: 4711 });
//!     }
//! }
//! assert_eq!(supervisor.state("api"), Some(StateName::Running));
//! # Ok::<(), mainstay_core::BadName>(())
//! ```
//!
//! What a service does in each state on each input is a table: [`table()`] prints it, `service/step.rs` decides it.
#![forbid(unsafe_code)]

mod backoff;
mod check;
mod controls;
mod daily;
pub mod doctor;
pub mod dynamic_user;
mod effect;
mod event;
pub mod explain;
pub mod forecast;
mod hooks;
mod http_call;
mod id;
mod input;
mod json;
pub mod leak;
mod limits;
mod plan;
mod program;
pub mod record;
mod refusal;
pub mod reload;
mod rights;
mod rotation;
mod secret;
mod service;
mod session;
mod settings;
mod status;
mod supervisor;
mod telemetry;
#[cfg(test)]
mod testing;
mod time;
mod walks;
pub mod windows_account;
mod words;

pub use check::{Check, GrpcCheck, HttpCheck, Tls};
pub use controls::{Control, ControlAction, Frost, Over, PowerChange, SessionChange};
pub use daily::{DailyWindow, NoWindow};
pub use effect::Effect;
pub use event::{ConfigStage, Event, EventKind, ReloadStage};
pub use hooks::{Hook, HookFacts, HookMoment, Hooks};
pub use http_call::HttpCall;
pub use id::{BadName, RunId, ServiceName};
pub use input::{Exit, FilesOutcome, Input, ProbeKind, ProbeOutcome, Request, signal_name, signal_number};
pub use limits::{LimitHits, Limits, MemoryHit, NotEnforced, ProcessesHit, bytes};
pub use plan::{
    Compress, Condition, ExitAction, Launch, LeakAction, LogEncoding, LogFormat, LogPlan, MetricsPlan,
    OnFull, PASSWORD, Plan, ProbePlan, RestartPlan, RestartPolicy, ServicePlan, StartLimit, StartMode,
    StopAction, StopPlan, StopStep, WhenMainstayStops,
};
pub use program::{ConfigFile, FileNotes, OnChange, ProgramConfig};
pub use refusal::{Refusal, RefusalKind};
pub use rights::{Integrity, PRIVILEGES, Privileges};
pub use rotation::{Rotation, RotationCause};
pub use secret::{Encoding, Piece, SecretMarks, SecretSource, SecretText, is_secret_name, names_in};
pub use session::{Session, SignedIn, SigningOff, choose_session};
pub use settings::{Rlimit, Sandbox, Settings};
pub use status::{ProbeStatus, ServiceStatus, StateName};
pub use supervisor::{Applying, PlanChanges, Supervisor, table};
pub use telemetry::OpenTelemetryPlan;
pub use time::Time;
