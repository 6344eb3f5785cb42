//! `[service.NAME]`: one service.

use mainstay_core::{Launch, ProbeKind, ServicePlan, StartMode, WhenMainstayStops};

use super::depends_on::{self, Dependency};
use super::{
    command, controls, environment, hooks, leak, limits, log, path, probe, process, program, restart, rights,
    rlimits, sandbox, session, stop, user,
};
use crate::context::{Context, Field, Scope};
use crate::keys::{Form, Key, Section};
use crate::reader::Reader;
use crate::source::Span;
use crate::value::Value;

/// More of them are a mistake, or need several machines.
pub(crate) const MAX_INSTANCES: u32 = 1000;

const START_MODES: &[(&str, StartMode)] =
    &[("auto", StartMode::Auto), ("manual", StartMode::Manual), ("disabled", StartMode::Disabled)];

const WHEN_MAINSTAY_STOPS: &[(&str, WhenMainstayStops)] =
    &[("stop", WhenMainstayStops::Stop), ("leave", WhenMainstayStops::Leave)];

pub(crate) static SERVICE: Section = Section {
    id: "service",
    title: "a service",
    about: "One service.",
    one_of: &[],
    keys: &[
        Key::new("description", Form::Text, "\"The shop's API\"", "What a person wants to read about it.")
            .also(&["about", "comment", "label"]),
        Key::new(
            "command",
            Form::Command,
            "[\"./api\", \"--port\", \"8080\"]",
            "The program and its arguments, each passed exactly as written. A program without a `/` is looked for in \
             the service's `PATH`; one with it starts at `working_dir`. A string is split at blanks, without a shell: \
             quotes keep words together, nothing else has a meaning.",
        )
        .default("none: it has to be there, if not in a template")
        .also(&["cmd", "exec", "run", "program", "executable", "exec_start", "entrypoint", "script", "args"]),
        Key::new(
            "extends",
            Form::Any(&[Form::Text, Form::List(&Form::Text)]),
            "\"base\"",
            "The template, or several, whose keys it takes; a later one goes over an earlier one, and its own keys over \
             all.",
        )
        .also(&["template", "inherit", "inherits", "based_on"]),
        Key::new(
            "instances",
            Form::Count(1, MAX_INSTANCES),
            "3",
            "Makes so many services of it, `NAME-1`, `NAME-2`, …, which `NAME` means together. `${INSTANCE}` is the number, in its \
             text and in its environment.",
        )
        .default("none: one service, `NAME`")
        .also(&["numprocs", "replicas", "scale", "processes"]),
        Key::new(
            "instance_of",
            Form::Name,
            "\"workers\"",
            "A name for several services: commands and `depends_on` take it for all of them.",
        )
        .default("none; `NAME` with `instances`"),
        Key::new(
            "profiles",
            Form::List(&Form::Text),
            "[\"debug\"]",
            "It belongs to the stack only if `--profile` asks for one of these.",
        )
        .default("none: it always belongs")
        .also(&["profile"]),
        Key::new(
            "working_dir",
            Form::Path,
            "\"data\"",
            "The working directory. A relative path starts at the configuration file's directory.",
        )
        .default("the configuration file's directory")
        .also(&["cwd", "dir", "directory", "workdir", "working_directory", "chdir"]),
        Key::new(
            "environment",
            environment::FORM,
            "{ PORT = \"${PORT:-8080}\" }",
            "Variables set over Mainstay's own environment and over `env_file`.",
        )
        .also(&["env", "environments", "variables", "vars"]),
        Key::new(
            "env_file",
            Form::Any(&[Form::List(&Form::Path), Form::Path]),
            "[\"api.env\"]",
            "Files of `NAME=value` lines, a later one over an earlier one. Relative paths start at the configuration \
             file's directory.",
        )
        .also(&["envfile", "env_files", "dotenv", "environment_file"]),
        Key::new(
            "user",
            Form::Text,
            "\"api\"",
            "The account it runs under. Linux: a name or number, with a group behind a colon if wanted. Windows: \
             `LocalService`, `NetworkService`, `NT SERVICE\\name`, a managed account with its `$`, `DOMAIN\\user`, `.\\user`; \
             docs/security.md says what each takes.",
        )
        .default("Mainstay's own account")
        .also(&["run_as", "account", "username", "uid"]),
        Key::new(
            "password",
            Form::Text,
            "\"${secret:bob}\"",
            "The password of `user`: a reference to a secret (secrets.md), never the password itself. Windows.",
        )
        .also(&["passwd", "pwd"]),
        Key::new(
            "dynamic_user",
            Form::Truth,
            "true",
            "It runs under an account of its own that nobody made: a number that is no other's, with directories of its \
             own (`STATE_DIRECTORY`, `LOGS_DIRECTORY`), and all else read-only (docs/security.md). Needs root. Linux.",
        )
        .default("false")
        .also(&["DynamicUser"]),
        Key::new("group", Form::Text, "\"www-data\"", "Its group, by name or number. Linux.")
            .default("the account's own group")
            .also(&["gid", "run_as_group"]),
        Key::new(
            "supplementary_groups",
            Form::List(&Form::Text),
            "[\"video\", \"docker\"]",
            "Its further groups, by name or number; they replace those of the account. Linux.",
        )
        .default("the account's own groups")
        .also(&["groups", "group_add", "extra_groups"]),
        Key::new(
            "priority",
            process::PRIORITY,
            "\"below_normal\"",
            "How it gets the processor where there is too little: a name, or a nice value from -20 (first) to 19 \
             (last). On Linux the names are the nice values 19, 10, 0, -7 and -14. On Windows it is the priority \
             class of this name, numbers the class they lie in (at most -14 is high, -7 above_normal, 9 normal, 18 \
             below_normal, 19 idle).",
        )
        .default("Mainstay's own")
        .also(&["nice", "niceness", "priority_class", "cpu_priority", "renice"]),
        Key::new(
            "cpu_affinity",
            process::CPUS,
            "\"0-3,6\"",
            "The processors that it may run on, the first is 0. Those that are not there are passed over; a start \
             fails if none is left. On Windows of the first 64.",
        )
        .default("all processors")
        .also(&["affinity", "cpus", "cpuset", "cpu_set", "processors"]),
        Key::new("rlimits", rlimits::FORM, "{ nofile = 65536 }", "Limits of the kernel for each process. Linux.")
            .also(&["rlimit", "ulimit", "ulimits"]),
        Key::new("umask", Form::Text, "\"027\"", "The bits that new files do not get, octal, in quotes. Linux.")
            .default("Mainstay's own"),
        Key::new(
            "sandbox",
            sandbox::FORM,
            "{ no_new_privileges = true }",
            "What it cannot do though its account could; docs/security.md. Linux.",
        )
        .also(&["sandboxing"]),
        Key::new(
            "privileges",
            rights::PRIVILEGES_FORM,
            "{ remove = [\"SeDebugPrivilege\", \"SeShutdownPrivilege\"] }",
            "The privileges of its account that it goes without; docs/security.md. Windows; Linux has \
             `sandbox.capabilities`.",
        )
        .default("all of its account")
        .also(&["privs", "required_privileges", "token_privileges"]),
        Key::new(
            "integrity",
            rights::INTEGRITY,
            "\"low\"",
            "Its integrity level, which can be lowered alone: it changes nothing that is marked for a higher one. \
             docs/security.md. Windows.",
        )
        .default("that of its account")
        .also(&["integrity_level", "mandatory_level"]),
        Key::new(
            "session",
            session::FORM,
            "\"active\"",
            "On whose desktop it runs. `services`: on none, in session 0. `active`: on that of who is signed in, as that \
             account; it starts at the logon, ends at the logoff and waits meanwhile. `prefer_active`: the same, and in session \
             0 while nobody is signed in. Takes a stack under LocalSystem; docs/windows.md has more. Windows.",
        )
        .default("`\"services\"`")
        .also(&["desktop", "interactive", "user_session", "session_id"]),
        Key::new(
            "stdin",
            process::STDIN,
            "{ file = \"commands.txt\" }",
            "What it reads from standard input: nothing (`\"null\"`) or a file.",
        )
        .default("`\"null\"`")
        .also(&["input", "standard_input", "stdin_file"]),
        Key::new(
            "depends_on",
            depends_on::FORM,
            "{ db = \"ready\" }",
            "What has to be there before it starts: `started` (its process runs), `ready` (its `ready` probe \
             succeeded) or `completed` (it ran to its end with success). `[\"db\"]` is short for \
             `{ db = \"started\" }`. Stopping goes in reverse order.",
        )
        .also(&["depends", "requires", "after", "needs", "dependencies", "wants"]),
        Key::new(
            "start",
            Form::Choice(&["auto", "manual", "disabled"]),
            "\"manual\"",
            "`auto`: with the stack. `manual`: when somebody asks, or a service that depends on it starts. \
             `disabled`: never.",
        )
        .default("`\"auto\"`")
        .also(&["autostart", "enabled", "start_mode", "startup_type"]),
        Key::new("restart", restart::FORM, "\"on-failure\"", "What follows the end of its process.")
            .default("`\"always\"`")
            .also(&["autorestart", "restart_policy"]),
        Key::new("stop", stop::FORM, "{ timeout = \"30s\" }", "How its process is ended.")
            .also(&["shutdown", "stop_timeout", "stopsignal", "stop_signal"]),
        Key::new(
            "when_mainstay_stops",
            Form::Choice(&["stop", "leave"]),
            "\"leave\"",
            "What becomes of it when the stack goes down. `leave`: if it is up then it goes on, with its output \
             captured, but nobody probes or restarts it; the next `mainstay up` takes it over, `mainstay down --all` \
             stops it. A service manager ends everything all the same.",
        )
        .default("`\"stop\"`")
        .also(&["on_mainstay_stop", "on_supervisor_exit", "detach", "keep_running", "leave_running"]),
        Key::new(
            "startup",
            probe::FORM,
            "{ tcp = \"127.0.0.1:8080\" }",
            "Holds the other probes back until it has succeeded once; failing too often restarts the service.",
        )
        .also(&["startup_probe"]),
        Key::new(
            "ready",
            probe::FORM,
            "{ http = \"http://127.0.0.1:8080/readyz\" }",
            "Marks the service ready or not ready; nothing else follows from it.",
        )
        .also(&["readiness", "readiness_probe", "health", "healthcheck", "health_check"]),
        Key::new(
            "live",
            probe::FORM,
            "{ http = \"http://127.0.0.1:8080/healthz\", interval = \"10s\" }",
            "Restarts the service when it fails too often.",
        )
        .also(&["liveness", "liveness_probe", "alive", "watchdog"]),
        Key::new(
            "hooks",
            hooks::FORM,
            "{ before_start = [\"./api\", \"migrate\"] }",
            "Commands at the moments of its life.",
        )
        .also(&["hook", "lifecycle"]),
        Key::new(
            "controls",
            controls::FORM,
            "{ 128 = \"rotate\", 129 = { signal = \"SIGHUP\" } }",
            "What codes mean that somebody sends through the service manager (`sc control STACK 128`): `\"rotate\"` makes \
             its log go on in a new file, `signal` sends one, `command` runs one. docs/windows.md has more.",
        )
        .default("none: no code means anything")
        .also(&["control", "custom_controls", "control_codes"]),
        Key::new(
            "config",
            program::FORM,
            "{ files = [{ path = \"api.json\", text = '{\"limit\": 10}' }] }",
            "Files that the program reads, rendered from templates, and how it takes others while it runs.",
        )
        .also(&["configuration", "config_files", "settings"]),
        Key::new("log", log::FORM, "{ keep = { files = 5 } }", "Where its output goes.")
            .also(&["logs", "logging", "stdout", "output"]),
        Key::new(
            "leak",
            leak::FORM,
            "\"restart\"",
            "What follows when its memory, handles, threads or processes grow without end (docs/leaks.md).",
        )
        .default("`\"tell\"`")
        .also(&["leaks", "leak_action", "on_leak"]),
        Key::new("limits", limits::FORM, "{ memory = \"512MB\" }", "What it may use.")
            .also(&["limit", "resources"]),
    ],
};

