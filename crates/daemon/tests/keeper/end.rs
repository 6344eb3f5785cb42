//! What a daemon does when it has no keeper any more.

use std::collections::BTreeMap;
use std::time::Instant;

use mainstay_core::StateName;
use mainstay_sys::process;
use mainstay_sys::spawn::{Process, Request, spawn};

use crate::fake::{Keeper, LONG, plan};

/// A process in a container of the stack.
fn sleeper(keeper: &Keeper) -> Process {
    let exe = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    let request = Request {
        command: &[exe, "sleep".into()],
        working_dir: None,
        environment: &BTreeMap::new(),
        remove: &[],
        user: None,
        password: None,
        settings: None,
        container: &keeper.root.container("web").unwrap(),
        run: 1,
        output: None,
        errors: None,
    };
    spawn(&request).unwrap()
}

pub fn a_dead_keeper_takes_everything_with_it() {
    let mut keeper = Keeper::new(plan(&["web"]));
    let sleeper = sleeper(&keeper);
    // The daemon believes that its keeper was this one, which is gone.
    keeper.keeper_pid = u32::MAX / 2;
    keeper.start_daemon();
    keeper.wait_state("web", StateName::Running);
    assert!(process::is_alive(&sleeper.id));
    keeper.let_go();
    assert_eq!(keeper.daemon_ended(), mainstay_sys::Exit::Code(0));
    assert!(!process::is_alive(&sleeper.id));
    let events = std::fs::read_to_string(keeper.dirs.state.join("events.jsonl")).unwrap();
    let last = events.lines().last().unwrap_or_default();
    // The console's own process may be among them on Windows.
    let ended = ["1 process was ended", "2 processes were ended"];
    let ended = if cfg!(windows) { &ended[..] } else { &ended[..1] };
    let told = |ended: &&str| last.contains(&format!("\"the keeper is gone without a word; {ended}\""));
    assert!(ended.iter().any(told), "{events}");
}

pub fn a_keeper_that_lives_is_left_alone() {
    let mut keeper = Keeper::new(plan(&["web"]));
    let sleeper = sleeper(&keeper);
    keeper.start_daemon();
    keeper.wait_state("web", StateName::Running);
    // As a real one does that replaces its daemon, but slower.
    keeper.let_go();
    let start = Instant::now();
    let socket_is_quiet = || start.elapsed().as_millis() > 200;
    while !socket_is_quiet() {
        assert!(process::is_alive(&sleeper.id));
        assert!(start.elapsed() < LONG);
        std::thread::yield_now();
    }
    keeper.lose_daemon();
    keeper.start_daemon();
    keeper.wait_state("web", StateName::Running);
    assert!(process::is_alive(&sleeper.id));
    process::kill(&sleeper.id).unwrap();
}

pub fn a_missing_plan_is_no_daemon() {
    let mut keeper = Keeper::new(plan(&[]));
    std::fs::remove_file(mainstay_daemon::plan_path(&keeper.dirs.state)).unwrap();
    std::fs::remove_file(keeper.dirs.state.join("plan.copy.json")).unwrap();
    keeper.start_daemon();
    assert_eq!(keeper.daemon_ended(), mainstay_sys::Exit::Code(1));
}
