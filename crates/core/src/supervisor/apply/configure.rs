//! Files of programs that run: they are put in their places, the program is told, and has to be healthy after that.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::gate::Gate;
use crate::reload::Action;
use crate::service::Phase;
use crate::supervisor::Supervisor;
use crate::words::clip;
use crate::{ConfigStage, Effect, EventKind, FilesOutcome, RunId, ServiceName, Time};

/// How far a service is with its files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Files {
    /// They are being put in their places.
    Changing {
        /// The change's number.
        change: RunId,
        /// The run that reads them.
        of: RunId,
        /// What follows.
        then: Action,
        why: String,
    },
    /// The program of this run was told.
    Told {
        of: RunId,
        at: Time,
        /// What a probe was asked until then says nothing.
        asked: u64,
    },
    /// They are as they were, for this reason.
    Refused(String),
    /// They are in their places, but its program could not be told.
    NotTold(String),
}

impl Supervisor {
    /// The run of a service that reads its files, if there is one.
    pub(super) fn reads_files(&self, name: &ServiceName) -> Option<RunId> {
        match &self.nodes.get(name)?.service.phase {
            Phase::Startup(run) | Phase::Running(run) | Phase::Ready(run) => Some(run.id),
            _ => None,
        }
    }

    /// The service whose files are changed under this number.
    pub(in crate::supervisor) fn changes_files(&self, run: RunId) -> Option<&ServiceName> {
        let asked =
            |gate: &Gate| matches!(&gate.files, Some(Files::Changing { change, .. }) if *change == run);
        self.progress.gates.iter().find(|(_, gate)| asked(gate)).map(|(name, _)| name)
    }

    /// Has the files of a service changed, and what follows done after that.
    pub(super) fn configure(&mut self, name: &ServiceName, then: Action, why: String) {
        let Some(of) = self.reads_files(name) else { return };
        self.last_run += 1;
        self.dirty_stack = true;
        let change = RunId(self.last_run);
        self.wait_for(name, true);
        let longest =
            self.plan.services.get(name).map_or_else(Default::default, |plan| plan.config.longest());
        if let Some(gate) = self.progress.gates.get_mut(name) {
            gate.until = gate.until.after(longest);
            gate.files = Some(Files::Changing { change, of, then, why });
        }
        self.want_files(name);
    }

    fn want_files(&mut self, name: &ServiceName) {
        let files = self.progress.gates.get(name).and_then(|gate| gate.files.as_ref());
        if let Some(Files::Changing { change, of, then, .. }) = files {
            let tell = (*then == Action::Signal).then_some(*of);
            self.effects.push_back(Effect::Configure { service: name.clone(), run: *change, tell });
        }
    }

    /// The open questions, for a daemon that does not know whether they were asked.
    pub(in crate::supervisor) fn configure_again(&mut self) {
        let names: Vec<ServiceName> = self.progress.gates.keys().cloned().collect();
        names.iter().for_each(|name| self.want_files(name));
    }

    /// The files of a service are in their places and its program was told, or not.
    pub(in crate::supervisor) fn configured(&mut self, run: RunId, outcome: FilesOutcome) {
        let Some(name) = self.changes_files(run).cloned() else { return };
        let Some(gate) = self.progress.gates.get_mut(&name) else { return };
        let Some(Files::Changing { of, then, why, .. }) = gate.files.take() else { return };
        let took = self.now.since(gate.began);
        (self.dirty_apply, self.way.look) = (true, true);
        let (stage, detail) = match outcome {
            FilesOutcome::Done(detail) if then == Action::Signal => (ConfigStage::Told, clip(detail)),
            FilesOutcome::Done(detail) => (ConfigStage::Written, clip(detail)),
            FilesOutcome::Refused(why) => {
                let why = clip(why);
                gate.files = Some(Files::Refused(why.clone()));
                (ConfigStage::Failed, why)
            }
            FilesOutcome::NotTold(why) => {
                let why = clip(why);
                gate.files = Some(Files::NotTold(why.clone()));
                (ConfigStage::Failed, why)
            }
        };
        self.tell(Some(name.clone()), EventKind::Config { stage, detail, took });
        if stage == ConfigStage::Failed {
            return;
        }
        match then {
            Action::Restart => {
                self.wait_for(&name, true);
                self.restart(name, why);
            }
            Action::Signal => {
                self.wait_for(&name, true);
                let until = self.now.after(self.plan.reload.timeout);
                let asked = self.with(&name, |machine| machine.look_again()).unwrap_or_default();
                if let Some(gate) = self.progress.gates.get_mut(&name) {
                    gate.until = until;
                    gate.files = Some(Files::Told { of, at: self.now, asked });
                }
            }
            _ => drop(self.progress.gates.remove(&name)),
        }
    }

    /// Services to which nothing was done, since their files were refused.
    pub(super) fn untouched(&self) -> BTreeSet<ServiceName> {
        let refused = |gate: &Gate| matches!(gate.files, Some(Files::Refused(_)));
        self.progress.gates.iter().filter(|(_, gate)| refused(gate)).map(|(name, _)| name.clone()).collect()
    }

    /// A service is through: if it was told, it is healthy.
    pub(super) fn tell_taken(&mut self, name: &ServiceName, gate: &Gate) {
        let Some(Files::Told { of, at, .. }) = gate.files else { return };
        if self.reads_files(name) != Some(of) {
            return;
        }
        let (took, stage) = (self.now.since(at), ConfigStage::Taken);
        let reason = self.nodes.get(name).map_or_else(String::new, |node| node.service.reason.clone());
        self.tell(Some(name.clone()), EventKind::Config { stage, detail: reason, took });
    }
}
