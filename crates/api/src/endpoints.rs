//! Every request of the API, with what goes in and what comes out: one table, from which the server makes its router
//! and [`document`](crate::document) the OpenAPI document. A request that is not in it cannot be served, and one that
//! is in it has to be.

use std::any::TypeId;
use std::marker::PhantomData;

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use crate::openapi::Builder;
use crate::{routes, types};

/// How a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Asks, and changes nothing.
    Get,
    /// Changes something.
    Post,
}

/// Who may make a request. Whoever is not let in at the endpoint may make none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The stack's owner and administrators.
    Owner,
    /// These, and the accounts of its entries in services.msc.
    Entry,
    /// These, and the account of an entry for its own service alone, if it is what a service manager asks for.
    OwnEntry,
}

/// One request.
pub trait Endpoint {
    /// Its name, `service_logs`.
    const NAME: &'static str;
    /// How it is made.
    const METHOD: Method;
    /// Where; the router's pattern, with parameters in braces.
    const PATH: &'static str;
    /// Who may make it.
    const ACCESS: Access;
    /// What it does.
    const WHAT: &'static str;
    /// What its query says; `()` for none.
    type Query: JsonSchema + 'static;
    /// Its body, in JSON; `()` for none.
    type Body: JsonSchema + 'static;
    /// What is answered with 200. Everything else is answered by a [`Problem`](types::Problem).
    type Answer: Answer;
}

/// The body of an answer: JSON, or a [`Stream`].
pub trait Answer {
    /// By media type.
    fn content(generator: &mut SchemaGenerator) -> Value;
}

impl<T: JsonSchema> Answer for T {
    fn content(generator: &mut SchemaGenerator) -> Value {
        json!({ "application/json": { "schema": generator.subschema_for::<T>() } })
    }
}

/// An answer of many records: a JSON line each, or an event each for who accepts `text/event-stream`.
#[derive(Debug)]
pub struct Stream<T>(PhantomData<T>);

impl<T: JsonSchema> Answer for Stream<T> {
    fn content(generator: &mut SchemaGenerator) -> Value {
        json!({
            "application/x-ndjson": { "schema": generator.subschema_for::<T>() },
            "text/event-stream": { "schema": { "type": "string" } },
        })
    }
}

/// What belongs to the endpoint `E`.
#[derive(Debug)]
pub struct For<E, T>(T, PhantomData<E>);

impl<E: Endpoint, T> For<E, T> {
    /// `value` belongs to `E`.
    pub fn new(value: T) -> Self {
        For(value, PhantomData)
    }
}

/// Whether a query or a body is there at all.
pub(crate) fn is_there<T: 'static>() -> bool {
    TypeId::of::<T>() != TypeId::of::<()>()
}

