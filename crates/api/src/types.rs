//! What goes over the wire, as JSON. Times are relative (milliseconds ago, milliseconds from now), because clocks
//! of client and daemon may differ by the time somebody reads them.

mod configuration;
mod events;
mod flag;
mod logs;
mod requests;
mod stack;
mod usage;

pub use self::configuration::{
    Apply, Configuration, Outcome, RefusedConfiguration, Reloading, Revision, Rollback, SecretsChanged,
};
pub use self::events::{About, EventBody, EventRecord, EventsQuery};
pub use self::logs::{LogRecord, LogsQuery};
pub use self::requests::{
    Accepted, Action, AddService, DownQuery, Notify, Problem, Record, Recording, Signal, Signalled, TakeOver,
    Upgrade,
};
pub use self::stack::{Changes, Probe, Process, Service, Stack, Version};
pub use self::usage::{
    Forecasts, History, HistoryQuery, HistoryRecord, ResourceForecast, Scarce, ServiceUsage, Span,
    StackUsage, Usage, UsageQuery,
};
