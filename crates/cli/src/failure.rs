//! How the program ends: one list of exit codes, and errors that say what, where, and what next.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::process::ExitCode;

use mainstay_api::ClientError;

use crate::stack::Place;

/// The exit codes of `mainstay`. They are part of its interface: scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitStatus {
    /// What was asked for is done.
    Done = 0,
    /// What was asked for did not come about.
    Failed = 1,
    /// The command line or the configuration is wrong; nothing was done.
    Usage = 2,
    /// There is no such service, or the stack is not up.
    NotThere = 3,
    /// The stack is up already.
    AlreadyUp = 4,
    /// What was waited for did not come about in time, and still may.
    Late = 5,
    /// What was waited for cannot come about any more by itself.
    Never = 6,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> ExitCode {
        ExitCode::from(status as u8)
    }
}

/// Why a command came to nothing.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What the program ends with.
    pub status: ExitStatus,
    /// What is wrong, where.
    pub message: String,
    /// What is known beyond that, a line each.
    pub details: Vec<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// What is wrong with a configuration, if that is the reason; shown before the message.
    pub diagnostics: Option<Box<mainstay_config::Diagnostics>>,
    /// Whether it is nobody's concern (a reader that closed the pipe).
    pub quiet: bool,
}

/// What a command comes to.
pub type Outcome = Result<ExitStatus, Failure>;

impl Failure {
    /// A failure that ends the program with `status`.
    pub fn new(status: ExitStatus, message: impl Into<String>) -> Failure {
        Failure {
            status,
            message: message.into(),
            details: Vec::new(),
            hint: None,
            diagnostics: None,
            quiet: false,
        }
    }

    /// What was asked for did not come about.
    pub fn failed(message: impl Into<String>) -> Failure {
        Failure::new(ExitStatus::Failed, message)
    }

    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(ExitStatus::Usage, message)
    }

    /// There is nothing of that name.
    pub fn not_there(message: impl Into<String>) -> Failure {
        Failure::new(ExitStatus::NotThere, message)
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what to do next, if something is known.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Failure {
        self.hint = hint.or(self.hint);
        self
    }

    /// Adds lines of detail.
    #[must_use]
    pub fn details(mut self, details: impl IntoIterator<Item = String>) -> Failure {
        self.details.extend(details);
        self
    }

    /// What `doing` something at `place` came to.
    pub fn io(doing: &str, place: impl fmt::Display, error: &io::Error) -> Failure {
        let failure = Failure::failed(format!("cannot {doing} {place}: {error}"));
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                failure.hint("the account that runs this command needs access to that path")
            }
            io::ErrorKind::StorageFull => failure.hint("free some space on that disk"),
            _ => failure,
        }
    }

    /// The API's refusal of something asked of `stack`.
    pub fn api(error: ClientError, stack: &str) -> Failure {
        let advice = error.hint().map(str::to_owned);
        match error {
            ClientError::NotUp => Failure::not_up(stack),
            ClientError::Denied(_) => Failure::failed(format!("stack {stack}: {error}"))
                .hint("only the account that started a stack, and the administrator, can talk to it"),
            ClientError::NoAnswer { .. } => Failure::failed(format!("stack {stack}: {error}"))
                .details(last_words_of_daemon(stack))
                .hint(format!(
                    "the services go on running; a new daemon is started by itself. If this stays, see daemon.log \
                     in the directory that `mainstay debug paths --stack {stack}` names; `mainstay down` works \
                     without a daemon too"
                )),
            ClientError::Refused { status, problem } => {
                let code = if status == 404 { ExitStatus::NotThere } else { ExitStatus::Failed };
                Failure::new(code, problem.message).maybe_hint(advice)
            }
            ClientError::Lost(_) | ClientError::Garbled(_) => Failure::failed(format!("stack {stack}: {error}"))
                .hint(format!("see what became of it with `mainstay status --stack {stack}`")),
            other => Failure::failed(format!("stack {stack}: {other}")),
        }
    }

    /// Nothing of that stack runs.
    pub fn not_up(stack: &str) -> Failure {
        let failure = Failure::not_there(format!("stack {stack} is not up"));
        let known = mainstay_sys::dirs::stacks();
        if Place::of(stack).is_ok_and(|place| crate::installed::Installed::read(&place).is_some()) {
            return failure.hint(format!("it is installed; `mainstay start {stack}` starts it"));
        }
        if known.iter().any(|one| one == stack) {
            return failure.hint("`mainstay up` starts it");
        }
        match nearest(stack, known.iter().map(String::as_str)) {
            Some(near) => failure.hint(format!("there never was one of that name; did you mean `{near}`?")),
            None => failure
                .hint("there never was one of that name; `mainstay up` starts what mainstay.toml calls so"),
        }
    }
}

