//! What one batch of wakes brings about, as one frame.

use mainstay_api::types::About;
use mainstay_core::{HookMoment, Input, RunId};
use mainstay_link::{Command, Spawn, ToKeeper};

use super::{Driver, now};
use crate::files::Follows;
use crate::message::Taken;
use crate::outbox::{EVENTS_KEY, RECORD_KEY};
use crate::probes::Helper;

impl Driver {
    /// Does what the core wants, and makes the frame of this batch; none if there is nothing to say.
    pub fn take_frame(&mut self) -> Option<ToKeeper> {
        self.settle();
        if self.is_down && !self.ended && self.hooks.is_idle() {
            self.events.stage_about(About::Down, "the stack is down");
            self.out.command(Command::Exit);
            self.ended = true;
        }
        self.send_helpers();
        if self.core.applying().is_none() {
            self.vault.apply_is_over();
        }
        self.take_plan_changes();
        for (key, text) in self.core.take_dirty() {
            self.changed = true;
            self.out.put(key, text);
        }
        self.tell_of_the_whole();
        if let Some(saved) = self.recorder.flush() {
            self.out.put(RECORD_KEY, saved);
        }
        let staged = self.events.is_staged();
        if staged || (self.events_held && !self.out.is_empty()) {
            self.out.put(EVENTS_KEY, self.events.saved());
            self.events_held = staged;
        }
        self.events.take_leave();
        self.leaving.append(&mut self.replies);
        if std::mem::take(&mut self.changed) {
            self.watched.revision.send_modify(|revision| *revision += 1);
        }
        self.out.take()
    }

    /// Does what the core wants until nothing follows any more from what was done.
    fn settle(&mut self) {
        loop {
            for effect in std::mem::take(&mut self.effects) {
                self.perform(effect);
            }
            let answers = self.probes.exec.take_answers();
            let steps = self.probes.exec.take_steps();
            let mut told = self.files_go_on();
            told.extend(self.hooks_go_on());
            if answers.is_empty() && steps.is_empty() && told.is_empty() {
                break;
            }
            told.into_iter().for_each(|input| self.input(input));
            steps.into_iter().for_each(|done| self.step_ended(done));
            answers.into_iter().for_each(|answer| self.probed(answer));
        }
    }

    /// Probes' and hooks' commands go to the keeper.
    fn send_helpers(&mut self) {
        let (core, last_run, vault) = (&mut self.core, &mut self.last_run, &self.vault);
        let number = || {
            *last_run += 1;
            core.reserve_runs(*last_run);
            RunId(*last_run)
        };
        let commands = self.probes.exec.take_commands(number, |texts| vault.fill(texts));
        for mut command in commands {
            if let Command::Spawn(spawn) = &mut command
                && let Err(error) = self.fit_helper(spawn)
            {
                self.probes.exec.heard(RunId(spawn.run), Helper::SpawnFailed(error));
                continue;
            }
            self.out.command(command);
        }
    }

    /// Makes a helper's process one that this keeper can make, where its service belongs.
    fn fit_helper(&self, spawn: &mut Spawn) -> Result<(), String> {
        if let Some(service) = self.probes.exec.service_of(RunId(spawn.run)) {
            self.place(service, spawn)?;
        }
        self.knows.fit(spawn)
    }

    /// Everybody who follows the plan hears what became of it.
    fn take_plan_changes(&mut self) {
        let changes = self.core.take_plan_changes();
        if !changes.is_empty() {
            self.vault.follow(self.core.plan());
            self.sessions.follow(self.core.plan());
        }
        if changes.stack {
            self.note_top();
        }
        for name in changes.services {
            let plan = self.core.plan().services.get(&name).cloned();
            if plan.is_none() {
                self.outputs.forget(&name);
                self.leaks.remove(&name);
                if self.limits.remove(&name).is_some() {
                    self.limits_changed();
                }
            }
            self.note_plan(&name, plan.as_ref());
        }
    }

    /// Takes in which hooks are over and starts the next ones; what the core is to be told.
    fn hooks_go_on(&mut self) -> Vec<Input> {
        let (plan, exec) = (self.core.plan(), &mut self.probes.exec);
        for (service, seq, outcome) in exec.take_hooks() {
            self.hooks.ended(&service, seq, outcome, plan);
        }
        let told = self.hooks.go_on(now(), plan, exec);
        self.shelf.hold(self.hooks.held());
        told
    }

    /// Takes in how far changes of files are and takes their next steps; what the core is to be told.
    fn files_go_on(&mut self) -> Vec<Input> {
        for done in self.probes.exec.take_files() {
            self.files.ended(done);
        }
        let mut told = Vec::new();
        for follows in self.files.go_on(now(), self.core.plan(), &mut self.probes) {
            match follows {
                Follows::Input(input) => told.push(input),
                Follows::Hooks { service, run, facts } => {
                    self.hooks.want(&service, run, HookMoment::BeforeStart, facts);
                }
                Follows::Signal { id, run, action } => self.signal_main(id, run, action),
            }
        }
        told
    }

    /// What a service manager wants to know of the stack as a whole.
    fn tell_of_the_whole(&mut self) {
        if !self.settled && self.core.is_settled() {
            self.settled = true;
            self.out.settled();
        }
        let frost = self.core.frost();
        if self.frost != Some(frost) {
            self.frost = Some(frost);
            self.out.frost(frost);
        }
        // The hooks of the end come first.
        let over = self.core.over().filter(|_| self.hooks.is_idle());
        if over.is_some() != self.over {
            self.over = over.is_some();
            over.into_iter().for_each(|over| self.out.over(over));
        }
    }

    /// The frame that was taken last is on its way (or there was none).
    pub fn sent(&mut self) {
        self.events.flush();
        let taken = Taken { revision: *self.watched.revision.borrow(), plan: *self.watched.plan.borrow() };
        for reply in self.leaving.drain(..) {
            reply(taken);
        }
    }
}
