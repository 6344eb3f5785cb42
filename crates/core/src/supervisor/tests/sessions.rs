//! Services in the session of who is signed in.

use crate::Condition::Started;
use crate::testing::{Bench, name, needs, secs, service};
use crate::{Input, Request, RestartPlan, RestartPolicy, ServicePlan, Session, StateName};

fn active() -> ServicePlan {
    ServicePlan { session: Session::Active, ..service() }
}

fn signed_in(bench: &mut Bench, id: Option<u32>) -> Vec<String> {
    bench.feed(Input::Session { id });
    bench.deeds()
}

#[test]
fn it_starts_at_the_logon_and_ends_at_the_logoff_and_that_is_no_crash() {
    let mut bench = Bench::new([("tray", active())]);
    bench.ask(Request::Up);
    assert!(bench.deeds().is_empty(), "nobody is there");
    assert_eq!(bench.state("tray"), StateName::Starting);
    assert_eq!(bench.reason("tray"), "waiting for a logon: nobody is signed in");
    assert_eq!(bench.status("tray").waiting_for, ["waiting for a logon: nobody is signed in"]);
    assert!(bench.supervisor.is_settled(), "the stack is up all the same");

    assert_eq!(signed_in(&mut bench, Some(1)), ["spawn tray"]);
    assert_eq!(bench.supervisor.session(), Some(1));
    bench.made("tray");
    assert!(signed_in(&mut bench, Some(1)).is_empty(), "that is known");

    assert_eq!(signed_in(&mut bench, None), ["ctrl_c tray"]);
    bench.exits("tray", 1);
    assert!(bench.deeds().is_empty(), "it waits");
    let status = bench.status("tray");
    assert_eq!((status.state, status.restarts, status.crash_loop), (StateName::Starting, 0, false));
    assert_eq!(bench.reason("tray"), "waiting for a logon: nobody is signed in");
    assert_eq!(signed_in(&mut bench, Some(2)), ["spawn tray"]);
}

#[test]
fn what_windows_has_ended_before_it_is_known_that_somebody_left_waits_too() {
    let mut bench = Bench::new([("tray", active())]);
    bench.feed(Input::Session { id: Some(1) });
    bench.ask(Request::Up);
    bench.made("tray");
    bench.look();
    bench.exits("tray", 0x4001_0004);
    bench.look();
    // Its first restart goes at once, and cannot be made any more.
    bench.not_made("tray", "nobody is signed in");
    bench.look();
    assert!(signed_in(&mut bench, None).is_empty());
    bench.pass(secs(600));
    assert!(bench.deeds().is_empty());
    let status = bench.status("tray");
    assert_eq!((status.state, status.restarts), (StateName::Starting, 0), "what was counted is forgotten");
}

#[test]
fn another_session_means_another_process() {
    let mut bench = Bench::new([("tray", active())]);
    bench.feed(Input::Session { id: Some(1) });
    bench.ask(Request::Up);
    bench.made("tray");
    bench.look();
    assert_eq!(signed_in(&mut bench, Some(3)), ["ctrl_c tray"]);
    bench.exits("tray", 0);
    assert_eq!(bench.deeds(), ["spawn tray"]);
}

#[test]
fn one_that_only_prefers_a_session_starts_beside_the_services_and_moves() {
    let prefers = ServicePlan { session: Session::PreferActive, ..service() };
    let mut bench = Bench::new([("agent", prefers)]);
    bench.ask(Request::Up);
    assert_eq!(bench.deeds(), ["spawn agent"]);
    bench.made("agent");
    assert_eq!(signed_in(&mut bench, Some(1)), ["ctrl_c agent"]);
    bench.exits("agent", 0);
    assert_eq!(bench.deeds(), ["spawn agent"]);
    bench.made("agent");
    assert_eq!(signed_in(&mut bench, None), ["ctrl_c agent"]);
    bench.exits("agent", 0);
    assert_eq!(bench.deeds(), ["spawn agent"]);
}

#[test]
fn what_ran_to_its_end_runs_again_at_the_next_logon_and_what_was_stopped_does_not() {
    let once = ServicePlan {
        restart: RestartPlan { policy: RestartPolicy::OnFailure, ..RestartPlan::default() },
        ..active()
    };
    let mut bench = Bench::new([("greeting", once), ("tray", active())]);
    bench.feed(Input::Session { id: Some(1) });
    bench.ask(Request::Up);
    bench.made("greeting");
    bench.made("tray");
    bench.exits("greeting", 0);
    bench.stop("tray");
    bench.exits("tray", 0);
    bench.look();
    assert_eq!(bench.state("greeting"), StateName::Completed);
    assert!(signed_in(&mut bench, None).is_empty());
    assert_eq!(signed_in(&mut bench, Some(2)), ["spawn greeting"]);
    assert_eq!(bench.state("tray"), StateName::Stopped);
}

#[test]
fn dependencies_are_waited_for_as_well() {
    let tray = ServicePlan { session: Session::Active, ..needs([("db", Started)]) };
    let mut bench = Bench::new([("db", service()), ("tray", tray)]);
    bench.ask(Request::Up);
    assert_eq!(bench.deeds(), ["spawn db"]);
    assert_eq!(bench.reason("tray"), "db is not started yet");
    bench.made("db");
    assert_eq!(bench.reason("tray"), "waiting for a logon: nobody is signed in");
    assert_eq!(signed_in(&mut bench, Some(1)), ["spawn tray"]);
}

#[test]
fn a_new_daemon_knows_the_session_and_what_waits_goes_down_with_the_stack() {
    let mut bench = Bench::new([("tray", active()), ("other", service())]);
    bench.feed(Input::Session { id: Some(1) });
    bench.ask(Request::Up);
    bench.made("tray");
    bench.look();
    bench.take_over();
    assert_eq!(bench.supervisor.session(), Some(1));
    assert!(signed_in(&mut bench, Some(1)).is_empty());
    assert_eq!(signed_in(&mut bench, None), ["ctrl_c tray"]);
    bench.exits("tray", 0);
    bench.take_over();
    assert_eq!(bench.reason("tray"), "waiting for a logon: nobody is signed in");
    bench.ask(Request::Down);
    assert_eq!(bench.state("tray"), StateName::Stopped);
    assert!(signed_in(&mut bench, Some(2)).is_empty(), "nothing starts in a stack that goes down");
    assert!(bench.supervisor.plan().services.contains_key(&name("tray")));
}
