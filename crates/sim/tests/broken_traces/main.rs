//! Traces made wrong by hand: each rule must see what it is there for. Otherwise the checker could rot, and ten
//! thousand histories would go well whatever the core does.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use mainstay_core::{
    Condition, ConfigFile, Effect, Event, EventKind, Exit, ExitAction, FilesOutcome, Input, OnChange, Plan,
    ProbeKind, ProbePlan, ReloadStage, Request, StartLimit, StateName, StopAction,
};
use std::time::Duration;

mod script;

use StateName::{Backoff, Completed, Failed, Paused, Pausing, Ready, Running, Starting, Stopped, Stopping};
use script::{Script, kill, name, plan, probe, run, signal, spawn, state, tell};

/// A service that is up: run 1 of `a`.
fn up() -> Script {
    Script::new(plan(&["a"])).comes_up("a", 1)
}

/// The same, with another plan.
fn up_with(change: impl FnOnce(&mut mainstay_core::Plan)) -> Script {
    let mut plan = plan(&["a"]);
    change(&mut plan);
    Script::new(plan).comes_up("a", 1)
}

fn exited(run_id: u64, code: i64) -> Input {
    Input::Exited { run: run(run_id), exit: Exit::Code(code), tree_empty: true }
}

fn forget(run_id: u64) -> Effect {
    Effect::Forget { run: run(run_id) }
}

fn back_off(attempt: u32, millis: u64) -> Effect {
    tell("a", EventKind::BackOff { delay: Duration::from_millis(millis), attempt })
}

// ---- one instance

#[test]
fn a_good_life_breaks_no_rule() {
    up().at(500)
        .input(Input::Request { by: "x".into(), request: Request::Stop(name("a")) })
        .does(&[state("a", Running, Stopping), signal(1, StopAction::CtrlC)])
        .then_due(10_500)
        .at(600)
        .input(exited(1, 0))
        .does(&[forget(1), state("a", Stopping, Stopped)])
        .holds();
}

#[test]
fn a_second_instance_is_seen() {
    up().at(500).input(Input::Tick).does(&[spawn("a", 2)]).breaks("one instance");
}

#[test]
fn an_instance_beside_its_predecessors_leftovers_is_seen() {
    up().at(500)
        .input(Input::Exited { run: run(1), exit: Exit::Code(1), tree_empty: false })
        .does(&[state("a", Running, Stopping), kill(1), back_off(1, 0), spawn("a", 2)])
        .breaks("one instance");
}

#[test]
fn a_signal_for_a_run_that_is_over_is_seen() {
    let over = up().at(500).input(exited(1, 0)).does(&[forget(1), signal(1, StopAction::CtrlC)]);
    over.breaks("one instance");
}

#[test]
fn a_run_forgotten_too_early_or_never_is_seen() {
    up().at(500).input(Input::Tick).does(&[forget(1)]).breaks("one instance");
    up().at(500)
        .input(exited(1, 0))
        .does(&[state("a", Running, Backoff), back_off(1, 0)])
        .then_due(500)
        .breaks("one instance");
}

#[test]
fn a_run_number_used_again_is_seen() {
    up().at(500)
        .input(exited(1, 0))
        .does(&[forget(1), state("a", Running, Starting), spawn("a", 1)])
        .breaks("one instance");
}

// ---- nothing starts unwanted

#[test]
fn a_restart_after_a_stop_is_seen() {
    up().stops("a", 1)
        .at(2_000)
        .input(Input::Tick)
        .does(&[state("a", Stopped, Starting), spawn("a", 2)])
        .breaks("nothing starts unwanted");
}

#[test]
fn a_start_while_going_down_is_seen() {
    up().at(500)
        .request(Request::Down)
        .does(&[state("a", Running, Stopping), signal(1, StopAction::CtrlC)])
        .then_due(10_500)
        .at(600)
        .input(exited(1, 0))
        .does(&[forget(1), state("a", Stopping, Starting), spawn("a", 2)])
        .breaks("nothing starts unwanted");
}