impl From<io::Error> for Failure {
    /// For writing to standard output, the only thing that `?` is used with an `io::Error` for.
    fn from(error: io::Error) -> Failure {
        let gone = error.kind() == io::ErrorKind::BrokenPipe;
        Failure {
            status: if gone { ExitStatus::Done } else { ExitStatus::Failed },
            message: format!("cannot write the output: {error}"),
            details: Vec::new(),
            hint: None,
            diagnostics: None,
            quiet: gone,
        }
    }
}

/// What a daemon that does not answer has last said in its log, if that can be found out.
fn last_words_of_daemon(stack: &str) -> Option<String> {
    let log = Place::of(stack).ok()?.dirs.state.join("daemon.log");
    let mut file = std::fs::File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS))).ok()?;
    let mut bytes = Vec::new();
    file.take(LAST_WORDS).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    text.lines().rev().find_map(|line| Some(format!("daemon: {}", line.strip_prefix("mainstay: daemon: ")?)))
}

/// So much of a log's end is looked at, in bytes.
const LAST_WORDS: u64 = 16 << 10;

/// The one of `known` that `name` was probably meant to be.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    // A name is near if a third of it, or a swapped pair, has to change.
    let limit = (name.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&name, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= limit || candidate.starts_with(&name))
        .min()
        .map(|(_, candidate)| candidate)
}

/// No service is called `name` in `stack`, which has the `known` ones.
pub fn unknown_service<'a>(
    name: &str,
    stack: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Failure {
    let failure = Failure::not_there(format!("stack {stack} has no service called `{name}`"));
    if let Some(near) = nearest(name, known.clone()) {
        return failure.hint(format!("did you mean `{near}`?"));
    }
    let names: Vec<&str> = known.into_iter().take(9).collect();
    match names.len() {
        0 => failure.hint("it has no services at all"),
        1..=8 => failure.hint(format!("it has {}", names.join(", "))),
        _ => failure.hint(format!("`mainstay status --stack {stack}` lists them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let known = ["api", "database", "worker-1"];
        assert_eq!(nearest("pai", known), Some("api"));
        assert_eq!(nearest("databse", known), Some("database"));
        assert_eq!(nearest("Worker-1", known), Some("worker-1"));
        assert_eq!(nearest("data", known), Some("database"));
        assert_eq!(nearest("redis", known), None);
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(failure.quiet);
        assert_eq!(failure.status, ExitStatus::Done);
        assert!(!Failure::from(io::Error::from(io::ErrorKind::StorageFull)).quiet);
    }

    #[test]
    fn few_services_are_listed_and_many_are_not() {
        let few = unknown_service("zzz", "shop", ["a1", "b1"]);
        assert_eq!(few.hint.as_deref(), Some("it has a1, b1"));
        let names: Vec<String> = (0..20).map(|n| format!("service-{n}")).collect();
        let many = unknown_service("zzz", "shop", names.iter().map(String::as_str));
        assert_eq!(many.hint.as_deref(), Some("`mainstay status --stack shop` lists them"));
        assert_eq!(many.status, ExitStatus::NotThere);
    }
}
