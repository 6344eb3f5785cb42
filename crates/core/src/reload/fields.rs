//! The table: each field of a plan, and what its change does.

use std::fmt::Write;

use crate::ProbeKind;

/// What a field's change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing at once: it is looked at when it is needed.
    Nothing,
    /// It is taken over while the service runs.
    Live,
    /// The process was made with it, and needs a successor.
    Restart,
    /// Starts or stops the service.
    Start,
    /// A probe: live, unless its process was made with it in mind.
    Probe(ProbeKind),
    /// A file of the program: what follows is said by `on_change`.
    File,
    /// It is in no configuration: Mainstay notes it itself, and its change is none.
    Note,
}

/// A field, or all fields below it.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its place in a service's plan (in the stack's, if it begins with no field of a service).
    pub path: &'static str,
    /// Its key in the configuration.
    pub key: &'static str,
    /// What its change does.
    pub class: Class,
    /// Whether its values may be shown. Those of variables may be secret, and digests say nothing.
    shown: bool,
    /// What that means, for people.
    pub about: &'static str,
}

const fn field(path: &'static str, key: &'static str, class: Class, about: &'static str) -> Field {
    Field { path, key, class, shown: true, about }
}

const fn private(path: &'static str, key: &'static str, class: Class, about: &'static str) -> Field {
    Field { path, key, class, shown: false, about }
}

/// Every field of a plan.
pub const FIELDS: &[Field] = &[
    // The stack.
    field("stack", "name", Class::Restart, "refused: a stack keeps its name; `mainstay down`, then `up`"),
    field("reload", "[reload]", Class::Live, "counts from this change on"),
    field("metrics.listen", "metrics.listen", Class::Live, "`/metrics` is served there from now on"),
    field("secrets", "[secrets]", Class::Live, "values are read there from the next time on"),
    field(
        "opentelemetry",
        "opentelemetry",
        Class::Live,
        "sent there from now on; a service knows of its trace from its next start on",
    ),
    // A service.
    field("description", "description", Class::Nothing, "shown from now on"),
    field("instance_of", "instances", Class::Nothing, "a number of instances starts and stops some"),
    field(
        "start",
        "start",
        Class::Start,
        "`disabled` stops it, `auto` starts it, `manual` leaves it as it is",
    ),
    field(
        "depends_on",
        "depends_on",
        Class::Live,
        "counts for the next start, and for the order of stops at once",
    ),
    field("restart", "restart", Class::Nothing, "counts for the next end of the process"),
    field("stop", "stop", Class::Nothing, "counts for the next stop"),
    field("startup", "startup", Class::Probe(ProbeKind::Startup), PROBE),
    field("ready", "ready", Class::Probe(ProbeKind::Ready), PROBE),
    field("live", "live", Class::Probe(ProbeKind::Live), PROBE),
    field("hooks", "hooks", Class::Nothing, "counts for the next moment of each"),
    field("controls", "controls", Class::Nothing, "counts for the next code"),
    field(
        "config.files",
        "config",
        Class::File,
        "`config.on_change` says which: it is told, restarted, or neither",
    ),
    field("config.on_change", "config.on_change", Class::Nothing, "counts for the next change of its files"),
    private(
        "config.secrets",
        "a secret's value in a file",
        Class::File,
        "the files that have it are written anew; told by a digest with a key",
    ),
    private("config.notes", "", Class::Note, "what Mainstay has noted itself"),
    field("config.timeout", "config.timeout", Class::Nothing, "counts for the next change of its files"),
    field("leak", "leak", Class::Nothing, "counts for what grows from now on"),
    field(
        "when_mainstay_stops",
        "when_mainstay_stops",
        Class::Nothing,
        "counts for the next time that the stack goes down",
    ),
    field("session", "session", Class::Restart, PROCESS),
    // Its process.
    field("launch.command", "command", Class::Restart, PROCESS),
    field("launch.working_dir", "working_dir", Class::Restart, PROCESS),
    private(
        "launch.environment",
        "environment, env_file",
        Class::Restart,
        "the process is made with it: a changed env_file too",
    ),
    private("launch.secret_environment", "environment", Class::Restart, "a reference to a secret"),
    private(
        "launch.secrets",
        "a secret's value",
        Class::Restart,
        "the services whose `environment` has it; told by a digest with a key",
    ),
    field("launch.user", "user", Class::Restart, PROCESS),
    private("launch.password", "password", Class::Restart, "a reference to a secret"),
    field("launch.settings.group", "group", Class::Restart, PROCESS),
    field("launch.settings.supplementary_groups", "supplementary_groups", Class::Restart, PROCESS),
    field("launch.settings.nice", "nice", Class::Restart, PROCESS),
    field("launch.settings.cpus", "cpus", Class::Restart, PROCESS),
    field("launch.settings.rlimits", "rlimits", Class::Restart, PROCESS),
    field("launch.settings.umask", "umask", Class::Restart, PROCESS),
    field("launch.settings.sandbox", "sandbox", Class::Restart, PROCESS),
    field("launch.settings.privileges", "privileges", Class::Restart, PROCESS),
    field("launch.settings.integrity", "integrity", Class::Restart, PROCESS),
    field("launch.settings.stdin", "stdin", Class::Restart, PROCESS),
    field("launch.limits.open_files", "limits.open_files", Class::Restart, PROCESS),
    field("launch.limits", "limits", Class::Live, "holds for the processes that are there"),
    // Its logs.
    field("log.rotate_size", "log.rotate.size", Class::Live, WRITER),
    field("log.rotate_age", "log.rotate.age", Class::Live, WRITER),
    field("log.keep_files", "log.keep.files", Class::Live, SHELF),
    field("log.keep_age", "log.keep.age", Class::Live, SHELF),
    field("log.keep_total", "log.keep.total", Class::Live, SHELF),
    field("log.compress", "log.compress", Class::Live, "counts for segments that are compressed from now on"),
    field("log.min_free", "log.min_free", Class::Live, WRITER),
    field("log.on_full", "log.on_full", Class::Live, WRITER),
    field("log.separate_stderr", "log.stderr", Class::Nothing, READER),
    field("log.format", "log.format", Class::Nothing, READER),
    field("log.encoding", "log.encoding", Class::Nothing, READER),
];