macro_rules! endpoints {
    ($($(#[doc = $what:literal])+
       $name:ident: $type:ident = $method:ident($path:expr) for $access:ident, $query:ty, $body:ty => $answer:ty;)+) => {
        /// A type for each endpoint.
        pub mod op {
            $($(#[doc = $what])+ #[derive(Clone, Copy, Debug)] pub struct $type;)+
        }

        $(impl Endpoint for op::$type {
            const NAME: &'static str = stringify!($name);
            const METHOD: Method = Method::$method;
            const PATH: &'static str = $path;
            const ACCESS: Access = Access::$access;
            const WHAT: &'static str = concat!($($what),+);
            type Query = $query;
            type Body = $body;
            type Answer = $answer;
        })+

        /// Something for every endpoint; a server's handlers.
        #[derive(Debug)]
        pub struct Table<T> {
            $($(#[doc = $what])+ pub $name: For<op::$type, T>,)+
        }

        impl<T> Table<T> {
            /// All of them, each with the path of its endpoint and who may ask it.
            pub fn into_routes(self) -> Vec<(&'static str, Access, T)> {
                vec![$((op::$type::PATH, op::$type::ACCESS, self.$name.0),)+]
            }
        }

        /// Their names, and who may make them.
        #[cfg(test)]
        fn accesses() -> Vec<(&'static str, Access)> {
            vec![$((op::$type::NAME, op::$type::ACCESS),)+]
        }

        /// Puts all of them into a document.
        pub(crate) fn describe(builder: &mut Builder) {
            $(builder.add::<op::$type>();)+
        }
    };
}

endpoints! {
    /// Who answers, and which versions of the API it speaks.
    version: Version = Get(routes::VERSION) for Entry, (), () => types::Version;
    /// This document.
    openapi: Openapi = Get(routes::OPENAPI) for Entry, (), () => serde_json::Map<String, Value>;
    /// The stack and all its services.
    stack: Stack = Get(routes::STACK) for Entry, (), () => types::Stack;
    /// The stack, once its revision differs from the one that is known or the time is over.
    changes: Changes = Get(routes::CHANGES) for Entry, types::Changes, () => types::Stack;
    /// What the services use.
    usage: Usage = Get(routes::USAGE) for Owner, types::UsageQuery, () => types::StackUsage;
    /// When memory, processors or the disk will be short.
    forecast: Forecast = Get(routes::FORECAST) for Owner, (), () => types::Forecasts;
    /// Stops every service in order, but those that are to be left running, then ends the stack.
    down: Down = Post(routes::DOWN) for Owner, types::DownQuery, () => types::Accepted;
    /// Brings a stack up again, with another plan, that is down but for services that were left running.
    take_over: TakeOver = Post(routes::TAKE_OVER) for Owner, (), types::TakeOver => types::Accepted;
    /// Puts a service into the stack and starts it, unless its plan says otherwise.
    add: Add = Post(routes::SERVICES) for Owner, (), types::AddService => types::Accepted;
    /// One service.
    service: Service = Get(routes::SERVICE) for Entry, (), () => types::Service;
    /// Asks something of a service. What comes of it is seen in its status and in the events.
    action: Act = Post(routes::ACTION) for OwnEntry, (), () => types::Accepted;
    /// Says something for a service: `READY=1` and the like.
    notify: Notify = Post(routes::NOTIFY) for Owner, (), types::Notify => types::Accepted;
    /// Sends a signal to processes of a service.
    signal: Signal = Post(routes::SIGNAL) for Owner, (), types::Signal => types::Signalled;
    /// What a service wrote, oldest first.
    service_logs: Logs = Get(routes::LOGS) for Owner, types::LogsQuery, () => Stream<types::LogRecord>;
    /// What a service used in the past.
    history: History = Get(routes::HISTORY) for Owner, types::HistoryQuery, () => types::History;
    /// What happened, oldest first.
    events: Events = Get(routes::EVENTS) for Owner, types::EventsQuery, () => Stream<types::EventRecord>;
    /// Brings the stack to another configuration, or tells what that would do. What comes of it is seen in the status.
    apply: Apply = Post(routes::APPLY) for Owner, (), types::Apply => types::Reloading;
    /// Goes back to an earlier configuration, under a new number.
    rollback: Rollback = Post(routes::ROLLBACK) for Owner, (), types::Rollback => types::Reloading;
    /// Values of secrets have changed: restarts the services that use them, or tells which these are. What comes of it is
    /// seen in the status.
    secrets_changed: SecretsChanged = Post(routes::SECRETS) for Owner, (), types::SecretsChanged => types::Reloading;
    /// The last ten configurations, oldest first.
    revisions: Revisions = Get(routes::REVISIONS) for Owner, (), () => Vec<types::Revision>;
    /// Tells of a configuration that cannot be applied.
    refused: Refused = Post(routes::REFUSED) for Owner, (), types::RefusedConfiguration => types::Accepted;
    /// Replaces the daemon by one made from another program. The services go on.
    upgrade: Upgrade = Post(routes::UPGRADE) for Owner, (), types::Upgrade => types::Accepted;
    /// Turns the recording of the daemon's inputs on or off.
    record: Record = Post(routes::RECORD) for Owner, (), types::Record => types::Recording;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_an_entry_may_watch_and_steer_its_service_and_nothing_else() {
        let open: Vec<_> = accesses().into_iter().filter(|(_, access)| *access != Access::Owner).collect();
        assert_eq!(
            open,
            [
                ("version", Access::Entry),
                ("openapi", Access::Entry),
                ("stack", Access::Entry),
                ("changes", Access::Entry),
                ("service", Access::Entry),
                ("action", Access::OwnEntry),
            ]
        );
    }

    #[test]
    fn what_is_open_to_an_entry_for_its_own_service_names_a_service() {
        assert_eq!(op::Act::ACCESS, Access::OwnEntry);
        assert!(op::Act::PATH.contains("{name}") && op::Act::PATH.contains("{action}"));
    }
}
