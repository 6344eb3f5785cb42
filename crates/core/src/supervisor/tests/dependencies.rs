//! Starts in waves, stops in reverse, and what is said while somebody waits.

use crate::Condition::{Completed, Ready, Started};
use crate::testing::{Bench, needs, probe, secs, service};
use crate::{EventKind, ProbeKind, Request, RestartPlan, RestartPolicy, ServicePlan, StartMode, StateName};

fn with_ready(plan: ServicePlan) -> ServicePlan {
    ServicePlan { ready: Some(probe()), ..plan }
}

fn job(plan: ServicePlan) -> ServicePlan {
    ServicePlan { restart: RestartPlan { policy: RestartPolicy::Never, ..Default::default() }, ..plan }
}

fn start_mode(start: StartMode, plan: ServicePlan) -> ServicePlan {
    ServicePlan { start, ..plan }
}

/// `web` needs `api` ready, `api` needs `db` ready and `migrate` completed, `migrate` needs `db` ready.
fn shop() -> Bench {
    Bench::new([
        ("api", with_ready(needs([("db", Ready), ("migrate", Completed)]))),
        ("db", with_ready(service())),
        ("migrate", job(needs([("db", Ready)]))),
        ("web", needs([("api", Ready)])),
    ])
}

fn ready(bench: &mut Bench, service: &str) {
    bench.tick();
    bench.answer(service, ProbeKind::Ready, true);
}

fn shop_up() -> Bench {
    let mut bench = shop();
    bench.ask(Request::Up);
    bench.made("db");
    ready(&mut bench, "db");
    bench.made("migrate");
    bench.exits("migrate", 0);
    bench.made("api");
    ready(&mut bench, "api");
    bench.made("web");
    bench.look();
    bench
}

#[test]
fn starts_come_in_waves() {
    let mut bench = shop();
    bench.ask(Request::Up);
    assert_eq!(bench.deeds(), ["spawn db"]);
    assert_eq!(
        bench.status("api").waiting_for,
        [
            "db is not ready yet (starting: asked by root)",
            "migrate has not completed yet (starting: db is not ready yet)",
        ]
    );
    assert_eq!(bench.reason("web"), "api is not ready yet");
    bench.made("db");
    assert_eq!((bench.state("db"), bench.state("migrate")), (StateName::Running, StateName::Starting));
    assert!(bench.deeds().is_empty(), "running is not ready");
    ready(&mut bench, "db");
    assert_eq!(bench.deeds(), ["spawn migrate"]);
    assert_eq!(bench.reason("api"), "migrate has not completed yet");
    bench.made("migrate");
    bench.exits("migrate", 0);
    assert_eq!(bench.deeds(), ["spawn api"]);
    bench.made("api");
    ready(&mut bench, "api");
    assert_eq!(bench.deeds(), ["spawn web"]);
    assert!(bench.status("web").waiting_for.is_empty());
}

#[test]
fn started_means_past_the_startup_probe() {
    let mut bench = Bench::new([
        ("a", ServicePlan { startup: Some(probe()), ..service() }),
        ("b", needs([("a", Started)])),
    ]);
    bench.ask(Request::Up);
    bench.made("a");
    bench.tick();
    assert_eq!(bench.deeds(), ["spawn a"]);
    bench.answer("a", ProbeKind::Startup, true);
    assert_eq!(bench.deeds(), ["spawn b"]);
}

#[test]
fn ready_without_a_probe_is_started_and_what_completed_was_started() {
    let mut bench = Bench::new([
        ("a", job(service())),
        ("b", start_mode(StartMode::Manual, needs([("a", Ready)]))),
        ("c", start_mode(StartMode::Manual, needs([("a", Started)]))),
    ]);
    bench.ask(Request::Up);
    bench.made("a");
    bench.start("b");
    assert_eq!(bench.deeds(), ["spawn a", "spawn b"]);
    bench.exits("a", 0);
    bench.start("c");
    assert_eq!(bench.deeds(), ["spawn c"]);
}

#[test]
fn a_start_by_hand_pulls_in_what_it_needs_and_no_more() {
    let mut bench = shop();
    bench.start("api");
    assert_eq!(bench.deeds(), ["spawn db"]);
    assert_eq!(bench.reason("db"), "needed by api, asked by root");
    assert_eq!(bench.state("migrate"), StateName::Starting);
    assert_eq!(bench.state("web"), StateName::Stopped);
}

#[test]
fn only_auto_services_start_with_the_stack_and_what_these_need() {
    let mut bench = Bench::new([
        ("auto", needs([("manual", Started)])),
        ("disabled", start_mode(StartMode::Disabled, service())),
        ("manual", start_mode(StartMode::Manual, service())),
        ("other", start_mode(StartMode::Manual, service())),
    ]);
    bench.ask(Request::Up);
    assert_eq!(bench.deeds(), ["spawn manual"]);
    assert_eq!(bench.reason("manual"), "needed by auto, asked by root");
    bench.made("manual");
    assert_eq!(bench.deeds(), ["spawn auto"]);
    assert_eq!(bench.state("other"), StateName::Stopped);
    assert_eq!(bench.state("disabled"), StateName::Stopped);
}

