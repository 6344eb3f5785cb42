//! The stop: its steps, its kill, and what is asked for meanwhile.

use crate::testing::{Bench, ms, secs, service};
use crate::{EventKind, Exit, HttpCall, Input, ServicePlan, StateName, StopAction, StopPlan, StopStep};

fn steps(steps: &[(StopAction, u64)], timeout: u64) -> ServicePlan {
    let steps =
        steps.iter().map(|(action, wait)| StopStep { action: action.clone(), wait: secs(*wait) }).collect();
    ServicePlan { stop: StopPlan { steps, timeout: secs(timeout) }, ..service() }
}

#[test]
fn steps_come_in_order_then_the_kill() {
    let mut bench = Bench::up(service());
    bench.stop("s");
    assert_eq!(bench.state("s"), StateName::Stopping);
    assert_eq!(bench.look(), ["ctrl_c s"]);
    bench.pass(ms(9_999));
    assert!(bench.look().is_empty());
    bench.pass(ms(1));
    assert_eq!(bench.look(), ["close_window s"]);
    bench.pass(secs(3));
    assert_eq!(bench.look(), ["kill s"]);
    bench.exits("s", 9);
    assert_eq!(bench.state("s"), StateName::Stopped);
    assert_eq!(bench.supervisor.next_deadline(), None);
}

