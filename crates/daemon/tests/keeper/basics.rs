//! What is in a transaction.

use mainstay_api::types::EventBody;
use mainstay_core::{Exit, RunId, StateName};
use mainstay_link::{Command, Event, Log};

use crate::fake::{Keeper, plan};

pub fn the_first_transaction_has_everything() {
    let mut keeper = Keeper::started(plan(&["db", "api:db"]));
    let frame = keeper.frame();
    assert_eq!(frame.ack, 0);
    let keys: Vec<&str> = frame.state.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["daemon/events", "daemon/revisions", "daemon/seed", "stack", "svc/api", "svc/db"]);
    assert!(frame.state.iter().all(|(_, text)| text.is_some()));
    let [Command::Spawn(spawn)] = &frame.commands[..] else { panic!("{:?}", frame.commands) };
    assert_eq!((spawn.run, spawn.container.as_str()), (1, "db"));
    assert_eq!(spawn.command, ["/opt/db", "-x"]);
    assert_eq!(spawn.environment["SECRET"], "of db");
    assert_eq!(
        spawn.log,
        Some(Log { name: "db".into(), rotate_size: 100_000_000, keep_files: 10, ..Log::default() })
    );
    keeper.handle(frame);

    // Its process is there: what depends on it follows, in the transaction that acknowledges that.
    let frame = keeper.frame();
    assert_eq!(frame.ack, 1);
    let [Command::Spawn(spawn)] = &frame.commands[..] else { panic!("{:?}", frame.commands) };
    assert_eq!((spawn.run, spawn.container.as_str()), (2, "api"));
    keeper.handle(frame);
    keeper.wait_state("api", StateName::Running);
    assert_eq!(keeper.service("db").pid, Some(10_001));

    let stack = keeper.ask(async |client| client.stack().await);
    assert_eq!(stack.name, keeper.stack);
    assert_eq!(stack.config.as_deref(), Some("/etc/shop.toml"));
    assert_eq!((stack.keeper.pid, stack.keeper.version.as_str()), (std::process::id(), "0.0.1"));
    assert_eq!(stack.daemon.pid, keeper.daemon_id().pid);
    assert_eq!((stack.daemons_before, stack.daemon_reason.as_str()), (0, ""));
    assert_eq!((stack.containment.as_str(), stack.going_down), ("session", false));
    keeper.check_events();
}

pub fn an_exit_is_answered_in_one_transaction() {
    let mut keeper = Keeper::started(plan(&["web"]));
    keeper.wait_state("web", StateName::Running);
    let events = keeper.all_events().len();
    keeper.exits(RunId(1), Exit::Code(3));
    let frame = keeper.frame();
    assert_eq!(frame.ack, 2);
    // The end of one run and the start of the next are seen together or not at all.
    let mut commands = frame.commands.iter();
    assert_eq!(commands.next(), Some(&Command::Forget { run: RunId(1) }));
    assert!(matches!(commands.next(), Some(Command::Spawn(spawn)) if spawn.run == 2), "{frame:?}");
    assert!(frame.state.iter().any(|(key, _)| key == "svc/web"));
    // The events are on disk once the frame is on its way.
    keeper.handle(frame);
    keeper.wait_state("web", StateName::Running);
    let told = keeper.all_events().split_off(events);
    assert!(told.iter().any(|event| {
        matches!(&event.event, EventBody::Core(event) if format!("{:?}", event.kind).contains("Code(3)"))
    }));
    let web = keeper.service("web");
    assert_eq!((web.restarts, web.last_exit), (1, Some(Exit::Code(3))));
    assert_eq!(web.last_exit_text.as_deref(), Some("exit code 3"));
    keeper.check_events();
}

pub fn a_ping_is_answered() {
    let mut keeper = Keeper::started(plan(&[]));
    keeper.ping(17);
    keeper.until("a pong", |keeper| keeper.ponged == 17);
}

pub fn down_is_wanted_by_the_keeper() {
    let mut keeper = Keeper::started(plan(&["db", "api:db"]));
    keeper.wait_state("api", StateName::Running);
    keeper.happens(Event::DownWanted { by: "a test".into(), all: false });
    keeper.until("the end", |keeper| {
        keeper.obey_except_exit();
        keeper.commands.contains(&Command::Exit)
    });
    assert_eq!(keeper.daemon_ended(), mainstay_sys::Exit::Code(0));
    let events = std::fs::read_to_string(keeper.dirs.state.join("events.jsonl")).unwrap();
    assert!(events.contains("a test"), "{events}");
    let last = events.lines().last().unwrap_or_default();
    assert!(last.contains("\"the stack is down\""), "{events}");
    assert_eq!(keeper.spawned.len(), 2);
}

pub fn what_the_keeper_tells_becomes_events() {
    let mut keeper = Keeper::started(plan(&["web"]));
    keeper.wait_state("web", StateName::Running);
    let error = "no space left on device".to_owned();
    keeper.happens(Event::LogDropped { name: "web".into(), bytes: 77, error });
    keeper.happens(Event::ReplaceFailed { error: "it said nothing".into() });
    keeper.happens(Event::Drained { run: RunId(1), log_end: mainstay_link::LogPos::default() });
    keeper.until("the loss", |keeper| keeper.service("web").log_dropped_bytes == 77);
    let own = |keeper: &Keeper| -> Vec<String> {
        let messages = keeper.all_events().into_iter().filter_map(|event| match event.event {
            EventBody::Own { message, .. } => Some(message),
            EventBody::Core(_) | EventBody::Other(_) => None,
        });
        messages.collect()
    };
    keeper.until("both", |keeper| own(keeper).len() == 2);
    assert_eq!(own(&keeper)[0], "77 bytes of web's output are lost so far: no space left on device");
    assert_eq!(own(&keeper)[1], "the upgrade failed, the old program is back: it said nothing");
    keeper.happens(Event::ConfigRefused { reason: "shop.toml:1:1: no such key".into() });
    let refused = |event: &EventBody| match event {
        EventBody::Core(event) => {
            format!("{:?}", event.kind).contains("Refused, detail: \"shop.toml:1:1: no")
        }
        EventBody::Own { .. } | EventBody::Other(_) => false,
    };
    keeper.until("a refusal", |keeper| keeper.all_events().iter().any(|record| refused(&record.event)));
    keeper.replace_daemon();
    keeper.wait_state("web", StateName::Running);
    assert_eq!(keeper.service("web").log_dropped_bytes, 77);
    assert_eq!(own(&keeper)[2], "daemon replaced: killed");
    keeper.check_events();
}
