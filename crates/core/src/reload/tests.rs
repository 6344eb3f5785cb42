use std::collections::BTreeMap;

use super::*;
use crate::testing::{name, needs, plan, probe, secs, service};
use crate::{
    Condition, ConfigFile, ExitAction, FileNotes, Hook, Hooks, Launch, LeakAction, Limits, LogEncoding,
    LogFormat, LogPlan, MetricsPlan, OnChange, OpenTelemetryPlan, Piece, ProgramConfig, RestartPlan, Rlimit,
    SecretText, Settings, StartLimit, StopAction, StopPlan, StopStep,
};

fn hook() -> Option<Hook> {
    Some(Hook { command: vec!["hook".into()], timeout: secs(1), required: true })
}

/// A service with every field set. No `..` in here: a new field is to be thought of.
fn full() -> ServicePlan {
    let settings = Settings {
        group: Some("g".into()),
        supplementary_groups: Some(vec!["h".into()]),
        nice: Some(3),
        cpus: vec![1],
        rlimits: BTreeMap::from([("nofile".into(), Rlimit { soft: 1, hard: Some(2) })]),
        umask: Some(7),
        stdin: Some("/in".into()),
        sandbox: Some(crate::Sandbox { private_tmp: true, ..crate::Sandbox::default() }),
        privileges: Some(crate::Privileges::Keep(vec!["SeDebugPrivilege".into()])),
        integrity: Some(crate::Integrity::Low),
    };
    ServicePlan {
        description: Some("d".into()),
        instance_of: Some(name("many")),
        launch: Launch {
            command: vec!["p".into()],
            working_dir: Some("/".into()),
            environment: BTreeMap::from([("A".into(), "1".into())]),
            secret_environment: BTreeMap::from([("S".into(), SecretText::of([Piece::Secret("db", vec![])]))]),
            secrets: BTreeMap::from([("db".into(), "0a".into())]),
            user: Some("u".into()),
            password: Some(SecretText::of([Piece::Secret("db", vec![])])),
            settings,
            limits: Limits {
                memory: Some(1),
                memory_high: Some(1),
                cpu_millis: Some(1),
                cpu_weight: Some(1),
                processes: Some(1),
                open_files: Some(1),
                io_read: Some(1),
                io_write: Some(1),
                io_weight: Some(1),
            },
        },
        start: StartMode::Manual,
        depends_on: BTreeMap::from([(name("db"), Condition::Ready)]),
        restart: RestartPlan {
            policy: crate::RestartPolicy::Never,
            delay: secs(1),
            max_delay: secs(2),
            reset_after: secs(3),
            limit: Some(StartLimit { starts: 1, window: secs(1) }),
            on_exit: BTreeMap::from([(3, ExitAction::Fail)]),
        },
        stop: StopPlan {
            steps: vec![StopStep { action: StopAction::Kill, wait: secs(1) }],
            timeout: secs(3),
        },
        startup: Some(probe()),
        ready: Some(probe()),
        live: Some(probe()),
        hooks: Hooks {
            before_start: hook(),
            after_ready: hook(),
            before_stop: hook(),
            after_exit: hook(),
            on_failure: hook(),
            on_rotation: hook(),
            on_power: hook(),
            on_session: hook(),
        },
        controls: BTreeMap::from([(128, crate::ControlAction::Rotate)]),
        config: ProgramConfig {
            files: BTreeMap::from([(
                "/etc/p.json".into(),
                ConfigFile {
                    content: SecretText::of([Piece::Secret("f", vec![])]),
                    mode: 0o640,
                    owner: Some("o".into()),
                    group: Some("g".into()),
                    check: Some(vec!["check".into()]),
                },
            )]),
            on_change: OnChange::Event("e".into()),
            timeout: secs(1),
            secrets: BTreeMap::from([("f".into(), "0b".into())]),
            notes: FileNotes {
                contents: BTreeMap::from([("/etc/p.json".into(), "0c".into())]),
                refused: BTreeMap::from([("f".into(), "0d".into())]),
            },
        },
        leak: LeakAction::Restart,
        session: crate::Session::Active,
        when_mainstay_stops: crate::WhenMainstayStops::Leave,
        log: LogPlan {
            rotate_size: 1,
            rotate_age: Some(secs(1)),
            keep_files: 1,
            keep_age: Some(secs(1)),
            keep_total: Some(1),
            compress: crate::Compress::None,
            min_free: Some(1),
            on_full: crate::OnFull::Block,
            separate_stderr: true,
            format: LogFormat::Json,
            encoding: LogEncoding::Auto,
        },
    }
}