#[test]
fn what_needs_a_disabled_service_does_not_start_and_says_why() {
    let mut bench = Bench::new([
        ("a", start_mode(StartMode::Disabled, service())),
        ("b", needs([("a", Started)])),
        ("c", needs([("b", Started), ("d", Started)])),
        ("d", start_mode(StartMode::Manual, service())),
    ]);
    bench.ask(Request::Up);
    assert!(bench.look().is_empty(), "d is not pulled in for c, which cannot start");
    for service in ["b", "c"] {
        let expected = "depends on a, which is disabled; set the `start` of a to \"auto\" or \"manual\"";
        assert_eq!(bench.reason(service), format!("not started: {service} {expected}"));
    }
    bench.start("c");
    let expected = "b depends on a, which is disabled; set the `start` of a to \"auto\" or \"manual\"";
    assert_eq!(bench.told(), [EventKind::Refused { reason: expected.into() }]);
}

#[test]
fn a_failed_dependency_says_why_and_is_waited_for() {
    let mut bench = Bench::new([("api", needs([("db", Started)])), ("db", job(service()))]);
    bench.ask(Request::Up);
    bench.made("db");
    bench.made("api");
    bench.exits("db", 3);
    assert_eq!(
        (bench.state("db"), bench.state("api")),
        (StateName::Failed, StateName::Running),
        "api stays up"
    );
    bench.stop("api");
    bench.exits("api", 0);
    bench.look();
    bench.start("api");
    assert!(bench.look().is_empty(), "what failed is not pulled in");
    assert_eq!(bench.state("api"), StateName::Starting);
    let expected = "db failed: exit code 3; it is never restarted; start it or fix it";
    assert_eq!(bench.reason("api"), expected);
    assert_eq!(bench.status("api").waiting_for, [expected]);
    bench.start("db");
    assert_eq!(bench.reason("api"), "db is not started yet");
    bench.made("db");
    assert_eq!(bench.deeds(), ["spawn db", "spawn api"]);
}

#[test]
fn a_dependency_that_fails_meanwhile_is_told_at_once() {
    let mut bench = Bench::new([
        ("api", needs([("a", Started), ("db", Started), ("z", Started)])),
        ("a", service()),
        ("db", job(service())),
        ("z", service()),
    ]);
    bench.ask(Request::Up);
    assert_eq!(bench.reason("api"), "a is not started yet");
    bench.told();
    bench.not_made("db", "program not found");
    let reason =
        "db failed: could not be started: program not found; it is never restarted; start it or fix it";
    assert_eq!(bench.reason("api"), reason);
    assert!(bench.told().contains(&EventKind::Waiting { reason: reason.into() }));
    bench.made("z");
    bench.made("a");
    assert_eq!(bench.reason("api"), reason);
    bench.start("db");
    bench.made("db");
    assert_eq!(bench.state("api"), StateName::Starting);
    assert_eq!(bench.deeds().last().unwrap(), "spawn api");
}

#[test]
fn dependents_stay_up_when_a_dependency_goes() {
    let mut bench = shop_up();
    bench.exits("db", 1);
    assert_eq!(bench.deeds(), ["spawn db"]);
    assert_eq!((bench.state("api"), bench.state("web")), (StateName::Ready, StateName::Running));
    bench.exits("api", 1);
    assert!(bench.deeds().is_empty(), "an automatic restart waits for its dependencies too");
    assert_eq!(
        (bench.state("api"), bench.reason("api").as_str()),
        (StateName::Starting, "db is not ready yet")
    );
    bench.made("db");
    ready(&mut bench, "db");
    assert_eq!(bench.deeds(), ["spawn api"]);
    assert_eq!(bench.reason("api"), "restart: exit code 1");
}

#[test]
fn a_restart_leaves_dependents_up() {
    let mut bench = shop_up();
    bench.restart("db");
    assert_eq!(bench.deeds(), ["ctrl_c db"]);
    bench.exits("db", 0);
    bench.made("db");
    assert_eq!(bench.deeds(), ["spawn db"]);
    assert_eq!((bench.state("api"), bench.state("web")), (StateName::Ready, StateName::Running));
}