/// A service, as far as it can be known without the others.
#[derive(Debug)]
pub(crate) struct Draft {
    pub plan: ServicePlan,
    pub depends_on: Vec<Dependency>,
    /// How many of it are made, if it says so.
    pub instances: Option<u32>,
    /// One of these has to be asked for, unless there is none.
    pub profiles: Vec<(String, Span)>,
    /// The key of its table, which is its name unless it is an instance.
    pub entry: String,
    /// Where its name is written.
    pub name_span: Span,
    /// Whether it has a `ready` probe, be it a wrong one.
    pub has_ready: bool,
    /// Its `start`, for messages.
    pub start_span: Option<Span>,
}

impl Draft {
    /// One of which nothing is known yet.
    pub fn empty(name_span: Span) -> Draft {
        Draft {
            plan: ServicePlan::default(),
            depends_on: Vec::new(),
            instances: None,
            profiles: Vec::new(),
            entry: String::new(),
            has_ready: false,
            name_span,
            start_span: None,
        }
    }
}

/// Reads a service; what is wrong keeps its default, so that the other services can be checked against it.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>, name_span: Span) -> Draft {
    let mut draft = Draft::empty(name_span);
    let Some(mut reader) = Reader::open(cx, field, &SERVICE) else { return draft };
    let plan = &mut draft.plan;

    // First, since the variables count in all that follows.
    let (variables, files) = (reader.get("environment"), reader.get("env_file"));
    let (environment, secret_environment) = environment::read(cx, variables, files);

    // Applied already.
    reader.get("extends");
    let (instances, group) = (reader.get("instances"), reader.get("instance_of"));
    draft.instances = instances.and_then(|count| cx.count(count, 1, MAX_INSTANCES));
    if let Some(group) = group {
        match instances {
            Some(count) => {
                cx.error(group.span(), "`instance_of` and `instances` exclude each other")
                    .related(count.span(), "the instances")
                    .hint("the instances of a service have its name for that already");
            }
            None => plan.instance_of = super::depends_on::name_of(cx, group),
        }
    }
    draft.profiles = reader.get("profiles").map(|names| profiles(cx, names)).unwrap_or_default();
    plan.description =
        reader.get("description").and_then(|text| cx.string(text, "a string")).map(|text| text.value);
    plan.launch = Launch {
        command: match reader.required_at(cx, "command", name_span) {
            Some(words) => command::read(cx, words).unwrap_or_default(),
            None => Vec::new(),
        },
        working_dir: working_dir(cx, reader.get("working_dir")),
        environment,
        secret_environment,
        user: reader.get("user").and_then(|name| user::read(cx, name)),
        ..Launch::default()
    };
    let password = reader.get("password");
    plan.launch.password = password.and_then(|field| user::password(cx, field, plan.launch.user.as_deref()));
    plan.launch.settings = process::read(cx, plan.launch.user.as_deref(), |name| reader.get(name));
    if let Some(wanted) = reader.get("dynamic_user") {
        let beside = [reader.get("user"), reader.get("group")];
        user::dynamic(cx, wanted, beside.into_iter().flatten(), &mut plan.launch);
    }
    if let Some(dependencies) = reader.get("depends_on") {
        draft.depends_on = depends_on::read(cx, dependencies);
    }
    if let Some(start) = reader.get("start") {
        draft.start_span = Some(start.span());
        plan.start = cx.choice(start, START_MODES).unwrap_or_default();
    }
    if let Some(policy) = reader.get("restart") {
        plan.restart = restart::read(cx, policy);
    }
    if let Some(steps) = reader.get("stop") {
        plan.stop = stop::read(cx, steps);
    }
    plan.startup = reader.get("startup").and_then(|asked| probe::read(cx, asked, ProbeKind::Startup));
    draft.has_ready = reader.get("ready").is_some();
    plan.ready = reader.get("ready").and_then(|asked| probe::read(cx, asked, ProbeKind::Ready));
    plan.live = reader.get("live").and_then(|asked| probe::read(cx, asked, ProbeKind::Live));
    if let Some(commands) = reader.get("hooks") {
        plan.hooks = hooks::read(cx, commands);
    }
    if let Some(codes) = reader.get("controls") {
        plan.controls = controls::read(cx, codes);
    }
    if let Some(files) = reader.get("config") {
        let of = program::Of {
            name: cx.service_name().to_owned(),
            user: plan.launch.user.as_deref(),
            working_dir: plan.launch.working_dir.as_deref(),
            environment: &mut plan.launch.environment,
            secret_environment: &mut plan.launch.secret_environment,
        };
        plan.config = program::read(cx, files, of);
    }
    if let Some(output) = reader.get("log") {
        plan.log = log::read(cx, output);
    }
    if let Some(action) = reader.get("leak") {
        plan.leak = leak::read(cx, action);
    }
    if let Some(what) = reader.get("when_mainstay_stops") {
        plan.when_mainstay_stops = cx.choice(what, WHEN_MAINSTAY_STOPS).unwrap_or_default();
    }
    if let Some(whose) = reader.get("session") {
        session::read(cx, whose, reader.get("user"), plan);
    }
    if let Some(bounds) = reader.get("limits") {
        plan.launch.limits = limits::read(cx, bounds, &plan.launch.settings);
    }
    reader.finish();
    cx.scope = Scope::default();
    draft
}

fn profiles(cx: &mut Context<'_>, field: Field<'_>) -> Vec<(String, Span)> {
    let Value::List(items) = &field.node.value else {
        cx.wrong_type(field, "a list of names").hint("write it like [\"debug\"]");
        return Vec::new();
    };
    let mut names = Vec::new();
    for item in items {
        let Some(name) = cx.string(field.part(item), "the name of a profile") else { continue };
        let bad = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if name.value.is_empty() || name.value.contains(bad) {
            cx.error(item.span, format!("`{}` cannot name a profile", name.value))
                .hint("write a name like debug");
            continue;
        }
        names.push((name.value, item.span));
    }
    names
}

fn working_dir(cx: &mut Context<'_>, field: Option<Field<'_>>) -> Option<String> {
    let path = match field {
        Some(field) => path::read(cx, field)?,
        None => cx.around.base_dir.to_owned(),
    };
    path::text(&path)
}
