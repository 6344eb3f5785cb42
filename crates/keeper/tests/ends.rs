//! How a keeper begins and ends: leash, lock, going down, being killed.

mod harness;

use std::time::{Duration, Instant};

use harness::{Home, service, wait_until};
use mainstay_core::RunId;
use mainstay_keeper::KeeperFile;
use mainstay_link::{Command, Event};
use mainstay_sys::dirs::Dirs;
use mainstay_sys::process;

fn dirs(home: &Home) -> Dirs {
    Dirs { run: home.path("run"), state: home.path("state"), log: home.path("log") }
}

#[test]
fn a_second_keeper_is_refused_and_says_who_is_the_first() {
    let home = Home::new();
    let (keeper, daemon) = home.ready();
    let file = KeeperFile::read(&dirs(&home)).unwrap();
    assert_eq!(file.pid, keeper.id.pid);
    let mut second = home.start();
    let said = second.hears().unwrap();
    for part in ["error: ", "is up already", &keeper.id.pid.to_string(), "/etc/shop.toml", &file.started] {
        assert!(said.contains(part), "{part} is not in {said:?}");
    }
    assert_eq!(second.hears(), None);
    second.ended();
    assert!(process::is_alive(&keeper.id));
    daemon.exit(&keeper);
    // And when it is gone, another may come.
    let (keeper, daemon) = home.ready();
    daemon.exit(&keeper);
}

#[test]
fn what_a_killed_keeper_leaves_is_ended_before_anything_starts() {
    let home = Home::new();
    let (keeper, mut daemon) = home.ready();
    let (web, _) = daemon.spawn(service(1, "web", &["tree"]));
    daemon.spawn(service(2, "orphans", &["leave", "10", "late"]));
    daemon.exited(2);
    // As if both were killed at once.
    home.disable_guard();
    keeper.kill();
    wait_until("the daemon's end", || !process::is_alive(&daemon.id));
    if cfg!(unix) {
        assert!(process::is_alive(&web), "nobody is there to end it");
    }
    let (keeper, daemon) = home.ready();
    assert!(!process::is_alive(&web));
    assert_eq!((daemon.welcome.predecessors, daemon.welcome.runs.len(), daemon.welcome.last_run), (0, 0, 0));
    daemon.exit(&keeper);
}

#[test]
fn a_killed_keepers_trees_are_ended_by_its_daemon_and_never_the_next_ones() {
    let home = Home::new();
    let (keeper, mut daemon) = home.ready();
    let (web, _) = daemon.spawn(service(1, "web", &["tree"]));
    keeper.kill();
    let (keeper, mut second) = home.ready();
    let (next, _) = second.spawn(service(1, "web", &["tree"]));
    wait_until("the end of the first daemon", || !process::is_alive(&daemon.id));
    assert!(!process::is_alive(&web));
    std::thread::sleep(Duration::from_millis(200));
    assert!(process::is_alive(&next), "the first daemon is long gone");
    second.exit(&keeper);
}

#[test]
fn a_closed_leash_is_a_wish_to_go_down() {
    let home = Home::new();
    let (mut keeper, mut daemon) = home.ready();
    drop(keeper.leash.take());
    let Event::DownWanted { by, .. } = daemon.event() else { panic!("not told") };
    assert!(by.contains("mainstay up"), "{by}");
    daemon.exit(&keeper);
}

#[test]
fn a_keeper_that_was_let_off_the_leash_goes_on() {
    let home = Home::new();
    let (mut keeper, mut daemon) = home.ready();
    let mut leash = keeper.leash.take().unwrap();
    leash.write_all(b"detached\n").unwrap();
    drop(leash);
    daemon.spawn(service(1, "web", &["exit", "0"]));
    daemon.drained(1);
    daemon.spawn(service(2, "web", &["sleep", "500"]));
    daemon.exited(2);
    daemon.drained(2);
    daemon.exit(&keeper);
}

#[test]
fn the_daemon_is_told_of_a_wish_to_end_and_a_second_one_later_is_impatience() {
    if cfg!(windows) {
        println!("SKIPPED the_daemon_is_told_of_a_wish_to_end…: there is no SIGTERM");
        return;
    }
    let home = Home::new();
    let (keeper, mut daemon) = home.ready();
    let (web, _) = daemon.spawn(service(1, "web", &["tree"]));
    let terminate = || {
        let status = std::process::Command::new("kill").args(["-TERM", &keeper.id.pid.to_string()]).status();
        assert!(status.unwrap().success());
    };
    terminate();
    assert_eq!(daemon.event(), Event::DownWanted { by: "SIGTERM".into(), all: false });
    // At once, as by a second sender of the same wish: nothing new.
    terminate();
    daemon.command(Command::Freeze { run: RunId(1) });
    assert_eq!(daemon.event(), Event::Frozen { run: RunId(1) });
    // It is the time between the two that makes the difference.
    std::thread::sleep(Duration::from_secs(6));
    terminate();
    keeper.ended();
    assert!(!process::is_alive(&web));
    assert!(!home.path("state/keeper.json").exists());
}

#[test]
fn without_any_daemon_the_keeper_itself_brings_everything_down() {
    let home = Home::new();
    let (mut keeper, mut daemon) = home.ready();
    let (web, _) = daemon.spawn(service(1, "web", &["tree"]));
    daemon.kill();
    let began = Instant::now();
    drop(keeper.leash.take());
    while process::is_alive(&keeper.id) {
        // Each next one falls over.
        if began.elapsed() < Duration::from_secs(25) {
            home.silent_daemon().kill();
        }
        assert!(began.elapsed() < Duration::from_secs(90));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(began.elapsed() > Duration::from_secs(29));
    assert!(!process::is_alive(&web));
}

#[test]
fn a_keeper_without_a_daemon_from_the_beginning_says_so() {
    let home = Home::new();
    let mut keeper = home.start();
    for _ in 0..3 {
        home.silent_daemon().kill();
    }
    let said = keeper.hears().unwrap();
    assert!(said.starts_with("error: the daemon does not start: ") && said.contains("daemon.log"), "{said}");
    keeper.ended();
}