#[test]
fn a_stop_stops_dependents_first() {
    let mut bench = shop_up();
    bench.stop("db");
    assert_eq!(bench.deeds(), ["ctrl_c web"]);
    for service in ["db", "api", "web"] {
        assert_eq!(bench.state(service), StateName::Stopping);
    }
    assert_eq!(bench.state("migrate"), StateName::Completed);
    assert_eq!(bench.reason("api"), "db is to stop, asked by root; its dependents stop first");
    assert_eq!(bench.status("api").waiting_for, ["web is still stopping"]);
    bench.exits("web", 0);
    assert_eq!(bench.deeds(), ["ctrl_c api"]);
    bench.leaves("api", 0);
    assert!(bench.deeds().is_empty(), "something of api is left");
    bench.empty("api");
    assert_eq!(bench.deeds(), ["ctrl_c db"]);
    bench.exits("db", 0);
    assert_eq!(bench.state("db"), StateName::Stopped);
}

#[test]
fn dependents_that_wait_or_back_off_are_stopped_with_it() {
    let mut bench = Bench::new([
        ("a", service()),
        ("b", needs([("a", Started)])),
        ("c", needs([("b", Completed), ("a", Started)])),
    ]);
    bench.ask(Request::Up);
    bench.made("a");
    bench.not_made("b", "no");
    bench.not_made("b", "no");
    assert_eq!((bench.state("b"), bench.state("c")), (StateName::Backoff, StateName::Starting));
    bench.look();
    bench.stop("a");
    assert_eq!((bench.state("b"), bench.state("c")), (StateName::Stopped, StateName::Stopped));
    assert_eq!(bench.deeds(), ["ctrl_c a"]);
}

#[test]
fn who_needs_a_job_only_completed_does_not_stop_with_it() {
    let mut bench = shop_up();
    bench.start("migrate");
    bench.made("migrate");
    bench.look();
    bench.stop("migrate");
    assert_eq!(bench.deeds(), ["ctrl_c migrate"]);
    bench.exits("migrate", 0);
    assert_eq!((bench.state("migrate"), bench.state("api")), (StateName::Stopped, StateName::Ready));
}

#[test]
fn dependents_of_dependents_are_waited_for_although_one_between_is_down() {
    let mut bench =
        Bench::new([("a", service()), ("b", job(needs([("a", Started)]))), ("c", needs([("b", Started)]))]);
    bench.ask(Request::Up);
    for service in ["a", "b", "c"] {
        bench.made(service);
    }
    bench.exits("b", 1);
    bench.look();
    bench.stop("a");
    assert_eq!(bench.deeds(), ["ctrl_c c"]);
    bench.exits("c", 0);
    assert_eq!(bench.deeds(), ["ctrl_c a"]);
}

#[test]
fn a_start_meets_a_stop_that_holds_for_dependents() {
    let mut bench = shop_up();
    bench.stop("db");
    bench.look();
    bench.start("web");
    assert_eq!(bench.reason("db"), "asked by root; starts again afterwards; its dependents stop first");
    bench.exits("web", 0);
    assert_eq!(bench.state("web"), StateName::Starting);
    bench.exits("api", 0);
    bench.exits("db", 0);
    assert_eq!(bench.deeds(), ["ctrl_c api", "ctrl_c db", "spawn db"]);
    bench.made("db");
    ready(&mut bench, "db");
    bench.made("api");
    ready(&mut bench, "api");
    bench.made("web");
    assert_eq!(bench.state("web"), StateName::Running);
}

#[test]
fn a_restart_while_its_process_is_made_does_not_wait_for_dependents() {
    let mut bench = shop_up();
    bench.exits("db", 1);
    bench.restart("db");
    bench.look();
    bench.made("db");
    assert_eq!(bench.deeds(), ["ctrl_c db"]);
    assert_eq!(bench.state("web"), StateName::Running);
}

#[test]
fn a_process_that_ends_while_it_holds_is_over() {
    let mut bench = shop_up();
    bench.stop("db");
    bench.look();
    bench.exits("db", 1);
    assert_eq!((bench.state("db"), bench.reason("db").as_str()), (StateName::Stopped, "asked by root"));
    let mut bench = shop_up();
    bench.stop("db");
    bench.look();
    bench.leaves("db", 1);
    assert_eq!(bench.deeds(), ["ctrl_c db"], "what is left serves nobody");
}

#[test]
fn a_paused_dependency_is_started_but_not_ready() {
    let mut bench = Bench::new([
        ("a", service()),
        ("b", start_mode(StartMode::Manual, needs([("a", Ready)]))),
        ("c", start_mode(StartMode::Manual, needs([("a", Started)]))),
    ]);
    bench.ask(Request::Up);
    bench.made("a");
    bench.pause("a");
    bench.start("b");
    bench.start("c");
    assert_eq!(bench.deeds(), ["spawn a", "freeze a", "spawn c"]);
    bench.freeze_fails("a");
    assert_eq!(bench.deeds(), ["spawn b"]);
}

