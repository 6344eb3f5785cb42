//! The restart policy, back-off, crash loops, limits.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::testing::{Bench, ms, probe, secs, service};
use crate::{
    EventKind, Exit, ExitAction, Input, ProbeKind, RestartPlan, RestartPolicy, ServicePlan, StartLimit,
    StateName,
};

fn policy(policy: RestartPolicy) -> ServicePlan {
    ServicePlan { restart: RestartPlan { policy, ..Default::default() }, ..service() }
}

/// Lets it crash, and waits for its next process. How long that took.
fn crash(bench: &mut Bench) -> Duration {
    bench.exits("s", 1);
    let wait = bench.status("s").next_start.map_or(Duration::ZERO, |at| at.since(bench.now));
    bench.pass(wait);
    assert_eq!(bench.state("s"), StateName::Starting, "after {wait:?}");
    bench.made("s");
    wait
}

#[test]
fn policies() {
    use RestartPolicy::{Always, Never, OnFailure};
    use StateName::{Completed, Failed, Starting};
    let cases = [
        (Always, Exit::Code(0), Starting, "restart: exit code 0"),
        (Always, Exit::Code(1), Starting, "restart: exit code 1"),
        (OnFailure, Exit::Code(0), Completed, "exit code 0"),
        (OnFailure, Exit::Code(1), Starting, "restart: exit code 1"),
        (OnFailure, Exit::Signal(11), Starting, "restart: signal SIGSEGV"),
        (OnFailure, Exit::Unknown, Starting, "restart: an unknown exit"),
        (Never, Exit::Code(0), Completed, "exit code 0"),
        (Never, Exit::Code(1), Failed, "exit code 1; it is never restarted"),
        (Never, Exit::Signal(9), Failed, "signal SIGKILL; it is never restarted"),
    ];
    for (wanted, exit, state, reason) in cases {
        let mut bench = Bench::up(policy(wanted));
        let run = bench.run("s");
        bench.feed(Input::Exited { run, exit, tree_empty: true });
        assert_eq!((bench.state("s"), bench.reason("s").as_str()), (state, reason), "{wanted:?}, {exit}");
        assert_eq!(bench.status("s").last_exit, Some(exit));
    }
}

#[test]
fn actions_by_exit_code_come_before_the_policy() {
    let on_exit = BTreeMap::from([
        (0, ExitAction::Restart),
        (10, ExitAction::RestartNow),
        (20, ExitAction::Stop),
        (78, ExitAction::Fail),
    ]);
    for wanted in [RestartPolicy::Always, RestartPolicy::Never] {
        let plan = ServicePlan {
            restart: RestartPlan { policy: wanted, on_exit: on_exit.clone(), ..Default::default() },
            ..service()
        };
        let mut bench = Bench::up(plan);
        bench.exits("s", 0);
        bench.made("s");
        bench.exits("s", 0);
        assert_eq!(bench.state("s"), StateName::Backoff, "the second restart in a row waits");
        bench.start("s");
        bench.made("s");
        for _ in 0..5 {
            bench.exits("s", 10);
            assert_eq!(bench.state("s"), StateName::Starting, "restart_now never waits");
            bench.made("s");
        }
        assert!(bench.status("s").crash_loop, "but it counts");
        bench.exits("s", 20);
        assert_eq!(bench.state("s"), StateName::Completed);
        assert_eq!(bench.reason("s"), "exit code 20, which on_exit takes as its end");
        bench.start("s");
        bench.made("s");
        bench.exits("s", 78);
        assert_eq!(bench.state("s"), StateName::Failed);
        assert_eq!(bench.reason("s"), "exit code 78, which on_exit takes as final");
    }
}

#[test]
fn restarts_at_once_have_an_end() {
    let on_exit = BTreeMap::from([(10, ExitAction::RestartNow)]);
    let mut bench =
        Bench::up(ServicePlan { restart: RestartPlan { on_exit, ..Default::default() }, ..service() });
    for _ in 0..10 {
        bench.exits("s", 10);
        assert_eq!(bench.state("s"), StateName::Starting);
        bench.made("s");
    }
    bench.exits("s", 10);
    assert_eq!(bench.state("s"), StateName::Backoff, "it would hammer");
}

#[test]
fn the_back_off_doubles_up_to_its_limit() {
    let mut bench = Bench::up(service());
    let waits: Vec<f64> = (0..12).map(|_| crash(&mut bench).as_secs_f64()).collect();
    let expected = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0];
    for (wait, base) in waits.iter().zip(expected) {
        let highest = (base * 1.1_f64).min(60.0);
        assert!((base * 0.9..=highest).contains(wait), "{wait} s, expected about {base} s: {waits:?}");
    }
    assert_eq!(bench.status("s").restarts, 12);
}

