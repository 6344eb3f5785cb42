//! Applying changed configurations.

use crate::testing::{Bench, name, needs, probe, secs, service};
use crate::{Condition, EventKind, ProbeKind, ReloadStage, Request, ServicePlan, StartMode, StateName};

fn version(n: u32, plan: ServicePlan) -> ServicePlan {
    let mut plan = plan;
    plan.launch.command = vec!["program".into(), n.to_string()];
    plan
}

fn probed() -> ServicePlan {
    ServicePlan { ready: Some(probe()), ..service() }
}

/// A stack that is up.
fn up<const N: usize>(services: [(&str, ServicePlan); N]) -> Bench {
    let names = services.each_ref().map(|(name, _)| (*name).to_owned());
    let mut bench = Bench::new(services);
    bench.ask(Request::Up);
    for name in names {
        if bench.supervisor.service_status(&name).is_some_and(|status| status.run.is_some()) {
            come_up(&mut bench, &name);
        }
    }
    bench.look();
    bench
}

fn come_up(bench: &mut Bench, name: &str) {
    bench.made(name);
    bench.tick();
    if bench.status(name).probes.iter().any(|probe| probe.probe == ProbeKind::Ready) {
        bench.answer(name, ProbeKind::Ready, true);
    }
}

/// How far the configurations got, with what was said.
fn stages(bench: &mut Bench) -> Vec<(u64, ReloadStage, String)> {
    let reload = |kind| match kind {
        EventKind::Reload { revision, stage, detail } => Some((revision, stage, detail)),
        _ => None,
    };
    bench.told().into_iter().filter_map(reload).collect()
}

fn last_stage(bench: &mut Bench) -> (ReloadStage, String) {
    stages(bench).pop().map(|(_, stage, detail)| (stage, detail)).expect("something was told")
}

#[test]
fn a_description_and_a_limit_change_nothing_that_runs() {
    let mut bench = up([("a", probed()), ("b", service())]);
    let run = bench.run("a");
    let mut changed = ServicePlan { description: Some("new".into()), ..probed() };
    changed.log.keep_files = 3;
    bench.apply(2, [("a", changed.clone()), ("b", service())]);
    assert_eq!(bench.deeds(), [""; 0]);
    assert_eq!(bench.run("a"), run);
    assert_eq!(bench.supervisor.plan().services[&name("a")], changed);
    let changes = bench.supervisor.take_plan_changes();
    assert_eq!((changes.stack, changes.services.into_iter().collect::<Vec<_>>()), (false, vec![name("a")]));
    assert_eq!(bench.supervisor.applying(), None);
}

#[test]
fn one_after_the_other_each_when_the_one_before_is_ready() {
    let api = |n| version(n, ServicePlan { ready: Some(probe()), ..needs([("db", Condition::Ready)]) });
    let mut bench = up([("db", version(1, probed())), ("api", api(1)), ("web", service())]);
    bench.apply(2, [("db", version(2, probed())), ("api", api(2)), ("web", service())]);
    assert_eq!(bench.deeds(), ["ctrl_c db"], "the dependent stays up");
    bench.exits("db", 0);
    assert_eq!(bench.deeds(), ["spawn db"]);
    bench.made("db");
    bench.tick();
    assert_eq!(bench.deeds(), [""; 0], "not ready yet");
    bench.answer("db", ProbeKind::Ready, true);
    assert_eq!(bench.deeds(), ["ctrl_c api"]);
    assert_eq!(bench.supervisor.applying().unwrap().waits_for, [name("api")]);
    bench.exits("api", 0);
    come_up(&mut bench, "api");
    let told = stages(&mut bench);
    assert_eq!(told.last().map(|it| it.1), Some(ReloadStage::Applied), "{told:?}");
    assert_eq!(bench.reason("api"), "ready probe succeeds: 200 OK");
}