/// Each leaf of a plan as JSON.
fn leaves(at: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                leaves(&if at.is_empty() { key.clone() } else { format!("{at}.{key}") }, value, found);
            }
        }
        _ => found.push(at.to_owned()),
    }
}

#[test]
fn every_field_has_a_class() {
    let mut found = Vec::new();
    leaves("", &json(&full()), &mut found);
    let settings = ReloadSettings { at_once: 7, ..ReloadSettings::default() };
    let metrics = MetricsPlan { listen: Some("9100".into()) };
    let secrets = BTreeMap::from([("db".into(), crate::SecretSource::Store)]);
    let endpoint = Some("http://127.0.0.1:4318".into());
    let opentelemetry = OpenTelemetryPlan { endpoint, ..OpenTelemetryPlan::default() };
    let top = Plan {
        stack: "s".into(),
        services: BTreeMap::new(),
        reload: settings,
        metrics,
        opentelemetry,
        secrets,
    };
    leaves("", &json(&top), &mut found);
    let missing: Vec<_> =
        found.iter().filter(|path| *path != "services" && fields::class_of(path).is_none()).collect();
    assert!(
        missing.is_empty(),
        "these need a line in `FIELDS`, which says what their change does: {missing:?}"
    );
    let idle = FIELDS.iter().filter(|field| {
        !found.iter().any(|path| {
            path.strip_prefix(field.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    });
    assert_eq!(idle.map(|field| field.path).collect::<Vec<_>>(), [""; 0], "no plan has these");
}

#[test]
fn the_documentation_has_the_table() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reload.md");
    let text = std::fs::read_to_string(file).expect("docs/reload.md").replace("\r\n", "\n");
    let (begin, end) = ("<!-- fields: begin -->\n", "<!-- fields: end -->\n");
    let (before, rest) = text.split_once(begin).expect("the begin mark");
    let (written, after) = rest.split_once(end).expect("the end mark");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(file, format!("{before}{begin}{}{end}{after}", field_table())).expect("written");
        return;
    }
    assert!(
        written == field_table(),
        "write it anew: UPDATE_DOCS=1 cargo test -p mainstay-core --lib documentation"
    );
}

/// What a change of `full()` does.
fn after(change: impl Fn(&mut ServicePlan)) -> Step {
    let mut new = full();
    change(&mut new);
    Step::changed(&name("s"), &full(), &new)
}

#[test]
fn descriptions_and_log_limits_never_restart() {
    assert_eq!(after(|s| s.description = None).action, Action::Nothing);
    assert_eq!(after(|s| s.restart.delay = secs(9)).action, Action::Nothing);
    let step = after(|s| (s.log.keep_files, s.log.rotate_age, s.description) = (3, None, None));
    assert_eq!(step.action, Action::Live);
    assert_eq!(step.reason, "log.keep_files, log.rotate_age changed");
    assert_eq!(after(|s| s.ready = None).action, Action::Live);
    assert_eq!(after(|s| s.stop.timeout = secs(1)).action, Action::Nothing);
    assert_eq!(after(|s| s.launch.limits.memory = Some(5)).action, Action::Live);
    assert_eq!(after(|s| s.log.format = LogFormat::Raw).action, Action::Nothing);
}

#[test]
fn what_the_process_was_made_with_needs_another_one() {
    let step = after(|s| {
        s.launch.environment = BTreeMap::from([("A".into(), "secret".into()), ("B".into(), "2".into())]);
        s.launch.command.push("x".into());
    });
    assert_eq!(step.action, Action::Restart);
    let fields: Vec<&str> = step.changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields, ["launch.command", "launch.environment.A", "launch.environment.B"]);
    assert_eq!(step.changes[0].becomes.as_deref(), Some(r#"["p","x"]"#));
    assert_eq!(
        (&step.changes[1].was, &step.changes[1].becomes),
        (&None, &None),
        "values of variables are not shown"
    );
    assert_eq!(after(|s| s.launch.settings = Settings::default()).action, Action::Restart);
    assert_eq!(after(|s| s.launch.limits.open_files = None).action, Action::Restart);
    let notify = |s: &mut ServicePlan| s.live.as_mut().unwrap().check = Check::Notify;
    assert_eq!(after(notify).action, Action::Restart, "it needs an address to say it to");
}

/// What the change of a command looks like.
fn told(was: &str, becomes: &str) -> String {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect();
    let (mut old, mut new) = (full(), full());
    (old.launch.command, new.launch.command) = (words(was), words(becomes));
    let step = Step::changed(&name("a"), &old, &new);
    let [change] = step.changes.as_slice() else { panic!("{step:?}") };
    format!("{}\n-> {}", change.was.as_deref().unwrap(), change.becomes.as_deref().unwrap())
}

#[test]
fn of_a_long_command_what_differs_is_shown() {
    let of = |port: &str| format!("java -server -Xms1g -Xmx2g -jar shop.jar --port {port} --db main --quiet");
    let seen = [
        told(&of("80"), &of("8080")),
        told(&of("80"), &of("80 --tls")),
        told(&of("80"), &format!("{} --last", of("80"))),
        told(&of("80"), &format!("nice {}", of("80"))),
        told(&of("80"), &of("80").replace("-Xms1g", "-Xms2g").replace("main", "spare")),
        told("a b c d", "a b x d"),
        told("a a a a a a", "a a a a a"),
        told("a b c", "x"),
    ];
    insta::assert_snapshot!(seen.join("\n\n"));
}

#[test]
fn a_command_in_a_table_is_shortened_too() {
    let probe = |last: &str| serde_json::json!({ "check": { "exec": ["probe", "1", "2", "3", "4", last] } });
    let (was, becomes) = differing(&probe("old"), &probe("new"));
    assert_eq!(words(&was), r#"{check: {exec: ["probe",…,"4","old"]}}"#);
    assert_eq!(words(&becomes), r#"{check: {exec: ["probe",…,"4","new"]}}"#);
}

#[test]
fn starts_and_stops() {
    assert_eq!(after(|s| s.start = StartMode::Disabled).action, Action::Stop);
    assert_eq!(after(|s| s.start = StartMode::Auto).action, Action::Start);
    let disabled_too = |s: &mut ServicePlan| (s.start, s.launch.user) = (StartMode::Disabled, None);
    assert_eq!(after(disabled_too).action, Action::Stop);
}

#[test]
fn an_unknown_field_needs_a_new_process() {
    assert_eq!(action("launch.flux", &full(), &full()), Action::Restart);
}

#[test]
fn what_is_gone_stops_first_unless_somebody_needs_it_until_then() {
    let old = plan([
        ("api", needs([("db", Condition::Ready)])),
        ("db", service()),
        ("web", needs([("api", Condition::Ready)])),
    ]);
    let new =
        plan([("api", needs([("store", Condition::Ready)])), ("store", service()), ("web2", service())]);
    let reload = ReloadPlan::of(&old, &new);
    let steps: Vec<String> =
        reload.steps.iter().map(|step| format!("{} {}", step.action, step.service)).collect();
    assert_eq!(steps, ["stop web", "start store", "start web2", "live api", "stop db"]);
    assert!(ReloadPlan::of(&new, &new).is_empty());
}

#[test]
fn a_change_shows_what_differs_in_words() {
    let old = plan([("api", service())]);
    let mut new = old.clone();
    new.services.get_mut(&name("api")).expect("it is there").restart.delay = secs(2);
    let changed = ReloadPlan::of(&old, &new);
    let change = &changed.steps[0].changes[0];
    assert_eq!(change.field, "restart.delay");
    assert_eq!(change.was.as_deref(), Some("500 ms"));
    assert_eq!(change.becomes.as_deref(), Some("2 s"));
}

/// Each change as `field: was -> becomes`.
fn seen(change: impl Fn(&mut ServicePlan)) -> Vec<String> {
    let show = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let changes = after(change).changes.into_iter();
    changes
        .map(|change| format!("{}: {} -> {}", change.field, show(change.was), show(change.becomes)))
        .collect()
}

#[test]
fn of_a_probe_or_a_hook_what_differs_is_shown() {
    assert_eq!(seen(|s| s.ready.as_mut().unwrap().interval = secs(9)), ["ready.interval: 1 s -> 9 s"]);
    assert_eq!(seen(|s| s.stop.timeout = secs(5)), ["stop.timeout: 3 s -> 5 s"]);
    let hook = seen(|s| s.hooks.after_ready.as_mut().unwrap().command.push("more".into()));
    assert_eq!(hook, [r#"hooks.after_ready.command: ["hook"] -> ["hook","more"]"#]);
    assert_eq!(seen(|s| s.hooks.on_failure = None).len(), 1);
    assert_eq!(
        seen(|s| s.config.on_change = OnChange::Event("f".into())),
        ["config.on_change.event: e -> f"]
    );
}

#[test]
fn what_lets_somebody_in_is_not_shown() {
    let probe = |url: &str, token: &str| {
        let headers = BTreeMap::from([("Authorization".to_owned(), token.to_owned())]);
        let http = crate::HttpCheck { url: url.to_owned(), headers, ..crate::HttpCheck::default() };
        Some(ProbePlan { check: Check::Http(Box::new(http)), ..probe() })
    };
    let (mut old, mut new) = (full(), full());
    old.ready = probe("http://me:hunter2@host/a", "Bearer abc");
    new.ready = probe("http://me:hunter3@host/b", "Bearer abd");
    let shown = serde_json::to_string(&Step::changed(&name("s"), &old, &new)).unwrap();
    assert!(shown.contains("http://me:***@host/a") && shown.contains("http://me:***@host/b"), "{shown}");
    assert!(!shown.contains("hunter") && !shown.contains("Bearer"), "{shown}");
    old.ready = None;
    let shown = serde_json::to_string(&Step::changed(&name("s"), &old, &new)).unwrap();
    assert!(!shown.contains("hunter") && !shown.contains("Bearer"), "{shown}");
}

#[test]
fn of_a_file_the_lines_that_differ_are_shown_without_values_of_variables() {
    let with = |content: &str| {
        let mut plan = full();
        plan.launch.environment.insert("TOKEN".into(), "hunter2".into());
        plan.config.files.get_mut("/etc/p.json").unwrap().content = content.into();
        plan
    };
    let change = |was: &str, becomes: &str| {
        let step = Step::changed(&name("s"), &with(was), &with(becomes));
        let change = step.changes.into_iter().next().unwrap();
        assert_eq!(change.field, "config.files./etc/p.json.content");
        (change.was.unwrap(), change.becomes.unwrap())
    };
    let (was, becomes) = change("a\nlimit $1\nz\n", "a\nlimit 2\ntoken hunter2\nz\n");
    assert_eq!((was.as_str(), becomes.as_str()), ("limit $1", "limit 2\ntoken ***"));
    let (_, long) = change("", &"line\n".repeat(100));
    assert_eq!(long.lines().count(), 7);
    assert!(long.ends_with("… and 94 lines more"), "{long}");
    let new = seen(|s| drop(s.config.files.insert("/new".into(), ConfigFile::default())));
    assert_eq!(new, ["config.files./new: none -> none"], "it is in the configuration");
}
