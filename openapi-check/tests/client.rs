//! The generated types understand what the daemon says, and the daemon what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mainstay_api::types as ours;
use mainstay_core::{
    Check, Condition, Event, EventKind, Exit, ExitAction, HttpCall, HttpCheck, ProbeKind, ProbePlan, Rlimit,
    RunId, ServiceName, ServicePlan, StartLimit, StateName, StopAction, StopStep, Tls,
};
use mainstay_openapi_check::{METHODS, types as theirs};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What is ours is read as theirs, and what they write of it means the same to us.
fn understood<Theirs, Ours>(ours: &Ours)
where
    Theirs: DeserializeOwned + Serialize,
    Ours: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug,
{
    let text = serde_json::to_string(ours).expect("JSON");
    let theirs: Theirs = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let back = serde_json::to_string(&theirs).expect("JSON");
    let again: Ours = serde_json::from_str(&back).unwrap_or_else(|error| panic!("{error}: {back}"));
    assert_eq!(again, *ours);
}

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).expect("a name")
}

fn service(state: StateName) -> ours::Service {
    let probe = ours::Probe {
        probe: ProbeKind::Ready,
        check: "tcp localhost:1".into(),
        ok: Some(true),
        last: None,
        detail: "connected".into(),
        ago_ms: Some(4),
        took_ms: None,
        successes: 3,
        failures: 0,
    };
    // By way of JSON, so that it stays right when fields are added.
    serde_json::from_value(serde_json::json!({
        "name": "api", "description": null, "state": state, "reason": "asked by root", "since_ms": 5,
        "run": 3, "pid": 77, "uptime_ms": u64::MAX, "restarts": 2, "crash_loop": true, "next_start_ms": 7,
        "last_exit": Exit::Code(0xC000_0005), "last_exit_text": "exit code 0xC0000005", "waiting_for": ["db"],
        "says": "busy", "probes": [probe], "log_dropped_bytes": 1,
    }))
    .expect("a service")
}

#[test]
fn a_service_in_every_state() {
    for state in StateName::ALL {
        understood::<theirs::Service, _>(&service(state));
    }
    let mut bare = service(StateName::Stopped);
    (bare.run, bare.pid, bare.last_exit, bare.says) = (None, None, None, None);
    understood::<theirs::Service, _>(&bare);
}

#[test]
fn a_stack() {
    let process = ours::Process { pid: 1, version: "0.1.0".into(), uptime_ms: 9 };
    let stack: ours::Stack = serde_json::from_value(serde_json::json!({
        "name": "shop", "config": null, "keeper": process, "daemon": process, "daemons_before": 1,
        "daemon_reason": "", "containment": "cgroup", "going_down": false, "revision": 1_u64 << 40,
        "services": [service(StateName::Ready)],
    }))
    .expect("a stack");
    understood::<theirs::Stack, _>(&stack);
    understood::<theirs::Accepted, _>(&ours::Accepted { revision: 4 });
    understood::<theirs::Problem, _>(&ours::Problem { message: "no".into(), hint: None });
    let version = ours::Version { api: vec!["v1".into()], mainstay: "0.1.0".into(), stack: "shop".into() };
    understood::<theirs::Version, _>(&version);
}

#[test]
fn events_of_every_kind() {
    let text = || "a word".to_owned();
    let kinds = [
        EventKind::State { from: StateName::Starting, to: StateName::Running, reason: text() },
        EventKind::Requested { by: text(), what: text() },
        EventKind::Spawned { pid: 4 },
        EventKind::SpawnFailed { error: text() },
        EventKind::Exited { exit: Exit::Signal(9), after: Duration::from_millis(1500) },
        EventKind::Exited { exit: Exit::Unknown, after: Duration::ZERO },
        EventKind::BackOff { delay: Duration::from_secs(1), attempt: 2 },
        EventKind::CrashLoop { attempt: 5 },
        EventKind::Probe { probe: ProbeKind::Live, ok: false, detail: text() },
        EventKind::StopStep { step: text() },
        EventKind::Waiting { reason: text() },
        EventKind::Refused { reason: text() },
    ];
    let record = |event| ours::EventRecord { seq: 1, at: "2026-11-22T19:00:00.000Z".into(), event };
    for kind in kinds {
        let event = Event { service: Some(name("api")), run: Some(RunId(2)), kind };
        understood::<theirs::EventRecord, _>(&record(ours::EventBody::Core(event)));
    }
    let own = record(ours::EventBody::Own { message: text(), about: None });
    // Theirs writes what is not there as null, which ours keeps as the words of a newer version.
    let theirs: theirs::EventRecord =
        serde_json::from_value(serde_json::to_value(own).expect("JSON")).expect("an event");
    assert_eq!(theirs.message.as_deref(), Some("a word"));
}