#[test]
fn steps_are_told() {
    let mut bench = Bench::up(service());
    bench.stop("s");
    bench.pass(secs(14));
    let told = bench.told().into_iter().filter_map(|kind| match kind {
        EventKind::StopStep { step } => Some(step),
        _ => None,
    });
    let expected = [
        "ctrl_c, then waits 10 s",
        "close_window, then waits 3 s",
        "kill of the whole tree",
        "kill again: 1 s after the kill something of it is still there",
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

#[test]
fn the_timeout_cuts_the_steps_short() {
    let mut bench = Bench::up(steps(&[(StopAction::Signal(1), 5), (StopAction::Signal(15), 60)], 7));
    bench.stop("s");
    bench.pass(secs(5));
    assert_eq!(bench.look(), ["SIGHUP s", "SIGTERM s"]);
    bench.pass(secs(2));
    assert_eq!(bench.look(), ["kill s"]);
}

#[test]
fn no_steps_or_no_time_kills_at_once() {
    for plan in [steps(&[], 10), steps(&[(StopAction::CtrlC, 5)], 0), steps(&[(StopAction::Kill, 5)], 10)] {
        let mut bench = Bench::up(plan);
        bench.stop("s");
        assert_eq!(bench.look(), ["kill s"]);
    }
}

#[test]
fn steps_without_a_wait_are_taken_together() {
    let mut bench = Bench::up(steps(&[(StopAction::CtrlC, 0), (StopAction::CloseWindow, 0)], 10));
    bench.stop("s");
    assert_eq!(bench.look(), ["ctrl_c s", "close_window s", "kill s"]);
}

#[test]
fn a_kill_that_does_not_end_it_is_repeated_less_and_less_often() {
    let mut bench = Bench::up(steps(&[], 0));
    bench.stop("s");
    let mut kills = Vec::new();
    let start = bench.now;
    while kills.len() < 9 {
        let (at, what) = bench.supervisor.next_deadline().unwrap();
        assert_eq!(what, "killed, but not gone yet");
        bench.pass(at.since(bench.now));
        kills.push(bench.now.since(start).as_secs());
    }
    assert_eq!(kills, [1, 3, 7, 15, 31, 61, 91, 121, 151]);
    assert_eq!(bench.state("s"), StateName::Stopping);
    let expected = "asked by root; 2 min 31 s after the kill something of it is still there";
    assert_eq!(bench.reason("s"), expected);
    bench.exits("s", 9);
    assert_eq!((bench.state("s"), bench.reason("s").as_str()), (StateName::Stopped, "asked by root"));
}

#[test]
fn the_stop_is_over_only_when_the_tree_is_empty() {
    let mut bench = Bench::up(service());
    bench.stop("s");
    bench.leaves("s", 0);
    assert_eq!(bench.state("s"), StateName::Stopping);
    assert_eq!(bench.reason("s"), "asked by root; exit code 0, others of its tree are left");
    bench.look();
    bench.pass(secs(10));
    assert_eq!(bench.look(), ["close_window s"], "the rest gets the remaining steps");
    bench.empty("s");
    assert_eq!(bench.state("s"), StateName::Stopped);
    assert_eq!(bench.look(), ["forget 1"]);
    assert_eq!(bench.status("s").last_exit, Some(Exit::Code(0)));
}

#[test]
fn stop_of_what_is_stopping_changes_nothing() {
    let mut bench = Bench::up(service());
    bench.stop("s");
    bench.pass(secs(5));
    bench.look();
    let before = bench.status("s");
    bench.stop("s");
    assert!(bench.look().is_empty());
    assert_eq!(bench.status("s"), before);
    bench.pass(secs(5));
    assert_eq!(bench.look(), ["close_window s"]);
}

#[test]
fn start_during_a_stop_starts_it_again_afterwards() {
    let mut bench = Bench::up(service());
    bench.stop("s");
    bench.start("s");
    assert_eq!(bench.reason("s"), "asked by root; starts again afterwards");
    assert_eq!(bench.deeds(), ["ctrl_c s"]);
    bench.exits("s", 0);
    assert_eq!(bench.deeds(), ["spawn s"]);
}

#[test]
fn the_last_request_during_a_stop_holds() {
    let mut bench = Bench::up(service());
    bench.restart("s");
    bench.stop("s");
    assert_eq!(bench.reason("s"), "asked by root");
    bench.exits("s", 0);
    assert_eq!(bench.state("s"), StateName::Stopped);
    assert_eq!(bench.deeds(), ["ctrl_c s"]);
}

#[test]
fn restart_stops_and_starts_without_counting() {
    let mut bench = Bench::up(service());
    bench.restart("s");
    assert_eq!(bench.state("s"), StateName::Stopping);
    bench.pass(secs(20));
    assert_eq!(bench.deeds(), ["ctrl_c s", "close_window s", "kill s", "kill s", "kill s", "kill s"]);
    bench.leaves("s", 1);
    bench.empty("s");
    assert_eq!(bench.deeds(), ["spawn s"]);
    bench.made("s");
    assert_eq!((bench.state("s"), bench.status("s").restarts), (StateName::Running, 0));
}

#[test]
fn what_the_main_process_leaves_is_ended_before_the_restart() {
    let mut bench = Bench::up(service());
    bench.leaves("s", 3);
    assert_eq!(bench.state("s"), StateName::Stopping);
    assert_eq!(bench.reason("s"), "exit code 3; what it left behind is ended");
    assert_eq!(bench.deeds(), ["ctrl_c s"]);
    bench.pass(secs(13));
    assert_eq!(bench.deeds(), ["close_window s", "kill s"]);
    bench.empty("s");
    assert_eq!(bench.deeds(), ["spawn s"]);
    assert_eq!(bench.reason("s"), "restart: exit code 3");
}

#[test]
fn a_stop_that_meets_leftovers_takes_over() {
    let mut bench = Bench::up(service());
    bench.leaves("s", 3);
    bench.stop("s");
    assert_eq!(bench.reason("s"), "asked by root");
    bench.empty("s");
    assert_eq!(bench.state("s"), StateName::Stopped);
    assert_eq!(bench.deeds(), ["ctrl_c s"]);
}

#[test]
fn news_of_the_tree_may_come_without_news_of_the_main_process() {
    let mut bench = Bench::up(service());
    bench.stop("s");
    bench.empty("s");
    assert_eq!(bench.state("s"), StateName::Stopped);
    assert_eq!(bench.status("s").last_exit, Some(Exit::Unknown));
}

#[test]
fn stop_in_back_off() {
    let mut bench = Bench::up(service());
    bench.exits("s", 1);
    bench.made("s");
    bench.exits("s", 1);
    assert_eq!(bench.state("s"), StateName::Backoff);
    bench.look();
    bench.stop("s");
    assert_eq!((bench.state("s"), bench.reason("s").as_str()), (StateName::Stopped, "asked by root"));
    bench.pass(secs(120));
    assert!(bench.look().is_empty());
}

#[test]
fn a_stop_leaves_failed_and_completed_as_they_are() {
    let mut bench = Bench::up(ServicePlan {
        restart: crate::RestartPlan { policy: crate::RestartPolicy::Never, ..Default::default() },
        ..service()
    });
    bench.exits("s", 1);
    bench.stop("s");
    assert_eq!(bench.state("s"), StateName::Failed);
    bench.start("s");
    bench.made("s");
    bench.exits("s", 0);
    bench.stop("s");
    assert_eq!(bench.state("s"), StateName::Completed);
}

/// The steps that were told since it was asked last.
fn told(bench: &mut Bench) -> Vec<String> {
    let steps = bench.told().into_iter().filter_map(|kind| match kind {
        EventKind::StopStep { step } => Some(step),
        _ => None,
    });
    steps.collect()
}

fn command() -> StopAction {
    StopAction::Command(vec!["drain".into(), "--secret".into()])
}

fn http() -> StopAction {
    StopAction::Http(HttpCall {
        url: "http://127.0.0.1/quit?token=1".into(),
        method: "POST".into(),
        socket: None,
    })
}

#[test]
fn a_command_that_succeeds_is_given_its_time_and_one_that_fails_is_not() {
    let mut bench = Bench::up(steps(&[(command(), 5), (http(), 5), (StopAction::Signal(15), 5)], 20));
    let run = bench.run("s");
    bench.stop("s");
    assert_eq!(bench.look(), ["command drain s (0)"]);
    bench.feed(Input::StopStepDone { run, step: 0, error: None });
    assert_eq!(told(&mut bench).last().unwrap(), "command drain succeeded");
    // It was answered; what is said about it now is somebody else's.
    bench.feed(Input::StopStepDone { run, step: 0, error: Some("exit code 1".into()) });
    bench.pass(ms(4_999));
    assert_eq!(bench.look(), [""; 0]);
    bench.pass(ms(1));
    assert_eq!(told(&mut bench), ["POST http://127.0.0.1/quit, within 5 s"]);
    assert_eq!(bench.look(), ["POST http://127.0.0.1/quit s (1)"]);
    // Late: it is about the step before.
    bench.feed(Input::StopStepDone { run, step: 0, error: Some("exit code 1".into()) });
    assert_eq!(bench.look(), [""; 0]);
    bench.feed(Input::StopStepDone { run, step: 1, error: Some("503".into()) });
    let expected = ["POST http://127.0.0.1/quit failed: 503", "SIGTERM, then waits 5 s"];
    assert_eq!(told(&mut bench), expected);
    assert_eq!(bench.look(), ["SIGTERM s"]);
    // Twice, and of a step that is not answered, and of one that never was.
    for step in [1, 2, 3, u32::MAX] {
        bench.feed(Input::StopStepDone { run, step, error: Some("503".into()) });
        assert_eq!(bench.look(), [""; 0], "{step}");
    }
    bench.pass(secs(5));
    assert_eq!(bench.look(), ["kill s"]);
}

#[test]
fn a_command_without_an_answer_does_not_hold_up_the_stop_and_is_told_to_have_failed() {
    let mut bench = Bench::up(steps(&[(command(), 2), (http(), 600)], 7));
    let run = bench.run("s");
    bench.stop("s");
    bench.pass(secs(2));
    let expected = [
        "command drain, within 2 s",
        "command drain failed: did not end in 2 s",
        "POST http://127.0.0.1/quit, within 10 min",
    ];
    assert_eq!(told(&mut bench), expected);
    bench.look();
    // Late: it was told to have failed already.
    bench.feed(Input::StopStepDone { run, step: 0, error: None });
    bench.pass(secs(5));
    let expected = ["POST http://127.0.0.1/quit failed: did not end in 5 s", "kill of the whole tree"];
    assert_eq!(told(&mut bench), expected);
    assert_eq!(bench.look(), ["kill s"]);
    bench.feed(Input::StopStepDone { run, step: 1, error: Some("503".into()) });
    assert_eq!(told(&mut bench), [""; 0]);
}

#[test]
fn a_service_can_ask_for_time_to_end_in() {
    let mut bench = Bench::up(steps(&[(StopAction::Signal(15), 5)], 5));
    bench.stop("s");
    assert_eq!(bench.look(), ["SIGTERM s"]);
    bench.pass(secs(4));
    bench.says("s", "STATUS=Flushing\nEXTEND_TIMEOUT_USEC=30000000");
    assert_eq!(bench.reason("s"), "asked by root; it asked for 30 s to end in");
    assert_eq!(bench.status("s").says.as_deref(), Some("Flushing"));
    bench.pass(secs(20));
    bench.says("s", "EXTEND_TIMEOUT_USEC=1\nEXTEND_TIMEOUT_USEC=never\nREADY=1\nWATCHDOG=trigger");
    bench.take_over();
    bench.pass(ms(9_999));
    assert_eq!(bench.look(), [""; 0], "less time than it has shortens nothing");
    bench.pass(ms(1));
    assert_eq!(bench.look(), ["kill s"]);
    bench.says("s", "EXTEND_TIMEOUT_USEC=30000000");
    bench.pass(secs(1));
    assert_eq!(bench.look(), ["kill s"], "too late");
}

#[test]
fn one_that_asks_for_time_for_ever_is_killed_all_the_same() {
    let mut bench = Bench::up(steps(&[(StopAction::Signal(15), 5)], 5));
    bench.stop("s");
    bench.look();
    for _ in 0..3_599 {
        bench.says("s", "EXTEND_TIMEOUT_USEC=3000000");
        bench.pass(secs(1));
        assert_eq!(bench.look(), [""; 0]);
    }
    bench.says("s", "EXTEND_TIMEOUT_USEC=3000000");
    bench.pass(secs(1));
    assert_eq!(bench.look(), ["kill s"]);
}

#[test]
fn a_step_after_an_extension_has_its_time() {
    let mut bench = Bench::up(steps(&[(command(), 2), (StopAction::Signal(15), 5)], 7));
    bench.stop("s");
    bench.says("s", "EXTEND_TIMEOUT_USEC=20000000");
    bench.look();
    bench.pass(secs(2));
    assert_eq!(bench.look(), ["SIGTERM s"], "a command has no more time than it was given");
    bench.says("s", "EXTEND_TIMEOUT_USEC=20000000");
    bench.pass(ms(19_999));
    assert_eq!(bench.look(), [""; 0]);
    bench.pass(ms(1));
    assert_eq!(bench.look(), ["kill s"]);
}

#[test]
fn a_stop_that_an_earlier_version_began_goes_on() {
    let mut bench = Bench::up(steps(&[(command(), 2), (StopAction::Signal(15), 5)], 20));
    bench.stop("s");
    bench.look();
    let snapshots = bench.supervisor.snapshots();
    let older = snapshots.iter().map(|(key, text)| {
        let mut value: serde_json::Value = serde_json::from_str(text).unwrap();
        if let Some(stopping) = value.pointer_mut("/phase/stopping") {
            assert!(stopping.as_object_mut().unwrap().remove("asked").is_some());
        }
        (key.clone(), value.to_string())
    });
    let older = older.collect();
    bench.supervisor =
        crate::Supervisor::restore(bench.supervisor.plan().clone(), crate::testing::SEED, &older, bench.now);
    bench.pass(secs(2));
    assert_eq!(bench.look(), ["SIGTERM s"]);
}

#[test]
fn a_last_step_that_fails_is_followed_by_the_kill() {
    let mut bench = Bench::up(steps(&[(command(), 60)], 60));
    let run = bench.run("s");
    bench.stop("s");
    bench.look();
    bench.feed(Input::StopStepDone { run, step: 0, error: Some("not found".into()) });
    let told = format!("{:?}", bench.told());
    assert!(told.contains("command drain failed: not found") && !told.contains("--secret"), "{told}");
    assert_eq!(bench.look(), ["kill s"]);
}
