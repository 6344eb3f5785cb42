//! The numbers and sentences of what goes into the Event Log and the journal. Numbers are for ever: people hang alarms on
//! them. The build script makes the message texts of the Windows program of this table, and docs/events.md is made of it.

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// For the record.
    Info,
    /// Somebody should look at it some day.
    Warning,
    /// Something went wrong.
    Error,
}

/// One kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The Event Log's event ID, and `MAINSTAY_EVENT` in the journal.
    pub number: u16,
    /// `MAINSTAY_EVENT_NAME` in the journal.
    pub name: &'static str,
    /// How much it matters.
    pub weight: Weight,
    /// The sentence. `%1` is always the stack, `%2` the service where there is one. No other `%` is in it.
    pub text: &'static str,
}

const fn kind(number: u16, name: &'static str, weight: Weight, text: &'static str) -> Kind {
    Kind { number, name, weight, text }
}

/// All of them, by number. 1 to 3 are what the keeper says in words of its own.
pub const KINDS: [Kind; 35] = [
    kind(1, "note", Weight::Info, "%1"),
    kind(2, "warning", Weight::Warning, "%1"),
    kind(3, "error", Weight::Error, "%1"),
    kind(
        10,
        "configuration-refused",
        Weight::Error,
        "A configuration of stack %1 is refused; what runs stays as it is: %2",
    ),
    kind(11, "configuration-applied", Weight::Info, "Stack %1 has another configuration, revision %2. %3"),
    kind(
        12,
        "configuration-failed",
        Weight::Error,
        "Revision %2 of the configuration of stack %1 does not work; what was before comes back: %3",
    ),
    kind(
        13,
        "configuration-taken-back",
        Weight::Warning,
        "Revision %2 of the configuration of stack %1 is taken back, all is as before. %3",
    ),
    kind(14, "stack-down", Weight::Info, "Stack %1 is down. %2"),
    kind(
        20,
        "daemon-replaced",
        Weight::Warning,
        "The daemon of stack %1 was replaced; no service noticed. %2",
    ),
    kind(21, "upgrade-failed", Weight::Error, "Stack %1 could not be upgraded: %2"),
    kind(22, "keeper-lost", Weight::Error, "The keeper of stack %1 died, and its services with it: %2"),
    kind(30, "disk-low", Weight::Error, "Stack %1 is short of space for its logs: %2"),
    kind(31, "output-lost", Weight::Error, "Output of a service of stack %1 is lost: %2"),
    kind(32, "log-note", Weight::Warning, "About a log of stack %1: %2"),
    kind(
        90,
        "missed",
        Weight::Warning,
        "%2 events of stack %1 came too fast to be written here; \"mainstay events -s %1\" shows them.",
    ),
    kind(
        91,
        "repeated",
        Weight::Warning,
        "Event %3 (%4) of %2 in stack %1 came %5 more times within a minute. \"mainstay events -s %1\" shows each.",
    ),
    kind(100, "started", Weight::Info, "%2 of stack %1 was started as process %3."),
    kind(101, "ready", Weight::Info, "%2 of stack %1 is ready. %3"),
    kind(102, "completed", Weight::Info, "%2 of stack %1 has run to its end. %3"),
    kind(103, "stopped", Weight::Info, "%2 of stack %1 is stopped: %3"),
    kind(104, "asked", Weight::Info, "%3 asks for \"%4\" of %2 in stack %1."),
    kind(105, "ended", Weight::Info, "%2 of stack %1 ended by itself with %3 after %4."),
    kind(
        110,
        "crashed",
        Weight::Error,
        "%2 of stack %1 crashed with %3 after %4. The last of its output:\n%5",
    ),
    kind(111, "start-failed", Weight::Error, "%2 of stack %1 could not be started: %3"),
    kind(
        112,
        "crash-loop",
        Weight::Error,
        "%2 of stack %1 keeps crashing, %3 times in a row by now. It is tried again and again; \"mainstay explain %2 -s %1\" \
         says what is known.",
    ),
    kind(
        113,
        "gave-up",
        Weight::Error,
        "%2 of stack %1 has failed and is not started again: %3. The last of its output:\n%4",
    ),
    kind(120, "probe-failing", Weight::Warning, "The %3 probe of %2 in stack %1 fails: %4"),
    kind(121, "probe-succeeding", Weight::Info, "The %3 probe of %2 in stack %1 succeeds: %4"),
    kind(130, "hook-failed", Weight::Warning, "A hook of %2 in stack %1 failed: %3: %4"),
    kind(140, "limit-hit", Weight::Warning, "%2 of stack %1 came up against a limit: %3"),
    kind(141, "limit-not-enforced", Weight::Warning, "A limit of %2 in stack %1 does not hold here: %3"),
    kind(142, "leak", Weight::Warning, "%2 of stack %1 grows without end: %3"),
    kind(150, "left-running", Weight::Warning, "%2 of stack %1 is left running, and nobody looks after it."),
    kind(151, "taken-over", Weight::Info, "%2 of stack %1, which was left running, is looked after again."),
    kind(160, "request-refused", Weight::Warning, "A request to %2 in stack %1 was refused: %3"),
];