#[test]
fn lines_of_a_log() {
    let line =
        ours::LogRecord { next: "1:7".into(), text: "\u{FFFD}ä".into(), ended: false, missed_bytes: 3 };
    understood::<theirs::LogRecord, _>(&line);
}

#[test]
fn a_service_with_all_that_it_can_have() {
    let mut plan = ServicePlan { description: Some("a shop".into()), ..ServicePlan::default() };
    plan.instance_of = Some(name("web"));
    plan.launch.command = vec!["./api".into()];
    plan.launch.environment = BTreeMap::from([("PORT".into(), "8080".into())]);
    plan.launch.settings.rlimits =
        BTreeMap::from([("nofile".into(), Rlimit { soft: 1, hard: Some(u64::MAX) })]);
    plan.launch.settings.umask = Some(0o22);
    plan.depends_on = BTreeMap::from([(name("db"), Condition::Ready)]);
    plan.restart.limit = Some(StartLimit { starts: 3, window: Duration::from_secs(60) });
    plan.restart.on_exit = BTreeMap::from([(78, ExitAction::Fail), (-1, ExitAction::RestartNow)]);
    let http = StopAction::Http(HttpCall { url: "http://h/".into(), method: "POST".into(), socket: None });
    let actions = [StopAction::CtrlC, StopAction::Signal(15), StopAction::Command(vec!["x".into()]), http];
    plan.stop.steps =
        actions.into_iter().map(|action| StopStep { action, wait: Duration::from_secs(1) }).collect();
    let probe = |check| ProbePlan {
        check,
        initial_delay: Duration::ZERO,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        failures: 3,
        successes: 1,
    };
    let full = HttpCheck {
        url: "https://h/".into(),
        expect: vec![(200, 204), (301, 301)],
        tls: Tls { insecure: true, ..Tls::default() },
        ..HttpCheck::default()
    };
    plan.startup = Some(probe(Check::Notify));
    plan.ready = Some(probe(Check::Http("http://h/".into())));
    plan.live = Some(probe(Check::Http(Box::new(full))));
    understood::<theirs::AddService, _>(&ours::AddService { name: name("web-1"), plan });
    // What a person writes by hand: the rest is as usual.
    let short = r#"{"name":"a","plan":{"launch":{"command":["sleep","1"]}}}"#;
    let theirs: theirs::AddService = serde_json::from_str(short).expect("a service");
    let ours: ours::AddService =
        serde_json::from_value(serde_json::to_value(theirs).expect("JSON")).expect("a service");
    assert_eq!(ours.plan.restart, ServicePlan::default().restart);
    assert_eq!(ours.plan.log, ServicePlan::default().log);
}

#[test]
fn a_client_has_a_method_for_everything() {
    let document = mainstay_api::document();
    let operations = document["paths"].as_object().into_iter().flat_map(|paths| paths.values());
    let names: BTreeSet<&str> = operations
        .filter_map(Value::as_object)
        .flat_map(|path| path.values())
        .filter_map(|operation| operation["operationId"].as_str())
        .collect();
    let made = METHODS.lines().filter_map(|line| line.strip_prefix("async fn ")?.split(['<', '(']).next());
    assert_eq!(made.collect::<BTreeSet<_>>(), names);
    for shape in [
        "fn stack<'a>(&'a self) -> Result<ResponseValue<types::Stack>, Error<types::Problem>",
        "name: &'a types::ServiceName, action: types::Action) -> Result<ResponseValue<types::Accepted>",
        "fn add<'a>(&'a self, body: &'a types::AddService)",
        "fn changes<'a>(&'a self, since: Option<u64>, timeout_ms: Option<u64>)",
    ] {
        assert!(METHODS.contains(shape), "{shape} is not in:\n{METHODS}");
    }
}
