//! The API over its real endpoint.

use std::time::{Duration, Instant};

use mainstay_api::ClientError;
use mainstay_api::types::{
    Action, AddService, EventBody, EventsQuery, LogsQuery, Notify, Upgrade, UsageQuery,
};
use mainstay_core::{Check, Exit, RunId, ServicePlan, StateName, StopAction};
use mainstay_link::Command;
use mainstay_sys::endpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fake::{Keeper, LONG, name, plan};

fn refused(result: Result<impl std::fmt::Debug, ClientError>) -> (u16, String) {
    match result {
        Err(ClientError::Refused { status, problem }) => (
            status,
            [Some(problem.message), problem.hint].into_iter().flatten().collect::<Vec<_>>().join("; "),
        ),
        other => panic!("{other:?}"),
    }
}

pub fn requests_and_refusals() {
    let mut keeper = Keeper::started(plan(&["db", "api:db"]));
    keeper.wait_state("api", StateName::Running);
    let account = mainstay_sys::process::own_user();

    let before = keeper.ask(async |client| client.stack().await).revision;
    let taken = keeper.ask(async |client| client.action(&name("db"), Action::Stop).await);
    assert!(taken.revision > before);
    // Its dependents first.
    let api = keeper.run_of("api").unwrap();
    let ctrl_c = Command::Signal { run: api, action: StopAction::CtrlC };
    keeper.until("the stop", |keeper| keeper.commands.contains(&ctrl_c));
    assert_eq!(keeper.service("api").state, StateName::Stopping);
    assert!(keeper.service("db").reason.contains(&format!("asked by {account}")));
    keeper.until("both down", |keeper| {
        keeper.obey();
        keeper.service("db").state == StateName::Stopped
    });
    let paused = keeper.runtime.block_on(keeper.client().action(&name("db"), Action::Pause));
    assert_eq!(refused(paused), (409, "db does not run".to_owned()));
    keeper.ask(async |client| client.action(&name("api"), Action::Start).await);
    keeper.wait_state("api", StateName::Running);
    assert_eq!(keeper.spawned.len(), 4);

    let client = keeper.client();
    keeper.runtime.block_on(async {
        let (status, text) = refused(client.service(&name("ap")).await);
        assert_eq!(status, 404);
        assert!(text.contains("there is no service 'ap'") && text.contains("'api'"), "{text}");
        let (status, _) = refused(client.action(&name("nothing"), Action::Stop).await);
        assert_eq!(status, 404);
    });
    let added = AddService { name: name("db"), plan: plan(&["db"]).services.remove("db").unwrap() };
    keeper.runtime.block_on(async {
        assert_eq!(refused(client.add(&added).await).0, 409);
        let empty = AddService { name: name("new"), plan: ServicePlan::default() };
        assert_eq!(refused(client.add(&empty).await).0, 400);
    });
    let gone = endpoint::address(&keeper.dirs, "nowhere-at-all");
    let nobody = mainstay_api::Client::new(gone);
    if nobody_listens_elsewhere() {
        let result = keeper.runtime.block_on(nobody.stack());
        assert!(matches!(result, Err(ClientError::NotUp)), "{result:?}");
    }

    keeper.ask(async |client| client.down().await);
    let (status, text) = refused(keeper.runtime.block_on(client.action(&name("db"), Action::Start)));
    assert_eq!(status, 409);
    assert!(text.contains("going down"), "{text}");
    assert!(keeper.ask(async |client| client.stack().await).going_down);
}

/// On Linux an address depends on the directories alone.
fn nobody_listens_elsewhere() -> bool {
    endpoint::address(&crate::dirs("x".into()), "one") != endpoint::address(&crate::dirs("x".into()), "two")
}

/// The processes are pretended, but daemon and keeper are there.
pub fn what_services_use_is_seen() {
    let mut keeper = Keeper::started(plan(&["web", "off"]));
    keeper.wait_state("web", StateName::Running);
    let query = UsageQuery { max_age_ms: 0 };
    let first = keeper.ask(async |client| client.usage(query).await);
    let names: Vec<&str> = first.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["off", "web"]);
    for own in [first.keeper, first.daemon] {
        let own = own.expect("both live");
        assert!(own.memory_bytes > 100_000 && own.processes == 1 && own.threads >= 1, "{own:?}");
    }
    // Another look is younger, and no counter falls.
    let again = keeper.ask(async |client| client.usage(query).await);
    assert!(again.age_ms < 60_000);
    let (before, after) = (first.daemon.unwrap(), again.daemon.unwrap());
    assert!(after.cpu_seconds >= before.cpu_seconds, "{before:?}, {after:?}");
    // What is young enough is not looked at again.
    let same = keeper.ask(async |client| client.usage(UsageQuery { max_age_ms: 600_000 }).await);
    assert!(same.daemon.is_some());
}

