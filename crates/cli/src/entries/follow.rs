//! What an entry shows of its service. Pure.

use mainstay_api::types::Service;
use mainstay_core::StateName;

use crate::failure::ExitStatus;
use crate::wait::{Goal, Verdict, judge};

/// What the service manager is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is as it was before.
    Same,
    /// It runs, or Mainstay is about to start it again.
    Running,
    /// It is paused.
    Paused,
    /// It is down; with this code, 0 for as wanted.
    Over(u32),
}

/// What is shown of a service; none if the stack does not know it any more. One that was up once is not shown as
/// starting again when it is restarted.
pub fn shown(service: Option<&Service>, was_up: bool) -> Shown {
    let Some(service) = service else { return Shown::Over(0) };
    match service.state {
        StateName::Stopped | StateName::Completed => Shown::Over(0),
        StateName::Failed => Shown::Over(ExitStatus::Never as u32),
        StateName::Paused => Shown::Paused,
        StateName::Stopping | StateName::Pausing | StateName::Continuing => Shown::Same,
        _ if was_up || service.crash_loop => Shown::Running,
        _ if judge(Goal::Up, Some(service)) == Verdict::Reached => Shown::Running,
        _ => Shown::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use mainstay_core::ProbeKind;

    #[test]
    fn an_entry_runs_from_the_first_ready_to_the_end() {
        let of = |state, was_up| shown(Some(&testing::service("web", state)), was_up);
        assert_eq!(of(StateName::Starting, false), Shown::Same);
        assert_eq!(of(StateName::Backoff, false), Shown::Same);
        assert_eq!(of(StateName::Running, false), Shown::Running);
        assert_eq!(of(StateName::Ready, false), Shown::Running);
        assert_eq!(of(StateName::Backoff, true), Shown::Running, "never paused, and not gone");
        assert_eq!(of(StateName::Starting, true), Shown::Running);
        assert_eq!(of(StateName::Stopping, true), Shown::Same);
        assert_eq!(of(StateName::Paused, true), Shown::Paused);
        assert_eq!(of(StateName::Stopped, true), Shown::Over(0));
        assert_eq!(of(StateName::Completed, true), Shown::Over(0));
        assert_eq!(of(StateName::Failed, true), Shown::Over(6));
        assert_eq!(shown(None, true), Shown::Over(0), "it was taken out of the stack");
        let mut probed = testing::service("web", StateName::Running);
        probed.probes = vec![testing::probe(ProbeKind::Ready, Some(false), "503", 1)];
        assert_eq!(shown(Some(&probed), false), Shown::Same, "not ready yet");
        probed.crash_loop = true;
        assert_eq!(
            shown(Some(&probed), false),
            Shown::Running,
            "what starts for ever must not block services.msc"
        );
    }
}
