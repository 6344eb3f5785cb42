//! How a process is ended, step by step.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HttpCall, signal_name, signal_number};

/// One way to ask a process to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopAction {
    /// Ctrl+C to its console on Windows; SIGTERM to its process group on Linux.
    CtrlC,
    /// WM_CLOSE to its windows; does nothing on Linux.
    CloseWindow,
    /// A Linux signal by its number, to its process group; does nothing on Windows.
    Signal(i32),
    /// Ends the whole tree at once.
    Kill,
    /// Ctrl+Break to its console on Windows; does nothing on Linux.
    CtrlBreak,
    /// Nothing is sent: it counts as ready no more, and has time to finish what it was given.
    Drain,
    /// This command is run beside it, with its environment, directory and account. It is killed at the end of the
    /// step; a failure brings the next step at once.
    Command(Vec<String>),
    /// An HTTP request is made; an answer other than 200 to 399 is a failure and brings the next step at once.
    Http(HttpCall),
}

impl fmt::Display for StopAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopAction::CtrlC => f.write_str("ctrl_c"),
            StopAction::CloseWindow => f.write_str("close_window"),
            StopAction::Signal(number) => match signal_name(*number) {
                Some(name) => f.write_str(name),
                None => write!(f, "signal {number}"),
            },
            StopAction::Kill => f.write_str("kill"),
            StopAction::CtrlBreak => f.write_str("ctrl_break"),
            StopAction::Drain => f.write_str("drain"),
            StopAction::Command(words) => show_command(f, words),
            StopAction::Http(request) => request.fmt(f),
        }
    }
}

/// Without its arguments: they may hold what is not for everybody's eyes.
pub(crate) fn show_command(f: &mut fmt::Formatter<'_>, words: &[String]) -> fmt::Result {
    write!(f, "command {}", words.first().map_or("", String::as_str))
}

impl StopAction {
    /// Whether it does something on Windows, or else on Linux.
    pub const fn works(&self, on_windows: bool) -> bool {
        match self {
            StopAction::CtrlC
            | StopAction::Kill
            | StopAction::Drain
            | StopAction::Command(_)
            | StopAction::Http(_) => true,
            StopAction::CloseWindow | StopAction::CtrlBreak => on_windows,
            StopAction::Signal(_) => !on_windows,
        }
    }

    /// The signal that somebody names by hand: `HUP`, `sighup` or `1` on Linux; `ctrl_c`, `ctrl_break`,
    /// `close_window` or `kill` on Windows.
    ///
    /// # Errors
    /// What is wrong with it, and what can be sent instead.
    pub fn by_hand(word: &str, on_windows: bool) -> Result<StopAction, (String, &'static str)> {
        const CONSOLE: &str = "what can be sent is ctrl_c, ctrl_break, close_window and kill";
        let plain = word.to_ascii_lowercase().replace('-', "_");
        let of_windows = match plain.as_str() {
            "ctrl_c" => Some(StopAction::CtrlC),
            "ctrl_break" => Some(StopAction::CtrlBreak),
            "close_window" => Some(StopAction::CloseWindow),
            _ => None,
        };
        let number = word.parse().ok().filter(|number| (1..=64).contains(number)).or(signal_number(word));
        match (on_windows, of_windows, number) {
            (true, Some(action), _) => Ok(action),
            (true, None, Some(9)) => Ok(StopAction::Kill),
            (true, None, Some(_)) => Err((format!("{word} is a signal of Linux; Windows has none"), CONSOLE)),
            (true, None, None) => Err((format!("nothing is called {word} that could be sent"), CONSOLE)),
            (false, None, Some(number)) => Ok(StopAction::Signal(number)),
            (false, Some(action), _) => Err((
                format!("{action} is a thing of Windows"),
                "SIGTERM asks a program to end, SIGINT is Ctrl+C",
            )),
            (false, None, None) => Err((
                format!("no signal is called {word}"),
                "such as HUP, SIGUSR1, TERM, KILL, or a number to 64",
            )),
        }
    }

    /// Whether the daemon does it itself and tells how it went, rather than the keeper.
    pub const fn is_answered(&self) -> bool {
        matches!(self, StopAction::Command(_) | StopAction::Http(_))
    }
}

/// One step of a stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StopStep {
    /// What is done.
    pub action: StopAction,
    /// How long its effect is waited for before the next step.
    pub wait: Duration,
}

/// How a service's process is ended. The whole tree is killed after the last step or at the deadline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StopPlan {
    /// Taken in order, each until the tree is gone or its time is over.
    pub steps: Vec<StopStep>,
    /// From the first step to the kill of the whole tree, at the most.
    pub timeout: Duration,
}

impl StopPlan {
    /// Drops the steps that do nothing on a platform, so that nobody waits for their effect.
    pub fn fit(&mut self, on_windows: bool) {
        self.steps.retain(|step| step.action.works(on_windows));
    }
}

impl Default for StopPlan {
    fn default() -> Self {
        let step = |action, secs| StopStep { action, wait: Duration::from_secs(secs) };
        StopPlan {
            steps: vec![step(StopAction::CtrlC, 10), step(StopAction::CloseWindow, 3)],
            timeout: Duration::from_secs(15),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_hand_are_those_of_the_platform() {
        let linux = |word| StopAction::by_hand(word, false);
        for word in ["HUP", "hup", "SIGHUP", "1"] {
            assert_eq!(linux(word), Ok(StopAction::Signal(1)), "{word}");
        }
        assert_eq!(linux("34"), Ok(StopAction::Signal(34)));
        for word in ["0", "65", "-1", "sneeze", "", "ctrl_c", "close-window"] {
            assert!(linux(word).is_err(), "{word}");
        }
        let windows = |word| StopAction::by_hand(word, true);
        assert_eq!(windows("ctrl-break"), Ok(StopAction::CtrlBreak));
        assert_eq!(windows("CTRL_C"), Ok(StopAction::CtrlC));
        assert_eq!(windows("close_window"), Ok(StopAction::CloseWindow));
        for word in ["kill", "KILL", "SIGKILL", "9"] {
            assert_eq!(windows(word), Ok(StopAction::Kill), "{word}");
        }
        assert_eq!(windows("SIGHUP").unwrap_err().0, "SIGHUP is a signal of Linux; Windows has none");
        assert!(windows("sneeze").is_err());
    }

    #[test]
    fn steps_that_do_nothing_on_a_platform_are_dropped() {
        let step = |action| StopStep { action, wait: Duration::from_secs(1) };
        let all =
            [StopAction::CtrlC, StopAction::CloseWindow, StopAction::Signal(1), StopAction::Kill].map(step);
        let on = |on_windows| {
            let mut plan = StopPlan { steps: all.to_vec(), ..StopPlan::default() };
            plan.fit(on_windows);
            plan.steps.into_iter().map(|step| step.action).collect::<Vec<_>>()
        };
        assert_eq!(on(true), [StopAction::CtrlC, StopAction::CloseWindow, StopAction::Kill]);
        assert_eq!(on(false), [StopAction::CtrlC, StopAction::Signal(1), StopAction::Kill]);
    }
}
