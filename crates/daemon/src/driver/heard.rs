//! What the keeper says.

use mainstay_api::types::{About, EventBody};
use mainstay_core::{Control, Input, Request};
use mainstay_link::{Command, Event, ToDaemon};
use tracing::warn;

use super::{Driver, now};
use crate::outbox::DROPPED_KEY;
use crate::outputs::service_of_log;
use crate::probes::Helper;

impl Driver {
    /// The keeper said something.
    pub fn heard(&mut self, frame: ToDaemon) {
        if let Some(n) = frame.ping {
            self.out.command(Command::Pong { n });
        }
        self.outputs.count(frame.tallies);
        if let Some(queues) = frame.queues {
            self.queues = queues;
        }
        if let Some(why) = frame.forced {
            return self.forced(&why);
        }
        for (number, event) in frame.events {
            if self.out.ack(number) {
                self.event(event);
            }
        }
    }

    /// The keeper is about to end everything, this daemon too. It waits a moment for what is told of that.
    fn forced(&mut self, why: &str) {
        for event in self.core.ended_by_force(now(), why) {
            self.events.stage(EventBody::Core(event));
        }
        self.events.stage_own(format!("everything is ended by force: {why}"));
        self.events.take_leave();
        self.events.flush();
        self.forced = true;
    }

    fn event(&mut self, event: Event) {
        let exec = &mut self.probes.exec;
        match event {
            Event::SpawnFailed { run, error } if exec.is_helper(run) => {
                exec.heard(run, Helper::SpawnFailed(error));
            }
            Event::Exited { run, exit, tree_empty } if exec.is_helper(run) => {
                exec.heard(run, Helper::Exited(exit, tree_empty));
            }
            Event::TreeEmpty { run } if exec.is_helper(run) => exec.heard(run, Helper::TreeEmpty),
            Event::Spawned { run, log_start, .. } if exec.is_helper(run) => exec.begins(run, log_start),
            Event::Drained { run, .. } if exec.is_helper(run) => exec.heard(run, Helper::Drained),
            Event::Spawned { run, pid, log_start } => {
                self.log_starts.insert(run, log_start);
                self.input(Input::Spawned { run, pid });
            }
            Event::SpawnFailed { run, error } => self.input(Input::SpawnFailed { run, error }),
            Event::Exited { run, exit, tree_empty } => {
                self.end_probes(run);
                self.limits_of_ended(run);
                self.input(Input::Exited { run, exit, tree_empty });
            }
            Event::LimitsSet { run, not_enforced } => self.limits_set(run, not_enforced),
            Event::LimitHit { run, hits } => self.limit_hit(run, hits),
            Event::TreeEmpty { run } => self.input(Input::TreeEmpty { run }),
            Event::Drained { .. } => {}
            Event::Frozen { run } => self.input(Input::Frozen { run }),
            Event::Thawed { run } => self.input(Input::Thawed { run }),
            Event::FreezeFailed { run, error } => self.input(Input::FreezeFailed { run, error }),
            Event::Sent { id, count, error } => {
                if !self.files.sent(id, error.clone()) {
                    self.sent_by_hand(id, count, error);
                }
            }
            Event::Notify { run, text } => self.input(Input::Notify { run, text }),
            Event::LogDropped { name, bytes, error } => {
                if let Some(text) = self.outputs.lost(now(), &name, bytes, &error) {
                    self.events.stage_about(About::OutputLost, text);
                }
                self.out.put_json(DROPPED_KEY, self.outputs.dropped());
                self.changed = true;
            }
            Event::LogNote { name, text } => {
                let about =
                    if text.starts_with(mainstay_link::DISK_LOW) { About::DiskLow } else { About::Log };
                self.events.stage_about(about, format!("{name}'s log: {text}"));
            }
            Event::Rotated(rotation) => {
                let services = &self.core.plan().services;
                let there = |name: &str| services.get_key_value(name).map(|(service, _)| service.clone());
                if let Some(service) = service_of_log(&rotation.log, there) {
                    self.input(Input::Rotated { service, rotation });
                }
            }
            Event::DownWanted { by, all } => {
                let request = self.down(all);
                self.input(Input::Request { by, request });
            }
            Event::Control { by, control } => {
                self.input(Input::Request { by, request: Request::Control(control) });
                // Hooks hear of it before a service ends for it.
                if let Control::Session { id, change } = control {
                    self.session_changed(id, change);
                }
            }
            Event::ReloadWanted { by } => {
                self.watched.reload.send_replace(Some(by));
            }
            Event::ConfigRefused { reason } => self.config_refused(&reason),
            Event::ReplaceFailed { error } => {
                warn!("the upgrade failed: {error}");
                let text = format!("the upgrade failed, the old program is back: {error}");
                self.events.stage_about(About::UpgradeFailed, text);
            }
        }
    }
}
