//! Hooks of moments that are not steps of a service's life: something happens to the machine, to a session or to a log.

use super::{Node, Supervisor};
use crate::walks::in_order;
use crate::{Control, Effect, HookFacts, HookMoment, Rotation, RunId, ServiceName};

/// What each hook is told of a service as it is.
pub(super) fn facts(node: &Node, reason: &str) -> HookFacts {
    let tally = &node.service.tally;
    HookFacts {
        reason: reason.to_owned(),
        pid: node.service.phase.run().and_then(|run| run.pid),
        restarts: tally.restarts,
        in_a_row: tally.in_a_row,
        ..HookFacts::default()
    }
}

impl Supervisor {
    /// Something happens to the machine, or to somebody's session: the hooks of those that run are told.
    pub(super) fn tell_hooks(&mut self, control: Control) {
        let (moment, power, session, reason) = match control {
            Control::Power(change) => {
                (HookMoment::OnPower, Some(change), None, format!("power: {}", change.as_str()))
            }
            Control::Session { id, change } => {
                let reason = format!("session {id}: {}", change.as_str());
                (HookMoment::OnSession, None, Some((id, change)), reason)
            }
            Control::Pause | Control::Continue | Control::Code(_) => return,
        };
        for service in in_order(&self.plan) {
            let Some(node) = self.wants(&service, moment) else { continue };
            let Some(run) = node.service.phase.run().filter(|run| run.pid.is_some()) else { continue };
            let (run, facts) = (run.id, HookFacts { power, session, ..facts(node, &reason) });
            self.effects.push_back(Effect::Hook { service, run, moment, facts });
        }
    }

    /// Files of a service's log were closed: its hook is told, also while nothing runs. The last words of a run can be
    /// what fills one.
    pub(super) fn rotated(&mut self, service: ServiceName, rotation: Rotation) {
        let moment = HookMoment::OnRotation;
        let Some(node) = self.wants(&service, moment) else { return };
        let run = node.service.phase.run().map_or(RunId(0), |run| run.id);
        let mut facts = facts(node, &rotation.to_string());
        facts.rotation = Some(rotation);
        self.effects.push_back(Effect::Hook { service, run, moment, facts });
    }

    /// The service, if it has a hook for this moment.
    fn wants(&self, service: &ServiceName, moment: HookMoment) -> Option<&Node> {
        self.plan.services.get(service).filter(|plan| plan.hooks.at(moment).is_some())?;
        self.nodes.get(service)
    }
}
