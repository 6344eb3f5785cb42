//! From wanted to up.

use crate::testing::{Bench, ms, name, notify, probe, secs, service};
use crate::{EventKind, Exit, Input, ProbeKind, Request, RunId, ServicePlan, StateName};

#[test]
fn without_probes_it_runs_when_its_process_is_there() {
    let mut bench = Bench::new([("s", service())]);
    assert_eq!((bench.state("s"), bench.reason("s").as_str()), (StateName::Stopped, "never started"));
    bench.start("s");
    assert_eq!(bench.state("s"), StateName::Starting);
    assert_eq!(bench.reason("s"), "asked by root");
    assert_eq!(bench.look(), ["spawn s"]);
    bench.made("s");
    assert_eq!(bench.state("s"), StateName::Running);
    let status = bench.status("s");
    assert_eq!((status.pid, status.started, status.run), (Some(4_001), Some(bench.now), Some(RunId(1))));
    assert_eq!(status.reason, "process 4001 runs");
    assert_eq!(bench.supervisor.next_deadline(), None);
}

#[test]
fn every_change_of_state_is_told_with_its_run() {
    let mut bench = Bench::new([("s", service())]);
    bench.start("s");
    bench.made("s");
    let state = |from, to, reason: &str| EventKind::State { from, to, reason: reason.into() };
    let expected = [
        EventKind::Requested { by: "root".into(), what: "start".into() },
        state(StateName::Stopped, StateName::Starting, "asked by root"),
        EventKind::Spawned { pid: 4_001 },
        state(StateName::Starting, StateName::Running, "process 4001 runs"),
    ];
    assert_eq!(bench.told(), expected);
}

#[test]
fn the_startup_probe_holds_the_others_back() {
    let plan = ServicePlan { startup: Some(probe()), ready: Some(probe()), live: Some(probe()), ..service() };
    let mut bench = Bench::up(plan);
    assert_eq!(bench.state("s"), StateName::Starting);
    bench.tick();
    assert_eq!(bench.look(), ["ask s startup"]);
    bench.answer("s", ProbeKind::Startup, false);
    bench.pass(secs(1));
    assert_eq!(bench.look(), ["ask s startup"]);
    bench.answer("s", ProbeKind::Startup, true);
    assert_eq!(bench.state("s"), StateName::Running);
    bench.tick();
    assert_eq!(bench.look(), ["ask s ready", "ask s live"]);
    bench.answer("s", ProbeKind::Ready, true);
    assert_eq!(bench.state("s"), StateName::Ready);
    assert_eq!(bench.reason("s"), "ready probe succeeds: 200 OK");
    bench.answer("s", ProbeKind::Live, true);
    bench.pass(secs(1));
    assert_eq!(bench.look(), ["ask s ready", "ask s live"]);
}

#[test]
fn ready_said_before_the_startup_probe_counts_afterwards() {
    let plan = ServicePlan { startup: Some(probe()), ready: Some(notify()), ..service() };
    let mut bench = Bench::up(plan);
    bench.says("s", "READY=1");
    assert_eq!(bench.state("s"), StateName::Starting);
    bench.tick();
    bench.answer("s", ProbeKind::Startup, true);
    assert_eq!(bench.state("s"), StateName::Ready);
}

#[test]
fn a_start_of_what_is_up_changes_nothing() {
    let mut bench = Bench::up(service());
    let before = bench.status("s");
    bench.start("s");
    assert!(bench.deeds().is_empty());
    assert_eq!(bench.status("s"), before);
}

#[test]
fn what_cannot_be_made_is_tried_again_with_back_off() {
    let mut bench = Bench::new([("s", service())]);
    bench.start("s");
    bench.not_made("s", "program not found: /x/y");
    assert_eq!(bench.state("s"), StateName::Starting);
    assert_eq!(bench.look(), ["spawn s", "forget 1", "spawn s"]);
    bench.not_made("s", "program not found: /x/y");
    assert_eq!(bench.state("s"), StateName::Backoff);
    let reason = bench.reason("s");
    assert!(
        reason.starts_with("could not be started: program not found: /x/y; restart 2 in a row in "),
        "{reason}"
    );
    let next = bench.status("s").next_start.unwrap();
    assert!(next.since(bench.now) >= ms(450) && next.since(bench.now) <= ms(550));
    bench.look();
    bench.pass(ms(600));
    assert_eq!(bench.look(), ["spawn s"]);
    bench.made("s");
    assert_eq!(bench.state("s"), StateName::Running);
    assert_eq!(bench.status("s").restarts, 2);
}

