//! Services that are left running when the stack goes down.

use crate::Condition::Started;
use crate::testing::{Bench, name, needs, notify, probe, secs, service};
use crate::{EventKind, ProbeKind, RefusalKind, Request, ServicePlan, StateName, WhenMainstayStops};

fn left(plan: ServicePlan) -> ServicePlan {
    ServicePlan { when_mainstay_stops: WhenMainstayStops::Leave, ..plan }
}

/// `db` stops, `api` needs it and is left, `web` needs that and stops.
fn resting() -> Bench {
    let mut bench = Bench::new([
        ("db", service()),
        ("api", left(ServicePlan { live: Some(probe()), ..needs([("db", Started)]) })),
        ("web", needs([("api", Started)])),
    ]);
    bench.ask(Request::Up);
    for service in ["db", "api", "web"] {
        bench.made(service);
    }
    bench.look();
    bench.ask(Request::Down);
    assert_eq!(bench.deeds(), ["ctrl_c web", "ctrl_c db"], "nothing waits for what is left");
    bench.exits("web", 0);
    bench.exits("db", 0);
    assert_eq!(bench.deeds(), ["stack rests"]);
    bench
}

#[test]
fn what_is_left_is_asked_nothing_and_not_ended() {
    let mut bench = resting();
    assert!(bench.status("api").left && bench.supervisor.is_resting());
    assert_eq!(bench.reason("api"), "left running; the stack goes down, asked by root");
    bench.look();
    bench.pass(secs(3600));
    bench.says("api", "WATCHDOG=trigger");
    assert!(bench.look().is_empty());
    assert_eq!(bench.state("api"), StateName::Running);
    bench.ask(Request::Down);
    assert!(bench.deeds().is_empty(), "it is down already");
}

#[test]
fn up_takes_over_what_is_left_and_starts_the_rest() {
    let mut bench = resting();
    bench.take_over();
    bench.look();
    bench.ask(Request::Up);
    assert_eq!(bench.deeds(), ["spawn db", "spawn web"], "api is there already");
    assert!(!bench.status("api").left && !bench.supervisor.is_going_down());
    bench.pass(secs(1));
    assert!(bench.look().contains(&"ask api live".to_owned()), "it is looked after again");
    bench.made("db");
    bench.made("web");
    // It goes down a second time as it did the first.
    bench.look();
    bench.ask(Request::Down);
    bench.exits("web", 0);
    bench.exits("db", 0);
    assert_eq!(bench.deeds().last().unwrap(), "stack rests");
}

#[test]
fn what_is_left_can_be_stopped_and_is_not_restarted() {
    let mut bench = resting();
    let refusal = bench.supervisor.check(&Request::Restart(name("api"))).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::GoingDown);
    assert!(bench.supervisor.check(&Request::Pause(name("api"))).is_err());
    bench.exits("api", 1);
    assert_eq!(bench.deeds(), ["stack down"]);
    assert_eq!(bench.state("api"), StateName::Stopped);

    let mut bench = resting();
    bench.ask(Request::Stop(name("api")));
    assert_eq!(bench.deeds(), ["ctrl_c api"]);
    bench.exits("api", 0);
    assert_eq!(bench.deeds(), ["stack down"]);

    let mut bench = resting();
    bench.ask(Request::DownAll);
    assert_eq!(bench.deeds(), ["ctrl_c api"]);
    bench.exits("api", 0);
    assert_eq!(bench.deeds(), ["stack down"]);
}

#[test]
fn what_is_not_up_yet_is_stopped() {
    let plan = || left(ServicePlan { startup: Some(notify()), ..service() });
    let mut bench = Bench::new([("s", plan()), ("t", plan())]);
    bench.ask(Request::Up);
    bench.made("s");
    bench.look();
    bench.ask(Request::Down);
    assert_eq!(bench.deeds(), ["ctrl_c s"], "one starts, the other is being made");
    bench.made("t");
    assert_eq!(bench.deeds(), ["ctrl_c t"]);
    bench.exits("s", 0);
    bench.exits("t", 0);
    assert_eq!(bench.deeds(), ["stack down"]);
}

#[test]
fn readiness_goes_on_being_told() {
    let mut bench = Bench::up(left(ServicePlan { ready: Some(notify()), ..service() }));
    bench.ask(Request::Down);
    bench.look();
    bench.says("s", "READY=1");
    assert_eq!(bench.state("s"), StateName::Ready);
    bench.ask(Request::Up);
    assert_eq!((bench.state("s"), bench.status("s").left), (StateName::Ready, false));
    assert!(bench.told().contains(&EventKind::TakenOver));
    assert_eq!(bench.status("s").probes[0].probe, ProbeKind::Ready);
}
