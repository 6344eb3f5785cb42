//! Probes: thresholds, one question at a time, lost answers, what a service says itself.

use crate::testing::{Bench, ms, notify, probe, secs, service};
use crate::{
    EventKind, Input, ProbeKind, ProbeOutcome, ProbePlan, RestartPlan, RestartPolicy, ServicePlan, StateName,
};

fn live(plan: ProbePlan) -> ServicePlan {
    ServicePlan { live: Some(plan), ..service() }
}

#[test]
fn questions_come_at_their_interval_one_at_a_time() {
    let mut bench = Bench::up(live(ProbePlan { initial_delay: secs(5), timeout: secs(3), ..probe() }));
    bench.pass(ms(4_999));
    assert!(bench.look().is_empty());
    bench.pass(ms(1));
    assert_eq!(bench.look(), ["ask s live"]);
    bench.pass(ms(2_500));
    assert!(bench.look().is_empty(), "still waits for the answer");
    bench.answer("s", ProbeKind::Live, true);
    bench.tick();
    assert_eq!(bench.look(), ["ask s live"], "the next one was due for long");
    bench.answer("s", ProbeKind::Live, true);
    bench.pass(ms(999));
    assert!(bench.look().is_empty());
    bench.pass(ms(1));
    assert_eq!(bench.look(), ["ask s live"]);
}

#[test]
fn a_failed_liveness_probe_restarts_with_the_reason() {
    let mut bench = Bench::up(live(probe()));
    for _ in 0..2 {
        bench.tick();
        bench.answer("s", ProbeKind::Live, false);
        bench.pass(secs(1));
    }
    bench.answer("s", ProbeKind::Live, true);
    for _ in 0..3 {
        assert_eq!(bench.state("s"), StateName::Running);
        bench.pass(secs(1));
        bench.answer("s", ProbeKind::Live, false);
    }
    assert_eq!(bench.state("s"), StateName::Stopping);
    assert_eq!(bench.reason("s"), "live probe failed: connection refused");
    assert_eq!(bench.deeds(), ["ctrl_c s"]);
    bench.pass(secs(5));
    assert!(bench.look().is_empty(), "no more questions");
    bench.exits("s", 0);
    assert_eq!(bench.deeds(), ["spawn s"]);
    assert_eq!(bench.reason("s"), "restart: live probe failed: connection refused");
}

#[test]
fn a_failed_probe_is_a_failure_whatever_the_exit_code() {
    for (policy, state) in
        [(RestartPolicy::OnFailure, StateName::Starting), (RestartPolicy::Never, StateName::Failed)]
    {
        let on_exit = [(0, crate::ExitAction::Stop)].into();
        let plan = ServicePlan {
            restart: RestartPlan { policy, on_exit, ..Default::default() },
            startup: Some(ProbePlan { failures: 1, ..probe() }),
            ..service()
        };
        let mut bench = Bench::up(plan);
        bench.tick();
        bench.answer("s", ProbeKind::Startup, false);
        assert_eq!(bench.state("s"), StateName::Stopping);
        bench.exits("s", 0);
        assert_eq!(bench.state("s"), state);
        let reason = bench.reason("s");
        assert!(reason.contains("startup probe failed: connection refused"), "{reason}");
    }
}

#[test]
fn a_failing_readiness_probe_only_marks() {
    let ready = ProbePlan { successes: 2, failures: 2, ..probe() };
    let mut bench = Bench::up(ServicePlan { ready: Some(ready), ..service() });
    let mut states = Vec::new();
    for ok in [true, true, false, true, false, false, false, false, true, true] {
        bench.tick();
        bench.answer("s", ProbeKind::Ready, ok);
        states.push(bench.state("s") == StateName::Ready);
        bench.pass(secs(1));
    }
    assert_eq!(states, [false, true, true, true, true, false, false, false, false, true]);
    let verdicts = bench.told().into_iter().filter_map(|kind| match kind {
        EventKind::Probe { ok, .. } => Some(ok),
        _ => None,
    });
    assert_eq!(verdicts.collect::<Vec<_>>(), [true, false, true]);
    assert!(bench.deeds().is_empty());
}

#[test]
fn what_a_probe_saw_last_is_there_and_outlives_a_daemon() {
    let ready = ProbePlan { successes: 2, failures: 2, ..probe() };
    let mut bench = Bench::up(ServicePlan { ready: Some(ready), ..service() });
    let seen = |bench: &Bench| bench.supervisor.service_status("s").unwrap().probes.remove(0);
    let first = seen(&bench);
    assert_eq!(
        (first.check.as_str(), first.last, first.took, first.at),
        ("tcp localhost:1", None, None, None)
    );
    for ok in [true, true, false] {
        bench.tick();
        bench.pass(ms(250));
        bench.answer("s", ProbeKind::Ready, ok);
        bench.pass(ms(750));
    }
    let last = seen(&bench);
    assert_eq!((last.ok, last.last), (Some(true), Some(false)), "the verdict and the last answer differ");
    assert_eq!((last.took, last.failures, last.successes), (Some(ms(250)), 1, 0));
    assert_eq!(last.at.map(|at| bench.now.since(at)), Some(ms(750)));
    let (plan, snapshots) = (bench.supervisor.plan().clone(), bench.supervisor.snapshots());
    bench.supervisor = crate::Supervisor::restore(plan, crate::testing::SEED, &snapshots, bench.now);
    assert_eq!(seen(&bench), last);
}

#[test]
fn a_lost_answer_counts_as_a_failure() {
    let mut bench = Bench::up(live(probe()));
    bench.pass(secs(20));
    assert_eq!(bench.state("s"), StateName::Stopping);
    assert_eq!(bench.reason("s"), "live probe failed: no answer in 1 s");
}

