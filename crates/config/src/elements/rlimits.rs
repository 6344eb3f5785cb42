//! `rlimits`: the kernel's limits of a process.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::Rlimit;

use super::duration;
use crate::context::{Context, Field};
use crate::keys::{Form, Key, Section};
use crate::reader::Reader;
use crate::value::Value;

pub(crate) const FORM: Form = Form::Section(&RLIMITS);

const COUNT: Form = Form::Any(&[Form::Count(0, u32::MAX), UNLIMITED, Form::Section(&COUNT_PAIR)]);
const BYTES: Form = Form::Any(&[Form::Size, UNLIMITED, Form::Section(&BYTES_PAIR)]);
const TIME: Form = Form::Any(&[Form::Duration, UNLIMITED, Form::Section(&TIME_PAIR)]);
const UNLIMITED: Form = Form::Choice(&["unlimited"]);

pub(crate) static RLIMITS: Section = Section {
    id: "rlimits",
    title: "`rlimits`",
    about: "Limits of the kernel for each process by itself, as `ulimit` and setrlimit(2) have them. A single value \
            is both the soft and the hard limit. Only root may go above the hard limits that Mainstay was started \
            with. No effect on Windows.",
    one_of: &[],
    keys: &[
        Key::new("as", BYTES, "\"4GB\"", "Address space, which is more than the memory in use.").also(&["vmem"]),
        Key::new("core", BYTES, "\"unlimited\"", "Size of a core dump.").also(&["coredump"]),
        Key::new("cpu", TIME, "\"1h\"", "Processor time in whole seconds; then SIGXCPU, and SIGKILL at the hard limit."),
        Key::new("data", BYTES, "\"1GB\"", "Heap and data."),
        Key::new("fsize", BYTES, "\"10GB\"", "Size of a file that it writes; then SIGXFSZ."),
        Key::new("locks", COUNT, "100", "Locks on files (not used by today's kernels)."),
        Key::new("memlock", BYTES, "\"64MiB\"", "Memory kept from being swapped."),
        Key::new("msgqueue", BYTES, "\"1MiB\"", "POSIX message queues, of the whole user."),
        Key::new("nice", COUNT, "30", "How far it may raise its priority: 20 minus the nice value."),
        Key::new("nofile", COUNT, "65536", "Open files.").also(&["fds", "files", "open_files"]),
        Key::new(
            "nproc",
            COUNT,
            "500",
            "Processes and threads of its whole user, those outside of the service included. Does not bind root.",
        )
        .also(&["processes"]),
        Key::new("rss", BYTES, "\"1GB\"", "Memory in use (not used by today's kernels)."),
        Key::new("rtprio", COUNT, "10", "Highest priority of real-time scheduling."),
        Key::new("rttime", TIME, "\"200ms\"", "Time of real-time scheduling without a pause."),
        Key::new("sigpending", COUNT, "1000", "Signals that wait, of the whole user."),
        Key::new("stack", BYTES, "\"16MiB\"", "Stack of the main thread."),
    ],
};

const TITLE: &str = "a limit";
const ABOUT: &str = "A limit with a different hard limit.";
const SOFT: &str = "What holds.";
const HARD: &str = "How far the process may raise it.";
const AS_OURS: &str = "as Mainstay has it";

static COUNT_PAIR: Section = Section {
    id: "rlimit_count",
    title: TITLE,
    about: ABOUT,
    one_of: &[],
    keys: &[
        Key::new("soft", Form::Any(&[Form::Count(0, u32::MAX), UNLIMITED]), "1024", SOFT).required(),
        Key::new("hard", Form::Any(&[Form::Count(0, u32::MAX), UNLIMITED]), "65536", HARD).default(AS_OURS),
    ],
};

static BYTES_PAIR: Section = Section {
    id: "rlimit_size",
    title: TITLE,
    about: ABOUT,
    one_of: &[],
    keys: &[
        Key::new("soft", Form::Any(&[Form::Size, UNLIMITED]), "\"8MiB\"", SOFT).required(),
        Key::new("hard", Form::Any(&[Form::Size, UNLIMITED]), "\"unlimited\"", HARD).default(AS_OURS),
    ],
};

