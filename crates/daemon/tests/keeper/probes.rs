//! Probes of a running daemon.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use mainstay_core::{Check, Exit, ProbePlan, StateName};
use mainstay_link::Command;

use crate::fake::{Keeper, plan};

/// Asks often.
pub fn probe(check: Check) -> ProbePlan {
    ProbePlan {
        check,
        initial_delay: Duration::ZERO,
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(30),
        failures: 1,
        successes: 1,
    }
}

fn ready_by(probe: ProbePlan) -> Keeper {
    let mut stack = plan(&["web"]);
    stack.services.get_mut("web").unwrap().ready = Some(probe);
    Keeper::started(stack)
}

pub fn a_command_is_asked_through_the_keeper() {
    let mut keeper = ready_by(probe(Check::Exec(vec!["check".into()])));
    let helper = keeper.wait_run("web.probe-ready");
    assert_eq!(keeper.spawned[1].command, ["check"]);
    assert_eq!(keeper.spawned[1].environment["SECRET"], "of web");
    // Not asked again before the answer.
    assert_eq!(keeper.spawned.len(), 2);
    keeper.exits(helper, Exit::Code(1));
    let again = wait_other(&mut keeper, helper);
    assert_eq!(keeper.service("web").probes[0].detail, "exit code 1");
    keeper.exits(again, Exit::Code(0));
    keeper.wait_state("web", StateName::Ready);

    // One that was asked when its daemon was replaced is ended, and asked anew.
    let open = wait_other(&mut keeper, again);
    keeper.replace_daemon();
    keeper.until("its end", |keeper| keeper.commands.contains(&Command::Kill { run: open }));
    let next = wait_other(&mut keeper, open);
    keeper.exits(next, Exit::Code(3));
    keeper.wait_state("web", StateName::Running);
    let services = keeper.spawned.iter().filter(|spawn| spawn.log.is_some()).count();
    assert_eq!(services, 1);
}

fn wait_other(keeper: &mut Keeper, than: mainstay_core::RunId) -> mainstay_core::RunId {
    keeper.until("another", |keeper| keeper.run_of("web.probe-ready").is_some_and(|run| run != than));
    keeper.run_of("web.probe-ready").unwrap()
}

pub fn a_log_probe_that_has_seen_its_line_remembers() {
    let mut keeper = ready_by(probe(Check::Log("^listening on".into())));
    keeper.wait_state("web", StateName::Running);
    let log = keeper.dirs.log.join("web.log");
    std::fs::write(&log, "starting\n").unwrap();
    keeper.until("an answer", |keeper| {
        keeper.service("web").probes.first().is_some_and(|probe| probe.detail == "no line has matched")
    });
    std::fs::write(&log, "starting\nlistening on :80\n").unwrap();
    keeper.wait_state("web", StateName::Ready);
    keeper.until("it is kept", |keeper| keeper.state.contains_key("daemon/seen"));
    // The line is gone with its segment; the next daemon knows all the same.
    std::fs::remove_file(&log).unwrap();
    keeper.replace_daemon();
    let asked = |keeper: &Keeper| {
        let web = keeper.service("web");
        assert_eq!(web.state, StateName::Ready);
        web.probes[0].ago_ms.unwrap()
    };
    let before = asked(&keeper);
    keeper.until("another answer", |keeper| asked(keeper) < before + 20);
    asked(&keeper);
}

pub fn http_and_tcp_make_ready() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut stack = plan(&["http", "tcp"]);
    let http = probe(Check::Http(format!("http://127.0.0.1:{port}/readyz").into()));
    stack.services.get_mut("http").unwrap().ready = Some(http);
    let tcp = probe(Check::Tcp(format!("127.0.0.1:{port}")));
    stack.services.get_mut("tcp").unwrap().ready = Some(tcp);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 16];
            if stream.read(&mut head).is_ok_and(|read| read > 0) {
                let _ = stream.write_all(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n");
            }
        }
    });
    let mut keeper = Keeper::started(stack);
    keeper.wait_state("tcp", StateName::Ready);
    assert_eq!(keeper.service("tcp").probes[0].detail, "connected");
    keeper.until("a no", |keeper| {
        keeper.service("http").probes.first().is_some_and(|probe| probe.detail == "503 Service Unavailable")
    });
    assert_eq!(keeper.service("http").state, StateName::Running);
}
