use std::fmt::Write;

use mainstay_api::types::{Action, Process, Service, ServiceUsage, Stack, StackUsage, Usage};
use mainstay_core::{ServiceName, StateName};
use ratatui_core::backend::TestBackend;
use ratatui_core::style::Color;
use ratatui_core::terminal::Terminal;

use crate::{Command, Key, Look, Message, Model, draw};

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

fn service(text: &str, state: StateName, restarts: u32, uptime_ms: Option<u64>) -> Service {
    Service {
        name: name(text),
        description: None,
        state,
        reason: String::new(),
        since_ms: 1_000,
        run: Some(1),
        pid: uptime_ms.map(|_| 77),
        uptime_ms,
        restarts,
        crash_loop: false,
        next_start_ms: None,
        last_exit: None,
        last_exit_text: None,
        waiting_for: Vec::new(),
        says: None,
        probes: Vec::new(),
        log_dropped_bytes: 0,
        not_enforced: Vec::new(),
        leaks: Vec::new(),
        limit_hits: Default::default(),
        when_mainstay_stops: Default::default(),
        left: false,
    }
}

fn stack(services: Vec<Service>) -> Message {
    Message::Stack(Box::new(Stack {
        name: "shop".to_owned(),
        config: None,
        keeper: Process { pid: 1, version: "1".to_owned(), uptime_ms: 277_000_000 },
        daemon: Process::default(),
        daemons_before: 0,
        daemon_reason: String::new(),
        containment: "cgroup".to_owned(),
        going_down: false,
        configuration: Default::default(),
        resting: Default::default(),
        revision: 1,
        services,
    }))
}

fn shop() -> Message {
    stack(vec![
        service("api", StateName::Ready, 0, Some(7_500_000)),
        service("db", StateName::Running, 2, Some(273_600_000)),
        service("mailer-of-the-whole-shop-and-more", StateName::Backoff, 17, None),
        service("migrate", StateName::Completed, 0, None),
        service("worker", StateName::Failed, 4, None),
    ])
}

fn usage(cpus: &[(&str, f64, u64)]) -> Message {
    let used = |&(text, cpu, memory): &(&str, f64, u64)| ServiceUsage {
        name: name(text),
        usage: Some(Usage {
            cpu_seconds: 1.0,
            cpu: Some(cpu),
            memory_bytes: memory,
            private_bytes: memory,
            processes: 1,
            threads: 1,
            handles: None,
            read_bytes: None,
            written_bytes: None,
        }),
    };
    let services = cpus.iter().map(used).collect();
    Message::Usage(Box::new(StackUsage { age_ms: 0, keeper: None, daemon: None, services }))
}

fn model() -> Model {
    let mut model = Model::new(Look::default());
    model.update(shop());
    for step in 0..20 {
        let cpu = f64::from(step % 8) / 20.0;
        model.update(usage(&[("api", cpu, 123_456_789), ("db", 1.5, 4_321_000_000)]));
    }
    model
}

fn terminal(model: &mut Model, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    model.resize(height);
    terminal.draw(|frame| draw(model, frame.buffer_mut())).unwrap();
    terminal
}

fn picture(model: &mut Model, width: u16, height: u16) -> String {
    terminal(model, width, height).backend().to_string()
}

fn keys(model: &mut Model, keys: &str) -> Option<Command> {
    keys.chars().fold(None, |_, letter| model.update(Message::Key(Key::Char(letter))))
}

