//! What is refused and how that sounds; services that come and go.

use crate::Condition::Started;
use crate::testing::{Bench, name, needs, service};
use crate::{EventKind, RefusalKind, Request, ServicePlan, StartMode, StateName};

fn bench() -> Bench {
    Bench::new([
        ("api", needs([("db", Started)])),
        ("db", service()),
        ("old", ServicePlan { start: StartMode::Disabled, ..service() }),
        ("web", needs([("api", Started)])),
    ])
}

fn refusal(bench: &Bench, request: &Request) -> (RefusalKind, String) {
    let refusal = bench.supervisor.check(request).unwrap_err();
    (refusal.kind, refusal.to_string())
}

#[test]
fn refusals_help() {
    let bench = bench();
    let unknown = |text: &str| refusal(&bench, &Request::Start(name(text))).1;
    assert_eq!(unknown("apo"), "there is no service 'apo'; did you mean 'api'?");
    assert_eq!(unknown("frontend"), "there is no service 'frontend'; `mainstay status` lists the services");
    let empty = Bench::new([]);
    assert_eq!(
        refusal(&empty, &Request::Stop(name("x"))),
        (RefusalKind::UnknownService, "there is no service 'x'; the stack has no services".into())
    );
    assert_eq!(
        refusal(&bench, &Request::Start(name("old"))),
        (RefusalKind::Disabled, "old is disabled; set its `start` to \"auto\" or \"manual\"".into())
    );
    assert_eq!(
        refusal(&bench, &Request::Remove(name("db"))),
        (RefusalKind::HasDependents, "api depends on db; remove what depends on it first".into())
    );
    assert_eq!(
        refusal(&bench, &Request::Continue(name("db"))),
        (RefusalKind::WrongState, "db is not paused; its state is stopped".into())
    );
    assert_eq!(
        refusal(&bench, &Request::Add(name("db"), Box::new(service()))),
        (
            RefusalKind::NameTaken,
            "there is a service 'db' already; give the new one another name, or remove the old one".into()
        )
    );
    let add = |plan: ServicePlan| refusal(&bench, &Request::Add(name("new"), Box::new(plan)));
    assert_eq!(add(ServicePlan::default()), (RefusalKind::BadPlan, "new has no command".into()));
    assert_eq!(add(needs([("new", Started)])), (RefusalKind::BadPlan, "new depends on itself".into()));
    assert_eq!(
        add(needs([("dbb", Started)])),
        (RefusalKind::BadPlan, "new depends on 'dbb': there is no service 'dbb'; did you mean 'db'?".into())
    );
    assert_eq!(add(needs([("old", Started)])).0, RefusalKind::Disabled);
}

#[test]
fn refused_requests_change_nothing_but_are_told() {
    let mut bench = bench();
    bench.start("db");
    bench.look();
    let before = bench.supervisor.snapshots();
    bench.supervisor.take_dirty();
    for request in [Request::Start(name("nobody")), Request::Start(name("old")), Request::Remove(name("db"))]
    {
        bench.ask(request);
        assert!(matches!(&bench.told()[..], [EventKind::Refused { .. }]));
    }
    assert!(bench.look().is_empty());
    assert_eq!(bench.supervisor.snapshots(), before);
    assert!(bench.supervisor.take_dirty().is_empty());
}

#[test]
fn restart_of_what_is_down_is_a_start() {
    let mut bench = bench();
    bench.restart("api");
    bench.made("db");
    assert_eq!(bench.deeds(), ["spawn db", "spawn api"]);
}

#[test]
fn up_again_starts_what_is_down_but_not_what_completed() {
    let mut bench = bench();
    bench.ask(Request::Up);
    for service in ["db", "api", "web"] {
        bench.made(service);
    }
    bench.stop("web");
    bench.exits("web", 0);
    bench.look();
    bench.ask(Request::Up);
    assert_eq!(bench.deeds(), ["spawn web"]);
    let on_exit = [(0, crate::ExitAction::Stop), (1, crate::ExitAction::Fail)].into();
    let restart = crate::RestartPlan { on_exit, ..Default::default() };
    let plan = || ServicePlan { restart: restart.clone(), ..service() };
    let mut bench = Bench::new([("done", plan()), ("failed", plan())]);
    bench.ask(Request::Up);
    bench.made("done");
    bench.exits("done", 0);
    bench.made("failed");
    bench.exits("failed", 1);
    bench.look();
    bench.ask(Request::Up);
    assert_eq!(bench.deeds(), ["spawn failed"]);
}

