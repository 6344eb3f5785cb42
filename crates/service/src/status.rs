//! What a service manager is told: the state, and signs of life while it changes. Pure.

use std::time::Duration;

/// The state of the service, in the SCM's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not ready yet.
    Starting,
    /// Ready.
    Running,
    /// To be paused.
    Pausing,
    /// Paused.
    Paused,
    /// To go on after a pause.
    Continuing,
    /// Takes its configuration anew. The SCM has no word for it and goes on seeing it run.
    Reloading,
    /// To stop.
    Stopping,
    /// Over.
    Stopped,
}

/// What the service can be asked for. It can always be asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepts {
    pub(crate) pause: bool,
    pub(crate) reload: bool,
    pub(crate) custom: bool,
    pub(crate) power: bool,
    pub(crate) sessions: bool,
    /// To be told that the machine goes down.
    pub(crate) shutdown: bool,
}

impl Default for Accepts {
    fn default() -> Accepts {
        Accepts { pause: false, reload: false, custom: false, power: false, sessions: false, shutdown: true }
    }
}

/// One report to a service manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) state: State,
    /// Rises while a state is pending; 0 otherwise.
    pub(crate) checkpoint: u32,
    /// The next report comes within this.
    pub(crate) hint: Duration,
    /// Whether controls other than to interrogate are taken.
    pub(crate) controls: bool,
    /// What it ended with.
    pub(crate) code: u32,
}

/// The first hint, and by how much each beat raises it. The SCM takes a service for hung when its checkpoint stands
/// still for 30 s, and some tools when its hint does, too.
const FIRST_HINT: Duration = Duration::from_secs(10);
const HINT_STEP: Duration = Duration::from_secs(1);
const LONGEST_HINT: Duration = Duration::from_secs(180);

/// The state, and how it may change.
#[derive(Debug)]
pub(crate) struct Board {
    state: State,
    beats: u32,
    code: u32,
}

impl Board {
    pub(crate) fn new() -> Board {
        Board { state: State::Starting, beats: 0, code: 0 }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Changes the state if that can be; whether it did.
    pub(crate) fn go(&mut self, to: State) -> bool {
        use State::{Continuing, Paused, Pausing, Reloading, Running, Starting, Stopped, Stopping};
        let can = match (self.state, to) {
            (Stopped, _) => false,
            (_, Stopped) => true,
            (Stopping, _) => false,
            (_, Stopping) => true,
            (Starting | Pausing | Continuing | Reloading, Running) => true,
            (Running, Pausing | Reloading) => true,
            (Running | Pausing, Paused) => true,
            (Paused, Continuing | Running) => true,
            _ => false,
        };
        if can {
            (self.state, self.beats) = (to, 0);
        }
        can
    }

    /// It is over, with this code.
    pub(crate) fn end(&mut self, code: u32) {
        if self.go(State::Stopped) {
            self.code = code;
        }
    }

    /// It still works on it. Whether there is something new to tell.
    pub(crate) fn beat(&mut self) -> bool {
        let pending = self.is_pending();
        if pending {
            self.beats = self.beats.saturating_add(1);
        }
        pending
    }

    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state, State::Starting | State::Pausing | State::Continuing | State::Stopping)
    }

    pub(crate) fn report(&self) -> Report {
        let pending = self.is_pending();
        Report {
            state: self.state,
            checkpoint: if pending { self.beats.saturating_add(1) } else { 0 },
            hint: if pending {
                (FIRST_HINT + HINT_STEP.saturating_mul(self.beats)).min(LONGEST_HINT)
            } else {
                Duration::ZERO
            },
            // One that starts can be told to stop: nobody should have to wait for a slow start to end it.
            controls: !matches!(self.state, State::Stopping | State::Stopped),
            code: self.code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pending_state_shows_signs_of_life() {
        let mut board = Board::new();
        let first = board.report();
        assert_eq!((first.state, first.checkpoint, first.hint), (State::Starting, 1, FIRST_HINT));
        let mut before = first;
        for _ in 0..100 {
            assert!(board.beat());
            let report = board.report();
            assert!(report.checkpoint > before.checkpoint && report.hint > before.hint, "{report:?}");
            before = report;
        }
        assert!(board.go(State::Running));
        assert!(!board.beat());
        assert_eq!((board.report().checkpoint, board.report().hint), (0, Duration::ZERO));
        assert!(board.go(State::Stopping));
        assert_eq!(board.report().checkpoint, 1, "it begins anew");
        assert!(!board.report().controls);
    }

    #[test]
    fn nothing_comes_after_the_end_and_nothing_holds_up_a_stop() {
        let all = [
            State::Starting,
            State::Running,
            State::Pausing,
            State::Paused,
            State::Continuing,
            State::Reloading,
            State::Stopping,
            State::Stopped,
        ];
        for from in all {
            let mut board = Board { state: from, beats: 3, code: 0 };
            assert_eq!(
                board.go(State::Stopping),
                !matches!(from, State::Stopping | State::Stopped),
                "{from:?}"
            );
            let mut board = Board { state: from, beats: 3, code: 0 };
            assert!(!board.go(State::Starting), "{from:?}");
            board.end(7);
            for to in all {
                assert!(!board.go(to));
            }
            assert_eq!(board.report().code, if from == State::Stopped { 0 } else { 7 });
        }
    }
}
