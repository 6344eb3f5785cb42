//! Snapshots: a supervisor's state as text, so that another one goes on where it was.
//!
//! One per service, `svc/<name>`, and one for the stack. The plan is not in them: the daemon keeps it in a file.
//! Fields are only ever added, with defaults, so that a newer supervisor reads what an older one wrote.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Node, Supervisor};
use crate::service::{After, On, Phase, Service};
use crate::{Effect, EventKind, Plan, RunId, ServiceName, StateName, Time, json};

const STACK: &str = "stack";
const SERVICE: &str = "svc/";
const APPLY: &str = "apply";
const PROGRESS: &str = "apply/progress";

/// The stack's own state.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Stack {
    last_run: u64,
    going_down: bool,
    told_down: bool,
    told_rests: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u32>,
}

impl Supervisor {
    /// The supervisor that wrote `snapshots`, as it was.
    ///
    /// Everything goes on as if it had never been away, except that probe questions in flight are asked again,
    /// under the same numbers, and so are preparations and changes of files. Other effects that were polled are not
    /// repeated. A service without a readable snapshot
    /// is `stopped`; the keeper's run of it, if there is one, is unknown to this supervisor.
    pub fn restore(plan: Plan, seed: u64, snapshots: &BTreeMap<String, String>, now: Time) -> Self {
        let mut supervisor = Supervisor::new(Plan { services: BTreeMap::new(), ..plan.clone() }, seed, now);
        supervisor.plan = plan;
        let stack = snapshots.get(STACK).map(|text| serde_json::from_str::<Stack>(text));
        let stack_is_known = matches!(stack, Some(Ok(_)));
        let Stack { last_run, going_down, told_down, told_rests, session } =
            stack.and_then(Result::ok).unwrap_or_default();
        (supervisor.last_run, supervisor.going_down) = (last_run, going_down);
        supervisor.session = session;
        (supervisor.told_down, supervisor.told_rests) = (told_down, told_rests);
        supervisor.dirty_stack = !stack_is_known;
        let names: Vec<ServiceName> = supervisor.plan.services.keys().cloned().collect();
        for name in &names {
            supervisor.restore_service(name, snapshots.get(&key(name)), now);
        }
        for gone in snapshots.keys().filter_map(|key| ServiceName::new(key.strip_prefix(SERVICE)?).ok()) {
            if !supervisor.nodes.contains_key(&gone) {
                supervisor.dirty.insert(gone);
            }
        }
        supervisor.link_all();
        supervisor.restore_apply(snapshots);
        for name in &names {
            supervisor.revive(name);
        }
        supervisor.configure_again();
        supervisor.drain();
        supervisor.look_at_gates();
        supervisor.tell_down();
        supervisor
    }

    /// Goes on with what was being applied. The plan that the snapshots go with says which services have changed.
    fn restore_apply(&mut self, snapshots: &BTreeMap<String, String>) {
        let Some(text) = snapshots.get(APPLY) else { return };
        match serde_json::from_str(text) {
            Ok(apply) => {
                self.apply = Some(apply);
                let progress = snapshots.get(PROGRESS).and_then(|text| serde_json::from_str(text).ok());
                self.progress = progress.unwrap_or_default();
                self.set_out();
            }
            Err(error) => {
                self.dirty_apply = true;
                let detail = format!("what was being applied cannot be read, so it stays as it is: {error}");
                self.tell(None, EventKind::Refused { reason: detail });
            }
        }
    }

    fn restore_service(&mut self, name: &ServiceName, text: Option<&String>, now: Time) {
        let read = text.map(|text| serde_json::from_str::<Service>(text));
        let service = match read {
            Some(Ok(service)) => service,
            None => {
                self.dirty.insert(name.clone());
                Service::new(now, "never started")
            }
            Some(Err(error)) => {
                self.dirty.insert(name.clone());
                let reason = format!("its state could not be read, so it counts as stopped: {error}");
                let (from, to) = (StateName::Stopped, StateName::Stopped);
                self.tell(Some(name.clone()), EventKind::State { from, to, reason: reason.clone() });
                Service::new(now, reason)
            }
        };
        let run = service.phase.run_id().unwrap_or(RunId(0));
        self.last_run = self.last_run.max(run.0);
        self.nodes.insert(name.clone(), Node::new(service));
    }

