//! When a daemon is started, asked, given up and replaced. Pure: time comes in, wishes go out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_core::Time;

/// A daemon that has answered is asked again after this. Asking is most of what an idle stack costs.
const PING_EVERY: Duration = Duration::from_secs(4);

/// One that has not answered is asked again after this.
const PING_AGAIN: Duration = Duration::from_secs(2);

/// So many questions in a row without an answer, and it is given up. Counted rather than timed, so that a machine
/// that stood still (suspend, a stopped keeper) does not look like a daemon that hangs.
const UNANSWERED: u32 = 4;

/// From its start to its hello, at the most.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// A daemon that lived so long was no failed start, whatever became of it.
const SETTLED: Duration = Duration::from_secs(10);

/// A daemon that was killed but has not ended is killed again after this.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// The first back-off. The first death in a row is answered at once.
const DELAY: Duration = Duration::from_millis(100);

/// The longest, while no daemon gets as far as an answer.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// The longest, when each one did work for a while.
const MAX_DELAY_WORKING: Duration = Duration::from_millis(250);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Start one from [`Life::exe`].
    Start,
    /// End the one there is; its death will be told.
    Kill,
    /// Ask it.
    Ping(u64),
    /// Tell it, or the next one, that the replacement failed.
    ReplaceFailed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is none. The next one starts then.
    Absent { until: Time },
    /// It runs, and has not said hello.
    Starting { until: Time },
    /// It works. The last ping was sent so long ago, that many are not answered.
    Up { next_ping: Time, unanswered: u32 },
    /// It is to end.
    Ending { again: Time },
    /// No other one is to come.
    Over,
}

/// The life of all daemons of a keeper.
#[derive(Debug)]
pub(crate) struct Life {
    phase: Phase,
    exe: PathBuf,
    /// The program before a replacement that has not proved itself.
    before: Option<PathBuf>,
    since: Time,
    /// Whether the one there is (or was last) has said hello.
    greeted: bool,
    /// Whether it has answered a ping.
    answered: bool,
    /// When any daemon answered last.
    last_answer: Option<Time>,
    ping: u64,
    /// Deaths in a row before an answer, and after one but within [`SETTLED`].
    stillborn: u32,
    short_lived: u32,
    started: u32,
    /// Why the last one is gone, or is to go, in words.
    reason: String,
    given_up: Option<String>,
}

impl Life {
    pub(crate) fn new(exe: PathBuf, now: Time) -> Life {
        Life {
            phase: Phase::Absent { until: now },
            exe,
            before: None,
            since: now,
            greeted: false,
            answered: false,
            last_answer: None,
            ping: 0,
            stillborn: 0,
            short_lived: 0,
            started: 0,
            reason: String::new(),
            given_up: None,
        }
    }

    /// The program that the next one is made from.
    pub(crate) fn exe(&self) -> &Path {
        &self.exe
    }

    /// How many were started before the one there is now.
    pub(crate) fn predecessors(&self) -> u32 {
        self.started.saturating_sub(1)
    }

    /// Why the last one is gone, in words; empty if there was none.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// How many died in a row before they gave an answer.
    pub(crate) fn stillborn(&self) -> u32 {
        self.stillborn
    }

    /// When a daemon answered last.
    pub(crate) fn last_answer(&self) -> Option<Time> {
        self.last_answer
    }