static TIME_PAIR: Section = Section {
    id: "rlimit_time",
    title: TITLE,
    about: ABOUT,
    one_of: &[],
    keys: &[
        Key::new("soft", Form::Any(&[Form::Duration, UNLIMITED]), "\"1m\"", SOFT).required(),
        Key::new("hard", Form::Any(&[Form::Duration, UNLIMITED]), "\"2m\"", HARD).default(AS_OURS),
    ],
};

#[derive(Clone, Copy)]
enum Unit {
    Count,
    Bytes,
    Seconds,
    Microseconds,
}

const KINDS: [(&str, Unit); 16] = [
    ("as", Unit::Bytes),
    ("core", Unit::Bytes),
    ("cpu", Unit::Seconds),
    ("data", Unit::Bytes),
    ("fsize", Unit::Bytes),
    ("locks", Unit::Count),
    ("memlock", Unit::Bytes),
    ("msgqueue", Unit::Bytes),
    ("nice", Unit::Count),
    ("nofile", Unit::Count),
    ("nproc", Unit::Count),
    ("rss", Unit::Bytes),
    ("rtprio", Unit::Count),
    ("rttime", Unit::Microseconds),
    ("sigpending", Unit::Count),
    ("stack", Unit::Bytes),
];

/// Reads the limits.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> BTreeMap<String, Rlimit> {
    let mut limits = BTreeMap::new();
    let Some(mut reader) = Reader::open(cx, field, &RLIMITS) else { return limits };
    for (name, unit) in KINDS {
        if let Some(limit) = reader.get(name).and_then(|limit| read_limit(cx, limit, unit)) {
            limits.insert(name.to_owned(), limit);
        }
    }
    reader.finish();
    limits
}

fn read_limit(cx: &mut Context<'_>, field: Field<'_>, unit: Unit) -> Option<Rlimit> {
    if !matches!(field.node.value, Value::Table(_)) {
        let both = value(cx, field, unit)?;
        return Some(Rlimit { soft: both, hard: Some(both) });
    }
    let pair = match unit {
        Unit::Count => &COUNT_PAIR,
        Unit::Bytes => &BYTES_PAIR,
        Unit::Seconds | Unit::Microseconds => &TIME_PAIR,
    };
    let mut reader = Reader::open(cx, field, pair)?;
    let soft = reader.required(cx, "soft").and_then(|soft| Some((value(cx, soft, unit)?, soft)));
    let hard = reader.get("hard").map(|hard| value(cx, hard, unit));
    reader.finish();
    let (soft, place) = soft?;
    let hard = match hard {
        None => None,
        Some(hard) => Some(hard?),
    };
    if hard.is_some_and(|hard| hard < soft) {
        cx.error(place.span(), "the soft limit is above the hard one")
            .hint("the hard limit is the most that the soft one can be");
        return None;
    }
    Some(Rlimit { soft, hard })
}

fn value(cx: &mut Context<'_>, field: Field<'_>, unit: Unit) -> Option<u64> {
    if let Value::Text(text) = &field.node.value
        && matches!(text.raw.trim(), "unlimited" | "infinity")
    {
        return Some(Rlimit::UNLIMITED);
    }
    match (unit, &field.node.value) {
        // Nothing at all needs no unit.
        (_, Value::Integer(_, Some(0))) => Some(0),
        (Unit::Count, Value::Text(_)) => {
            cx.wrong_type(field, "a whole number or \"unlimited\"").hint("write it without quotes");
            None
        }
        (Unit::Count, _) => cx.count(field, 0, u32::MAX).map(u64::from),
        (Unit::Bytes, _) => cx.size(field, 0),
        (Unit::Seconds, _) => {
            let time = cx.duration(field, Duration::from_secs(1)..=duration::MAX)?;
            Some(time.as_secs() + u64::from(time.subsec_nanos() > 0))
        }
        (Unit::Microseconds, _) => {
            let time = cx.duration(field, duration::SHORTEST..=duration::MAX)?;
            u64::try_from(time.as_micros()).ok()
        }
    }
}