#[test]
fn a_stack_that_is_down_too_early_twice_or_never_is_seen() {
    let going = || {
        up().at(500)
            .request(Request::Down)
            .does(&[state("a", Running, Stopping), signal(1, StopAction::CtrlC)])
    };
    let early = up().at(500).request(Request::Down);
    early.does(&[state("a", Running, Stopping), Effect::StackDown]).breaks("nothing starts unwanted");
    let gone = [forget(1), state("a", Stopping, Stopped)];
    going().then_due(10_500).at(600).input(exited(1, 0)).does(&gone).breaks("nothing starts unwanted");
    let down = [&gone[..], &[Effect::StackDown]].concat();
    let down = going().then_due(10_500).at(600).input(exited(1, 0)).does(&down);
    down.at(700).input(Input::Tick).does(&[Effect::StackDown]).breaks("nothing starts unwanted");
}

// ---- order of dependencies

#[test]
fn a_dependent_before_its_dependency_is_seen() {
    let mut both = plan(&["a", "b"]);
    both.services.get_mut("b").unwrap().depends_on.insert(name("a"), Condition::Started);
    Script::new(both)
        .at(0)
        .request(Request::Up)
        .does(&[state("a", Stopped, Starting), spawn("a", 1), state("b", Stopped, Starting), spawn("b", 2)])
        .breaks("order of dependencies");
}

#[test]
fn a_dependency_stopped_before_its_dependent_is_seen() {
    let mut both = plan(&["a", "b"]);
    both.services.get_mut("b").unwrap().depends_on.insert(name("a"), Condition::Started);
    Script::new(both)
        .at(0)
        .request(Request::Up)
        .does(&[state("a", Stopped, Starting), spawn("a", 1), state("b", Stopped, Starting)])
        .at(10)
        .input(Input::Spawned { run: run(1), pid: 1 })
        .does(&[state("a", Starting, Running), spawn("b", 2)])
        .at(20)
        .input(Input::Spawned { run: run(2), pid: 2 })
        .does(&[state("b", Starting, Running)])
        .at(30)
        .request(Request::Stop(name("a")))
        .does(&[state("a", Running, Stopping), signal(1, StopAction::CtrlC)])
        .breaks("order of dependencies");
}

// ---- a stop ends

#[test]
fn a_kill_before_its_time_is_seen() {
    up().at(500)
        .request(Request::Stop(name("a")))
        .does(&[state("a", Running, Stopping), signal(1, StopAction::CtrlC)])
        .then_due(5_000)
        .at(5_000)
        .input(Input::Tick)
        .does(&[kill(1)])
        .breaks("a stop ends");
}

#[test]
fn steps_out_of_order_are_seen() {
    up().at(500)
        .request(Request::Stop(name("a")))
        .does(&[state("a", Running, Stopping), signal(1, StopAction::CloseWindow)])
        .breaks("a stop ends");
}

#[test]
fn a_stop_that_nobody_ends_is_seen() {
    let stopping = [state("a", Running, Stopping), signal(1, StopAction::CtrlC)];
    up().at(500).request(Request::Stop(name("a"))).does(&stopping).breaks("a stop ends");
    let late = up().at(500).request(Request::Stop(name("a"))).does(&stopping);
    late.then_due(15_501).breaks("a stop ends");
    let unasked = up().at(500).request(Request::Stop(name("a"))).does(&stopping[..1]);
    unasked.then_due(600).breaks("a stop ends");
}

#[test]
fn a_frozen_tree_asked_to_end_without_a_thaw_is_seen() {
    paused()
        .at(900)
        .request(Request::Stop(name("a")))
        .does(&[state("a", Paused, Stopping), signal(1, StopAction::CtrlC)])
        .then_due(10_900)
        .breaks("a stop ends");
}

// ---- back-off within its bounds

/// A service that has ended `times` times at once, each time a second after it came up, and waits.
fn crashed(times: u32, wait: u64) -> Script {
    let mut script = up();
    for attempt in 1..times {
        script = script.crashes(attempt, if attempt == 1 { 0 } else { 500 << (attempt - 2) });
    }
    script.crashes_and_waits(times, wait)
}

