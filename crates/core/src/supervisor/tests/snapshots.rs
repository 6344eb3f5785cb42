//! Snapshots: what they look like, and what becomes of bad ones.

use std::collections::BTreeMap;

use crate::Condition::Started;
use crate::testing::{Bench, SEED, ms, name, needs, notify, plan, probe, secs, service};
use crate::{ProbeKind, Request, RunId, ServicePlan, StateName, Supervisor, Time};

fn probed() -> ServicePlan {
    ServicePlan { startup: Some(notify()), ready: Some(probe()), live: Some(probe()), ..service() }
}

/// A stack with a service in every kind of phase.
fn varied() -> Bench {
    let needs_db = || needs([("db", Started)]);
    let mut bench = Bench::new([
        ("api", ServicePlan { ready: Some(probe()), live: Some(probe()), ..needs_db() }),
        ("crashed", service()),
        ("db", service()),
        ("frozen", service()),
        ("new", service()),
        ("stopping", service()),
        ("waiting", needs([("probed", Started)])),
        ("probed", probed()),
    ]);
    bench.ask(Request::Up);
    for service in ["db", "api", "crashed", "frozen", "stopping", "probed"] {
        bench.made(service);
    }
    bench.exits("crashed", 1);
    bench.made("crashed");
    bench.exits("crashed", 1);
    bench.pause("frozen");
    bench.frozen("frozen");
    bench.tick();
    bench.answer("api", ProbeKind::Ready, true);
    bench.stop("db");
    bench.leaves("stopping", 3);
    bench
}

/// Whoever reads this form has to go on reading it: an older daemon may have written it.
#[test]
fn form() {
    let bench = varied();
    let text: String =
        bench.supervisor.snapshots().iter().map(|(key, json)| format!("{key}\n{json}\n")).collect();
    insta::assert_snapshot!(text);
}

#[test]
fn the_form_of_version_0_1_is_read() {
    let kept = include_str!("snapshots-0.1.txt");
    let lines: Vec<&str> = kept.lines().collect();
    let kept: BTreeMap<String, String> =
        lines.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect();
    let bench = varied();
    let restored = Supervisor::restore(bench.supervisor.plan().clone(), SEED, &kept, bench.now);
    let mut status = bench.supervisor.status();
    // Version 0.1 did not keep these.
    for probe in status.iter_mut().flat_map(|service| &mut service.probes) {
        (probe.last, probe.took) = (None, None);
    }
    assert_eq!(restored.status(), status);
}

#[test]
fn only_what_changed_is_dirty() {
    let mut bench = varied();
    let keys = |bench: &mut Bench| -> Vec<String> {
        bench.supervisor.take_dirty().into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys(&mut bench).len(), 9, "everything is new");
    assert!(keys(&mut bench).is_empty());
    bench.feed(crate::Input::Tick);
    assert!(keys(&mut bench).is_empty());
    bench.thawed("frozen");
    bench.exits("api", 0);
    assert_eq!(keys(&mut bench), ["svc/api", "svc/db", "svc/frozen"]);
}

#[test]
fn questions_in_flight_are_asked_again_under_their_numbers() {
    let mut bench = Bench::up(ServicePlan { ready: Some(probe()), live: Some(probe()), ..service() });
    bench.tick();
    bench.answer("s", ProbeKind::Ready, true);
    let asked = bench.asked.clone();
    bench.look();
    bench.now = bench.now.after(secs(100));
    bench.take_over();
    assert_eq!(bench.look(), ["ask s live"]);
    assert_eq!(bench.asked, asked);
    bench.pass(ms(2_999));
    assert_eq!(bench.status("s").probes[1].failures, 0, "it has all its time again");
    bench.answer("s", ProbeKind::Live, true);
    assert_eq!(bench.state("s"), StateName::Ready);
}

#[test]
fn a_stack_on_its_way_down_goes_on() {
    let mut bench = Bench::up(service());
    bench.ask(Request::Down);
    bench.take_over();
    assert!(bench.supervisor.is_going_down());
    bench.look();
    bench.exits("s", 0);
    assert_eq!(bench.deeds(), ["stack down"]);
    bench.take_over();
    assert!(bench.look().is_empty(), "said once");
}

#[test]
fn unreadable_and_missing_snapshots_count_as_stopped() {
    let plan = plan([("a", service()), ("b", service()), ("c", service())]);
    let snapshots = BTreeMap::from([
        ("svc/a".to_owned(), "{\"phase\":{\"flying\":{}}}".to_owned()),
        ("svc/gone".to_owned(), "{}".to_owned()),
        ("stack".to_owned(), "no JSON".to_owned()),
    ]);
    let mut supervisor = Supervisor::restore(plan, SEED, &snapshots, Time::ZERO);
    supervisor.audit();
    assert!(supervisor.status().iter().all(|status| status.state == StateName::Stopped));
    let reason = supervisor.service_status("a").unwrap().reason;
    assert!(
        reason.starts_with("its state could not be read, so it counts as stopped: unknown variant"),
        "{reason}"
    );
    let keys: Vec<(String, bool)> =
        supervisor.take_dirty().into_iter().map(|(key, text)| (key, text.is_some())).collect();
    let key = |key: &str, there| (key.to_owned(), there);
    let expected = [
        key("svc/a", true),
        key("svc/b", true),
        key("svc/c", true),
        key("svc/gone", false),
        key("stack", true),
    ];
    assert_eq!(keys, expected);
}

#[test]
fn numbers_of_runs_never_repeat_even_without_the_stack_snapshot() {
    let mut bench = Bench::up(service());
    bench.restart("s");
    bench.exits("s", 0);
    let mut snapshots = bench.supervisor.snapshots();
    snapshots.remove("stack");
    let mut supervisor = Supervisor::restore(bench.supervisor.plan().clone(), SEED, &snapshots, bench.now);
    supervisor.handle(bench.now, crate::Input::SpawnFailed { run: RunId(2), error: "no".into() });
    assert_eq!(supervisor.service_status("s").unwrap().run, Some(RunId(3)));
}

#[test]
fn a_plan_that_no_longer_fits_does_no_harm() {
    let mut bench = varied();
    let snapshots = bench.supervisor.snapshots();
    let mut plan = bench.supervisor.plan().clone();
    plan.services.remove(&name("probed"));
    for service in plan.services.values_mut() {
        service.depends_on.clear();
        (service.ready, service.live, service.startup) = (None, None, None);
    }
    bench.look();
    bench.supervisor = Supervisor::restore(plan, SEED, &snapshots, bench.now);
    bench.collect();
    bench.supervisor.audit();
    assert_eq!(bench.deeds(), ["ctrl_c db", "spawn waiting"]);
}
