//! What is known of the services' limits: those that do not hold here, and those that the last run came up against.

use std::collections::BTreeMap;

use mainstay_core::{Event, EventKind, LimitHits, NotEnforced, RunId, ServiceName};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::driver::Driver;
use crate::outbox::LIMITS_KEY;

/// Of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Known {
    /// Told when it changes, not at each start.
    pub not_enforced: Vec<NotEnforced>,
    /// The run that came up against limits, unless one after it has ended.
    run: Option<u64>,
    /// Which limits.
    pub hits: LimitHits,
}

/// Of all services of which there is something to say.
pub(crate) type AllKnown = BTreeMap<ServiceName, Known>;

impl Driver {
    /// The keeper has made limits hold, but for these.
    pub(crate) fn limits_set(&mut self, run: RunId, not_enforced: Vec<NotEnforced>) {
        let Some(service) = self.core.service_of(run).cloned() else { return };
        let known = self.limits.entry(service.clone()).or_default();
        if known.not_enforced == not_enforced {
            return;
        }
        let before = std::mem::replace(&mut known.not_enforced, not_enforced.clone());
        for limit in not_enforced.into_iter().filter(|limit| !before.contains(limit)) {
            warn!("{service}: {}", limit.words());
            let kind = EventKind::NotEnforced { limit };
            let event = Event { service: Some(service.clone()), run: Some(run), kind };
            self.tell(event);
        }
        self.limits_changed();
    }

    /// A run that is about to be told as exited came up against limits.
    pub(crate) fn limit_hit(&mut self, run: RunId, hits: LimitHits) {
        let Some(service) = self.core.service_of(run).cloned() else { return };
        let kind = EventKind::LimitHit { hits: hits.clone() };
        let event = Event { service: Some(service.clone()), run: Some(run), kind };
        self.tell(event);
        let known = self.limits.entry(service).or_default();
        (known.run, known.hits) = (Some(run.0), hits);
        self.limits_changed();
    }

    /// A run has ended: what an earlier one came up against is of the past.
    pub(crate) fn limits_of_ended(&mut self, run: RunId) {
        let Some(known) = self.core.service_of(run).and_then(|service| self.limits.get_mut(service)) else {
            return;
        };
        if known.run.is_some_and(|of| of != run.0) {
            (known.run, known.hits) = (None, LimitHits::default());
            self.limits_changed();
        }
    }

    pub(crate) fn limits_changed(&mut self) {
        self.limits.retain(|_, known| *known != Known::default());
        self.out.put_json(LIMITS_KEY, &self.limits);
        self.changed = true;
    }
}
