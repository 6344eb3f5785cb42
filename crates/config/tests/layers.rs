//! Several files, overlays, variables and the command line over each other.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use std::path::PathBuf;
use std::time::Duration;

use common::{World, base_dir};
use mainstay_config::{Asked, Loaded};
use mainstay_core::{Check, Condition, Plan, ServiceName, ServicePlan, StartMode};

fn merge(texts: &[(&str, &str)], asked: &Asked) -> Loaded {
    let texts: Vec<(&str, &[u8])> = texts.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    World::new(&[("HOME", "/home/ann")], &[]).parse_all(&texts, asked)
}

fn good(texts: &[(&str, &str)], asked: &Asked) -> Plan {
    let loaded = merge(texts, asked);
    assert_eq!(loaded.diagnostics.to_string(), "");
    loaded.plan.unwrap()
}

fn service<'p>(plan: &'p Plan, name: &str) -> &'p ServicePlan {
    &plan.services[&ServiceName::new(name).unwrap()]
}

fn sets(sets: &[&str]) -> Asked {
    Asked { sets: sets.iter().map(|set| (*set).to_owned()).collect(), ..Asked::default() }
}

fn settings(settings: &[(&str, &str)]) -> Asked {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Asked { settings, ..Asked::default() }
}

const BASE: &str = r#"
name = "shop"
[service.api]
command = ["./api", "--slow"]
working_dir = "srv"
environment = { PORT = "1", MODE = "base" }
restart = { delay = "1s", max_delay = "2m" }
ready = { http = "http://127.0.0.1/", interval = "7s" }
live = { tcp = "127.0.0.1:1" }
[service.db]
command = "db"
"#;

#[test]
fn tables_are_merged_and_all_else_is_replaced() {
    let over = "
service:
  api:
    command: [./other]
    working_dir: data
    environment: { PORT: 2, EXTRA: x }
    restart: { delay: 5s }
    ready: { tcp: 'h:1' }
    live: null
    depends_on: [db]
  new: { command: new }
";
    let plan = good(&[("mainstay.toml", BASE), ("more/over.yaml", over)], &Asked::default());
    let api = service(&plan, "api");
    assert_eq!(api.launch.command, ["./other"]);
    let environment: Vec<String> =
        api.launch.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(environment, ["EXTRA=x", "MODE=base", "PORT=2"]);
    assert_eq!(api.restart.delay, Duration::from_secs(5));
    assert_eq!(api.restart.max_delay, Duration::from_secs(120));
    let ready = api.ready.as_ref().unwrap();
    assert_eq!(ready.check, Check::Tcp("h:1".into()), "one question replaces the other");
    assert_eq!(ready.interval, Duration::from_secs(7), "its times stay");
    assert!(api.live.is_none(), "null takes away");
    assert_eq!(api.depends_on.values().next(), Some(&Condition::Started));
    assert_eq!(plan.services.len(), 3);
    // A path starts at the file that names it; a service works in the first file's directory.
    assert_eq!(api.launch.working_dir.as_ref().map(PathBuf::from), Some(base_dir().join("more/data")));
    assert_eq!(service(&plan, "new").launch.working_dir.as_ref().map(PathBuf::from), Some(base_dir().into()));
}

#[test]
fn the_command_line_beats_the_environment_beats_the_overlay_beats_the_file() {
    let over = r#"{ "service": { "api": { "description": "overlay", "start": "manual" } } }"#;
    let files = [("mainstay.toml", BASE), ("mainstay.prod.json", over)];
    let start = |asked: &Asked| service(&good(&files, asked), "api").start;
    assert_eq!(start(&Asked::default()), StartMode::Manual);
    let mut asked = settings(&[("MAINSTAY__SERVICE__API__START", "disabled")]);
    assert_eq!(start(&asked), StartMode::Disabled);
    asked.sets = vec!["service.api.start=manual".into(), "service.api.start = \"auto\"".into()];
    assert_eq!(start(&asked), StartMode::Auto);
}