#[test]
fn everything_goes_back_if_one_does_not_come_up() {
    let old = || [("a", version(1, probed())), ("b", version(1, probed())), ("gone", service())];
    let mut bench = up(old());
    bench.apply(2, [("a", version(2, probed())), ("b", version(2, probed())), ("new", service())]);
    assert_eq!(bench.deeds(), ["ctrl_c gone"], "what goes makes place first");
    bench.exits("gone", 0);
    assert_eq!(bench.deeds(), ["ctrl_c a"]);
    bench.exits("a", 0);
    come_up(&mut bench, "a");
    bench.exits("b", 0);
    bench.made("b");
    bench.look();
    // It never gets ready.
    bench.pass(secs(90));
    let told = stages(&mut bench);
    let (revision, stage, why) = told.first().expect("told");
    assert_eq!((*revision, *stage), (2, ReloadStage::Failed));
    assert!(why.starts_with("b did not come up within "), "{why}");
    assert!(bench.supervisor.applying().unwrap().going_back.is_some());
    let deeds = bench.deeds();
    assert!(deeds.contains(&"ctrl_c a".to_owned()) && !deeds.contains(&"spawn new".to_owned()), "{deeds:?}");
    bench.exits("a", 0);
    come_up(&mut bench, "a");
    bench.exits("b", 0);
    come_up(&mut bench, "b");
    bench.made("gone");
    bench.pass(secs(1));
    assert_eq!(last_stage(&mut bench).0, ReloadStage::TakenBack);
    let services: Vec<_> = bench.supervisor.plan().services.values().cloned().collect();
    assert_eq!(services, old().map(|(_, plan)| plan));
    assert_eq!(bench.state("gone"), StateName::Running);
    assert_eq!(bench.supervisor.state("new"), None);
}

#[test]
fn a_service_that_keeps_ending_is_not_waited_for_to_the_end() {
    let mut bench = up([("s", version(1, service()))]);
    let began = bench.now;
    bench.apply(2, [("s", version(2, service()))]);
    bench.exits("s", 0);
    for _ in 0..20 {
        if bench.supervisor.applying().is_none_or(|it| it.going_back.is_some()) {
            break;
        }
        if bench.supervisor.service_status("s").is_some_and(|status| status.run.is_some()) {
            bench.made("s");
            bench.exits("s", 1);
        }
        bench.pass(secs(2));
    }
    let (stage, why) = last_stage(&mut bench);
    assert_eq!(stage, ReloadStage::Failed);
    assert!(why.starts_with("s keeps ending: "), "{why}");
    assert!(bench.now.since(began) < secs(60));
}

#[test]
fn a_new_service_that_fails_leaves_again() {
    let mut never = service();
    never.restart.policy = crate::RestartPolicy::Never;
    let mut bench = up([("s", service())]);
    bench.apply(2, [("s", service()), ("new", never)]);
    bench.made("new");
    bench.exits("new", 1);
    assert_eq!(last_stage(&mut bench).0, ReloadStage::TakenBack);
    assert_eq!(bench.supervisor.state("new"), None);
    assert_eq!(bench.supervisor.plan().services.len(), 1);
}

#[test]
fn a_daemon_killed_in_the_middle_changes_nothing() {
    let mut bench = up([("a", version(1, service())), ("b", version(1, service()))]);
    bench.apply(2, [("a", version(2, service())), ("b", version(2, service()))]);
    bench.take_over();
    bench.exits("a", 0);
    bench.take_over();
    bench.made("a");
    bench.take_over();
    bench.pass(secs(1));
    assert_eq!(bench.deeds().last().map(String::as_str), Some("ctrl_c b"));
    bench.take_over();
    bench.exits("b", 0);
    bench.made("b");
    bench.pass(secs(1));
    assert_eq!(last_stage(&mut bench).0, ReloadStage::Applied);
}

#[test]
fn removed_while_it_stops() {
    let mut bench = up([("s", service()), ("t", service())]);
    bench.restart("s");
    bench.apply(2, [("t", service())]);
    assert_eq!(bench.deeds(), ["ctrl_c s"]);
    bench.exits("s", 0);
    assert_eq!(bench.supervisor.state("s"), None, "the restart is forgotten");
    assert_eq!(last_stage(&mut bench).0, ReloadStage::Applied);
    assert_eq!(bench.deeds(), [""; 0]);
}