    /// Whether one has said hello and is not to end.
    #[cfg(test)]
    fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up { .. })
    }

    /// When [`Life::tick`] is due.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Absent { until } | Phase::Starting { until } => Some(until),
            Phase::Up { next_ping, .. } => Some(next_ping),
            Phase::Ending { again } => Some(again),
            Phase::Over => None,
        }
    }

    /// Does what time demands.
    pub(crate) fn tick(&mut self, now: Time) -> Option<Wish> {
        if self.next_deadline().is_none_or(|due| now < due) {
            return None;
        }
        match self.phase {
            Phase::Absent { .. } => Some(Wish::Start),
            Phase::Starting { .. } => {
                Some(self.give_up(
                    format!("it said nothing for {} s after its start", HELLO_WITHIN.as_secs()),
                    now,
                ))
            }
            Phase::Up { unanswered, .. } if unanswered >= UNANSWERED => {
                let silence = PING_EVERY + PING_AGAIN * UNANSWERED;
                Some(self.give_up(format!("it did not answer for {} s", silence.as_secs()), now))
            }
            Phase::Up { unanswered, .. } => {
                self.phase = Phase::Up { next_ping: now.after(PING_AGAIN), unanswered: unanswered + 1 };
                self.ping += 1;
                Some(Wish::Ping(self.ping))
            }
            Phase::Ending { .. } => {
                self.phase = Phase::Ending { again: now.after(KILL_AGAIN) };
                Some(Wish::Kill)
            }
            Phase::Over => None,
        }
    }

    /// One was started.
    pub(crate) fn started(&mut self, now: Time) {
        self.started = self.started.saturating_add(1);
        self.since = now;
        (self.greeted, self.answered) = (false, false);
        self.phase = Phase::Starting { until: now.after(HELLO_WITHIN) };
    }

    /// It said hello. The number is to be asked for in the answer.
    pub(crate) fn hello(&mut self, now: Time) -> u64 {
        self.ping += 1;
        self.greeted = true;
        self.phase = Phase::Up { next_ping: now.after(PING_AGAIN), unanswered: 1 };
        self.ping
    }

    /// It answered a ping.
    pub(crate) fn pong(&mut self, n: u64, now: Time) {
        // An answer to an earlier question is as good; one to a question never asked is none.
        if matches!(self.phase, Phase::Up { .. }) && n <= self.ping {
            self.phase = Phase::Up { next_ping: now.after(PING_EVERY), unanswered: 0 };
            self.answered = true;
            self.last_answer = Some(now);
            self.stillborn = 0;
            self.before = None;
        }
    }

    /// It is to be ended, and replaced.
    pub(crate) fn give_up(&mut self, why: String, now: Time) -> Wish {
        self.given_up = Some(why);
        self.phase = Phase::Ending { again: now.after(KILL_AGAIN) };
        Wish::Kill
    }

    /// It cannot be spoken with any more. It is killed if it does not end by itself.
    pub(crate) fn lost_link(&mut self, now: Time) {
        if matches!(self.phase, Phase::Starting { .. } | Phase::Up { .. }) {
            self.phase = Phase::Ending { again: now.after(KILL_AGAIN) };
        }
    }

    /// None could be started.
    pub(crate) fn failed_to_start(&mut self, why: &str, now: Time) -> Option<Wish> {
        // It is not the one before that died here.
        (self.greeted, self.answered) = (false, false);
        self.since = now;
        self.gone(why, now)
    }

    /// It is gone.
    pub(crate) fn gone(&mut self, how: &str, now: Time) -> Option<Wish> {
        if self.phase == Phase::Over {
            return None;
        }
        self.reason = self.given_up.take().unwrap_or_else(|| how.to_owned());
        let settled = self.answered && now.since(self.since) >= SETTLED;
        self.short_lived = if settled { 0 } else { self.short_lived.saturating_add(1) };
        if !self.answered {
            self.stillborn = self.stillborn.saturating_add(1);
        }
        self.phase = Phase::Absent { until: now.after(self.delay()) };
        // One that worked is good. One that said hello may have been killed by somebody; twice is no accident.
        if self.answered || self.greeted && self.stillborn < 2 {
            return None;
        }
        // A replacement that never got to work: the one before is in charge again.
        let before = self.before.take()?;
        let failed = std::mem::replace(&mut self.exe, before);
        self.phase = Phase::Absent { until: now };
        Some(Wish::ReplaceFailed(format!(
            "the daemon made from {} failed: {}",
            failed.display(),
            self.reason
        )))
    }

    /// The first death in a row is answered at once, later ones after a pause that doubles.
    fn delay(&self) -> Duration {
        let (deaths, most) = match self.stillborn {
            0 => (self.short_lived, MAX_DELAY_WORKING),
            deaths => (deaths, MAX_DELAY),
        };
        match deaths {
            0 | 1 => Duration::ZERO,
            more => DELAY.saturating_mul(1 << (more - 2).min(16)).min(most),
        }
    }

    /// The daemon is to be replaced by one made from another program.
    pub(crate) fn replace(&mut self, exe: PathBuf, now: Time) -> Wish {
        let current = std::mem::replace(&mut self.exe, exe);
        // If the current one has not proved itself either, the one before it is what is known to work.
        self.before.get_or_insert(current);
        // Its own deaths are counted, not those of the one before.
        self.stillborn = 0;
        self.short_lived = 0;
        self.give_up("it was replaced, as somebody asked".to_owned(), now)
    }

    /// No other one is to be started.
    pub(crate) fn end(&mut self) {
        self.phase = Phase::Over;
    }
}

#[cfg(test)]
mod tests;