#[test]
fn values_on_the_command_line_are_written_as_people_write_them() {
    let plan = good(
        &[("mainstay.toml", BASE)],
        &sets(&[
            "service.api.environment.PORT=8080",
            "service.api.environment.RATE=1.10",
            "service.api.environment.EMPTY=",
            "service.api.description=5",
            "service.api.ready.failures=9",
            "service.api.ready.timeout=3s",
            "service.api.command=[\"a b\", \"c=d\"]",
            "service.db.command=./db --dir ${HOME}",
            "service.'db'.environment.\"ProgramFiles(x86)\"=C:\\x",
            "service.extra.command=x",
        ]),
    );
    let api = service(&plan, "api");
    assert_eq!(api.launch.environment["PORT"], "8080");
    assert_eq!(api.launch.environment["RATE"], "1.10");
    assert_eq!(api.launch.environment["EMPTY"], "");
    assert_eq!(api.description.as_deref(), Some("5"));
    let ready = api.ready.as_ref().unwrap();
    assert_eq!((ready.failures, ready.timeout), (9, Duration::from_secs(3)));
    assert_eq!(api.launch.command, ["a b", "c=d"]);
    let db = service(&plan, "db");
    assert_eq!(db.launch.command, ["./db", "--dir", "/home/ann"]);
    assert_eq!(db.launch.environment["ProgramFiles(x86)"], "C:\\x");
    assert_eq!(service(&plan, "extra").launch.command, ["x"]);
}

#[test]
fn variables_name_services_and_keys_in_capitals() {
    let base = format!("{BASE}\n[service.shop-api.2]\n")
        .replace("[service.shop-api.2]", "[service.'shop-api.2']\ncommand='x'");
    let plan = good(
        &[("mainstay.toml", &base)],
        &settings(&[
            ("MAINSTAY__NAME", "other"),
            ("MAINSTAY__SERVICE__SHOP_API_2__START", "manual"),
            ("MAINSTAY__SERVICE__API__ENVIRONMENT__PORT", "77"),
            ("MAINSTAY__SERVICE__API__ENVIRONMENT__http_proxy", "p"),
            ("MAINSTAY__SERVICE__API__READY__INITIAL_DELAY", "1s"),
            ("MAINSTAY__SERVICE__API__RESTART__ON_EXIT__78", "fail"),
        ]),
    );
    assert_eq!(plan.stack, "other");
    assert_eq!(service(&plan, "shop-api.2").start, StartMode::Manual);
    let api = service(&plan, "api");
    assert_eq!(api.launch.environment["PORT"], "77");
    assert_eq!(api.launch.environment["http_proxy"], "p");
    assert_eq!(api.ready.as_ref().unwrap().initial_delay, Duration::from_secs(1));
    assert_eq!(api.restart.on_exit.len(), 1);
}

