//! Freezing and thawing, and what is asked for meanwhile.

use crate::testing::{Bench, ms, name, notify, probe, secs, service};
use crate::{EventKind, ProbeKind, Request, ServicePlan, StateName};

fn paused() -> Bench {
    let mut bench = Bench::up(service());
    bench.pause("s");
    bench.frozen("s");
    bench.look();
    bench
}

#[test]
fn there_and_back() {
    let mut bench = Bench::up(service());
    bench.pause("s");
    assert_eq!((bench.state("s"), bench.look()), (StateName::Pausing, vec!["freeze s".to_owned()]));
    bench.frozen("s");
    assert_eq!(bench.state("s"), StateName::Paused);
    bench.resume("s");
    assert_eq!((bench.state("s"), bench.look()), (StateName::Continuing, vec!["thaw s".to_owned()]));
    bench.thawed("s");
    assert_eq!((bench.state("s"), bench.reason("s").as_str()), (StateName::Running, "asked by root"));
}

#[test]
fn back_to_ready_and_probes_rest_meanwhile() {
    let mut bench = Bench::up(ServicePlan { ready: Some(probe()), live: Some(probe()), ..service() });
    bench.tick();
    bench.answer("s", ProbeKind::Ready, true);
    let late = bench.asked[&(bench.run("s"), ProbeKind::Live)];
    bench.pause("s");
    bench.frozen("s");
    bench.look();
    bench.pass(secs(100));
    assert!(bench.look().is_empty());
    let outcome = crate::ProbeOutcome { ok: false, detail: "late".into() };
    let run = bench.run("s");
    bench.feed(crate::Input::ProbeResult { run, probe: ProbeKind::Live, seq: late, outcome });
    assert_eq!(bench.status("s").probes[1].failures, 0);
    bench.resume("s");
    bench.thawed("s");
    assert_eq!(bench.state("s"), StateName::Ready);
    bench.look();
    bench.pass(ms(999));
    assert!(bench.look().is_empty());
    bench.pass(ms(1));
    assert_eq!(bench.look(), ["ask s ready", "ask s live"]);
}

#[test]
fn what_it_says_while_frozen_counts_afterwards() {
    let mut bench = Bench::up(ServicePlan { ready: Some(notify()), ..service() });
    bench.pause("s");
    bench.says("s", "READY=1");
    bench.frozen("s");
    bench.resume("s");
    bench.thawed("s");
    assert_eq!(bench.state("s"), StateName::Ready);
}

#[test]
fn a_failure_is_told_and_the_state_goes_back() {
    let mut bench = Bench::up(service());
    bench.pause("s");
    bench.told();
    bench.freeze_fails("s");
    let reason = "could not be paused: not permitted".to_owned();
    let told = EventKind::State { from: StateName::Pausing, to: StateName::Running, reason };
    assert_eq!(bench.told(), [told]);
    let mut bench = paused();
    bench.resume("s");
    bench.freeze_fails("s");
    assert_eq!(
        (bench.state("s"), bench.reason("s").as_str()),
        (StateName::Paused, "could not go on: not permitted")
    );
    bench.resume("s");
    bench.thawed("s");
    assert_eq!(bench.state("s"), StateName::Running);
}

#[test]
fn the_opposite_follows_the_answer() {
    let mut bench = Bench::up(service());
    bench.pause("s");
    bench.resume("s");
    assert_eq!(bench.look(), ["freeze s"]);
    bench.frozen("s");
    assert_eq!((bench.state("s"), bench.look()), (StateName::Continuing, vec!["thaw s".to_owned()]));
    bench.pause("s");
    assert!(bench.look().is_empty());
    bench.thawed("s");
    assert_eq!((bench.state("s"), bench.look()), (StateName::Pausing, vec!["freeze s".to_owned()]));
    bench.resume("s");
    bench.pause("s");
    bench.frozen("s");
    assert_eq!(bench.state("s"), StateName::Paused);
    assert!(bench.look().is_empty());
}

#[test]
fn a_freeze_without_an_answer_is_taken_back() {
    let mut bench = Bench::up(service());
    bench.pause("s");
    bench.look();
    bench.pass(secs(10));
    assert_eq!((bench.state("s"), bench.look()), (StateName::Continuing, vec!["thaw s".to_owned()]));
    assert_eq!(bench.reason("s"), "could not be paused: no answer in 10 s");
    bench.frozen("s");
    assert_eq!(bench.state("s"), StateName::Continuing, "the answer to the freeze is late");
    bench.thawed("s");
    assert_eq!(bench.state("s"), StateName::Running);
}