#[test]
fn services_at_several_sizes() {
    let mut model = model();
    let mut all = String::new();
    for (width, height) in [(80, 24), (120, 12), (60, 15), (40, 8), (10, 3)] {
        let _ = writeln!(all, "{width} x {height}\n{}", picture(&mut model, width, height));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn it_is_usable_before_anything_is_known() {
    let mut model = Model::new(Look::default());
    assert!(picture(&mut model, 80, 24).contains("asking the daemon"));
    for key in ['s', 'x', 'l', 'e', 'p', 'j', 'o', '/'] {
        assert_eq!(keys(&mut model, &key.to_string()), None, "{key}");
    }
}

#[test]
fn keys_do_what_they_say() {
    let mut model = model();
    let act = |text: &str, action| Some(Command::Act(name(text), action));
    assert_eq!(keys(&mut model, "r"), act("api", Action::Restart));
    assert_eq!(keys(&mut model, "jx"), act("db", Action::Stop));
    assert_eq!(keys(&mut model, "p"), act("db", Action::Pause));
    assert_eq!(keys(&mut model, "jjjjjjs"), act("worker", Action::Start));
    assert!(picture(&mut model, 80, 24).contains("worker: asked to start"));
    assert_eq!(keys(&mut model, "q"), Some(Command::Quit));
    assert_eq!(model.update(Message::Key(Key::Interrupt)), Some(Command::Quit));
    model.update(stack(vec![service("api", StateName::Paused, 0, Some(1))]));
    assert_eq!(keys(&mut model, "p"), act("api", Action::Continue), "the selected one is gone");
    model.update(stack(Vec::new()));
    assert_eq!(keys(&mut model, "x"), None);
}

#[test]
fn who_has_ended_uses_nothing() {
    let mut model = model();
    assert!(picture(&mut model, 80, 24).contains("15.0%"));
    // What was seen while it ran is there until the next look.
    model.update(stack(vec![service("api", StateName::Stopped, 0, None)]));
    assert!(!picture(&mut model, 80, 24).contains('%'));
}

#[test]
fn orders_and_filters() {
    let mut model = model();
    let first = |model: &Model| model.rows().next().map(|service| service.name.to_string()).unwrap();
    let mut seen = Vec::new();
    for _ in 0..6 {
        keys(&mut model, "o");
        seen.push(first(&model));
    }
    assert_eq!(seen, ["worker", "db", "db", "mailer-of-the-whole-shop-and-more", "api", "api"]);
    keys(&mut model, "O");
    assert_eq!(first(&model), "worker");
    // Letters go into the filter, and are no keys there.
    assert_eq!(keys(&mut model, "/qx"), None);
    assert!(picture(&mut model, 80, 24).contains("filter: qx_"));
    assert_eq!(model.rows().count(), 0);
    model.update(Message::Key(Key::Escape));
    keys(&mut model, "/BACK");
    model.update(Message::Key(Key::Enter));
    assert_eq!(first(&model), "mailer-of-the-whole-shop-and-more", "a state is found, too");
    assert_eq!(
        keys(&mut model, "x"),
        Some(Command::Act(name("mailer-of-the-whole-shop-and-more"), Action::Stop))
    );
}

#[test]
fn a_log_is_followed_and_searched() {
    let mut model = model();
    assert_eq!(keys(&mut model, "l"), Some(Command::Follow(name("api"))));
    let lines = |from: u32, to: u32| (from..to).map(|n| format!("line {n}\u{1b}[2J")).collect::<Vec<_>>();
    model.update(Message::Lines("api".to_owned(), lines(0, 100)));
    model.update(Message::Lines("db".to_owned(), vec!["of another".to_owned()]));
    assert!(picture(&mut model, 80, 10).contains("line 99?[2J"), "{}", picture(&mut model, 80, 10));
    keys(&mut model, "/LINE 42");
    model.update(Message::Key(Key::Enter));
    insta::assert_snapshot!(picture(&mut model, 60, 8));
    model.update(Message::Lines("api".to_owned(), lines(100, 9_000)));
    assert!(picture(&mut model, 80, 10).contains("standing still, 5000 lines"));
    model.update(Message::Key(Key::End));
    assert!(picture(&mut model, 80, 10).contains("line 8999"));
    assert_eq!(keys(&mut model, "q"), Some(Command::Unfollow));
}

#[test]
fn an_explanation_scrolls() {
    let mut model = model();
    assert_eq!(keys(&mut model, "e"), Some(Command::Explain(name("api"))));
    model.update(Message::Explained((0..50).map(|n| format!("because {n}")).collect()));
    assert!(picture(&mut model, 80, 10).contains("because 0"));
    model.update(Message::Key(Key::End));
    assert!(picture(&mut model, 80, 10).contains("because 49"));
    model.update(Message::Key(Key::Escape));
    assert!(picture(&mut model, 80, 10).contains("NAME"));
}

#[test]
fn colours_only_if_wanted_and_never_alone() {
    for colour in [true, false] {
        let mut model = Model::new(Look { colour, ascii: true });
        model.update(shop());
        let terminal = terminal(&mut model, 80, 24);
        let has = terminal.backend().buffer().content.iter().any(|cell| cell.fg == Color::Red);
        assert_eq!(has, colour);
        assert!(terminal.backend().to_string().contains("failed!"), "the word says it");
        assert!(terminal.backend().to_string().is_ascii() || !colour);
    }
}

#[test]
fn a_thousand_services_scroll_and_the_selected_one_stays_in_sight() {
    let mut model = Model::new(Look::default());
    let many = |running: bool| {
        let state = if running { StateName::Running } else { StateName::Stopped };
        stack((0..1000).map(|n| service(&format!("s{n:04}"), state, 0, Some(1))).collect())
    };
    model.update(many(true));
    model.resize(24);
    model.update(Message::Key(Key::End));
    assert!(picture(&mut model, 80, 24).contains("s0999"));
    for _ in 0..10 {
        model.update(Message::Key(Key::PageUp));
    }
    model.update(many(false));
    let selected = model.selected.clone().unwrap();
    assert!(picture(&mut model, 80, 24).contains(selected.as_str()), "{selected}");
    assert_eq!(picture(&mut model, 80, 24).matches("stopped").count(), 21);
}

/// What is written to a terminal is what changed: the backend is given few cells when the clock goes on.
#[test]
fn only_what_changed_is_written() {
    let mut model = model();
    let before = terminal(&mut model, 80, 24).backend().buffer().clone();
    model.update(Message::Clock(60_000));
    let after = terminal(&mut model, 80, 24).backend().buffer().clone();
    let changed = before.diff(&after).len();
    assert!((1..20).contains(&changed), "{changed} cells");
    model.update(Message::Clock(60_001));
    let again = terminal(&mut model, 80, 24).backend().buffer().clone();
    assert_eq!(after.diff(&again).len(), 0);
}