#[test]
fn a_paused_dependency_is_ready_again_when_it_goes_on() {
    let mut bench = Bench::new([
        ("a", with_ready(service())),
        ("b", start_mode(StartMode::Manual, needs([("a", Ready)]))),
        ("c", start_mode(StartMode::Manual, needs([("a", Started)]))),
    ]);
    bench.ask(Request::Up);
    bench.made("a");
    ready(&mut bench, "a");
    bench.pause("a");
    bench.frozen("a");
    bench.look();
    bench.start("b");
    bench.start("c");
    assert_eq!(bench.deeds(), ["spawn c"]);
    assert_eq!(bench.status("b").waiting_for, ["a is not ready yet (paused: asked by root)"]);
    bench.resume("a");
    bench.thawed("a");
    assert_eq!(bench.deeds(), ["thaw a", "spawn b"]);
}

#[test]
fn a_stop_by_hand_tells_who_waits() {
    let mut bench = Bench::new([("a", job(service())), ("b", needs([("a", Completed)]))]);
    bench.ask(Request::Up);
    bench.made("a");
    bench.stop("a");
    bench.exits("a", 0);
    assert_eq!(
        (bench.state("b"), bench.reason("b").as_str()),
        (StateName::Starting, "a is stopped; start it")
    );
    bench.start("b");
    assert_eq!(bench.reason("b"), "a has not completed yet");
    bench.pass(secs(1));
    bench.made("a");
    bench.exits("a", 0);
    assert_eq!(bench.deeds(), ["spawn a", "ctrl_c a", "spawn a", "spawn b"]);
}

#[test]
fn what_is_needed_by_two_starts_before_both_and_stops_after_both() {
    let mut bench = Bench::new([
        ("a", service()),
        ("b", needs([("a", Started)])),
        ("c", start_mode(StartMode::Manual, needs([("a", Started), ("b", Started)]))),
    ]);
    bench.start("c");
    let told = bench.told();
    let stopped =
        told.iter().find(|told| matches!(told, EventKind::Waiting { reason } if reason.contains("stop")));
    assert_eq!(stopped, None, "a is started, and before b");
    for service in ["a", "b", "c"] {
        bench.made(service);
    }
    bench.look();
    bench.stop("a");
    assert_eq!(bench.deeds(), ["ctrl_c c"]);
}

#[test]
fn a_stop_does_not_wait_for_dependents_that_were_started_again() {
    for again in [Request::Start, Request::Restart] {
        let mut bench = Bench::new([
            ("a", service()),
            ("b", job(needs([("a", Ready)]))),
            ("c", needs([("b", Started)])),
            ("d", needs([("c", Started)])),
        ]);
        bench.ask(Request::Up);
        for service in ["a", "b", "c"] {
            bench.made(service);
        }
        bench.made("d");
        bench.exits("b", 0);
        bench.look();
        bench.stop("a");
        bench.ask(again(crate::testing::name("d")));
        assert_eq!(bench.deeds(), ["ctrl_c d"]);
        bench.exits("d", 0);
        assert_eq!(bench.deeds(), ["ctrl_c c"]);
        bench.exits("c", 0);
        assert_eq!(bench.deeds(), ["spawn c", "ctrl_c a"], "b has completed, so c does not need a");
        bench.made("c");
        bench.take_over();
        bench.exits("a", 0);
        assert_eq!((bench.state("a"), bench.state("c")), (StateName::Stopped, StateName::Running));
        assert_eq!(bench.deeds(), ["spawn d"]);
    }
}

#[test]
fn up_starts_again_what_is_on_its_way_down() {
    let mut bench = Bench::new([("a", service()), ("m", start_mode(StartMode::Manual, service()))]);
    bench.ask(Request::Up);
    bench.made("a");
    bench.start("m");
    bench.made("m");
    bench.stop("a");
    bench.stop("m");
    bench.look();
    bench.ask(Request::Up);
    bench.exits("a", 0);
    bench.exits("m", 0);
    assert_eq!(bench.deeds(), ["spawn a"]);
    assert_eq!(bench.state("m"), StateName::Stopped);
}

#[test]
fn up_starts_what_is_waited_for() {
    let mut bench = Bench::new([
        ("a", job(start_mode(StartMode::Manual, service()))),
        ("b", job(start_mode(StartMode::Manual, needs([("a", Completed)])))),
        ("c", needs([("b", Completed)])),
    ]);
    bench.start("c");
    bench.stop("a");
    bench.exits("a", 0);
    assert_eq!(bench.state("a"), StateName::Stopped);
    assert_eq!((bench.state("b"), bench.state("c")), (StateName::Starting, StateName::Starting));
    bench.look();
    bench.ask(Request::Up);
    assert_eq!(bench.deeds(), ["spawn a"]);
    bench.made("a");
    bench.exits("a", 0);
    bench.made("b");
    bench.exits("b", 0);
    assert_eq!(bench.deeds(), ["spawn b", "spawn c"]);
}
