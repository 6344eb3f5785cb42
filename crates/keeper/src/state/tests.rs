//! The keeper's knowledge against a daemon that dies at any moment and restores itself from what it was handed.

use std::collections::{BTreeMap, VecDeque};

use mainstay_core::{Exit, RunId, Time};
use mainstay_link::{Event, LogPos, Welcome};
use proptest::prelude::*;

use super::{Begin, State};

const LOG: LogPos = LogPos { segment: 1, offset: 10 };

fn events(state: &mut State) -> Vec<Event> {
    state.take_unsent().into_iter().map(|(_, event)| event).collect()
}

fn started(state: &mut State, run: u64) {
    assert_eq!(state.begin(run, "web"), Begin::New);
    state.made(run, 100, Time::ZERO);
    state.announce(run, LOG);
}

#[test]
fn everything_about_a_run_waits_for_where_its_output_starts() {
    let mut state = State::default();
    assert_eq!(state.begin(1, "web"), Begin::New);
    state.made(1, 100, Time::from_nanos(5));
    state.exited(1, Exit::Code(3), true);
    state.drained(1, LOG);
    assert!(!state.has_unsent());
    state.announce(1, LOG);
    assert_eq!(
        events(&mut state),
        [
            Event::Spawned { run: RunId(1), pid: 100, log_start: LOG },
            Event::Exited { run: RunId(1), exit: Exit::Code(3), tree_empty: true },
            Event::Drained { run: RunId(1), log_end: LOG },
        ]
    );
}

#[test]
fn a_run_is_made_once() {
    let mut state = State::default();
    started(&mut state, 5);
    let spawned = Event::Spawned { run: RunId(5), pid: 100, log_start: LOG };
    // The answer is still on its way: not doubled.
    assert_eq!(state.begin(5, "web"), Begin::Known);
    assert_eq!(events(&mut state), std::slice::from_ref(&spawned));
    state.apply(1, Vec::new()).unwrap();
    // It was acknowledged: asked again, answered again.
    assert_eq!(state.begin(5, "web"), Begin::Known);
    assert_eq!(events(&mut state), [spawned]);
    for used in [5, 4] {
        state.forget(used);
    }
    state.exited(5, Exit::Code(0), true);
    state.drained(5, LOG);
    for used in [5, 4, 0] {
        assert!(matches!(state.begin(used, "web"), Begin::Refused(_)));
    }
    assert!(matches!(state.begin(u64::MAX, "web"), Begin::Refused(_)));
    assert_eq!(events(&mut state).len(), 4);
    assert_eq!(state.begin(6, "web"), Begin::New);
}

#[test]
fn a_forgotten_run_is_silent_and_goes_when_it_is_over() {
    let mut state = State::default();
    started(&mut state, 1);
    events(&mut state);
    state.forget(1);
    state.exited(1, Exit::Signal(9), false);
    state.tree_empty(1);
    state.notified(1, "STATUS=late".into());
    assert!(state.knows(1), "its output is still being read");
    assert!(state.welcome(Welcome::default()).runs.is_empty());
    state.drained(1, LOG);
    assert!(!state.knows(1));
    events(&mut state);
    assert!(!state.has_unsent());
}

#[test]
fn notifications_of_a_chatterer_are_bounded() {
    let mut state = State::default();
    started(&mut state, 1);
    for n in 0..10_000 {
        state.notified(1, format!("STATUS={n}\nX{n}=1"));
    }
    assert_eq!(events(&mut state).len(), 1 + 8);
    assert!(state.notices_dropped(1) > 9000);
    state.apply(9, Vec::new()).unwrap();
    let last = events(&mut state);
    let [Event::Notify { text, .. }] = &last[..] else { panic!("one merged notification, not {last:?}") };
    assert!(text.contains("STATUS=9999\n"));
}

#[test]
fn a_daemon_that_acknowledges_the_future_or_keeps_too_much_is_broken() {
    let mut state = State::default();
    started(&mut state, 1);
    assert!(state.apply(1, Vec::new()).is_err(), "nothing was sent yet");
    events(&mut state);
    state.apply(1, Vec::new()).unwrap();
    let big = || Some("x".repeat(20 << 20));
    state.apply(1, vec![("a".into(), big())]).unwrap();
    state.apply(1, vec![("a".into(), big())]).unwrap();
    assert!(state.apply(1, vec![("b".into(), big())]).is_err());
    state.apply(1, vec![("a".into(), None)]).unwrap();
}

#[test]
fn output_that_was_closed_early_is_told_after_the_exit() {
    let mut state = State::default();
    started(&mut state, 1);
    state.drained(1, LOG);
    assert_eq!(events(&mut state).len(), 1, "only that it was made");
    state.exited(1, Exit::Code(0), true);
    state.drained(1, LogPos::default());
    let told = [
        Event::Exited { run: RunId(1), exit: Exit::Code(0), tree_empty: true },
        Event::Drained { run: RunId(1), log_end: LOG },
    ];
    assert_eq!(events(&mut state), told);
}