pub fn changes_are_waited_for() {
    let mut keeper = Keeper::started(plan(&["web"]));
    keeper.wait_state("web", StateName::Running);
    let revision = keeper.ask(async |client| client.stack().await).revision;
    // Nothing changes: the answer comes at the end of the wait.
    let same = keeper.ask(async |client| client.changes(revision, Duration::from_millis(20)).await);
    assert_eq!(same.revision, revision);
    // Known to be old: at once.
    let start = Instant::now();
    keeper.ask(async |client| client.changes(revision - 1, LONG).await);
    assert!(start.elapsed() < LONG / 2);

    let client = keeper.client();
    let waiting = keeper.runtime.spawn(async move { client.changes(revision, LONG).await });
    keeper.exits(RunId(1), Exit::Code(0));
    let frame = keeper.frame();
    keeper.handle(frame);
    let changed = keeper.runtime.block_on(waiting).unwrap().unwrap();
    assert!(changed.revision > revision);

    // Another daemon is a change, too, and one that waited at the old one hears of it.
    keeper.wait_state("web", StateName::Running);
    let revision = keeper.ask(async |client| client.stack().await).revision;
    let client = keeper.client();
    let waiting = keeper.runtime.spawn(async move { client.changes(revision, LONG).await });
    keeper.ask(async |client| client.stack().await);
    keeper.replace_daemon();
    let changed = keeper.runtime.block_on(waiting).unwrap().unwrap();
    assert!(changed.revision > revision);
    assert_eq!((changed.daemons_before, changed.daemon_reason.as_str()), (1, "killed"));
}

pub fn events_are_followed_over_daemons() {
    let mut keeper = Keeper::started(plan(&["web"]));
    keeper.wait_state("web", StateName::Running);
    let old = keeper.all_events();
    let follow = EventsQuery { since: 0, follow: true, limit: 1 };
    let client = keeper.client();
    let mut events = keeper.runtime.block_on(client.events(follow)).unwrap();
    let first = keeper.runtime.block_on(events.next()).unwrap().unwrap();
    assert_eq!(first.seq, old.last().unwrap().seq);
    let following = keeper.runtime.spawn(async move {
        let mut seen = Vec::new();
        while let Some(event) = events.next().await {
            let event = event.unwrap();
            let end =
                matches!(&event.event, EventBody::Own { message, .. } if message == "the stack is down");
            seen.push(event.seq);
            if end {
                break;
            }
        }
        seen
    });
    for _ in 0..5 {
        let run = keeper.run_of("web").unwrap();
        keeper.exits(run, Exit::Code(0));
        keeper.replace_daemon();
        keeper.until("the next", |keeper| keeper.run_of("web").is_some_and(|next| next != run));
        keeper.wait_state("web", StateName::Running);
    }
    keeper.check_events();
    keeper.ask(async |client| client.down().await);
    keeper.until("the end", |keeper| {
        // Lets the follower read.
        keeper.runtime.block_on(tokio::task::yield_now());
        keeper.obey_except_exit();
        keeper.commands.contains(&Command::Exit)
    });
    let seen = keeper.runtime.block_on(following).unwrap();
    let expected: Vec<u64> = (first.seq + 1..=*seen.last().unwrap()).collect();
    assert_eq!(seen, expected);
    assert!(seen.len() > 20);
}

/// Sends bytes as they are; gives what comes back until the end.
async fn raw(keeper: &Keeper, request: &[u8]) -> String {
    let mut stream = endpoint::connect(&endpoint::address(&keeper.dirs, &keeper.stack)).await.unwrap();
    // The daemon may have enough before the end.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

pub fn events_and_logs_are_server_sent_events_too() {
    let mut keeper = Keeper::started(plan(&["web"]));
    keeper.wait_state("web", StateName::Running);
    let version = keeper.ask(async |client| client.version().await);
    assert_eq!((version.api, version.stack), (vec!["v1".to_owned()], keeper.stack.clone()));

    let get = |path: &str, id: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nlast-event-id: {id}\r\n\r\n")
    };
    let all = keeper.all_events();
    let answer = keeper.runtime.block_on(raw(&keeper, get("/v1/events", "1").as_bytes()));
    assert!(answer.contains("content-type: text/event-stream"), "{answer}");
    let ids: Vec<&str> = answer.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    let expected: Vec<String> = all.iter().skip(1).map(|event| event.seq.to_string()).collect();
    assert_eq!(ids, expected);
    assert_eq!(answer.matches("event: event\ndata: {").count(), ids.len());

    let log = keeper.dirs.log.join("web.log");
    std::fs::write(&log, "one\ntwo\nthree\nno end").unwrap();
    let answer = keeper.runtime.block_on(raw(&keeper, get("/v1/services/web/logs?lines=3", "").as_bytes()));
    let texts: Vec<&str> = answer.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(texts.len(), 3, "{answer}");
    assert!(texts[0].contains("\"text\":\"two\"") && texts[2].contains("\"ended\":false"), "{answer}");
    let id = answer.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let again = keeper.runtime.block_on(raw(&keeper, get("/v1/services/web/logs", id).as_bytes()));
    assert!(again.contains("three") && !again.contains("two"), "{again}");

    // Followed over a replacement of the daemon, each line once.
    let query = LogsQuery { follow: true, lines: 1, from: None };
    let client = keeper.client();
    let mut lines = keeper.runtime.block_on(client.logs(&crate::fake::name("web"), query)).unwrap();
    let append = |text: &str| {
        use std::io::Write as _;
        std::fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(text.as_bytes()).unwrap();
    };
    append(" now\nfour\n");
    let mut next = || keeper.runtime.block_on(lines.next()).unwrap().unwrap().text;
    assert_eq!((next(), next()), ("no end now".to_owned(), "four".to_owned()));
    keeper.replace_daemon();
    append("five\n");
    assert_eq!(keeper.runtime.block_on(lines.next()).unwrap().unwrap().text, "five");
}