#[test]
fn a_service_is_added_and_started() {
    let mut bench = bench();
    bench.supervisor.take_dirty();
    bench.ask(Request::Add(name("new"), Box::new(needs([("db", Started)]))));
    assert_eq!(bench.deeds(), ["spawn db"]);
    assert_eq!(bench.state("new"), StateName::Starting);
    assert!(bench.supervisor.plan().services.contains_key("new"));
    bench.made("db");
    assert_eq!(bench.deeds(), ["spawn new"]);
    bench.stop("db");
    assert_eq!(bench.state("new"), StateName::Stopping, "a dependent like any other");
    let manual = ServicePlan { start: StartMode::Manual, ..service() };
    bench.ask(Request::Add(name("later"), Box::new(manual)));
    assert_eq!((bench.state("later"), bench.reason("later").as_str()), (StateName::Stopped, "never started"));
    let dirty: Vec<String> = bench.supervisor.take_dirty().into_iter().map(|(key, _)| key).collect();
    assert_eq!(dirty, ["svc/db", "svc/later", "svc/new", "stack"]);
}

#[test]
fn a_service_is_stopped_and_removed() {
    let mut bench = bench();
    bench.ask(Request::Up);
    for service in ["db", "api", "web"] {
        bench.made(service);
    }
    bench.supervisor.take_dirty();
    bench.look();
    bench.ask(Request::Remove(name("web")));
    assert_eq!(bench.reason("web"), "to be removed, asked by root");
    assert_eq!(
        refusal(&bench, &Request::Start(name("web"))),
        (RefusalKind::BeingRemoved, "web is being removed".into())
    );
    assert_eq!(refusal(&bench, &Request::Restart(name("web"))).0, RefusalKind::BeingRemoved);
    let add = Request::Add(name("new"), Box::new(needs([("web", Started)])));
    assert_eq!(refusal(&bench, &add).0, RefusalKind::BeingRemoved);
    bench.exits("web", 0);
    assert_eq!(bench.deeds(), ["ctrl_c web"]);
    assert_eq!(bench.supervisor.service_status("web"), None);
    assert!(!bench.supervisor.plan().services.contains_key("web"));
    assert_eq!(bench.supervisor.take_dirty(), [("svc/web".to_owned(), None)]);
    bench.ask(Request::Remove(name("api")));
    bench.exits("api", 0);
    bench.ask(Request::Remove(name("old")));
    assert_eq!(bench.supervisor.status().len(), 1);
}

#[test]
fn who_asked_is_shown_but_not_at_any_length() {
    let mut bench = bench();
    bench.feed(crate::Input::Request { by: "x".repeat(10_000), request: Request::Start(name("db")) });
    assert!(bench.reason("db").len() < 600);
}

#[test]
fn a_leak_is_told_and_restarts_what_wants_that() {
    use crate::leak::{Change, Growth, Resource};
    use crate::{Input, LeakAction};
    let growth = Growth {
        limit: None,
        resource: Resource::Memory,
        per_hour: 12e6,
        low: 11e6,
        high: 13e6,
        since: 0,
        at: 9 * 3600,
        value: 410e6,
    };
    let grows = Change::Grows(growth);
    for (action, state) in
        [(LeakAction::Tell, StateName::Running), (LeakAction::Restart, StateName::Stopping)]
    {
        let mut bench = Bench::up(ServicePlan { leak: action, ..service() });
        let run = bench.run("s");
        bench.look();
        bench.feed(Input::Leak { run: crate::RunId(run.0 + 7), change: grows });
        assert_eq!(bench.told(), [], "news of another run");
        bench.feed(Input::Leak { run, change: grows });
        assert!(bench.told().contains(&EventKind::Leak { change: grows }));
        assert_eq!(bench.state("s"), state);
        let settled = Change::Settled(growth);
        bench.feed(Input::Leak { run, change: settled });
        assert_eq!(bench.state("s"), state, "the end of a growth restarts nothing");
    }
    // In a window: it is told at once, and restarted when it is time.
    let window = "02:00-04:00".parse().expect("a window");
    let mut bench = Bench::up(ServicePlan { leak: LeakAction::RestartIn(window), ..service() });
    let run = bench.run("s");
    bench.feed(Input::Leak { run, change: grows });
    assert_eq!(bench.state("s"), StateName::Running);
    bench.feed(Input::LeakWindow { run: crate::RunId(run.0 + 7), growth });
    assert_eq!(bench.state("s"), StateName::Running, "news of another run");
    bench.feed(Input::LeakWindow { run, growth });
    assert_eq!(bench.state("s"), StateName::Stopping);
    // The plan was changed meanwhile.
    let mut bench = Bench::up(ServicePlan { leak: LeakAction::Tell, ..service() });
    let run = bench.run("s");
    bench.feed(Input::LeakWindow { run, growth });
    assert_eq!(bench.state("s"), StateName::Running);

    let mut bench = Bench::up(ServicePlan { leak: LeakAction::Restart, ..service() });
    let run = bench.run("s");
    bench.feed(Input::Leak { run, change: grows });
    assert!(bench.reason("s").starts_with("memory grows by 12.0 MB/h (11.0 to 13.0) for 9 h, now 410.0 MB"));
}
