//! The supervisor: all services of a stack, what they depend on, and who asks for what.

use std::collections::{BTreeMap, VecDeque};

use crate::{Effect, Input, Plan, Refusal, Request, RunId, ServiceName, ServiceStatus, Time};

/// All services of a stack. See the [crate's documentation](crate) for the contract.
pub struct Supervisor {
    plan: Plan,
    seed: u64,
    effects: VecDeque<Effect>,
    going_down: bool,
    last_run: u64,
}

impl Supervisor {
    /// A supervisor of services that are all `stopped`. [`Request::Up`] starts them.
    pub fn new(plan: Plan, seed: u64, now: Time) -> Self {
        let _ = now;
        Supervisor { plan, seed, effects: VecDeque::new(), going_down: false, last_run: 0 }
    }

    /// The supervisor that wrote `snapshots`, as it was.
    ///
    /// Everything goes on as if it had never been away, except that probe questions in flight are asked again,
    /// under the same numbers. Effects that were polled are not repeated. A service without a readable snapshot
    /// is `stopped`; the keeper's run of it, if there is one, is unknown to this supervisor.
    pub fn restore(plan: Plan, seed: u64, snapshots: &BTreeMap<String, String>, now: Time) -> Self {
        let _ = snapshots;
        Self::new(plan, seed, now)
    }

    /// Takes in one thing that happened. Its effects wait in [`poll_effect`](Self::poll_effect).
    pub fn handle(&mut self, now: Time, input: Input) {
        let _ = (now, input);
    }

    /// The next thing to do, in order. Take all of them before [`take_dirty`](Self::take_dirty).
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Input::Tick`] is wanted next, and what for.
    pub fn next_deadline(&self) -> Option<(Time, &'static str)> {
        None
    }

    /// The snapshots that changed since the last call: a key and its new text, or none if the key goes.
    pub fn take_dirty(&mut self) -> Vec<(String, Option<String>)> {
        Vec::new()
    }

    /// All snapshots as they are now: what [`restore`](Self::restore) takes.
    pub fn snapshots(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// All services, by name.
    pub fn status(&self) -> Vec<ServiceStatus> {
        Vec::new()
    }

    /// One service.
    pub fn service_status(&self, name: &str) -> Option<ServiceStatus> {
        let _ = name;
        None
    }

    /// The plan as it is now, with what was added and without what was removed.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The seed it was made with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether [`Request::Down`] was asked for. Nothing starts any more then.
    pub fn is_going_down(&self) -> bool {
        self.going_down
    }

    /// Makes new runs' numbers rise above `last_run`.
    pub fn reserve_runs(&mut self, last_run: u64) {
        self.last_run = self.last_run.max(last_run);
    }

    /// The service whose present run this is; none for a run that is over or never was.
    pub fn service_of(&self, run: RunId) -> Option<&ServiceName> {
        let _ = run;
        None
    }

    /// Whether a request can be taken as things are. [`handle`](Self::handle) asks the same and tells
    /// [`EventKind::Refused`](crate::EventKind::Refused) if not.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, request: &Request) -> Result<(), Refusal> {
        let _ = request;
        Ok(())
    }
}