#[test]
fn waits_within_their_bounds_break_no_rule() {
    crashed(2, 450).holds();
    crashed(2, 550).holds();
}

#[test]
fn a_wait_too_short_or_too_long_is_seen() {
    crashed(1, 1).breaks("back-off within its bounds");
    crashed(2, 449).breaks("back-off within its bounds");
    crashed(2, 551).breaks("back-off within its bounds");
    crashed(3, 500).breaks("back-off within its bounds");
}

#[test]
fn a_wrong_count_is_seen() {
    up().at(1_000)
        .input(exited(1, 1))
        .does(&[forget(1), back_off(2, 500), state("a", Running, Backoff)])
        .then_due(1_500)
        .breaks("back-off within its bounds");
}

#[test]
fn a_start_before_the_end_of_its_wait_is_seen() {
    let waiting = crashed(2, 500);
    let now = waiting.now_ms();
    let early = waiting.at(now + 499).input(Input::Tick);
    early.does(&[state("a", Backoff, Starting), spawn("a", 3)]).breaks("back-off within its bounds");
}

#[test]
fn a_wait_for_ever_is_seen() {
    crashed(2, 500).no_deadline().breaks("back-off within its bounds");
}

#[test]
fn restarts_beyond_the_limit_are_seen() {
    let limit = Some(StartLimit { starts: 1, window: Duration::from_secs(60) });
    let limited = up_with(|plan| plan.services.get_mut("a").unwrap().restart.limit = limit);
    let rule = limited.crashes(1, 0).crashes_and_waits(2, 500).broken();
    assert!(["back-off within its bounds", "as documented"].contains(&rule.as_str()), "{rule}");
}

#[test]
fn a_crash_loop_told_too_early_is_seen() {
    up().at(500)
        .input(Input::Tick)
        .does(&[tell("a", EventKind::CrashLoop { attempt: 2 })])
        .breaks("back-off within its bounds");
}

// ---- probes in turn

fn probed() -> Script {
    up_with(|plan| {
        let service = plan.services.get_mut("a").unwrap();
        service.ready = Some(script::http_probe());
    })
}

#[test]
fn a_question_too_early_or_beside_another_is_seen() {
    probed().at(50).input(Input::Tick).does(&[probe(1, ProbeKind::Ready, 1)]).breaks("probes in turn");
    let asked = || probed().at(110).input(Input::Tick).does(&[probe(1, ProbeKind::Ready, 1)]);
    asked().holds();
    asked().at(500).input(Input::Tick).does(&[probe(1, ProbeKind::Ready, 2)]).breaks("probes in turn");
    let patient = up_with(|plan| {
        let probe = ProbePlan { timeout: Duration::from_secs(10), ..script::http_probe() };
        plan.services.get_mut("a").unwrap().ready = Some(probe);
    });
    let asked_patiently = patient.at(110).input(Input::Tick).does(&[probe(1, ProbeKind::Ready, 1)]);
    asked_patiently
        .at(5_000)
        .input(Input::Tick)
        .does(&[probe(1, ProbeKind::Ready, 2)])
        .breaks("probes in turn");
    asked().at(120).input(Input::Tick).does(&[probe(1, ProbeKind::Live, 2)]).breaks("probes in turn");
}

#[test]
fn a_question_before_the_startup_probe_has_succeeded_is_seen() {
    let mut held = plan(&["a"]);
    let service = held.services.get_mut("a").unwrap();
    (service.startup, service.live) = (Some(script::http_probe()), Some(script::http_probe()));
    Script::new(held)
        .at(0)
        .request(Request::Up)
        .does(&[state("a", Stopped, Starting), spawn("a", 1)])
        .at(10)
        .input(Input::Spawned { run: run(1), pid: 1 })
        .at(500)
        .input(Input::Tick)
        .does(&[probe(1, ProbeKind::Live, 1)])
        .breaks("probes in turn");
}

fn paused() -> Script {
    probed()
        .at(500)
        .request(Request::Pause(name("a")))
        .does(&[state("a", Running, Pausing), Effect::Freeze { run: run(1) }])
        .then_due(10_500)
        .at(600)
        .input(Input::Frozen { run: run(1) })
        .does(&[state("a", Pausing, Paused)])
}

