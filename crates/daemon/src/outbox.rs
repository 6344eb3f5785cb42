//! The frame that is being put together: one transaction.

use std::collections::BTreeMap;

use mainstay_core::{Frost, Over};
use mainstay_link::{Command, ToKeeper};
use serde::Serialize;
use tracing::error;

/// State keys of the daemon's own start so; the others are the core's.
pub(crate) const OWN_KEYS: &str = "daemon/";
/// The seed of the core's chance.
pub(crate) const SEED_KEY: &str = "daemon/seed";
/// Events that may not be in their file yet.
pub(crate) const EVENTS_KEY: &str = "daemon/events";
/// Bytes of output lost, by log.
pub(crate) const DROPPED_KEY: &str = "daemon/dropped";
/// Log probes that have seen their line.
pub(crate) const SEEN_KEY: &str = "daemon/seen";
/// How much of the recording holds.
pub(crate) const RECORD_KEY: &str = "daemon/record";
/// What is known of the services' limits.
pub(crate) const LIMITS_KEY: &str = "daemon/limits";
/// What of the plan belongs to no service, if that may not be in its file yet.
pub(crate) const TOP_KEY: &str = "daemon/plan-top";
/// The configurations that were applied.
pub(crate) const REVISIONS_KEY: &str = "daemon/revisions";
/// A change of the plan that may not be in its file yet; the service's name follows.
pub(crate) const PLAN_KEY: &str = "daemon/plan/";

/// The plan that a stack which was down, but for what was left running, is to come up with.
pub(crate) const TAKE_OVER_KEY: &str = "daemon/take-over";

/// What the next frame says.
#[derive(Default)]
pub(crate) struct Outbox {
    ack: u64,
    acked: u64,
    state: BTreeMap<String, Option<String>>,
    commands: Vec<Command>,
    settled: bool,
    frost: Option<Frost>,
    over: Option<Over>,
}

impl Outbox {
    /// The event of this number is handled with this frame. False if it was handled before.
    pub fn ack(&mut self, number: u64) -> bool {
        let new = number > self.ack;
        self.ack = self.ack.max(number);
        new
    }

    /// The next daemon gets this text under this key; none takes the key away.
    pub fn put(&mut self, key: impl Into<String>, text: Option<String>) {
        self.state.insert(key.into(), text);
    }

    /// As [`put`](Outbox::put), in JSON.
    pub fn put_json<T: Serialize>(&mut self, key: impl Into<String>, value: &T) {
        let key = key.into();
        match serde_json::to_string(value) {
            Ok(text) => self.put(key, Some(text)),
            Err(error) => error!("the state {key} can't be written as JSON: {error}"),
        }
    }

    /// The keeper does this, after what was said before.
    pub fn command(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// The keeper learns that the stack is up, as far as it will be.
    pub fn settled(&mut self) {
        self.settled = true;
    }

    /// The keeper learns how far the stack is with pausing.
    pub fn frost(&mut self, frost: Frost) {
        self.frost = Some(frost);
    }

    /// The keeper learns that the stack has come to its end by itself.
    pub fn over(&mut self, over: Over) {
        self.over = Some(over);
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.ack == self.acked
            && self.state.is_empty()
            && self.commands.is_empty()
            && !self.settled
            && self.frost.is_none()
            && self.over.is_none()
    }

    /// The frame; none if there is nothing to say.
    pub fn take(&mut self) -> Option<ToKeeper> {
        if self.is_empty() {
            return None;
        }
        self.acked = self.ack;
        Some(ToKeeper {
            ack: self.ack,
            state: std::mem::take(&mut self.state).into_iter().collect(),
            commands: std::mem::take(&mut self.commands),
            settled: std::mem::take(&mut self.settled),
            frost: self.frost.take(),
            over: self.over.take(),
        })
    }
}