pub fn bad_requests_are_told_so() {
    let mut keeper = Keeper::started(plan(&["web"]));
    keeper.wait_state("web", StateName::Running);
    let post = |path: &str, body: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let long = "x".repeat(1 << 21);
    let cases = [
        ("GET /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "404", "no such path"),
        ("GET /v2/stack HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "404", "not speak version 2"),
        (
            "GET /v1/services/web/logs?from=x HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            "400",
            "no place in a log",
        ),
        ("GET /v1/services/nobody/logs HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "404", "nobody"),
        ("GET /v1/events?follow=perhaps HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "400", "follow"),
        ("GET /v1/down HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "405", "another method"),
        ("GET /v1/changes?since=x HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "400", "since"),
        ("GET /v1/services/-bad HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "404", "must start with"),
        (post("/v1/services/web/explode", ""), "404", "one of start, stop"),
        (post("/v1/services", "{\"name\":"), "400", "not what this path takes"),
        (post("/v1/services", &long), "413", "longer than 1024 KiB"),
        (post("/v1/services/web/notify", &long), "413", "longer than 64 KiB"),
        (post("/v1/upgrade", "{\"exe\":\"relative\"}"), "400", "absolute"),
        ("nonsense\r\n\r\n".to_owned(), "400", ""),
    ];
    keeper.runtime.block_on(async {
        for (request, status, text) in cases {
            let answer = raw(&keeper, request.as_bytes()).await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{text}: {answer}");
            assert!(body.contains(text) && (text.is_empty() || body.contains("message")), "{answer}");
        }
    });
    assert_eq!(keeper.service("web").state, StateName::Running);
    assert_eq!(keeper.spawned.len(), 1);
}

pub fn a_service_says_it_is_ready() {
    let mut stack = plan(&["web"]);
    stack.services.get_mut("web").unwrap().ready = Some(crate::probes::probe(Check::Notify));
    let mut keeper = Keeper::started(stack);
    keeper.wait_state("web", StateName::Running);
    assert!(keeper.spawned[0].notify);
    let say = |run| Notify { run, text: "READY=1".into() };
    let client = keeper.client();
    let (status, text) = refused(keeper.runtime.block_on(client.notify(&name("web"), &say(9))));
    assert_eq!(status, 409);
    assert!(text.contains("run 9 of web is over"), "{text}");
    keeper.ask(async |client| client.notify(&name("web"), &say(1)).await);
    keeper.wait_state("web", StateName::Ready);
}

pub fn a_thousand_services_are_shown() {
    let names: Vec<String> = (0..1000).map(|number| format!("service-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut keeper = Keeper::started(plan(&names));
    keeper.until("all", |keeper| {
        let stack = keeper.ask(async |client| client.stack().await);
        stack.services.len() == 1000
            && stack.services.iter().all(|service| service.state == StateName::Running)
    });
    keeper.settle();
    assert_eq!(keeper.spawned.len(), 1000);
    keeper.check_events();
    keeper.replace_daemon();
    let stack = keeper.ask(async |client| client.stack().await);
    assert!(stack.services.iter().all(|service| service.state == StateName::Running));
    let times: Vec<Duration> = (0..20)
        .map(|_| {
            let start = Instant::now();
            keeper.ask(async |client| client.stack().await);
            start.elapsed()
        })
        .collect();
    println!("1,000 services in {:?}", times.iter().min().unwrap());
}

pub fn an_upgrade_is_the_keepers_work() {
    let mut keeper = Keeper::started(plan(&["web"]));
    let exe = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    keeper.ask(async |client| client.upgrade(&Upgrade { exe: exe.clone() }).await);
    keeper.until("the wish", |keeper| keeper.commands.contains(&Command::Replace { exe: exe.clone() }));
    let wanted = keeper
        .all_events()
        .into_iter()
        .any(|event| matches!(event.event, EventBody::Own { message, .. } if message.contains(&exe)));
    assert!(wanted);
}
