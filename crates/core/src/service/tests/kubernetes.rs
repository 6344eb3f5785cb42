//! Probes as Kubernetes documents them, a named test for each of its terms.

use crate::testing::{Bench, ms, probe, secs, service};
use crate::{EventKind, ProbeKind, ProbePlan, ServicePlan, StateName};

fn ready(plan: ProbePlan) -> ServicePlan {
    ServicePlan { ready: Some(plan), ..service() }
}

fn live(plan: ProbePlan) -> ServicePlan {
    ServicePlan { live: Some(plan), ..service() }
}

/// Answers what is asked now, and lets a second pass.
fn round(bench: &mut Bench, kind: ProbeKind, ok: bool) {
    bench.tick();
    bench.answer("s", kind, ok);
    bench.pass(secs(1));
}

#[test]
fn initial_delay_seconds_counts_from_the_start_of_the_process() {
    let mut bench = Bench::new([("s", ready(ProbePlan { initial_delay: secs(7), ..probe() }))]);
    bench.ask(crate::Request::Up);
    bench.pass(secs(60));
    bench.made("s");
    bench.look();
    bench.pass(ms(6_999));
    assert!(bench.look().is_empty());
    bench.pass(ms(1));
    assert_eq!(bench.look(), ["ask s ready"]);
}

#[test]
fn period_seconds_is_from_question_to_question() {
    let mut bench = Bench::up(ready(ProbePlan { interval: secs(10), timeout: secs(5), ..probe() }));
    bench.tick();
    assert_eq!(bench.look(), ["ask s ready"]);
    bench.pass(secs(4));
    bench.answer("s", ProbeKind::Ready, true);
    bench.pass(ms(5_999));
    assert!(!bench.look().contains(&"ask s ready".to_owned()));
    bench.pass(ms(1));
    assert_eq!(bench.look(), ["ask s ready"]);
}

#[test]
fn timeout_seconds_makes_a_failure_of_no_answer() {
    let plan = ProbePlan { timeout: secs(3), failures: 1, interval: secs(60), ..probe() };
    let mut bench = Bench::up(live(plan));
    bench.tick();
    // The prober answers within the timeout; one that is lost is waited for a little longer.
    bench.pass(secs(3));
    assert_eq!(bench.state("s"), StateName::Running);
    bench.pass(secs(2));
    assert_eq!(bench.reason("s"), "live probe failed: no answer in 3 s");
}

#[test]
fn success_threshold_is_in_a_row_and_a_failure_begins_it_anew() {
    let mut bench = Bench::up(ready(ProbePlan { successes: 3, failures: 5, ..probe() }));
    let mut states = Vec::new();
    for ok in [true, true, false, true, true, true] {
        round(&mut bench, ProbeKind::Ready, ok);
        states.push(bench.state("s") == StateName::Ready);
    }
    assert_eq!(states, [false, false, false, false, false, true]);
}

#[test]
fn failure_threshold_is_in_a_row_and_a_success_begins_it_anew() {
    let mut bench = Bench::up(live(ProbePlan { failures: 3, ..probe() }));
    for ok in [false, false, true, false, false] {
        round(&mut bench, ProbeKind::Live, ok);
        assert_eq!(bench.state("s"), StateName::Running);
    }
    round(&mut bench, ProbeKind::Live, false);
    assert_eq!(bench.state("s"), StateName::Stopping);
}

#[test]
fn the_startup_probe_gates_live_and_ready() {
    let all = ServicePlan {
        startup: Some(ProbePlan { failures: 30, ..probe() }),
        ready: Some(probe()),
        live: Some(ProbePlan { failures: 1, ..probe() }),
        ..service()
    };
    let mut bench = Bench::up(all);
    for _ in 0..20 {
        bench.tick();
        let asked = bench.look();
        assert!(asked.iter().all(|asked| asked == "ask s startup"), "{asked:?}");
        round(&mut bench, ProbeKind::Startup, false);
        assert_eq!(bench.state("s"), StateName::Starting);
    }
    bench.tick();
    bench.look();
    bench.answer("s", ProbeKind::Startup, true);
    bench.tick();
    assert_eq!(bench.look(), ["ask s ready", "ask s live"]);
    bench.answer("s", ProbeKind::Live, true);
    bench.answer("s", ProbeKind::Ready, true);
    bench.pass(ms(999));
    assert!(bench.look().is_empty(), "the startup probe has done its part");
}

#[test]
fn a_failing_live_probe_restarts_by_the_steps_of_the_stop() {
    let mut bench = Bench::up(live(ProbePlan { failures: 1, ..probe() }));
    round(&mut bench, ProbeKind::Live, false);
    bench.pass(secs(12));
    assert_eq!(bench.deeds(), ["ctrl_c s", "close_window s", "kill s"]);
    bench.exits("s", 9);
    assert_eq!(bench.deeds(), ["spawn s"]);
    assert_eq!(bench.reason("s"), "restart: live probe failed: connection refused");
    assert_eq!(bench.status("s").restarts, 1);
}

#[test]
fn a_failing_ready_probe_makes_it_not_ready_and_never_restarts_it() {
    let mut bench = Bench::up(ready(probe()));
    round(&mut bench, ProbeKind::Ready, true);
    assert_eq!(bench.state("s"), StateName::Ready);
    let run = bench.run("s");
    for _ in 0..1_000 {
        round(&mut bench, ProbeKind::Ready, false);
    }
    assert_eq!((bench.state("s"), bench.run("s")), (StateName::Running, run));
    assert!(bench.deeds().is_empty());
    round(&mut bench, ProbeKind::Ready, true);
    assert_eq!(bench.state("s"), StateName::Ready);
}

#[test]
fn probes_cease_during_a_stop_and_their_answers_count_for_nothing() {
    let both =
        ServicePlan { ready: Some(probe()), live: Some(ProbePlan { failures: 1, ..probe() }), ..service() };
    let mut bench = Bench::up(both);
    bench.tick();
    bench.stop("s");
    bench.answer("s", ProbeKind::Live, false);
    bench.answer("s", ProbeKind::Ready, true);
    bench.pass(secs(60));
    let told = bench.told();
    assert!(!told.iter().any(|kind| matches!(kind, EventKind::Probe { .. })), "{told:?}");
    assert_eq!(bench.reason("s").split(';').next(), Some("asked by root"));
    let seen = bench.look();
    assert_eq!(seen.iter().filter(|seen| seen.starts_with("ask")).count(), 2, "{seen:?}");
    bench.exits("s", 0);
    assert_eq!(bench.state("s"), StateName::Stopped);
}