#[test]
fn an_answer_with_another_number_is_late() {
    let mut bench = Bench::up(live(ProbePlan { failures: 1, ..probe() }));
    bench.tick();
    let run = bench.run("s");
    let seq = bench.asked[&(run, ProbeKind::Live)];
    let outcome = ProbeOutcome { ok: false, detail: "late".into() };
    for (probe, seq) in [(ProbeKind::Live, seq + 1), (ProbeKind::Live, 0), (ProbeKind::Ready, seq)] {
        bench.feed(Input::ProbeResult { run, probe, seq, outcome: outcome.clone() });
        assert_eq!(bench.state("s"), StateName::Running);
    }
    bench.answer("s", ProbeKind::Live, true);
    bench.feed(Input::ProbeResult { run, probe: ProbeKind::Live, seq, outcome });
    assert_eq!(bench.state("s"), StateName::Running, "answered before");
}

#[test]
fn ready_said_and_taken_back() {
    let mut bench = Bench::up(ServicePlan { ready: Some(notify()), ..service() });
    bench.pass(secs(1_000));
    assert!(bench.look().is_empty(), "never asked, and silence means nothing");
    bench.says("s", "STATUS=warming up\nREADY=1\nMAINPID=77\n");
    assert_eq!(
        (bench.state("s"), bench.reason("s").as_str()),
        (StateName::Ready, "ready probe succeeds: READY=1")
    );
    bench.says("s", "READY=0");
    assert_eq!(
        (bench.state("s"), bench.reason("s").as_str()),
        (StateName::Running, "ready probe fails: READY=0")
    );
    bench.says("s", "READY=1");
    bench.says("s", "STOPPING=1");
    assert_eq!(
        (bench.state("s"), bench.reason("s").as_str()),
        (StateName::Running, "it says that it is stopping")
    );
    assert!(bench.look().is_empty());
}

#[test]
fn one_that_is_never_said_to_be_started_is_restarted() {
    let startup = ProbePlan { initial_delay: secs(2), interval: secs(10), ..notify() };
    let mut bench = Bench::up(ServicePlan { startup: Some(startup), ..service() });
    bench.pass(ms(31_999));
    assert_eq!(bench.state("s"), StateName::Starting);
    bench.pass(ms(1));
    assert_eq!(bench.state("s"), StateName::Stopping);
    assert_eq!(bench.reason("s"), "startup probe failed: it said nothing for 10 s");
    let startup = ProbePlan { interval: secs(10), ..notify() };
    let mut bench = Bench::up(ServicePlan { startup: Some(startup), ..service() });
    bench.pass(secs(25));
    bench.says("s", "READY=1");
    assert_eq!(bench.state("s"), StateName::Running);
    bench.pass(secs(1_000));
    assert_eq!(bench.state("s"), StateName::Running);
}

#[test]
fn a_watchdog_is_a_liveness_probe_that_the_service_answers_itself() {
    let mut bench = Bench::up(live(ProbePlan { interval: secs(10), failures: 1, ..notify() }));
    for _ in 0..5 {
        bench.pass(secs(9));
        bench.says("s", "WATCHDOG=1");
    }
    assert_eq!(bench.state("s"), StateName::Running);
    bench.pass(secs(10));
    assert_eq!(bench.state("s"), StateName::Stopping);
    assert_eq!(bench.reason("s"), "live probe failed: it said nothing for 10 s");
}

#[test]
fn a_service_can_trigger_its_watchdog_and_ask_for_time() {
    let watched = || live(ProbePlan { interval: secs(10), failures: 1, ..notify() });
    let mut bench = Bench::up(watched());
    bench.says("s", "EXTEND_TIMEOUT_USEC=60000000");
    bench.pass(ms(59_999));
    assert_eq!(bench.state("s"), StateName::Running);
    bench.pass(ms(1));
    assert_eq!(bench.state("s"), StateName::Stopping);
    let mut bench = Bench::up(watched());
    bench.says("s", "EXTEND_TIMEOUT_USEC=nonsense\nEXTEND_TIMEOUT_USEC=1\nWATCHDOG=1");
    bench.pass(ms(9_999));
    assert_eq!(bench.state("s"), StateName::Running, "less time than it has shortens nothing");
    bench.says("s", "WATCHDOG=trigger");
    assert_eq!(bench.state("s"), StateName::Stopping);
    assert_eq!(bench.reason("s"), "live probe failed: WATCHDOG=trigger");
}

#[test]
fn what_a_service_says_of_itself_is_shown_and_bounded() {
    let mut bench = Bench::up(service());
    let says = |bench: &Bench| bench.supervisor.service_status("s").unwrap().says;
    assert_eq!(says(&bench), None);
    bench.says("s", "STATUS=Loading 3 of 7\nMAINPID=1\nFDSTORE=1");
    assert_eq!(says(&bench).as_deref(), Some("Loading 3 of 7"));
    bench.says("s", &format!("STATUS={}", "x".repeat(10_000)));
    assert!(says(&bench).is_some_and(|says| says.len() < 600));
    bench.says("s", "STATUS=");
    assert_eq!(says(&bench), None);
}

#[test]
fn an_interval_of_nothing_does_not_spin() {
    let mut bench =
        Bench::up(live(ProbePlan { interval: ms(0), timeout: ms(0), failures: 9_999, ..probe() }));
    bench.tick();
    for _ in 0..10 {
        bench.answer("s", ProbeKind::Live, true);
        bench.pass(ms(10));
    }
    assert_eq!(bench.look().len(), 11);
}