/// All problems of all layers at once, each at its place; nothing secret is repeated.
#[test]
fn mistakes_in_all_layers_are_told_at_once() {
    let base = BASE.replace("delay = \"1s\"", "delay = \"1 parsec\"")
        + "[service.a]\ncommand='a'\ndepends_on=['b']\n";
    let over = "service:\n  api:\n    comand: x\n    start: no\n    restart: { limit: { starts: 1.5 } }\n  b:\n    command: b\n    depends_on: { a: ready }\n    live: null\n";
    let mut asked = sets(&[
        "service.api.restart.delay=soon",
        "nonsense",
        "service.api.environment.PASSWORD=[\"s3cret\"]",
        "service.db.colour=red",
    ]);
    asked.settings = settings(&[
        ("MAINSTAY__SERVICE__API__STRAT", "manual"),
        ("MAINSTAY__SERVICE__DBB__START", "manual"),
        ("MAINSTAY__SERVICE__DB__START", "sometimes"),
        ("MAINSTAY__SERVICE__DB__START__X", "1"),
    ])
    .settings;
    let loaded = merge(&[("mainstay.toml", &base), ("over.yaml", over)], &asked);
    assert!(loaded.plan.is_none());
    let text = loaded.diagnostics.to_string();
    assert!(!text.contains("s3cret"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn dotenv_gives_what_the_environment_does_not_have() {
    let text = "service: { a: { command: [a, '${HOME}', '${ONLY}', '${ENV:-default}'] } }";
    let world =
        World { name: "mainstay.yml", ..World::new(&[("HOME", "/h")], &[(".env", "HOME=/x\nONLY='1 2'\n")]) };
    let loaded = world.parse(text);
    assert_eq!(loaded.diagnostics.to_string(), "");
    let plan = loaded.plan.unwrap();
    assert_eq!(service(&plan, "a").launch.command, ["a", "/h", "1 2", "default"]);
    assert!(service(&plan, "a").launch.environment.is_empty(), "it is for the file, not for the services");

    let broken = World { files: &[(".env", "ONLY s3cret\n")], ..world }.parse(text).diagnostics.to_string();
    assert!(broken.contains(".env:1:1") && !broken.contains("s3cret"), "{broken}");
    let unneeded = World { files: &[(".env", "ONLY s3cret\n")], ..world }.parse("service: {a: {command: a}}");
    assert_eq!(unneeded.diagnostics.to_string(), "", "nobody asked for it");
}

#[test]
fn what_is_shown_says_where_it_came_from_and_makes_the_same_plan() {
    let over = r#"{ "service": { "api": { "start": "manual", "environment": { "MODE": "${HOME}" } } } }"#;
    let mut asked = sets(&["service.api.description=a \"b\" $x"]);
    asked.settings = settings(&[("MAINSTAY__SERVICE__API__ENVIRONMENT__PORT", "77")]).settings;
    asked.effective = true;
    let texts = [("mainstay.toml", BASE), ("mainstay.prod.json", over)];
    let loaded = merge(&texts, &asked);
    assert_eq!(loaded.diagnostics.to_string(), "");
    let shown = loaded.effective.unwrap().to_toml(true);
    let again = merge(&[("elsewhere/shown.toml", &shown)], &Asked::default());
    assert_eq!(again.diagnostics.to_string(), "");
    assert_eq!(again.plan, loaded.plan, "{shown}");
    // Paths have another length on Windows, and the comments another column.
    let shown = shown.replace(r"C:\\srv\\shop", "/srv/shop").replace(r"\\srv", "/srv");
    let lines: Vec<String> = shown
        .lines()
        .map(|line| {
            line.split_once(" # ").map_or(line.into(), |(key, from)| format!("{} # {from}", key.trim_end()))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_file_takes_away_what_one_below_says() {
    let over = r#"
unset = ["service.api.environment.PORT", "service.api.live", 'service.api."restart".delay']
[service.api]
description = "less"
"#;
    let plan = good(&[("mainstay.toml", BASE), ("over.toml", over)], &Asked::default());
    let api = service(&plan, "api");
    assert_eq!(api.launch.environment.keys().collect::<Vec<_>>(), ["MODE"]);
    assert_eq!(api.live, None);
    assert_eq!(api.restart.delay, ServicePlan::default().restart.delay);
    assert_eq!(api.restart.max_delay, Duration::from_secs(120));
    // What is taken away may be said anew, without what it was.
    let anew = "unset: [service.api.environment]\nservice: { api: { environment: { ONLY: 1 } } }\n";
    let plan = good(&[("mainstay.toml", BASE), ("over.yaml", anew)], &Asked::default());
    assert_eq!(service(&plan, "api").launch.environment.keys().collect::<Vec<_>>(), ["ONLY"]);
}

#[test]
fn what_cannot_be_taken_away_is_told() {
    for (over, complaint) in [
        (
            r#"unset = ["service.api.environment.PROT"]"#,
            "no file below this one has `service.api.environment.PROT`",
        ),
        (r#"unset = ["service.api.command.x"]"#, "no file below this one has"),
        (r#"unset = ["service..api"]"#, "`service..api` is no key"),
        (r#"unset = "service.api""#, "`unset` is a list of keys"),
        ("unset = [1]", "a key in `unset` is a string"),
    ] {
        let loaded = merge(&[("mainstay.toml", BASE), ("over.toml", over)], &Asked::default());
        let told = loaded.diagnostics.to_string();
        assert!(loaded.plan.is_none() && told.contains(complaint) && told.contains("over.toml:1:"), "{told}");
    }
    // The first file has none below it.
    let loaded = merge(&[("mainstay.toml", &format!("unset = ['name']\n{BASE}"))], &Asked::default());
    assert!(loaded.diagnostics.to_string().contains("no file below"), "{}", loaded.diagnostics);
}