#[test]
fn a_question_to_a_frozen_service_is_seen() {
    paused().at(700).input(Input::Tick).does(&[probe(1, ProbeKind::Ready, 1)]).breaks("probes in turn");
}

// ---- time goes on

#[test]
fn a_stuck_deadline_is_seen() {
    up().at(500).input(Input::Tick).then_due(500).breaks("time goes on");
}

#[test]
fn time_running_backwards_is_seen() {
    up().at(5).input(Input::Tick).breaks("time goes on");
}

#[test]
fn a_storm_is_seen() {
    let talk = tell("a", EventKind::StopStep { step: "again".into() });
    up().at(500).input(Input::Tick).does(&vec![talk; 100]).breaks("time goes on");
}

#[test]
fn an_input_too_late_that_has_effects_is_seen() {
    let again = Input::Spawned { run: run(1), pid: 1 };
    up().at(500).input(again).does(&[tell("a", EventKind::Spawned { pid: 1 })]).breaks("time goes on");
}

// ---- states are as told

#[test]
fn a_change_from_a_state_that_was_not_is_seen() {
    up().at(500).input(Input::Tick).does(&[state("a", Ready, Stopping)]).breaks("states are as told");
}

#[test]
fn an_impossible_change_is_seen() {
    up().at(500).input(Input::Tick).does(&[state("a", Running, Paused)]).breaks("states are as told");
}

#[test]
fn a_status_that_shows_something_else_is_seen() {
    let mut status = script::status("a", Running);
    (status.run, status.pid, status.started) = (Some(run(1)), Some(1), Some(script::moment(10)));
    up().at(500).input(Input::Tick).shows(status.clone()).holds();
    let shows = |change: &dyn Fn(&mut mainstay_core::ServiceStatus)| {
        let mut wrong = status.clone();
        change(&mut wrong);
        up().at(500).input(Input::Tick).shows(wrong).breaks("states are as told");
    };
    shows(&|status| status.state = Stopping);
    shows(&|status| status.run = Some(run(7)));
    shows(&|status| status.pid = None);
    shows(&|status| status.started = Some(script::moment(11)));
    shows(&|status| status.since = script::moment(501));
    shows(&|status| status.next_start = Some(script::moment(600)));
}

// ---- a few at a time

/// The plan of `a`, `b` and `c`, of which these have other commands and these other files.
fn changed(commands: &[&str], files: &[&str]) -> Plan {
    let mut all = plan(&["a", "b", "c"]);
    for changed in commands {
        all.services.get_mut(*changed).unwrap().launch.command = vec!["another".to_owned()];
    }
    for changed in files {
        let config = &mut all.services.get_mut(*changed).unwrap().config;
        config.on_change = OnChange::Signal(StopAction::CtrlC);
        config.files.insert("/etc/app.json".to_owned(), ConfigFile::default());
    }
    all
}

fn reload(stage: ReloadStage) -> Effect {
    let kind = EventKind::Reload { revision: 2, stage, detail: "a test".into() };
    Effect::Tell(Event { service: None, run: None, kind })
}

/// Three that are up, and another configuration with which `does` is done.
fn reloading(goal: Plan, now: Plan, does: &[Effect]) -> Script {
    let mut starts = Vec::new();
    for (service, id) in [("a", 1), ("b", 2), ("c", 3)] {
        starts.extend([state(service, Stopped, Starting), spawn(service, id)]);
    }
    let mut up = Script::changing(plan(&["a", "b", "c"])).at(0).request(Request::Up).does(&starts);
    for (service, id) in [("a", 1), ("b", 2), ("c", 3)] {
        let there = up.at(10 * id).input(Input::Spawned { run: run(id), pid: 1 });
        up = there.does(&[state(service, Starting, Running)]);
    }
    let input = Input::Apply { by: "x".into(), revision: 2, plan: Box::new(goal) };
    up.at(500).input(input).does(&[&[reload(ReloadStage::Begun)], does].concat()).plans(now)
}

