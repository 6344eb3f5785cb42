//! What a good configuration becomes.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{World, base_dir, parse_for, parse_in};
use mainstay_config::System;
use mainstay_core::{
    Check, Compress, Condition, ConfigFile, ControlAction, DailyWindow, ExitAction, FileNotes, Hook, Hooks,
    Launch, LeakAction, Limits, LogEncoding, LogFormat, LogPlan, OnChange, OnFull, Piece, Plan, ProbePlan,
    ProgramConfig, RestartPlan, RestartPolicy, Rlimit, Sandbox, SecretSource, SecretText, ServiceName,
    ServicePlan, Settings, StartLimit, StartMode, StopAction, StopPlan, StopStep, WhenMainstayStops,
};

const KITCHEN_SINK: &str = include_str!("good.toml");

/// A path below the configuration's directory, as the plan has it.
fn below(path: &str) -> String {
    base_dir().join(path.split('/').collect::<std::path::PathBuf>()).display().to_string()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn probe(check: Check, interval: Duration, failures: u32) -> ProbePlan {
    ProbePlan { check, initial_delay: Duration::ZERO, interval, timeout: secs(1), failures, successes: 1 }
}

fn strings<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

fn launch(command: Vec<String>) -> Launch {
    Launch { command, working_dir: Some(base_dir().display().to_string()), ..Launch::default() }
}

fn dsn() -> SecretText {
    SecretText::of([
        Piece::Text("app:".into()),
        Piece::Secret("db", Vec::new()),
        Piece::Text("@9090$".into()),
    ])
}

fn files_of_api() -> ProgramConfig {
    ProgramConfig {
        files: BTreeMap::from([
            (
                below("srv/api.json"),
                ConfigFile {
                    content: SecretText::from("{\"limit\": 10, \"port\": 9090}\n"),
                    mode: 0o640,
                    owner: Some("root".into()),
                    group: Some("api".into()),
                    check: Some(strings(["./api", "--check", "{file}"])),
                },
            ),
            (
                below("srv/hosts"),
                ConfigFile {
                    content: SecretText::from("a\nb\n"),
                    owner: Some("api".into()),
                    ..ConfigFile::default()
                },
            ),
        ]),
        on_change: OnChange::Signal(StopAction::Signal(1)),
        timeout: secs(10),
        secrets: BTreeMap::new(),
        notes: FileNotes::default(),
    }
}

fn api() -> ServicePlan {
    let step = |action, wait| StopStep { action, wait };
    ServicePlan {
        description: Some("The shop's API".into()),
        instance_of: None,
        launch: Launch {
            command: strings(["./api", "--config=config.yaml", "", "two words", "$HOME", r"C:\x\"]),
            working_dir: Some(below("srv")),
            environment: BTreeMap::from(
                [
                    ("PORT", "9090"),
                    ("URL", "http://127.0.0.1:9090/"),
                    ("COUNT", "5"),
                    ("FAST", "true"),
                    ("FROM_FILE", "second!"),
                    ("ONLY_FILE", "x y"),
                    ("LIMITS", "10/2"),
                ]
                .map(|(k, v)| (k.to_owned(), v.to_owned())),
            ),
            secret_environment: ["DSN", "COPY"].map(|name| (name.to_owned(), dsn())).into(),
            user: Some("api".into()),
            ..Launch::default()
        },
        start: StartMode::Manual,
        depends_on: BTreeMap::from([(name("db"), Condition::Ready), (name("migrate"), Condition::Completed)]),
        restart: RestartPlan {
            policy: RestartPolicy::OnFailure,
            delay: secs(1),
            max_delay: secs(90),
            reset_after: secs(120),
            limit: Some(StartLimit { starts: 5, window: secs(60) }),
            on_exit: BTreeMap::from([
                (78, ExitAction::Fail),
                (0xC000_0005, ExitAction::RestartNow),
                (255, ExitAction::Stop),
                (3, ExitAction::Restart),
            ]),
        },
        stop: StopPlan {
            steps: vec![
                step(StopAction::Drain, secs(1)),
                step(StopAction::CtrlC, secs(5)),
                step(StopAction::CloseWindow, Duration::from_millis(500)),
                step(StopAction::Signal(2), secs(1)),
                step(StopAction::Signal(15), secs(5)),
                step(StopAction::Kill, secs(2)),
            ],
            timeout: secs(15),
        },
        startup: Some(ProbePlan {
            initial_delay: secs(3),
            ..probe(Check::Exec(strings(["./check", "9090"])), secs(2), 30)
        }),
        ready: Some(ProbePlan {
            timeout: secs(2),
            successes: 2,
            ..probe(Check::Http("http://127.0.0.1:9090/readyz".into()), secs(1), 5)
        }),
        live: Some(probe(Check::Tcp("127.0.0.1:9090".into()), secs(10), 3)),
        hooks: Hooks {
            before_start: Some(hook(&["./api", "migrate"], 60)),
            before_stop: Some(hook(&["./unregister"], 20)),
            on_failure: Some(hook(&["./alarm", "api"], 10)),
            on_rotation: Some(hook(&["./ship"], 60)),
            on_power: Some(hook(&["./power"], 60)),
            on_session: Some(hook(&["./session"], 60)),
            ..Hooks::default()
        },
        controls: BTreeMap::from([
            (128, ControlAction::Rotate),
            (129, ControlAction::Signal(StopAction::Signal(1))),
            (130, ControlAction::Command(hook(&["./api", "dump"], 10))),
        ]),
        config: files_of_api(),
        log: LogPlan {
            rotate_size: 1 << 20,
            rotate_age: Some(secs(86_400)),
            keep_files: 3,
            keep_age: Some(secs(604_800)),
            keep_total: Some(2_000_000_000),
            compress: Compress::Gzip,
            min_free: Some(1_000_000_000),
            on_full: OnFull::Block,
            separate_stderr: true,
            format: LogFormat::Json,
            encoding: LogEncoding::Auto,
        },
        leak: LeakAction::RestartIn(DailyWindow { from: 22 * 60 + 30, to: 4 * 60 }),
        when_mainstay_stops: WhenMainstayStops::Stop,
        session: mainstay_core::Session::Services,
    }
}

fn hook(command: &[&str], timeout: u64) -> Hook {
    Hook {
        command: command.iter().map(ToString::to_string).collect(),
        timeout: secs(timeout),
        required: true,
    }
}

fn kitchen_sink() -> Plan {
    let step = |action, wait| StopStep { action, wait: secs(wait) };
    let db = ServicePlan {
        when_mainstay_stops: WhenMainstayStops::Leave,
        launch: launch(strings(["etcd", "--data-dir", "data"])),
        ready: Some(probe(Check::Http("http://127.0.0.1:2379/health".into()), secs(2), 3)),
        ..ServicePlan::default()
    };
    let migrate = ServicePlan {
        launch: launch(strings(["./migrate", "--to", "the latest", "main schema"])),
        depends_on: BTreeMap::from([(name("db"), Condition::Ready)]),
        restart: RestartPlan { policy: RestartPolicy::Never, ..RestartPlan::default() },
        startup: Some(probe(Check::Log(r"begun: \d+$".into()), Duration::from_millis(200), 300)),
        ..ServicePlan::default()
    };
    let worker = ServicePlan {
        launch: launch(strings(["./worker"])),
        depends_on: BTreeMap::from([(name("api"), Condition::Started)]),
        restart: RestartPlan { delay: secs(120), max_delay: secs(120), ..RestartPlan::default() },
        stop: StopPlan {
            steps: vec![step(StopAction::CtrlC, 25), step(StopAction::CloseWindow, 3)],
            timeout: secs(30),
        },
        ready: Some(probe(Check::Notify, secs(2), 3)),
        ..ServicePlan::default()
    };
    let extra = ServicePlan {
        launch: Launch {
            working_dir: Some(below("data")),
            environment: BTreeMap::from(
                [("FROM_FILE", "first"), ("ONLY_FILE", "x y")].map(|(k, v)| (k.to_owned(), v.to_owned())),
            ),
            ..launch(strings(["./extra"]))
        },
        start: StartMode::Disabled,
        stop: StopPlan {
            steps: vec![step(StopAction::CtrlC, 10), step(StopAction::Kill, 10)],
            timeout: secs(20),
        },
        startup: Some(probe(Check::Notify, secs(5), 30)),
        live: Some(probe(Check::Http("http://localhost/".into()), secs(10), 2)),
        ..ServicePlan::default()
    };
    Plan {
        stack: "shop".into(),
        metrics: mainstay_core::MetricsPlan::default(),
        secrets: BTreeMap::from([
            ("db".to_owned(), SecretSource::File { path: below("secrets/db") }),
            (
                "token".to_owned(),
                SecretSource::Command { command: strings(["pass", "show", "token"]), timeout: secs(5) },
            ),
        ]),
        opentelemetry: mainstay_core::OpenTelemetryPlan {
            endpoint: Some("https://otel.example:4318".to_owned()),
            headers: BTreeMap::from([("x-key".to_owned(), "k".to_owned())]),
            secret_headers: BTreeMap::new(),
            ca: Some(below("ca.pem")),
            traces: true,
            metrics: false,
            interval: secs(10),
        },
        services: BTreeMap::from([
            (name("api"), api()),
            (name("db"), db),
            (name("extra"), extra),
            (name("migrate"), migrate),
            (name("worker"), worker),
        ]),
        reload: mainstay_core::reload::ReloadSettings {
            at_once: 3,
            timeout: secs(120),
            settle: Duration::ZERO,
            watch: true,
            quiet: Duration::from_millis(200),
            longest_wait: Duration::from_secs(5),
            splay: secs(2),
        },
    }
}

#[test]
fn every_key_arrives_in_the_plan() {
    let files = [
        ("api.env", "FROM_FILE=first\nONLY_FILE='x y'\n"),
        ("over.env", "FROM_FILE=second\n"),
        ("hosts.j2", "{% for host in values.hosts %}{{ host }}\n{% endfor %}"),
    ];
    let loaded = parse_in(KITCHEN_SINK, &[("PORT", "9090")], &files);
    assert_eq!(loaded.diagnostics.to_string(), "");
    let (plan, wanted) = (loaded.plan.unwrap(), kitchen_sink());
    for (name, service) in &wanted.services {
        assert_eq!(plan.services.get(name), Some(service), "{name}");
    }
    assert_eq!(plan, wanted);
    // `.env` since SCHEMA is not in the environment.
    let read = ["api.env", "over.env", "hosts.j2", ".env"];
    assert!(loaded.files.iter().all(|file| read.iter().any(|name| *file == base_dir().join(name))));
}

/// One model in three formats.
#[test]
fn yaml_and_json_make_the_same_plan() {
    let files = [
        ("api.env", "FROM_FILE=first\nONLY_FILE='x y'\n"),
        ("over.env", "FROM_FILE=second\n"),
        ("hosts.j2", "{% for host in values.hosts %}{{ host }}\n{% endfor %}"),
    ];
    for (name, text) in
        [("mainstay.yaml", include_str!("good.yaml")), ("mainstay.json", include_str!("good.json"))]
    {
        let loaded = World { name, ..World::new(&[("PORT", "9090")], &files) }.parse(text);
        assert_eq!(loaded.diagnostics.to_string(), "");
        assert_eq!(loaded.plan.unwrap(), kitchen_sink(), "{name}");
    }
}

/// The value that `command` has in the only service.
fn argument(text: &str, env: &[(&str, &str)], files: &[(&str, &str)]) -> String {
    let loaded = parse_in(text, env, files);
    assert_eq!(loaded.diagnostics.to_string(), "");
    loaded.plan.unwrap().services[&name("a")].launch.command[1].clone()
}

#[test]
fn the_environment_beats_the_file_and_the_file_beats_the_default() {
    let text =
        "service.a = { command = ['a', '${X}'], environment = { X = '${X:-default}' }, env_file = 'x.env' }";
    assert_eq!(argument(text, &[("X", "environment")], &[("x.env", "X=file")]), "environment");
    assert_eq!(argument(text, &[], &[("x.env", "X=file")]), "file");
    assert_eq!(argument(text, &[], &[("x.env", "")]), "default");
}

#[test]
fn a_variable_means_what_the_service_will_see() {
    let text = "service.a = { command = ['a', '${X}'], environment = { X = 'own' } }";
    assert_eq!(argument(text, &[("X", "outside")], &[]), "own");
    let text = "service.a = { command = ['a', '${X}'], env_file = 'x.env' }";
    assert_eq!(argument(text, &[("X", "outside")], &[("x.env", "X=file")]), "file");
    let text = "service.a = { command = ['a', '${Y}'], environment = { X = 'own', Y = '<${X}>' } }";
    assert_eq!(argument(text, &[("X", "outside")], &[]), "<own>");
    let text =
        "service.a = { command = ['a', '${X}'] }\nservice.b = { command = ['b'], environment = { X = 'b' } }";
    assert_eq!(argument(text, &[("X", "outside")], &[]), "outside", "one service's variables are its own");
}

#[test]
fn values_of_variables_are_not_looked_at_again() {
    let text = "service.a = { command = ['a', '${X}'] }";
    assert_eq!(argument(text, &[("X", "${HOME} $$ \"q\" \\")], &[]), "${HOME} $$ \"q\" \\");
    let text = "service.a.command = 'a ${X} b'";
    assert_eq!(argument(text, &[("X", "one 'word")], &[]), "one 'word");
}

#[test]
fn windows_compares_names_of_variables_without_case() {
    let text =
        "service.a = { command = ['a', '${PATH}'], environment = { Path = 'x;${Path}' }, env_file = 'e' }";
    let files = [("e", "path=file\nOther=1")];
    let loaded = parse_for(System::Windows, text, &[("Path", "C:")], &files);
    assert_eq!(loaded.diagnostics.to_string(), "");
    let launch = &loaded.plan.unwrap().services[&name("a")].launch;
    assert_eq!(launch.command[1], "x;C:");
    let wanted = [("Other", "1"), ("Path", "x;C:")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(launch.environment, BTreeMap::from(wanted));
}

#[test]
fn a_stack_without_a_name_is_called_like_its_directory() {
    let loaded = parse_in("service.a.command = ['a']", &[], &[]);
    assert_eq!(loaded.plan.unwrap().stack, "shop");
}

#[test]
fn a_byte_order_mark_and_dos_line_ends_do_no_harm() {
    let loaded = parse_in("\u{FEFF}name = \"x\"\r\n[service.a]\r\ncommand = [\"a\"]\r\n", &[], &[]);
    assert_eq!(loaded.diagnostics.to_string(), "");
    assert_eq!(loaded.plan.unwrap().stack, "x");
}

/// A long chain of services and of variables neither overflows the stack nor takes for ever.
#[test]
fn long_chains() {
    let mut text = String::new();
    for n in 0..5_000 {
        text += &format!("[service.s{n}]\ncommand = ['x']\ndepends_on = ['s{}']\n", n + 1);
    }
    text += "[service.s5000]\ncommand = ['x']\n[service.z]\ncommand = ['x']\n[service.z.environment]\n";
    for n in 0..50 {
        text += &format!("V{n} = '${{V{}}}'\n", n + 1);
    }
    text += "V50 = 'end'\n";
    let loaded = parse_in(&text, &[], &[]);
    assert_eq!(loaded.diagnostics.to_string(), "");
    let plan = loaded.plan.unwrap();
    assert_eq!(plan.services.len(), 5_002);
    assert_eq!(plan.services[&name("z")].launch.environment["V0"], "end");
}

/// Variables that double each other's length are stopped before they fill the memory.
#[test]
fn variables_do_not_explode() {
    let mut text = String::from("[service.z]\ncommand = ['x']\n[service.z.environment]\nV0 = '0123456789'\n");
    for n in 1..60 {
        text += &format!("V{n} = '${{V{0}}}${{V{0}}}'\n", n - 1);
    }
    let loaded = parse_in(&text, &[], &[]);
    assert!(loaded.diagnostics.to_string().contains("too long"), "{}", loaded.diagnostics);
}

#[test]
fn what_a_process_is_given() {
    let text = r#"
[service.a]
command = ["a"]
user = "ann"
group = "data"
supplementary_groups = ["video", "44"]
priority = "below_normal"
cpu_affinity = ["4-6, 9", 0, "5"]
umask = "0o027"
stdin = { file = "in.txt" }
sandbox = { no_new_privileges = true, capabilities = ["CAP_CHOWN"], private_tmp = true, private_ipc = true, protect_system = "strict", protect_home = true, read_only_paths = ["-ro"], read_write_paths = ["rw"], system_call_filter = "service" }
rlimits = { nofile = 4096, core = "unlimited", cpu = "90m", stack = { soft = "1MiB", hard = "2MiB" }, as = { soft = "1GB" }, rttime = "5ms" }

[service.b]
command = ["b"]
nice = 1
"#;
    let text = text.replace("nice = 1", "priority = -3\ncpu_affinity = 2\nstdin = 'null'");
    let both = |value| Rlimit { soft: value, hard: Some(value) };
    let limits = [
        ("as", Rlimit { soft: 1_000_000_000, hard: None }),
        ("core", both(Rlimit::UNLIMITED)),
        ("cpu", both(5_400)),
        ("nofile", both(4096)),
        ("rttime", both(5_000)),
        ("stack", Rlimit { soft: 1 << 20, hard: Some(2 << 20) }),
    ];
    let wanted = Settings {
        group: Some("data".into()),
        supplementary_groups: Some(strings(["video", "44"])),
        nice: Some(10),
        cpus: vec![0, 4, 5, 6, 9],
        rlimits: limits.map(|(name, limit)| (name.to_owned(), limit)).into(),
        umask: Some(0o27),
        stdin: Some(below("in.txt")),
        sandbox: Some(Sandbox {
            no_new_privileges: true,
            capabilities: Some(strings(["CAP_CHOWN"])),
            private_tmp: true,
            private_ipc: true,
            read_only_paths: vec![format!("-{}", below("ro")), "/".into()],
            read_write_paths: vec![below("rw"), "-/dev".into(), "-/proc".into(), "-/sys".into()],
            inaccessible_paths: strings(["-/home", "-/root", "-/run/user"]),
            filter_system_calls: true,
        }),
        ..Settings::default()
    };
    let loaded = parse_in(&text, &[], &[]);
    assert_eq!(loaded.diagnostics.to_string(), "");
    let plan = loaded.plan.unwrap();
    assert_eq!(plan.services[&name("a")].launch.settings, wanted);
    let small = Settings { nice: Some(-3), cpus: vec![2], ..Settings::default() };
    assert_eq!(plan.services[&name("b")].launch.settings, small);
    // On Windows what does nothing is told and left out.
    let loaded = parse_for(System::Windows, &text, &[], &[]);
    for key in ["group", "supplementary_groups", "umask", "rlimits", "sandbox"] {
        let told = format!("warning: `{key}` has no effect on Windows");
        assert!(loaded.diagnostics.to_string().contains(&told), "{key}: {}", loaded.diagnostics);
    }
    let there = &loaded.plan.unwrap().services[&name("a")].launch.settings;
    let left =
        Settings { nice: wanted.nice, cpus: wanted.cpus, stdin: there.stdin.clone(), ..Settings::default() };
    assert_eq!((there, there.stdin.is_some()), (&left, true));
}

#[test]
fn what_a_service_may_use() {
    let text = r#"
[service.a]
command = ["a"]
limits = { memory = "512MB", memory_high = "400MiB", cpu = 1.5, cpu_weight = 50, processes = 100, open_files = 4096, io_read = "50MB", io_write = "1GiB", io_weight = 10 }

[service.b]
command = ["b"]
limits = { cpu = "12.5%" }

[service.c]
command = ["c"]
limits = { cpu = 2 }
"#;
    let whole = Limits {
        memory: Some(512_000_000),
        memory_high: Some(400 << 20),
        cpu_millis: Some(1_500),
        cpu_weight: Some(50),
        processes: Some(100),
        open_files: Some(4_096),
        io_read: Some(50_000_000),
        io_write: Some(1 << 30),
        io_weight: Some(10),
    };
    let loaded = parse_in(text, &[], &[]);
    assert_eq!(loaded.diagnostics.to_string(), "");
    let plan = loaded.plan.unwrap();
    let limits = |plan: &Plan, service: &str| plan.services[&name(service)].launch.limits.clone();
    assert_eq!(limits(&plan, "a"), whole);
    assert_eq!((limits(&plan, "b").cpu_millis, limits(&plan, "c").cpu_millis), (Some(125), Some(2_000)));
    let loaded = parse_for(System::Windows, text, &[], &[]);
    for key in ["memory_high", "open_files", "io_read", "io_write", "io_weight"] {
        let told = format!("warning: `{key}` has no effect on Windows");
        assert!(loaded.diagnostics.to_string().contains(&told), "{key}: {}", loaded.diagnostics);
    }
    let left = limits(&loaded.plan.unwrap(), "a");
    assert_eq!((left.memory, left.io_read, left.open_files), (whole.memory, None, None));
}

/// What the probe of a service says, and what is said of it.
fn with_secret(lines: &str) -> (Option<Plan>, String) {
    let loaded =
        parse_in(format!("[service.a]\ncommand = ['a']\n{lines}\n"), &[], &[("x.env", "F = ${secret:f}")]);
    (loaded.plan, loaded.diagnostics.to_string())
}

#[test]
fn secrets_stand_in_headers_for_a_collector() {
    let text = "[opentelemetry]\nendpoint = 'http://h'\n\
                headers = { Authorization = 'Bearer ${secret:token}', X = 'y' }\n[service.a]\ncommand = ['a']\n";
    let loaded = parse_in(text, &[], &[]);
    let plan = loaded.plan.unwrap_or_else(|| panic!("{}", loaded.diagnostics));
    assert_eq!(plan.opentelemetry.secret_headers["authorization"].to_string(), "Bearer ${secret:token}");
    assert_eq!(plan.opentelemetry.headers, BTreeMap::from([("x".to_owned(), "y".to_owned())]));
    assert_eq!(plan.opentelemetry.secret_names().into_iter().collect::<Vec<_>>(), ["token"]);
    let written = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&written).unwrap(), plan);
}

#[test]
fn secrets_stand_in_variables_and_headers_and_nowhere_else() {
    let (plan, said) = with_secret(
        "env_file = 'x.env'\nenvironment = { A = '$$${secret:x}', B = '${NONE:-${secret:y}}' }\n\
         ready = { http = 'http://h/', headers = { Authorization = 'Bearer ${secret:z}' } }",
    );
    let plan = plan.unwrap_or_else(|| panic!("{said}"));
    let service = &plan.services[&name("a")];
    let texts: Vec<String> = service.launch.secret_environment.values().map(ToString::to_string).collect();
    assert_eq!(texts, ["$$${secret:x}", "${secret:y}"]);
    assert_eq!(service.launch.environment["F"], "${secret:f}", "files are taken as they are");
    let Some(Check::Http(http)) = service.ready.as_ref().map(|ready| &ready.check) else {
        panic!("{service:?}")
    };
    assert_eq!(http.secret_headers["authorization"].to_string(), "Bearer ${secret:z}");
    assert!(http.headers.is_empty());

    for lines in [
        "stop.steps = [{ command = ['x', '${secret:x}'] }]",
        "description = '${secret:x}'",
        "environment = { A = '${secret:x}' }\nworking_dir = '${A}'",
        "hooks.before_start = ['x', '${secret:x}']",
        "ready = { http = 'http://h/${secret:x}' }",
        "ready = { exec = 'x ${secret:x}' }",
        "user = '${secret:x}'",
    ] {
        let (plan, said) = with_secret(lines);
        assert!(plan.is_none() && said.contains("a secret cannot stand here"), "{lines}: {said}");
    }
    let (_, said) = with_secret("environment = { A = '${secret:a.b}' }");
    assert!(said.contains("`a.b` is not the name of a secret"), "{said}");
    let (_, said) =
        with_secret("environment = { A = '${secret:db_pasword}' }\n[secrets]\ndb_password = { file = 'x' }");
    assert!(said.contains("did you mean `db_password`?"), "{said}");
}

#[test]
fn sources_of_secrets_are_checked() {
    for (source, why) in [
        ("'hunter2'", "expected a table"),
        ("{}", "needs a key that says what it is"),
        ("{ file = 'a', age = 'b' }", "exclude each other"),
        ("{ age = 'b' }", "needs its `identity`"),
        ("{ file = 'a', timeout = '1s' }", "`timeout` means nothing for `file`"),
        ("{ dpapi = 'a' }", "gives no value on this system"),
        ("{ credential = '../x' }", "not the name of a credential"),
        ("{ store = true }", "unknown key"),
    ] {
        let (_, said) = with_secret(&format!("[secrets]\ndb = {source}"));
        assert!(said.contains(why), "{source}: {said}");
    }
}
