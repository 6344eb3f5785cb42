//! Children that end, seen by the one who waits. One test only in this program: it takes all children there are.
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{HELPER, PATIENCE, Run, Stack, state, tagged, unique, until};
use mainstay_sys::Exit;
use mainstay_sys::container::{Kind, Signal};
use mainstay_sys::mux::{Mux, Wake};

#[track_caller]
fn exit(mux: &mut Mux<u32>) -> (u32, Exit) {
    match mux.next(Some(PATIENCE)).expect("it can be waited") {
        Wake::ChildExited { pid, exit } => (pid, exit),
        other => panic!("{other:?} instead of an exit"),
    }
}

#[test]
fn every_child_is_told_once() {
    let mut mux = Mux::<u32>::new().expect("it can be made");
    let stack = Stack::open(Kind::Session).expect("sessions can be had everywhere");
    let container = stack.container("a");
    // One that ends before anybody watches.
    let early = Run::new(&container, &["sh", "-c", "exit 5"]).start(None).expect("it starts");
    until("it has ended", || state(early.pid) == Some('Z'));
    // A handler or an "ignore" of somebody before us does not count.
    // SAFETY: no handler, no memory.
    #[expect(unsafe_code, reason = "nothing safe ignores a signal")]
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
    }
    mux.watch_children().expect("they can be watched");
    assert_eq!(exit(&mut mux), (early.pid, Exit::Code(5)));

    for (script, wanted) in [
        ("exit 0", Exit::Code(0)),
        ("exit 255", Exit::Code(255)),
        ("kill -9 $$", Exit::Signal(9)),
        ("kill -TERM $$", Exit::Signal(15)),
        ("kill -SEGV $$", Exit::Signal(11)),
    ] {
        let process = Run::new(&container, &["sh", "-c", script]).start(None).expect("it starts");
        mux.watch(&process).expect("it can be watched");
        assert_eq!(exit(&mut mux), (process.pid, wanted), "{script}");
    }

    // One that cannot be started is nobody's news.
    Run::new(&container, &["/no/such/program"]).start(None).expect_err("it cannot start");
    assert_eq!(mux.next(Some(Duration::from_millis(1))).expect("it can be waited"), Wake::Timeout);

    // One that is stopped and goes on has not ended.
    let process = Run::new(&container, &["sleep", "600"]).start(None).expect("it starts");
    container.signal(Some(&process), Signal::Number(19)).expect("it can be sent");
    until("it is stopped", || state(process.pid) == Some('T'));
    assert_eq!(mux.next(Some(Duration::from_millis(1))).expect("it can be waited"), Wake::Timeout);
    container.signal(Some(&process), Signal::Number(9)).expect("it can be sent");
    assert_eq!(exit(&mut mux), (process.pid, Exit::Signal(9)));

    // Hundreds at once: signals merge, exits do not.
    let mut expected = BTreeMap::new();
    for number in 0..300 {
        let script = format!("exit {}", number % 256);
        let process = Run::new(&container, &["sh", "-c", &script]).start(None).expect("it starts");
        expected.insert(process.pid, Exit::Code(number % 256));
    }
    let sender = mux.sender();
    assert!(sender.send(1));
    let mut heard = false;
    while !expected.is_empty() || !heard {
        match mux.next(Some(PATIENCE)).expect("it can be waited") {
            Wake::ChildExited { pid, exit } => assert_eq!(expected.remove(&pid), Some(exit)),
            Wake::Message(1) => heard = true,
            other => panic!("{other:?}"),
        }
    }

    // An orphan of a tree comes to the keeper, and its end is told too.
    mainstay_sys::own::become_keeper().expect("we can be one");
    let tag = unique("orphan");
    let script = format!("(setsid '{HELPER}' deaf {tag} &) ; exit 0");
    let (main, mut output) = Run::new(&container, &["sh", "-c", &script]).captured();
    output.until_line("ready");
    let orphan = tagged(&tag);
    let [orphan] = orphan[..] else { panic!("one orphan: {orphan:?}") };
    let mut seen = Vec::new();
    container.kill().expect("it can be killed");
    while !seen.contains(&main.pid) || !seen.contains(&orphan) {
        seen.push(exit(&mut mux).0);
    }
    assert!(container.is_empty().expect("it can be asked"));
}
