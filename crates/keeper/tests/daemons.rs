//! Daemons that die, hang, misbehave and are replaced, while services run on.
#![expect(clippy::unwrap_used, reason = "what a test cannot do fails it")]

mod harness;

use std::time::{Duration, Instant};

use harness::{Daemon, HELPER, Home, service, wait_until};
use mainstay_core::{Exit, RunId};
use mainstay_link::{Command, Event, ToKeeper, VERSION};
use mainstay_sys::process;

#[test]
fn what_happens_while_no_daemon_is_there_is_told_to_the_next() {
    let home = Home::new();
    let (keeper, mut daemon) = home.ready();
    daemon.spawn(service(1, "web", &["sleep", "300"]));
    let state = vec![("svc/web".to_owned(), Some("{\"run\":1}".to_owned())), ("gone".to_owned(), None)];
    daemon.transact(ToKeeper { ack: daemon.handled, state, ..ToKeeper::default() });
    // The last frame was taken: a ping after it is answered by the same daemon.
    daemon.command(Command::Spawn(Box::new(service(2, "db", &["tree"]))));
    let (db, _) = match daemon.event() {
        Event::Spawned { run: RunId(2), pid, log_start } => (process::identity(pid).unwrap(), log_start),
        other => panic!("{other:?}"),
    };
    daemon.kill();

    // The next one comes, says nothing, and goes: nothing of it stays.
    wait_until("the exit of the service", || home.path("log/web.log").exists() && !is_there(&home, 1));
    let silent = home.silent_daemon();
    silent.kill();

    let mut daemon = home.daemon();
    assert_eq!(daemon.welcome.predecessors, 2);
    assert!(daemon.welcome.reason.contains("SIGKILL") || daemon.welcome.reason.contains("exit code"));
    assert_eq!(daemon.welcome.state, [("svc/web".to_owned(), "{\"run\":1}".to_owned())].into());
    let runs: Vec<_> =
        daemon.welcome.runs.iter().map(|run| (run.run, run.container.as_str(), run.exit)).collect();
    assert_eq!(runs, [(1, "web", Some(Exit::Code(0))), (2, "db", None)]);
    assert_eq!(daemon.welcome.runs[1].pid, db.pid);
    // Not acknowledged: told again. And what happened meanwhile.
    assert!(matches!(daemon.event(), Event::Spawned { run: RunId(2), .. }));
    assert_eq!(daemon.event(), Event::Exited { run: RunId(1), exit: Exit::Code(0), tree_empty: true });
    assert!(matches!(daemon.event(), Event::Drained { run: RunId(1), .. }));
    assert!(process::is_alive(&db));
    daemon.exit(&keeper);
    assert!(!process::is_alive(&db), "the end of the keeper is that of everything");
}

/// Whether the journal says that a run has not ended.
fn is_there(home: &Home, run: u64) -> bool {
    let journal = std::fs::read_to_string(home.path("state/runs.journal")).unwrap();
    !journal.contains(&format!("{{\"end\":{{\"run\":{run}}}}}"))
}

#[test]
fn killing_daemons_costs_a_service_nothing() {
    let home = Home::new();
    let (keeper, mut daemon) = home.ready();
    let (flood, _) = daemon.spawn(service(1, "web", &["flood"]));
    for round in 1..=10 {
        let before = home.path("log/web.log").metadata().map_or(0, |m| m.len());
        wait_until("more lines", || home.path("log/web.log").metadata().is_ok_and(|m| m.len() > before));
        daemon.kill();
        daemon = home.daemon();
        assert_eq!(daemon.welcome.predecessors, round);
    }
    assert!(process::is_alive(&flood));
    daemon.command(Command::Kill { run: RunId(1) });
    daemon.drained(1);
    let log = home.log("web");
    let whole = log.rfind('\n').map_or("", |end| &log[..=end]);
    for (number, line) in whole.lines().enumerate() {
        assert_eq!(line, format!("line {number}"));
    }
    assert!(whole.len() > 10_000);
    daemon.exit(&keeper);
}