#[test]
fn a_thaw_without_an_answer_is_repeated() {
    let mut bench = paused();
    bench.resume("s");
    bench.pass(secs(25));
    assert_eq!(bench.look(), ["thaw s", "thaw s", "thaw s"]);
    assert_eq!(bench.reason("s"), "asked to go on; no answer for 20 s");
    bench.thawed("s");
    assert_eq!(bench.state("s"), StateName::Running);
}

#[test]
fn a_stop_thaws_first() {
    let mut bench = paused();
    bench.stop("s");
    assert_eq!(
        (bench.state("s"), bench.look()),
        (StateName::Stopping, vec!["thaw s".into(), "ctrl_c s".into()])
    );
    bench.thawed("s");
    assert_eq!(bench.state("s"), StateName::Stopping);
    bench.exits("s", 0);
    assert_eq!(bench.state("s"), StateName::Stopped);
}

#[test]
fn a_stop_while_it_freezes_or_thaws() {
    let mut bench = Bench::up(service());
    bench.pause("s");
    bench.stop("s");
    assert_eq!(bench.look(), ["freeze s", "thaw s", "ctrl_c s"]);
    bench.frozen("s");
    bench.thawed("s");
    assert_eq!(bench.state("s"), StateName::Stopping);
    let mut bench = paused();
    bench.resume("s");
    bench.restart("s");
    assert_eq!(bench.look(), ["thaw s", "thaw s", "ctrl_c s"]);
    bench.exits("s", 0);
    assert_eq!(bench.deeds(), ["spawn s"]);
}

#[test]
fn it_may_end_while_frozen() {
    let mut bench = paused();
    bench.exits("s", 137);
    assert_eq!(bench.deeds(), ["spawn s"]);
    let mut bench = paused();
    bench.leaves("s", 137);
    assert_eq!(bench.deeds(), ["thaw s", "ctrl_c s"]);
}

#[test]
fn refused_where_there_is_nothing_to_freeze() {
    let mut bench = Bench::new([("s", ServicePlan { startup: Some(probe()), ..service() })]);
    let refusal = |bench: &Bench| bench.supervisor.check(&Request::Pause(name("s"))).unwrap_err().message;
    assert_eq!(refusal(&bench), "s does not run");
    bench.start("s");
    assert_eq!(refusal(&bench), "s is still starting");
    bench.made("s");
    assert_eq!(refusal(&bench), "s is still starting");
    bench.stop("s");
    assert_eq!(refusal(&bench), "s is stopping");
    let before = bench.supervisor.snapshots();
    bench.look();
    bench.pause("s");
    assert_eq!(bench.told(), [EventKind::Refused { reason: "s is stopping".into() }]);
    assert!(bench.look().is_empty());
    assert_eq!(bench.supervisor.snapshots(), before);
    let paused = paused();
    let refusal = paused.supervisor.check(&Request::Start(name("s"))).unwrap_err();
    assert_eq!(refusal.to_string(), "s is paused; `mainstay continue s` lets it go on");
}

#[test]
fn a_pause_leaves_the_initial_delay() {
    let slow = |plan| crate::ProbePlan { initial_delay: secs(10), ..plan };
    let mut bench = Bench::up(ServicePlan { live: Some(slow(probe())), ..service() });
    bench.pass(ms(50));
    bench.pause("s");
    bench.freeze_fails("s");
    bench.take_over();
    bench.look();
    bench.pass(ms(9_949));
    assert!(bench.look().is_empty(), "the delay is not over");
    bench.pass(ms(1));
    assert_eq!(bench.look(), ["ask s live"]);
    let mut bench = Bench::up(ServicePlan { live: Some(slow(notify())), ..service() });
    bench.pause("s");
    bench.freeze_fails("s");
    bench.look();
    bench.pass(ms(12_999));
    assert!(bench.look().is_empty(), "silence counts once the delay is over");
    bench.pass(ms(1));
    assert_eq!(bench.look(), ["ctrl_c s"]);
}

#[test]
fn a_question_from_before_a_pause_has_its_time() {
    let slow = crate::ProbePlan { timeout: secs(10), ..probe() };
    let mut bench = Bench::up(ServicePlan { live: Some(slow), ..service() });
    bench.tick();
    assert_eq!(bench.look(), ["ask s live"]);
    bench.pause("s");
    bench.freeze_fails("s");
    bench.look();
    bench.pass(ms(11_999));
    assert!(bench.look().is_empty(), "the first question may be open still");
    bench.pass(ms(1));
    assert_eq!(bench.look(), ["ask s live"]);
}
