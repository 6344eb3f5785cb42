//! One life of a service's process.

use serde::{Deserialize, Serialize};

use super::probing::Probes;
use crate::{Exit, RunId, ServicePlan, Time};

/// A run whose process was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub id: RunId,
    /// Unknown if the news of the process came after the news of its end.
    pub pid: Option<u32>,
    /// When the process was made.
    pub started: Time,
    /// What its probes saw.
    pub probes: Probes,
    /// Since when nothing is wrong with it: started, or ready if there is a readiness probe.
    pub healthy_since: Option<Time>,
    /// How the main process ended, if others of the tree are left.
    pub exit: Option<Exit>,
    /// Whether it was up for the first time, and its `after_ready` hook had its turn.
    #[serde(default)]
    pub greeted: bool,
}

impl Run {
    pub(crate) fn new(id: RunId, pid: Option<u32>, now: Time, plan: &ServicePlan) -> Self {
        Run {
            id,
            pid,
            started: now,
            probes: Probes::of(plan),
            healthy_since: None,
            exit: None,
            greeted: false,
        }
    }
}
