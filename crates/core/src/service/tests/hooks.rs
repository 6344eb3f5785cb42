//! What comes before a start, and the other hooks' moments.

use crate::testing::{Bench, needs, probe, secs, service};
use crate::{
    Condition, EventKind, Exit, Hook, HookMoment, Hooks, Input, ProbeKind, Request, RestartPlan,
    RestartPolicy, RunId, ServicePlan, StateName,
};

fn hook() -> Option<Hook> {
    Some(Hook { command: vec!["hook".into()], timeout: secs(5), required: true })
}

fn before() -> ServicePlan {
    ServicePlan { hooks: Hooks { before_start: hook(), ..Hooks::default() }, ..service() }
}

#[test]
fn the_process_is_made_after_the_preparation() {
    let mut bench = Bench::new([("s", before())]);
    bench.start("s");
    assert_eq!((bench.state("s"), bench.look()), (StateName::Starting, vec!["prepare s".into()]));
    assert_eq!(bench.reason("s"), "asked by root; its hooks come first");
    let preparation = bench.run("s");
    bench.start("s");
    assert!(bench.look().is_empty(), "it is under way already");
    bench.prepared("s", None);
    assert_eq!(bench.look(), ["spawn s"]);
    assert!(bench.run("s") > preparation);
    bench.feed(Input::Prepared { run: preparation, error: None });
    assert!(bench.look().is_empty(), "a late answer");
    bench.made("s");
    assert_eq!(bench.state("s"), StateName::Running);
}

#[test]
fn a_preparation_that_fails_is_a_failed_start() {
    let plan = ServicePlan {
        restart: RestartPlan { policy: RestartPolicy::Never, ..RestartPlan::default() },
        hooks: Hooks { on_failure: hook(), ..before().hooks },
        ..before()
    };
    let mut bench = Bench::new([("s", plan)]);
    bench.start("s");
    bench.look();
    bench.prepared("s", Some("before_start: exit code 3"));
    assert_eq!(bench.state("s"), StateName::Failed);
    assert_eq!(bench.reason("s"), "could not be started: before_start: exit code 3; it is never restarted");
    assert_eq!(bench.look(), ["on_failure s"], "nothing of it is to be forgotten");

    let mut bench = Bench::new([("s", before())]);
    bench.start("s");
    bench.prepared("s", Some("before_start: exit code 3"));
    assert_eq!(bench.look(), ["prepare s", "prepare s"], "the first restart is at once");
    bench.prepared("s", Some("before_start: exit code 3"));
    assert_eq!(bench.state("s"), StateName::Backoff);
}

#[test]
fn a_stop_or_a_restart_ends_the_preparation() {
    let mut bench = Bench::new([("s", before())]);
    bench.start("s");
    bench.look();
    bench.restart("s");
    assert_eq!(bench.look(), ["cancel 1", "prepare s"]);
    bench.feed(Input::Prepared { run: RunId(1), error: None });
    assert!(bench.look().is_empty(), "the answer of the one that was cancelled");
    bench.stop("s");
    assert_eq!((bench.state("s"), bench.look()), (StateName::Stopped, vec!["cancel 2".into()]));
    bench.start("s");
    bench.look();
    bench.ask(Request::Down);
    assert_eq!(bench.look(), ["cancel 3", "stack down"]);
}

#[test]
fn what_it_depends_on_may_be_gone_by_then() {
    let dependent = ServicePlan { hooks: before().hooks, ..needs([("db", Condition::Ready)]) };
    let mut bench = Bench::new([("db", ServicePlan { ready: Some(probe()), ..service() }), ("s", dependent)]);
    bench.start("s");
    bench.made("db");
    bench.tick();
    bench.answer("db", ProbeKind::Ready, true);
    assert_eq!(bench.look().last().map(String::as_str), Some("prepare s"));
    bench.exits("db", 1);
    bench.prepared("s", None);
    assert_eq!(bench.reason("s"), "db is not ready yet");
    assert!(!bench.look().contains(&"spawn s".to_owned()));
    bench.made("db");
    bench.tick();
    bench.answer("db", ProbeKind::Ready, true);
    assert_eq!(bench.look().last().map(String::as_str), Some("prepare s"), "it is prepared anew");
}

