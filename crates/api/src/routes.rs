//! The paths of the API, in one place for server and client.

use mainstay_core::ServiceName;

use crate::types::{Action, Changes, EventsQuery, HistoryQuery, LogsQuery, UsageQuery};

/// `GET`: a [`Version`](crate::types::Version).
pub const VERSION: &str = "/v1/version";
/// `GET`: the OpenAPI [`document`](crate::document).
pub const OPENAPI: &str = "/v1/openapi.json";

/// `GET`: a [`Stack`](crate::types::Stack).
pub const STACK: &str = "/v1/stack";
/// `GET` with a [`Changes`] query: a [`Stack`](crate::types::Stack), once it has changed.
pub const CHANGES: &str = "/v1/changes";
/// `GET` with a [`UsageQuery`]: a [`StackUsage`](crate::types::StackUsage).
pub const USAGE: &str = "/v1/usage";
/// `GET`: [`Forecasts`](crate::types::Forecasts).
pub const FORECAST: &str = "/v1/forecast";
/// `POST` without a body, with a [`DownQuery`](crate::types::DownQuery): every service is stopped, then the stack ends.
pub const DOWN: &str = "/v1/down";
/// `POST` of a [`TakeOver`](crate::types::TakeOver).
pub const TAKE_OVER: &str = "/v1/take-over";
/// `POST` of an [`AddService`](crate::types::AddService).
pub const SERVICES: &str = "/v1/services";
/// `GET`: a [`Service`](crate::types::Service). The pattern for the server's router; see [`service`].
pub const SERVICE: &str = "/v1/services/{name}";
/// `POST` without a body: an [`Action`]. The pattern for the server's router; see [`action`].
pub const ACTION: &str = "/v1/services/{name}/{action}";
/// `POST` of a [`Notify`](crate::types::Notify). The pattern for the server's router; see [`notify`].
pub const NOTIFY: &str = "/v1/services/{name}/notify";
/// `POST` of a [`Signal`](crate::types::Signal): a [`Signalled`](crate::types::Signalled). The pattern for the server's
/// router; see [`signal`].
pub const SIGNAL: &str = "/v1/services/{name}/signal";
/// `GET` with a [`LogsQuery`]: a [`LogRecord`](crate::types::LogRecord) per line. The pattern for the server's router; see
/// [`logs`].
pub const LOGS: &str = "/v1/services/{name}/logs";
/// `GET` with a [`HistoryQuery`]: a [`History`](crate::types::History). The pattern for the server's router; see
/// [`history`].
pub const HISTORY: &str = "/v1/services/{name}/history";
/// `GET` with an [`EventsQuery`]: an [`EventRecord`](crate::types::EventRecord) per line.
pub const EVENTS: &str = "/v1/events";
/// `POST` of an [`Apply`](crate::types::Apply): a [`Reloading`](crate::types::Reloading).
pub const APPLY: &str = "/v1/apply";
/// `POST` of a [`Rollback`](crate::types::Rollback): a [`Reloading`](crate::types::Reloading).
pub const ROLLBACK: &str = "/v1/rollback";
/// `POST` of a [`SecretsChanged`](crate::types::SecretsChanged): a [`Reloading`](crate::types::Reloading).
pub const SECRETS: &str = "/v1/secrets";
/// `GET`: a list of [`Revision`](crate::types::Revision).
pub const REVISIONS: &str = "/v1/revisions";
/// `POST` of a [`RefusedConfiguration`](crate::types::RefusedConfiguration).
pub const REFUSED: &str = "/v1/refused";
/// `POST` of an [`Upgrade`](crate::types::Upgrade).
pub const UPGRADE: &str = "/v1/upgrade";
/// `POST` of a [`Record`](crate::types::Record): a [`Recording`](crate::types::Recording).
pub const RECORD: &str = "/v1/debug/record";

// A service's name has only characters that a path may carry as they are.

/// The path of one service.
pub fn service(name: &ServiceName) -> String {
    format!("{SERVICES}/{name}")
}

/// The path of an action on a service.
pub fn action(name: &ServiceName, action: Action) -> String {
    format!("{SERVICES}/{name}/{}", action.as_str())
}

/// The path on which a service says something about itself.
pub fn notify(name: &ServiceName) -> String {
    format!("{SERVICES}/{name}/notify")
}

/// The path on which a service is sent a signal.
pub fn signal(name: &ServiceName) -> String {
    format!("{SERVICES}/{name}/signal")
}

/// Path and query of a service's output.
pub fn logs(name: &ServiceName, query: &LogsQuery) -> String {
    let from = query.from.as_deref().map(|from| format!("&from={from}")).unwrap_or_default();
    format!("{SERVICES}/{name}/logs?follow={}&lines={}{from}", query.follow, query.lines)
}

/// Path and query of what a service used in the past.
pub fn history(name: &ServiceName, query: HistoryQuery) -> String {
    format!("{SERVICES}/{name}/history?since_ms={}", query.since_ms)
}

/// Path and query of a wait for changes.
pub fn changes(query: Changes) -> String {
    format!("{CHANGES}?since={}&timeout_ms={}", query.since, query.timeout_ms)
}

/// Path and query of what the services use.
pub fn usage(query: UsageQuery) -> String {
    format!("{USAGE}?max_age_ms={}", query.max_age_ms)
}

/// Path and query of the events.
pub fn events(query: EventsQuery) -> String {
    format!("{EVENTS}?since={}&follow={}&limit={}", query.since, query.follow, query.limit)
}
