//! The whole stack goes down.

use crate::Condition::{Completed, Started};
use crate::testing::{Bench, name, needs, plan, secs, service};
use crate::{EventKind, RefusalKind, Request, ServiceName, StateName};

fn chain() -> Bench {
    let mut bench = Bench::new([
        ("a", service()),
        ("b", needs([("a", Started)])),
        ("c", needs([("b", Started)])),
        ("d", service()),
    ]);
    bench.ask(Request::Up);
    for service in ["a", "b", "c", "d"] {
        bench.made(service);
    }
    bench.look();
    bench
}

#[test]
fn everything_stops_in_reverse_waves_and_that_is_said_once() {
    let mut bench = chain();
    bench.ask(Request::Down);
    assert_eq!(bench.deeds(), ["ctrl_c c", "ctrl_c d"]);
    bench.exits("c", 0);
    assert_eq!(bench.deeds(), ["ctrl_c b"]);
    bench.exits("b", 0);
    bench.ask(Request::Down);
    bench.exits("d", 0);
    assert_eq!(bench.deeds(), ["ctrl_c a"]);
    bench.exits("a", 0);
    assert_eq!(bench.deeds(), ["stack down"]);
    assert_eq!(bench.reason("a"), "the stack goes down, asked by root");
    bench.ask(Request::Down);
    bench.feed(crate::Input::Tick);
    assert!(bench.deeds().is_empty());
}

#[test]
fn a_stack_that_is_down_is_down_at_once() {
    let mut bench = Bench::with(plan([]));
    bench.ask(Request::Down);
    assert_eq!(bench.deeds(), ["stack down"]);
    let mut bench = Bench::new([("a", service())]);
    bench.ask(Request::Down);
    assert_eq!(bench.deeds(), ["stack down"]);
}

#[test]
fn down_during_up() {
    let mut bench = Bench::new([("a", service()), ("b", needs([("a", Started)])), ("c", service())]);
    bench.ask(Request::Up);
    bench.made("c");
    bench.exits("c", 1);
    bench.not_made("c", "no");
    assert_eq!(bench.state("c"), StateName::Backoff);
    bench.ask(Request::Down);
    assert_eq!(
        (bench.state("a"), bench.state("b"), bench.state("c")),
        (StateName::Stopping, StateName::Stopped, StateName::Stopped)
    );
    bench.look();
    bench.made("a");
    assert_eq!(bench.deeds(), ["ctrl_c a"]);
    bench.pass(secs(60));
    bench.exits("a", 1);
    assert_eq!(bench.deeds().last().unwrap(), "stack down");
}

#[test]
fn going_down_ends_what_was_to_start_again() {
    let mut bench = chain();
    bench.restart("a");
    bench.leaves("d", 1);
    bench.ask(Request::Down);
    bench.look();
    bench.exits("a", 0);
    bench.empty("d");
    assert_eq!((bench.state("a"), bench.state("d")), (StateName::Stopped, StateName::Stopped));
    assert!(bench.deeds().is_empty());
    bench.exits("c", 0);
    bench.exits("b", 0);
    assert_eq!(bench.deeds(), ["ctrl_c b", "stack down"]);
}

#[test]
fn a_job_that_runs_again_stops_after_those_that_need_it() {
    let mut bench = Bench::new([("job", service()), ("user", needs([("job", Completed)]))]);
    // A job that has completed and runs again while its user is up.
    let on_exit = [(0, crate::ExitAction::Stop)].into();
    bench = {
        let mut services = bench.supervisor.plan().clone();
        services.services.get_mut(&name("job")).unwrap().restart.on_exit = on_exit;
        Bench::with(services)
    };
    bench.ask(Request::Up);
    bench.made("job");
    bench.exits("job", 0);
    bench.made("user");
    bench.start("job");
    bench.made("job");
    bench.look();
    bench.ask(Request::Down);
    assert_eq!(bench.deeds(), ["ctrl_c user"]);
    bench.exits("user", 0);
    assert_eq!(bench.deeds(), ["ctrl_c job"]);
}

#[test]
fn nothing_starts_any_more() {
    let mut bench = chain();
    bench.ask(Request::Down);
    assert!(bench.supervisor.is_going_down());
    let a = || name("a");
    let new = || ServiceName::new("new").unwrap();
    let requests = [
        Request::Up,
        Request::Start(a()),
        Request::Restart(a()),
        Request::Add(new(), Box::new(service())),
        Request::Remove(name("d")),
    ];
    for request in requests {
        let refusal = bench.supervisor.check(&request).unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::GoingDown, "{request:?}: {refusal}");
        bench.told();
        bench.ask(request);
        assert!(matches!(&bench.told()[..], [EventKind::Refused { .. }]));
    }
    for request in [Request::Down, Request::Stop(a())] {
        assert_eq!(bench.supervisor.check(&request), Ok(()));
    }
}

/// What is told of each service when everything is ended by force.
fn by_force(bench: &Bench) -> Vec<String> {
    let events = bench.supervisor.ended_by_force(bench.now, "somebody said so twice");
    let reason = |event: crate::Event| match event.kind {
        EventKind::State { to: StateName::Stopping, reason, .. } => {
            Some(format!("{}: {reason}", event.service?))
        }
        _ => None,
    };
    events.into_iter().filter_map(reason).collect()
}

#[test]
fn who_is_ended_by_force_without_its_hook_is_told() {
    let hook = crate::Hook { command: vec!["say".to_owned()], timeout: secs(9), required: true };
    let hooked = || {
        let mut plan = service();
        plan.hooks.before_stop = Some(hook.clone());
        plan
    };
    let mut bench = Bench::new([("a", hooked()), ("b", service()), ("c", hooked())]);
    bench.ask(Request::Up);
    bench.made("a");
    bench.made("b");
    let why = "everything is ended by force, somebody said so twice";
    assert_eq!(
        by_force(&bench)[..2],
        [format!("a: {why}; its before_stop hook is not run"), format!("b: {why}")]
    );
    bench.ask(Request::Down);
    assert_eq!(by_force(&bench)[0], format!("a: {why}; its before_stop hook is broken off"));
    let events = bench.supervisor.ended_by_force(bench.now, "so");
    assert!(events.iter().any(|event| matches!(event.kind, EventKind::Exited { .. })));
}