#[test]
fn a_crash_loop_is_told_once_and_heals() {
    let mut bench = Bench::up(service());
    let loops = |bench: &mut Bench| {
        bench.told().iter().filter(|kind| matches!(kind, EventKind::CrashLoop { .. })).count()
    };
    crash(&mut bench);
    crash(&mut bench);
    assert!(!bench.status("s").crash_loop);
    assert_eq!(loops(&mut bench), 0);
    crash(&mut bench);
    assert!(bench.status("s").crash_loop);
    assert_eq!(loops(&mut bench), 1);
    crash(&mut bench);
    assert_eq!(loops(&mut bench), 0);
    bench.pass(ms(59_999));
    assert!(bench.status("s").crash_loop);
    bench.pass(ms(1));
    assert!(!bench.status("s").crash_loop);
    assert_eq!(bench.supervisor.next_deadline(), None);
    assert_eq!(crash(&mut bench), Duration::ZERO, "the first in a row again");
    assert_eq!(bench.status("s").restarts, 5, "counted since the start by hand");
    bench.look();
    crash(&mut bench);
    crash(&mut bench);
    assert_eq!(loops(&mut bench), 1);
}

#[test]
fn health_counts_although_nobody_looked_at_the_clock() {
    let mut bench = Bench::up(service());
    crash(&mut bench);
    bench.now = bench.now.after(secs(60));
    assert_eq!(crash(&mut bench), Duration::ZERO);
}

#[test]
fn health_counts_from_ready_if_there_is_a_readiness_probe() {
    let mut bench = Bench::up(ServicePlan { ready: Some(probe()), ..service() });
    crash(&mut bench);
    bench.tick();
    for _ in 0..80 {
        bench.answer("s", ProbeKind::Ready, false);
        bench.pass(secs(1));
    }
    // Running for long, but never ready.
    assert_ne!(crash(&mut bench), Duration::ZERO);
    bench.tick();
    for _ in 0..30 {
        bench.answer("s", ProbeKind::Ready, true);
        bench.pass(secs(1));
    }
    for _ in 0..3 {
        bench.answer("s", ProbeKind::Ready, false);
        bench.pass(secs(1));
    }
    assert_eq!(bench.state("s"), StateName::Running);
    for _ in 0..40 {
        bench.answer("s", ProbeKind::Ready, true);
        bench.pass(secs(1));
    }
    // Ready for long, but not in one piece.
    assert_ne!(crash(&mut bench), Duration::ZERO);
    bench.tick();
    for _ in 0..61 {
        bench.answer("s", ProbeKind::Ready, true);
        bench.pass(secs(1));
    }
    assert_eq!(crash(&mut bench), Duration::ZERO);
}

#[test]
fn a_start_by_hand_ends_the_back_off_and_never_counts() {
    let mut bench = Bench::up(service());
    for _ in 0..4 {
        crash(&mut bench);
    }
    bench.exits("s", 1);
    assert_eq!(bench.state("s"), StateName::Backoff);
    bench.start("s");
    assert_eq!(bench.state("s"), StateName::Starting);
    assert_eq!((bench.status("s").restarts, bench.status("s").crash_loop), (0, false));
    bench.made("s");
    assert_eq!(crash(&mut bench), Duration::ZERO);
}

#[test]
fn beyond_its_limit_it_fails() {
    let limit = Some(StartLimit { starts: 3, window: secs(60) });
    let mut bench =
        Bench::up(ServicePlan { restart: RestartPlan { limit, ..Default::default() }, ..service() });
    for _ in 0..3 {
        crash(&mut bench);
    }
    bench.exits("s", 1);
    assert_eq!(bench.state("s"), StateName::Failed);
    assert_eq!(bench.reason("s"), "exit code 1; 3 restarts in 1 min are the limit");
    bench.start("s");
    bench.made("s");
    for _ in 0..2 {
        crash(&mut bench);
    }
    bench.pass(secs(61));
    for _ in 0..3 {
        crash(&mut bench);
    }
    assert_eq!(bench.state("s"), StateName::Running);
}

#[test]
fn one_that_was_stopped_is_never_restarted() {
    for code in [0, 1, 78] {
        let mut bench = Bench::up(policy(RestartPolicy::Always));
        bench.stop("s");
        bench.exits("s", code);
        assert_eq!(bench.state("s"), StateName::Stopped);
        bench.look();
        bench.pass(secs(1_000));
        assert!(bench.look().is_empty());
    }
}

#[test]
fn what_is_stopped_by_hand_is_not_in_a_crash_loop() {
    let mut bench = Bench::up(service());
    for _ in 0..3 {
        bench.exits("s", 1);
        bench.pass(secs(60));
        bench.made("s");
    }
    assert!(bench.status("s").crash_loop);
    bench.stop("s");
    bench.exits("s", 0);
    assert_eq!((bench.state("s"), bench.status("s").crash_loop), (StateName::Stopped, false));
}
