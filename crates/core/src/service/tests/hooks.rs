//! What comes before a start, and the other hooks' moments.

use crate::testing::{Bench, ms, needs, probe, secs, service};
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

fn before_stop() -> ServicePlan {
    ServicePlan { hooks: Hooks { before_stop: hook(), ..Hooks::default() }, ..service() }
}

fn over(bench: &mut Bench, ok: bool) {
    let (run, moment) = (bench.run("s"), HookMoment::BeforeStop);
    let detail = if ok { "exit code 0" } else { "exit code 3" }.to_owned();
    bench.feed(Input::HookDone { service: crate::testing::name("s"), run, moment, ok, detail });
}

#[test]
fn before_stop_comes_first_and_the_stop_has_its_whole_time_afterwards() {
    for ok in [true, false] {
        let mut bench = Bench::up(before_stop());
        bench.look();
        bench.stop("s");
        assert_eq!((bench.state("s"), bench.look()), (StateName::Stopping, vec!["before_stop s".into()]));
        assert_eq!(bench.reason("s"), "asked by root; its before_stop hook comes first");
        assert_eq!(bench.status("s").waiting_for, ["its before_stop hook has not ended yet"]);
        bench.pass(ms(4_999));
        bench.stop("s");
        assert!(bench.look().is_empty(), "a second stop does not begin anew");
        over(&mut bench, ok);
        assert_eq!((bench.look(), bench.reason("s").as_str()), (vec!["ctrl_c s".into()], "asked by root"));
        bench.pass(ms(9_999));
        assert!(bench.look().is_empty(), "its steps have all their time");
        over(&mut bench, ok);
        assert!(bench.look().is_empty(), "it is not asked a second time");
        bench.pass(ms(1));
        assert_eq!(bench.look(), ["close_window s"]);
    }
}

#[test]
fn before_stop_is_not_waited_for_longer_than_its_time() {
    let mut bench = Bench::up(before_stop());
    bench.stop("s");
    bench.look();
    assert_eq!(
        bench.supervisor.next_deadline(),
        Some((bench.now.after(secs(5)), "the before_stop hook is not over"))
    );
    bench.pass(secs(5));
    let detail = "was not over in 5 s".to_owned();
    let told = EventKind::Hook { hook: HookMoment::BeforeStop, ok: false, detail };
    assert!(bench.told().contains(&told));
    assert_eq!(bench.look(), ["cancel before_stop s", "ctrl_c s"]);
}

#[test]
fn an_end_during_before_stop_is_the_end_of_the_wait() {
    let mut bench = Bench::up(before_stop());
    bench.stop("s");
    bench.look();
    bench.exits("s", 0);
    assert_eq!((bench.state("s"), bench.look()), (StateName::Stopped, vec!["forget 1".into()]));

    let mut bench = Bench::up(before_stop());
    bench.stop("s");
    bench.look();
    bench.leaves("s", 0);
    assert_eq!(bench.look(), ["ctrl_c s"], "what is left is ended at once");
    over(&mut bench, true);
    assert!(bench.look().is_empty());
}

#[test]
fn before_stop_comes_before_whatever_mainstay_ends_and_not_after_an_end_of_its_own() {
    let plan = ServicePlan { live: Some(probe()), ..before_stop() };
    let mut bench = Bench::up(plan);
    for _ in 0..3 {
        bench.tick();
        bench.answer("s", ProbeKind::Live, false);
        bench.pass(secs(1));
    }
    assert_eq!(bench.state("s"), StateName::Stopping);
    assert!(bench.look().contains(&"before_stop s".to_owned()));
    over(&mut bench, true);
    assert_eq!(bench.look(), ["ctrl_c s"]);

    let mut bench = Bench::up(before_stop());
    bench.look();
    bench.leaves("s", 1);
    assert_eq!(bench.look(), ["ctrl_c s"]);

    let mut bench = Bench::up(before_stop());
    bench.look();
    bench.restart("s");
    assert_eq!(bench.look(), ["before_stop s"]);
    over(&mut bench, true);
    assert_eq!(bench.look(), ["ctrl_c s"]);
}

#[test]
fn the_last_wish_during_before_stop_holds() {
    let mut bench = Bench::up(before_stop());
    bench.stop("s");
    bench.start("s");
    bench.look();
    assert_eq!(bench.reason("s"), "asked by root; starts again afterwards; its before_stop hook comes first");
    bench.stop("s");
    over(&mut bench, true);
    bench.exits("s", 0);
    assert_eq!(bench.state("s"), StateName::Stopped);
    assert_eq!(bench.deeds(), ["ctrl_c s"]);
}

#[test]
fn a_new_daemon_runs_before_stop_again_in_the_time_that_is_left() {
    let mut bench = Bench::up(before_stop());
    bench.stop("s");
    bench.pass(secs(2));
    bench.look();
    bench.take_over();
    assert_eq!(bench.look(), ["before_stop s"]);
    bench.pass(secs(3));
    assert_eq!(bench.look(), ["cancel before_stop s", "ctrl_c s"]);
}

#[test]
fn what_is_frozen_is_thawed_before_its_before_stop() {
    let mut bench = Bench::up(before_stop());
    bench.ask(Request::Pause(crate::testing::name("s")));
    bench.feed(Input::Frozen { run: bench.run("s") });
    bench.look();
    bench.stop("s");
    assert_eq!(bench.look(), ["thaw s", "before_stop s"]);
}