    /// Brings a restored service back to life. With the snapshots of one moment and their plan, that is asking the
    /// open questions again. The rest is for snapshots that do not fit each other or the plan.
    fn revive(&mut self, name: &ServiceName) {
        let now = self.now;
        let (Some(node), Some(plan)) = (self.nodes.get_mut(name), self.plan.services.get(name)) else {
            return;
        };
        if let Some(run) = node.service.phase.run_up_mut() {
            let id = run.id;
            for (probe, seq) in run.probes.ask_again(now, plan) {
                self.effects.push_back(Effect::Probe { service: name.clone(), run: id, probe, seq });
                self.dirty.insert(name.clone());
            }
        }
        if let Phase::Preparing(preparing) = &node.service.phase {
            let preparing = preparing.clone();
            self.with(name, |machine| machine.prepare_again(&preparing));
        }
        if let Some(node) = self.nodes.get(name)
            && let Phase::BeforeStop(before) = &node.service.phase
            && now < before.until
        {
            let before = before.clone();
            self.with(name, |machine| machine.ask_before_stop(&before));
        }
        let Some(node) = self.nodes.get(name) else { return };
        let on = match &node.service.phase {
            // What was left running and ends: its policy is asked, and starts nothing now.
            Phase::Stopping(stopping) if matches!(stopping.wish.after, After::Policy(_)) => None,
            Phase::BeforeStop(before) if matches!(before.wish.after, After::Policy(_)) => None,
            phase if self.going_down && !node.service.left && !phase.stays_down() => {
                Some(On::Stop("the stack goes down".into()))
            }
            Phase::Waiting(_) if node.links.unmet == 0 => Some(On::Unblocked),
            Phase::Holding(_) if !node.links.has_dependents(self.going_down) => Some(On::DependentsDown),
            _ => None,
        };
        self.queue.extend(on.map(|on| (name.clone(), on)));
        let was_dirty = self.dirty.contains(name);
        self.touch(name);
        if !was_dirty {
            self.dirty.remove(name);
        }
    }

    /// The snapshots that changed since the last call: a key and its new text, or none if the key goes.
    pub fn take_dirty(&mut self) -> Vec<(String, Option<String>)> {
        let dirty = std::mem::take(&mut self.dirty);
        let services = dirty.iter().map(|name| (key(name), self.nodes.get(name)));
        let mut changed: Vec<(String, Option<String>)> =
            services.map(|(key, node)| (key, node.map(|node| json::to_string(&node.service)))).collect();
        if std::mem::take(&mut self.dirty_stack) {
            changed.push((STACK.to_owned(), Some(self.stack_snapshot())));
        }
        if std::mem::take(&mut self.dirty_apply) {
            changed.extend(self.apply_snapshots());
        }
        changed
    }

    fn apply_snapshots(&self) -> [(String, Option<String>); 2] {
        let apply = self.apply.as_ref();
        let progress = apply.map(|_| json::to_string(&self.progress));
        [(APPLY.to_owned(), apply.map(json::to_string)), (PROGRESS.to_owned(), progress)]
    }

    /// All snapshots as they are now: what [`restore`](Self::restore) takes.
    pub fn snapshots(&self) -> BTreeMap<String, String> {
        let services = self.nodes.iter().map(|(name, node)| (key(name), json::to_string(&node.service)));
        let apply = self.apply_snapshots().into_iter().filter_map(|(key, text)| Some((key, text?)));
        services.chain([(STACK.to_owned(), self.stack_snapshot())]).chain(apply).collect()
    }

    fn stack_snapshot(&self) -> String {
        let Supervisor { last_run, going_down, told_down, told_rests, session, .. } = *self;
        json::to_string(&Stack { last_run, going_down, told_down, told_rests, session })
    }
}

fn key(name: &ServiceName) -> String {
    format!("{SERVICE}{name}")
}