#[test]
fn what_somebody_stopped_stays_stopped() {
    let mut bench = up([("s", version(1, service()))]);
    bench.stop("s");
    bench.exits("s", 0);
    bench.look();
    bench.apply(2, [("s", version(2, service()))]);
    assert_eq!(bench.deeds(), [""; 0]);
    assert_eq!(bench.state("s"), StateName::Stopped);
}

#[test]
fn disabled_and_enabled() {
    let disabled = || ServicePlan { start: StartMode::Disabled, ..service() };
    let mut bench = up([("s", service())]);
    bench.apply(2, [("s", disabled())]);
    assert_eq!(bench.deeds(), ["ctrl_c s"]);
    bench.exits("s", 0);
    assert_eq!(bench.supervisor.applying(), None);
    bench.apply(3, [("s", service())]);
    assert_eq!(bench.deeds(), ["spawn s"]);
}

#[test]
fn another_readiness_probe_is_asked_without_a_restart() {
    let mut bench = up([("s", probed())]);
    let mut other = probed();
    other.ready.as_mut().unwrap().check = crate::Check::Tcp("localhost:2".into());
    bench.apply(2, [("s", other.clone())]);
    assert_eq!(bench.state("s"), StateName::Running, "nobody knows yet whether it is ready");
    bench.pass(secs(5));
    bench.answer("s", ProbeKind::Ready, true);
    assert_eq!(bench.state("s"), StateName::Ready);
    other.ready.as_mut().unwrap().interval = secs(7);
    bench.apply(3, [("s", other)]);
    assert_eq!(bench.state("s"), StateName::Ready, "only the rhythm is another one");
    bench.apply(4, [("s", service())]);
    assert_eq!(bench.state("s"), StateName::Running);
    assert_eq!(bench.status("s").probes, []);
}

#[test]
fn edges_can_be_turned_round() {
    let mut bench = up([("a", service()), ("b", needs([("a", Condition::Started)]))]);
    bench.apply(2, [("a", needs([("b", Condition::Started)])), ("b", service())]);
    assert_eq!(bench.deeds(), [""; 0]);
    bench.stop("b");
    assert_eq!(bench.deeds(), ["ctrl_c a"], "dependents first");
}

#[test]
fn a_wrong_plan_changes_nothing() {
    let mut bench = up([("a", service())]);
    let before = bench.supervisor.snapshots();
    bench.apply(2, [("a", needs([("b", Condition::Started)])), ("b", needs([("a", Condition::Started)]))]);
    let (stage, why) = last_stage(&mut bench);
    assert_eq!(
        (stage, why.as_str()),
        (ReloadStage::Refused, "a depends on itself, directly or not; asked by root")
    );
    bench.apply(2, [("a", needs([("x", Condition::Started)]))]);
    assert_eq!(last_stage(&mut bench).1, "a depends on 'x', which is not there; asked by root");
    assert_eq!(bench.supervisor.snapshots(), before);
}

#[test]
fn one_at_a_time() {
    let mut bench = up([("a", version(1, service()))]);
    bench.apply(2, [("a", version(2, service()))]);
    bench.apply(3, [("a", version(3, service()))]);
    let (stage, why) = last_stage(&mut bench);
    assert_eq!(stage, ReloadStage::Refused);
    assert!(why.starts_with("revision 2 is being applied"), "{why}");
    bench.ask(Request::Down);
    assert_eq!(last_stage(&mut bench).0, ReloadStage::Abandoned);
}

#[test]
fn a_daemon_that_was_away_hears_all_before_anything_counts_as_settled() {
    let mut bench = up([("a", version(1, service()))]);
    bench.apply(2, [("a", version(2, service()))]);
    bench.exits("a", 0);
    bench.made("a");
    bench.now = bench.now.after(secs(5));
    // The first news of a time in which it has ended long ago.
    bench.says("a", "STATUS=going");
    assert!(bench.supervisor.applying().is_some());
    bench.exits("a", 1);
    bench.tick();
    assert!(bench.supervisor.applying().is_some(), "it has to settle");
}