const PROCESS: &str = "the process is made with it";
const PROBE: &str = "asked anew from now on; to or from `notify` and `log` it needs a new process";
const WRITER: &str = "counts for the present segment already";
const READER: &str = "counts from its next process on";
const SHELF: &str = "what is too much by now is deleted";

fn line(path: &str) -> Option<&'static Field> {
    let covers = |field: &&Field| {
        path.strip_prefix(field.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    FIELDS.iter().find(covers)
}

/// Whether a field has a line, or something that it is in, and nothing in it has one.
pub(super) fn is_leaf(path: &str) -> bool {
    let below = |field: &Field| field.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    line(path).is_some() && !FIELDS.iter().any(below)
}

/// What the change of a field does; none if the table does not know it.
pub(super) fn class_of(path: &str) -> Option<Class> {
    line(path).map(|field| field.class)
}

pub(super) fn is_shown(path: &str) -> bool {
    // Headers hold what others are let in with.
    line(path).is_some_and(|field| field.shown) && !path.split('.').any(|part| part == HEADERS)
}

/// Of a probe.
pub(super) const HEADERS: &str = "headers";

/// The table in Markdown, for docs/reload.md.
pub fn field_table() -> String {
    let mut text = String::from("| key | its change | what that means |\n| --- | --- | --- |\n");
    for field in FIELDS {
        let does = match field.class {
            Class::Nothing => "nothing",
            Class::Live => "live",
            Class::Restart if field.path == "stack" => "refused",
            Class::Restart => "restart",
            Class::Start => "start or stop",
            Class::Probe(_) => "live or restart",
            Class::File => "signal, restart or live",
            Class::Note => continue,
        };
        let _ = writeln!(text, "| `{}` | {does} | {} |", field.key, field.about);
    }
    text
}