#[test]
fn stop_while_its_process_is_made() {
    let mut bench = Bench::new([("s", service())]);
    bench.start("s");
    bench.stop("s");
    assert_eq!(bench.state("s"), StateName::Stopping);
    assert_eq!(bench.reason("s"), "asked by root; its process is still being made");
    assert_eq!(bench.deeds(), ["spawn s"]);
    bench.made("s");
    assert_eq!(bench.deeds(), ["ctrl_c s"]);
    bench.exits("s", 0);
    assert_eq!(bench.state("s"), StateName::Stopped);
    assert_eq!(bench.look(), ["forget 1"]);
}

#[test]
fn stop_while_its_process_cannot_be_made() {
    let mut bench = Bench::new([("s", service())]);
    bench.start("s");
    bench.stop("s");
    bench.not_made("s", "no");
    assert_eq!((bench.state("s"), bench.reason("s").as_str()), (StateName::Stopped, "asked by root"));
    assert_eq!(bench.look(), ["spawn s", "forget 1"]);
}

#[test]
fn start_after_stop_while_its_process_is_made() {
    let mut bench = Bench::new([("s", service())]);
    bench.start("s");
    bench.stop("s");
    bench.start("s");
    bench.made("s");
    assert_eq!(bench.deeds(), ["spawn s", "ctrl_c s"]);
    bench.exits("s", 0);
    assert_eq!(bench.deeds(), ["spawn s"]);
    assert_eq!(bench.state("s"), StateName::Starting);
}

#[test]
fn restart_while_its_process_is_made_makes_another() {
    let mut bench = Bench::new([("s", service())]);
    bench.start("s");
    bench.restart("s");
    assert_eq!(bench.state("s"), StateName::Stopping);
    bench.made("s");
    bench.exits("s", 0);
    bench.made("s");
    assert_eq!(bench.deeds(), ["spawn s", "ctrl_c s", "spawn s"]);
    assert_eq!(bench.state("s"), StateName::Running);
    assert_eq!(bench.status("s").restarts, 0);
}

#[test]
fn news_of_the_end_may_come_before_news_of_the_process() {
    let mut bench = Bench::new([("s", service())]);
    bench.start("s");
    let run = bench.run("s");
    bench.exits("s", 3);
    assert_eq!(bench.look(), ["spawn s", "forget 1", "spawn s"]);
    assert_eq!(bench.status("s").last_exit, Some(Exit::Code(3)));
    bench.feed(Input::Spawned { run, pid: 1 });
    assert!(bench.look().is_empty());
    assert_eq!(bench.state("s"), StateName::Starting);
}

#[test]
fn nothing_said_of_other_runs_changes_anything() {
    let mut bench = Bench::up(ServicePlan { ready: Some(notify()), live: Some(probe()), ..service() });
    bench.restart("s");
    bench.exits("s", 0);
    bench.made("s");
    bench.look();
    let before = bench.supervisor.snapshots();
    bench.supervisor.take_dirty();
    let outcome = crate::ProbeOutcome { ok: false, detail: String::new() };
    for run in [RunId(0), RunId(1), RunId(99)] {
        for input in [
            Input::Spawned { run, pid: 1 },
            Input::SpawnFailed { run, error: "x".into() },
            Input::Exited { run, exit: Exit::Unknown, tree_empty: true },
            Input::Exited { run, exit: Exit::Unknown, tree_empty: false },
            Input::TreeEmpty { run },
            Input::Frozen { run },
            Input::Thawed { run },
            Input::FreezeFailed { run, error: "x".into() },
            Input::ProbeResult { run, probe: ProbeKind::Live, seq: 1, outcome: outcome.clone() },
            Input::Notify { run, text: "READY=1".into() },
        ] {
            bench.feed(input);
        }
    }
    assert!(bench.look().is_empty());
    assert_eq!(bench.supervisor.snapshots(), before);
    assert!(bench.supervisor.take_dirty().is_empty());
}

#[test]
fn numbers_of_runs_rise_above_the_reserved() {
    let mut bench = Bench::new([("s", service())]);
    bench.supervisor.reserve_runs(41);
    bench.supervisor.reserve_runs(7);
    bench.ask(Request::Start(name("s")));
    assert_eq!(bench.run("s"), RunId(42));
}
