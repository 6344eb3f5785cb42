//! What a service manager asks of the stack as a whole.

use std::collections::BTreeMap;

use crate::Condition::Started;
use crate::testing::{Bench, name, needs, secs, service};
use crate::{
    Control, ControlAction, Effect, ExitAction, Frost, Hook, Hooks, Input, PowerChange, RefusalKind, Request,
    RestartPlan, RestartPolicy, Rotation, RotationCause, ServicePlan, SessionChange, StartMode, StateName,
    StopAction,
};

fn chain() -> Bench {
    let mut bench = Bench::new([("a", service()), ("b", needs([("a", Started)])), ("idle", manual())]);
    bench.ask(Request::Up);
    for service in ["a", "b"] {
        bench.made(service);
    }
    bench.look();
    bench
}

fn manual() -> ServicePlan {
    ServicePlan { start: StartMode::Manual, ..service() }
}

#[test]
fn dependents_are_paused_first_and_go_on_last() {
    let mut bench = chain();
    assert_eq!(bench.supervisor.frost(), Frost::Runs);
    bench.ask(Request::Control(Control::Pause));
    assert_eq!(bench.deeds(), ["freeze b", "freeze a"]);
    assert_eq!(bench.supervisor.frost(), Frost::Changes);
    bench.frozen("b");
    bench.frozen("a");
    assert_eq!(bench.supervisor.frost(), Frost::Frozen);
    bench.ask(Request::Control(Control::Pause));
    assert!(bench.deeds().is_empty(), "it is so already");
    bench.ask(Request::Control(Control::Continue));
    assert_eq!(bench.deeds(), ["thaw a", "thaw b"]);
    bench.thawed("a");
    bench.thawed("b");
    assert_eq!(bench.supervisor.frost(), Frost::Runs);
}

#[test]
fn a_code_means_what_each_service_says() {
    let with = |code, action| ServicePlan { controls: BTreeMap::from([(code, action)]), ..service() };
    let mut bench = Bench::new([
        ("a", with(128, ControlAction::Rotate)),
        ("b", with(128, ControlAction::Signal(StopAction::Signal(1)))),
        ("c", with(129, ControlAction::Rotate)),
    ]);
    bench.ask(Request::Up);
    bench.look();
    bench.ask(Request::Control(Control::Code(128)));
    assert_eq!(bench.deeds(), ["control 128 a", "control 128 b"]);
    let refusal = bench.supervisor.check(&Request::Control(Control::Code(200))).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::WrongState);
    assert!(refusal.to_string().contains("200"), "{refusal}");
    bench.ask(Request::Control(Control::Code(200)));
    assert!(bench.deeds().is_empty());
}

#[test]
fn nothing_is_paused_while_the_stack_goes_down() {
    let mut bench = chain();
    bench.ask(Request::Down);
    bench.look();
    assert!(bench.supervisor.check(&Request::Control(Control::Pause)).is_err());
    bench.ask(Request::Control(Control::Pause));
    assert!(bench.deeds().is_empty());
}

fn once(policy: RestartPolicy, on_exit: BTreeMap<i64, ExitAction>) -> ServicePlan {
    ServicePlan { restart: RestartPlan { policy, on_exit, ..RestartPlan::default() }, ..service() }
}

#[test]
fn a_stack_is_over_when_nothing_runs_and_nothing_will() {
    let fails = once(RestartPolicy::Always, BTreeMap::from([(78, ExitAction::Fail)]));
    let mut bench = Bench::new([("job", once(RestartPolicy::Never, BTreeMap::new())), ("web", fails)]);
    bench.ask(Request::Up);
    bench.made("job");
    bench.made("web");
    assert_eq!(bench.supervisor.over(), None);
    bench.exits("job", 0);
    assert_eq!(bench.supervisor.over(), None, "web runs");
    bench.exits("web", 78);
    assert_eq!(bench.state("web"), StateName::Failed);
    let over = bench.supervisor.over().unwrap();
    assert_eq!(over.failed.len(), 1);
    assert!(over.failed[0].starts_with("web: exit code 78"), "{over:?}");
    bench.ask(Request::Start(name("web")));
    assert_eq!(bench.supervisor.over(), None, "somebody starts it again");
}