#[test]
fn going_down_is_told_once() {
    let mut state = State::default();
    state.want_down("SIGTERM", super::Left::GoesOn);
    state.want_down("the terminal of `mainstay up` is gone", super::Left::GoesOn);
    assert_eq!(events(&mut state), [Event::DownWanted { by: "SIGTERM".into(), all: false }]);
    state.rests();
    state.want_down("SIGTERM", super::Left::IsStopped);
    assert_eq!(events(&mut state), [Event::DownWanted { by: "SIGTERM".into(), all: true }]);
}

/// What happens on the machine, in an order that is possible.
#[derive(Clone, Debug)]
enum Step {
    Spawn,
    /// The capture thread answers for the oldest run that waits for it.
    Attach,
    /// One of the runs moves on: exit, then tree empty, then drained.
    Move(usize),
    Deliver(usize),
    Commit,
    Die,
}

/// A daemon as the real one works: what it knows is what it has kept, and what it has handled since.
#[derive(Clone, Debug, Default, PartialEq)]
struct Daemon {
    /// For each run the events seen, in order.
    seen: BTreeMap<u64, Vec<Event>>,
    handled: u64,
}

fn run_of(event: &Event) -> u64 {
    match event {
        Event::Spawned { run, .. }
        | Event::Exited { run, .. }
        | Event::TreeEmpty { run }
        | Event::Drained { run, .. } => run.0,
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn no_daemons_death_loses_or_doubles_anything(
        steps in prop::collection::vec(prop_oneof![
            2 => Just(Step::Spawn),
            2 => Just(Step::Attach),
            5 => (0_usize..100).prop_map(Step::Move),
            4 => (1_usize..10).prop_map(Step::Deliver),
            3 => Just(Step::Commit),
            1 => Just(Step::Die),
        ], 0..150),
    ) {
        let mut state = State::default();
        let mut truth: BTreeMap<u64, Vec<Event>> = BTreeMap::new();
        let mut unattached: VecDeque<u64> = VecDeque::new();
        let (mut alive, mut committed) = (Daemon::default(), Daemon::default());
        let mut inbox: VecDeque<(u64, Event)> = VecDeque::new();
        let end = std::iter::repeat_n(Step::Attach, 200).chain([Step::Die, Step::Deliver(usize::MAX), Step::Commit]);
        for step in steps.into_iter().chain(end) {
            match step {
                Step::Spawn => {
                    let run = truth.len() as u64 + 1;
                    prop_assert_eq!(state.begin(run, "c"), Begin::New);
                    state.made(run, run as u32, Time::ZERO);
                    truth.insert(run, vec![Event::Spawned { run: RunId(run), pid: run as u32, log_start: LOG }]);
                    unattached.push_back(run);
                }
                Step::Attach => {
                    if let Some(run) = unattached.pop_front() {
                        state.announce(run, LOG);
                    }
                }
                Step::Move(which) => {
                    let Some((&run, happened)) = truth.iter_mut().nth(which) else { continue };
                    let event = match happened.len() {
                        1 => Event::Exited { run: RunId(run), exit: Exit::Code(1), tree_empty: false },
                        2 => Event::TreeEmpty { run: RunId(run) },
                        3 => Event::Drained { run: RunId(run), log_end: LOG },
                        _ => continue,
                    };
                    match &event {
                        Event::Exited { exit, .. } => state.exited(run, *exit, false),
                        Event::TreeEmpty { .. } => state.tree_empty(run),
                        _ => state.drained(run, LOG),
                    }
                    happened.push(event);
                }
                Step::Deliver(most) => {
                    while state.has_unsent() {
                        inbox.extend(state.take_unsent());
                    }
                    for _ in 0..most {
                        let Some((number, event)) = inbox.pop_front() else { break };
                        prop_assert_eq!(number, alive.handled + 1);
                        alive.handled = number;
                        alive.seen.entry(run_of(&event)).or_default().push(event);
                    }
                }
                Step::Commit => {
                    let snapshot = format!("{alive:?}");
                    state.apply(alive.handled, vec![("daemon".into(), Some(snapshot))]).unwrap();
                    committed = alive.clone();
                }
                Step::Die => {
                    let welcome = state.welcome(Welcome::default());
                    let kept = welcome.state.get("daemon").cloned();
                    prop_assert_eq!(kept.unwrap_or_else(|| format!("{:?}", Daemon::default())), format!("{committed:?}"));
                    prop_assert_eq!(welcome.last_run, truth.len() as u64);
                    prop_assert_eq!(welcome.runs.len(), truth.len());
                    alive = committed.clone();
                    inbox.clear();
                }
            }
        }
        prop_assert_eq!(alive.seen, truth, "the daemon knows exactly what happened, in order");
    }
}