fn restarts(service: &str, id: u64) -> [Effect; 2] {
    [state(service, Running, Stopping), signal(id, StopAction::CtrlC)]
}

fn configures(service: &str, id: u64) -> Effect {
    Effect::Configure { service: name(service), run: run(id), tell: Some(run(1)) }
}

#[test]
fn more_at_a_time_than_asked_for_is_seen() {
    let goal = || changed(&["a", "b"], &[]);
    let both = [restarts("a", 1), restarts("b", 2)].concat();
    reloading(goal(), goal(), &both).breaks("a few at a time");
    // The second one, before the first one is up.
    let first = || reloading(goal(), changed(&["a"], &[]), &restarts("a", 1)).then_due(10_500);
    first().at(600).input(Input::Tick).does(&restarts("b", 2)).plans(goal()).breaks("a few at a time");
    // On the way back too.
    let back = [&[reload(ReloadStage::Failed)][..], &both].concat();
    let there = reloading(goal(), goal(), &[]).at(600).input(Input::Tick);
    there.does(&back).plans(changed(&[], &[])).breaks("a few at a time");
}

#[test]
fn files_of_more_at_a_time_than_asked_for_are_seen() {
    let goal = || changed(&[], &["a", "b"]);
    let both = [configures("a", 4), configures("b", 5)];
    reloading(goal(), goal(), &both).breaks("a few at a time");
    // It was told, but did not have the time to show that it is healthy with that.
    let first = || reloading(goal(), changed(&[], &["a"]), &[configures("a", 4)]);
    let told = Input::Configured { run: run(4), outcome: FilesOutcome::Done("told".into()) };
    let second = first().at(600).input(told.clone());
    second.does(&[configures("b", 5)]).plans(goal()).breaks("a few at a time");
    let settled = first().at(600).input(told).at(600 + 60_000).input(Input::Tick);
    settled.does(&[configures("b", 5)]).plans(goal()).holds();
}

// ---- a new daemon goes on

#[test]
fn a_new_daemon_that_acts_or_forgets_is_seen() {
    let again = tell("a", EventKind::Spawned { pid: 1 });
    up().at(500).restored().does(&[again]).breaks("a new daemon goes on");
    let mut status = script::status("a", Running);
    (status.run, status.pid, status.started) = (Some(run(1)), Some(1), Some(script::moment(10)));
    let known = || up().at(500).input(Input::Tick).shows(status.clone());
    known().at(600).restored().shows(status.clone()).holds();
    let mut forgets = status.clone();
    forgets.restarts = 3;
    known().at(600).restored().shows(forgets).breaks("a new daemon goes on");
}

// ---- as documented

#[test]
fn an_exit_with_an_action_that_does_not_follow_is_seen() {
    let action = |plan: &mut mainstay_core::Plan| {
        plan.services.get_mut("a").unwrap().restart.on_exit.insert(78, ExitAction::Fail);
    };
    let ends = || up_with(action).at(500).input(exited(1, 78));
    ends().does(&[forget(1), state("a", Running, Failed)]).holds();
    ends().does(&[forget(1), state("a", Running, Completed)]).breaks("as documented");
    ends()
        .does(&[forget(1), back_off(1, 0), state("a", Running, Backoff)])
        .then_due(500)
        .breaks("as documented");
}

#[test]
fn a_service_that_is_ready_without_a_reason_is_seen() {
    probed().at(500).input(Input::Tick).does(&[state("a", Running, Ready)]).breaks("as documented");
}

#[test]
fn a_process_ended_for_no_reason_is_seen() {
    up().at(500)
        .input(Input::Tick)
        .does(&[state("a", Running, Stopping), signal(1, StopAction::CtrlC)])
        .then_due(10_500)
        .breaks("as documented");
}

#[test]
fn a_service_that_has_all_it_needs_but_does_not_start_is_seen() {
    let plan = plan(&["a"]);
    Script::new(plan)
        .at(0)
        .request(Request::Up)
        .does(&[state("a", Stopped, Starting)])
        .breaks("as documented");
}