#[test]
fn a_stack_that_somebody_may_want_something_of_is_not_over() {
    let mut bench = Bench::new([("a", service())]);
    bench.ask(Request::Up);
    bench.made("a");
    bench.ask(Request::Stop(name("a")));
    bench.exits("a", 0);
    assert_eq!(bench.state("a"), StateName::Stopped);
    assert_eq!(bench.supervisor.over(), None, "stopped by hand");

    let mut bench = Bench::new([("job", once(RestartPolicy::Never, BTreeMap::new())), ("idle", manual())]);
    bench.ask(Request::Up);
    bench.made("job");
    bench.exits("job", 0);
    assert_eq!(bench.supervisor.over(), None, "idle can be started by hand");
    bench.ask(Request::Down);
    assert_eq!(bench.supervisor.over(), None, "it goes down as asked");
}

#[test]
fn what_is_down_or_waits_is_not_paused() {
    let bench = Bench::new([("a", service()), ("b", manual())]);
    assert_eq!(bench.supervisor.frost(), Frost::Runs, "nothing runs, and nobody has paused it");
    let mut bench = chain();
    bench.ask(Request::Control(Control::Pause));
    bench.frozen("b");
    bench.frozen("a");
    bench.ask(Request::Continue(name("b")));
    bench.thawed("b");
    assert_eq!(bench.supervisor.frost(), Frost::Runs);
}

#[test]
fn what_happens_to_the_machine_is_told_to_the_hooks_of_those_that_run_and_nothing_else() {
    let hook = || Some(Hook { command: vec!["hook".into()], timeout: secs(1), required: true });
    let hooks = Hooks { on_power: hook(), on_session: hook(), ..Hooks::default() };
    let told = |start| ServicePlan { hooks: hooks.clone(), start, ..service() };
    let plan = [("a", told(StartMode::Auto)), ("b", service()), ("idle", told(StartMode::Manual))];
    let mut bench = Bench::new(plan);
    bench.ask(Request::Up);
    bench.made("b");
    bench.look();
    let asleep = Request::Control(Control::Power(PowerChange::Suspend));
    bench.ask(asleep.clone());
    assert_eq!(bench.deeds(), [""; 0], "its process is not there yet");
    bench.made("a");
    bench.look();
    bench.ask(asleep);
    bench.ask(Request::Control(Control::Session { id: 3, change: SessionChange::Logoff }));
    assert!(bench.told().is_empty(), "nobody has asked for it");
    assert_eq!(bench.deeds(), ["on_power a", "on_session a"]);
}

#[test]
fn a_closed_file_of_a_log_is_told_to_its_service_whether_it_runs_or_not() {
    let hook = Some(Hook { command: vec!["x".into()], timeout: secs(1), required: true });
    let hooks = Hooks { on_rotation: hook, ..Hooks::default() };
    let told = ServicePlan { hooks, ..service() };
    let mut bench = Bench::new([("a", told), ("b", service())]);
    let closed = |service: &str, last| {
        let rotation = Rotation { log: format!("{service}.err"), first: 3, last, why: RotationCause::Age };
        Input::Rotated { service: name(service), rotation }
    };
    bench.feed(closed("a", 3));
    assert_eq!(bench.deeds(), ["on_rotation a"], "also before anything has run");
    bench.ask(Request::Up);
    bench.made("a");
    bench.made("b");
    bench.look();
    for of in ["b", "nobody"] {
        bench.feed(closed(of, 4));
        assert!(bench.deeds().is_empty());
    }
    bench.supervisor.handle(bench.now, closed("a", 5));
    let effect = bench.supervisor.poll_effect();
    let Some(Effect::Hook { run, facts, .. }) = effect else { panic!("{effect:?}") };
    assert_eq!(run, bench.run("a"));
    assert_eq!(facts.reason, "a.err.log has reached its age");
    assert_eq!(facts.rotation.map(|rotation| (rotation.first, rotation.last)), Some((3, 5)));
    assert!(bench.told().is_empty());
}