#[test]
fn a_daemon_that_does_not_answer_is_replaced() {
    let home = Home::new();
    let (keeper, mut daemon) = home.ready();
    let (service, _) = daemon.spawn(service(1, "web", &["tree"]));
    let began = Instant::now();
    // Its connection to us stays; it answers nothing any more.
    let hung = daemon;
    let mut daemon = home.daemon();
    assert!(began.elapsed() > Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(daemon.welcome.reason, "it did not answer for 12 s");
    assert!(!process::is_alive(&hung.id) && process::is_alive(&service));
    daemon.command(Command::Kill { run: RunId(1) });
    daemon.exited(1);
    daemon.exit(&keeper);
}

#[test]
fn a_stopped_daemon_is_replaced() {
    if cfg!(windows) {
        println!("SKIPPED a_stopped_daemon_is_replaced: there is no SIGSTOP");
        return;
    }
    let home = Home::new();
    let (keeper, daemon) = home.ready();
    let stop =
        std::process::Command::new("kill").args(["-STOP", &daemon.id.pid.to_string()]).status().unwrap();
    assert!(stop.success());
    let next = home.daemon();
    assert_eq!(next.welcome.reason, "it did not answer for 12 s");
    assert!(!process::is_alive(&daemon.id));
    next.exit(&keeper);
}

/// What a daemon does wrong, and a part of what the next one is told of it.
type Wrong = (&'static str, fn(&mut Daemon));

#[test]
fn a_daemon_that_breaks_the_rules_is_replaced() {
    let home = Home::new();
    let (keeper, mut daemon) = home.ready();
    let wrongs: [Wrong; 4] = [
        ("no frame", |daemon| {
            daemon.hello();
            daemon.raw(b"{not json");
        }),
        ("acknowledged event 99", |daemon| {
            daemon.hello();
            daemon.send(99, Vec::new());
        }),
        ("did not say hello", |daemon| daemon.send(0, Vec::new())),
        ("version 999", |daemon| {
            daemon.send(0, vec![Command::Hello { version: VERSION + 998, build: "future".into() }]);
        }),
    ];
    // Each is what the one after it is told.
    daemon.raw(b"nonsense");
    let mut expected = "no frame";
    for (reason, wrong) in wrongs {
        let mut daemon = home.silent_daemon();
        wrong(&mut daemon);
        if daemon.welcome.version > 0 {
            assert!(daemon.welcome.reason.contains(expected), "{}", daemon.welcome.reason);
        }
        wait_until("its end", || !process::is_alive(&daemon.id));
        expected = reason;
    }
    let daemon = home.daemon();
    assert!(daemon.welcome.reason.contains(expected), "{}", daemon.welcome.reason);
    daemon.exit(&keeper);
}

#[test]
fn a_replacement_is_taken_back_if_it_does_not_come_up() {
    let home = Home::new();
    let (keeper, mut daemon) = home.ready();
    let (service, _) = daemon.spawn(service(1, "web", &["tree"]));
    daemon.ack();

    // Not there at all: told to the daemon there is.
    daemon.command(Command::Replace { exe: "/no/such/mainstay".into() });
    let Event::ReplaceFailed { error } = daemon.event() else { panic!("not told") };
    assert!(error.contains("/no/such/mainstay"), "{error}");
    daemon.ack();

    // A file that is no program.
    let bad = home.path("state/bad");
    std::fs::write(&bad, "this is no program").unwrap();
    daemon.command(Command::Replace { exe: bad.to_str().unwrap().into() });
    wait_until("the old one's end", || !process::is_alive(&daemon.id));
    let mut daemon = home.daemon();
    let Event::ReplaceFailed { error } = daemon.event() else { panic!("not told") };
    assert!(error.contains("bad failed"), "{error}");
    daemon.ack();

    // A program that is one, and works.
    let good = home.path("state/good.exe");
    std::fs::copy(HELPER, &good).unwrap();
    daemon.command(Command::Replace { exe: good.to_str().unwrap().into() });
    let daemon = home.daemon();
    assert_eq!(daemon.welcome.reason, "it was replaced, as somebody asked");
    // From now on it is the one.
    daemon.kill();
    let daemon = home.daemon();
    assert!(process::is_alive(&service));
    daemon.exit(&keeper);
    assert!(!home.own_log().contains("good.exe failed"));
}

#[test]
fn a_spawn_is_done_though_the_daemon_that_wanted_it_dies_at_once() {
    let home = Home::new();
    let (keeper, mut daemon) = home.ready();
    let spawns = (1..=50).map(|run| Command::Spawn(Box::new(service(run, &format!("web-{run}"), &["tree"]))));
    daemon.send(0, spawns.collect());
    // One is enough to know that the frame has arrived.
    daemon.event();
    daemon.kill();
    let mut daemon = home.daemon();
    assert_eq!(daemon.welcome.runs.len(), 50);
    assert_eq!(daemon.welcome.last_run, 50);
    for run in 1..=50 {
        daemon.until(|event| matches!(event, Event::Spawned { run: RunId(of), .. } if *of == run));
    }
    daemon.exit(&keeper);
}