#[test]
fn a_new_daemon_asks_again_for_a_preparation() {
    let mut bench = Bench::new([("s", before())]);
    bench.start("s");
    let run = bench.run("s");
    bench.look();
    bench.take_over();
    assert_eq!(bench.look(), ["prepare s"]);
    assert_eq!(bench.run("s"), run);
    bench.prepared("s", None);
    assert_eq!(bench.look(), ["spawn s"]);
}

#[test]
fn after_ready_comes_once_in_a_run() {
    let hooks = Hooks { after_ready: hook(), ..Hooks::default() };
    let mut bench = Bench::new([("s", ServicePlan { hooks: hooks.clone(), ..service() })]);
    bench.start("s");
    bench.made("s");
    assert_eq!(bench.look(), ["spawn s", "after_ready s"], "running is as far up as it gets");

    let probed = ServicePlan { hooks, ready: Some(probe()), ..service() };
    let mut bench = Bench::new([("s", probed)]);
    bench.start("s");
    bench.made("s");
    bench.tick();
    assert!(!bench.look().contains(&"after_ready s".to_owned()));
    bench.answer("s", ProbeKind::Ready, true);
    assert_eq!(bench.look(), ["after_ready s"]);
    for ok in [false, false, false, true] {
        bench.pass(secs(1));
        bench.answer("s", ProbeKind::Ready, ok);
    }
    assert_eq!(bench.state("s"), StateName::Ready);
    assert!(!bench.look().contains(&"after_ready s".to_owned()), "it was ready before");
}

#[test]
fn after_exit_comes_when_nothing_is_left_and_on_failure_only_after_a_failure() {
    let hooks = Hooks { after_exit: hook(), on_failure: hook(), ..Hooks::default() };
    let mut bench = Bench::new([("s", ServicePlan { hooks, ..service() })]);
    bench.start("s");
    assert_eq!(bench.look(), ["prepare s"], "the hooks of the run before come first");
    bench.prepared("s", None);
    bench.made("s");
    bench.look();
    bench.leaves("s", 0);
    assert_eq!(bench.look(), ["ctrl_c s"]);
    bench.empty("s");
    assert_eq!(bench.look(), ["forget 2", "after_exit s", "prepare s"]);
    bench.prepared("s", None);
    bench.made("s");
    bench.look();
    bench.exits("s", 7);
    assert_eq!(bench.look()[1..3], ["after_exit s", "on_failure s"]);
    bench.ask(Request::Down);
    assert_eq!(bench.look().last().map(String::as_str), Some("stack down"));
}

#[test]
fn how_a_hook_came_out_is_told() {
    let mut bench = Bench::up(service());
    let (run, detail) = (bench.run("s"), "exit code 3".to_owned());
    let done = |service: &str| Input::HookDone {
        service: crate::testing::name(service),
        run,
        moment: HookMoment::AfterExit,
        ok: false,
        detail: detail.clone(),
    };
    bench.feed(done("nobody"));
    assert!(bench.told().is_empty());
    bench.feed(done("s"));
    let hook = HookMoment::AfterExit;
    assert_eq!(bench.told(), [EventKind::Hook { hook, ok: false, detail: detail.clone() }]);
}

#[test]
fn a_hook_is_told_how_it_ended() {
    let hooks = Hooks { after_exit: hook(), ..Hooks::default() };
    let mut bench = Bench::new([("s", ServicePlan { hooks, ..service() })]);
    bench.start("s");
    bench.prepared("s", None);
    bench.made("s");
    bench.pass(secs(3));
    bench
        .supervisor
        .handle(bench.now, Input::Exited { run: bench.run("s"), exit: Exit::Code(7), tree_empty: true });
    let facts = std::iter::from_fn(|| bench.supervisor.poll_effect()).find_map(|effect| match effect {
        crate::Effect::Hook { facts, .. } => Some(facts),
        _ => None,
    });
    let facts = facts.expect("a hook");
    assert_eq!((facts.exit, facts.ran, facts.pid), (Some(Exit::Code(7)), Some(secs(3)), Some(4_002)));
}
