//! Services in the session of who is signed in: started at the logon, ended at the logoff.
//!
//! Somebody who is signed in is counted like a dependency that is there. So a start that has to wait for a logon waits as
//! for any other dependency, and its end at a logoff is a restart that then waits: asked by nobody, and no crash.

use super::Supervisor;
use crate::service::{On, Phase};
use crate::{ServiceName, ServicePlan};

/// Why a service waits that has all else that it depends on.
pub(super) const NOBODY: &str = "waiting for a logon: nobody is signed in";

impl Supervisor {
    /// The session in which services run that want one; none while nobody is signed in.
    pub fn session(&self) -> Option<u32> {
        self.session
    }

    /// Whether a service cannot start because nobody is signed in.
    pub(super) fn lacks_session(&self, plan: &ServicePlan) -> bool {
        plan.session.waits() && self.session.is_none()
    }

    /// Whether a service waits, and for nothing else than a logon.
    pub(super) fn waits_for_logon(&self, name: &ServiceName) -> bool {
        let (Some(node), Some(plan)) = (self.nodes.get(name), self.plan.services.get(name)) else {
            return false;
        };
        matches!(node.service.phase, Phase::Waiting(_)) && node.links.unmet == 1 && self.lacks_session(plan)
    }

    /// Another session is to be used, or none is there.
    pub(super) fn session_is(&mut self, session: Option<u32>) {
        let before = std::mem::replace(&mut self.session, session);
        if before == session {
            return;
        }
        self.dirty_stack = true;
        let why = match (before, session) {
            (_, None) => "nobody is signed in any more",
            (None, Some(_)) => "somebody has signed in",
            (Some(_), Some(_)) => "another session is there instead",
        };
        let concerned = self.plan.services.iter().filter(|(_, plan)| !plan.session.is_services());
        let concerned: Vec<(ServiceName, bool)> =
            concerned.map(|(name, plan)| (name.clone(), plan.session.waits())).collect();
        for (name, waits) in concerned {
            let Some(node) = self.nodes.get_mut(&name) else { continue };
            if waits {
                let lacked = usize::from(before.is_none());
                node.links.unmet = node.links.unmet + usize::from(session.is_none()) - lacked;
            }
            if self.going_down {
                continue;
            }
            match &node.service.phase {
                Phase::Waiting(_) if node.links.unmet == 0 => self.queue.push_back((name, On::Unblocked)),
                Phase::Waiting(_) => self.look_what_blocks(&name),
                // It has run to its end in the session of before.
                Phase::Completed if waits && before.is_none() => {
                    self.queue.push_back((name, On::Start(why.to_owned())));
                }
                Phase::Spawning(_)
                | Phase::Startup(_)
                | Phase::Running(_)
                | Phase::Ready(_)
                | Phase::Pausing(_)
                | Phase::Paused(_)
                | Phase::Continuing(_)
                | Phase::Backoff(_) => self.queue.push_back((name, On::Restart(why.to_owned()))),
                // Down, on the way there, or not yet so far that it matters.
                Phase::Stopped
                | Phase::Preparing(_)
                | Phase::Aborting(_)
                | Phase::Holding(_)
                | Phase::BeforeStop(_)
                | Phase::Stopping(_)
                | Phase::Failed
                | Phase::Completed => {}
            }
        }
    }
}
