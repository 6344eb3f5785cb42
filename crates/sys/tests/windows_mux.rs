//! One thread hears messages, frames and children.
#![cfg(windows)]
#![expect(unsafe_code, reason = "it asks Wine for its version")]

mod windows;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use mainstay_sys::Exit;
use mainstay_sys::container::Root;
use mainstay_sys::link::{Link, pair};
use mainstay_sys::mux::{MAX_FRAME, MAX_MESSAGES, MAX_QUEUED, Mux, Wake};
use mainstay_sys::own;
use mainstay_sys::spawn::Process;
use windows::{PATIENCE, Run, helper, stack};

/// A process of Mainstay's own that sends every frame back.
fn echo(root: &Root) -> (Link, Process) {
    let (ours, theirs) = pair().expect("a link");
    let stderr = File::options().write(true).open("NUL").expect("the null device");
    let process = own::spawn_daemon(Path::new(&helper()), &[OsString::from("echo")], theirs, stderr, root)
        .expect("it starts");
    (ours, process)
}

fn next<T: Send + 'static>(mux: &mut Mux<T>) -> Wake<T> {
    mux.next(Some(PATIENCE)).expect("it waits")
}

#[test]
fn messages_come_in_order_from_any_thread() {
    let mut mux = Mux::<(u32, u32)>::new().expect("a mux");
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let sender = mux.sender();
            std::thread::spawn(move || (0..1_000).all(|number| sender.send((thread, number))))
        })
        .collect();
    let mut expected = [0; 4];
    for _ in 0..4_000 {
        let Wake::Message((thread, number)) = next(&mut mux) else { panic!("only messages") };
        assert_eq!(number, expected[thread as usize]);
        expected[thread as usize] += 1;
    }
    assert!(threads.into_iter().all(|thread| thread.join().expect("no panic")));
    assert_eq!(mux.next(Some(Duration::ZERO)).expect("a look"), Wake::Timeout);
    let start = Instant::now();
    assert_eq!(mux.next(Some(Duration::from_millis(30))).expect("a wait"), Wake::Timeout);
    assert!(start.elapsed() >= Duration::from_millis(29));

    let sender = mux.sender();
    for number in 0..MAX_MESSAGES {
        assert!(sender.send((0, u32::try_from(number).expect("few"))));
    }
    assert!(!sender.send((0, 0)), "there is a bound");
    assert!(matches!(next(&mut mux), Wake::Message((0, 0))));
    assert!(sender.send((0, 0)), "and room again");
    drop(mux);
    assert!(!sender.send((0, 0)), "nobody listens");
}

#[test]
fn frames_go_both_ways_whole_and_in_order() {
    let root = stack();
    let (link, process) = echo(&root);
    let mut mux = Mux::<()>::new().expect("a mux");
    assert_eq!(mux.send(b"x").expect_err("no link").kind(), std::io::ErrorKind::NotConnected);
    mux.set_link(Some(link));
    mux.watch(&process).expect("watched");
    let frames: Vec<Vec<u8>> = [0, 1, 5, 4096, 65_532, 65_536, 65_537, 1_000_000, 3, 20_000_000]
        .into_iter()
        .map(|length: usize| (0..length).map(|at| u8::try_from(at % 251).expect("a byte")).collect())
        .collect();
    for frame in &frames {
        mux.send(frame).expect("sent");
    }
    for frame in &frames {
        let Wake::Frame(got) = next(&mut mux) else { panic!("a frame of {} bytes", frame.len()) };
        assert!(*got == *frame, "{} bytes for {}", got.len(), frame.len());
    }
    assert_eq!(mux.queued(), 0);
    // Many small ones.
    for number in 0..5_000_u32 {
        mux.send(&number.to_le_bytes()).expect("sent");
    }
    for number in 0..5_000_u32 {
        assert_eq!(next(&mut mux), Wake::Frame(number.to_le_bytes().to_vec().into()));
    }
    // The other side sees the end of the link at once, for nobody else has it.
    mux.set_link(None);
    assert_eq!(next(&mut mux), Wake::ChildExited { pid: process.pid, exit: Exit::Code(102) });
}

#[test]
fn a_peer_that_is_killed_closes_the_link_once() {
    let root = stack();
    let (link, process) = echo(&root);
    let mut mux = Mux::<()>::new().expect("a mux");
    mux.set_link(Some(link));
    mux.watch(&process).expect("watched");
    mux.send(b"hello").expect("sent");
    assert_eq!(next(&mut mux), Wake::Frame(b"hello".to_vec().into()));
    assert!(mainstay_sys::process::kill(&process.id).expect("killed"));
    let first = next(&mut mux);
    let second = next(&mut mux);
    let exited = Wake::ChildExited { pid: process.pid, exit: Exit::Code(1) };
    assert!(first == Wake::LinkClosed && second == exited || second == Wake::LinkClosed && first == exited);
    assert_eq!(mux.next(Some(Duration::from_millis(50))).expect("a wait"), Wake::Timeout);
    assert_eq!(mux.send(b"x").expect_err("gone").kind(), std::io::ErrorKind::NotConnected);

    // Another link takes its place.
    let (link, process) = echo(&root);
    mux.set_link(Some(link));
    mux.send(b"again").expect("sent");
    assert_eq!(next(&mut mux), Wake::Frame(b"again".to_vec().into()));
    mainstay_sys::process::kill(&process.id).expect("killed");
}

#[test]
fn a_peer_that_does_not_read_has_a_bound() {
    let (ours, theirs) = pair().expect("a link");
    let mut mux = Mux::<()>::new().expect("a mux");
    mux.set_link(Some(ours));
    let frame = vec![7; 1 << 20];
    let mut sent = 0;
    let error = loop {
        match mux.send(&frame) {
            Ok(()) => sent += 1,
            Err(e) => break e,
        }
        assert!(sent < 100, "no bound");
    };
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    assert!(mux.queued() <= MAX_QUEUED && mux.queued() > MAX_QUEUED / 2);
    assert_eq!(mux.send(&vec![0; MAX_FRAME + 1]).expect_err("long").kind(), std::io::ErrorKind::InvalidInput);
    // A message is heard all the same.
    let sender = mux.sender();
    assert!(sender.send(()));
    assert_eq!(next(&mut mux), Wake::Message(()));
    drop(theirs);
    assert_eq!(next(&mut mux), Wake::LinkClosed);
    assert_eq!(mux.queued(), 0);
}

#[test]
fn a_frame_that_is_too_long_closes_the_link() {
    let (ours, theirs) = pair().expect("a link");
    let mut mux = Mux::<()>::new().expect("a mux");
    mux.set_link(Some(ours));
    let mut theirs = theirs.into_link().expect("a link");
    theirs.write_all(&[2, 0, 0, 0, b'h', b'i']).expect("written");
    theirs.write_all(&u32::MAX.to_le_bytes()).expect("written");
    assert_eq!(next(&mut mux), Wake::Frame(b"hi".to_vec().into()));
    assert_eq!(next(&mut mux), Wake::LinkClosed);
}

#[test]
fn what_was_read_as_lines_is_not_lost_to_frames() {
    let (mut ours, theirs) = pair().expect("a link");
    let mut theirs = theirs.into_link().expect("a link");
    theirs.write_all(b"ready\n\x03\0\0\0abc").expect("written");
    assert_eq!(ours.read_line(PATIENCE).expect("a line").as_deref(), Some("ready"));
    let mut mux = Mux::<()>::new().expect("a mux");
    mux.set_link(Some(ours));
    assert_eq!(next(&mut mux), Wake::Frame(b"abc".to_vec().into()));
}

#[test]
fn many_children_are_told_each_with_its_code() {
    const COUNT: u32 = 80;
    let root = stack();
    let container = root.container("many").expect("a container");
    let mut mux = Mux::<()>::new().expect("a mux");
    mux.watch_children().expect("nothing to do");
    let mut processes = Vec::new();
    for code in 0..COUNT {
        let process = Run::helper(&container, &["exit", &code.to_string()]).start().expect("it starts");
        mux.watch(&process).expect("watched");
        processes.push(process);
    }
    let mut told = BTreeSet::new();
    for _ in 0..COUNT {
        let Wake::ChildExited { pid, exit } = next(&mut mux) else { panic!("only children") };
        let code = processes.iter().position(|process| process.pid == pid).expect("one of ours");
        assert_eq!(exit, Exit::Code(i64::try_from(code).expect("few")));
        assert!(told.insert(pid), "{pid} was told twice");
    }
    assert_eq!(mux.next(Some(Duration::from_millis(20))).expect("a wait"), Wake::Timeout);
    // One that has ended already is told too.
    mux.watch(&processes[3]).expect("watched");
    assert_eq!(next(&mut mux), Wake::ChildExited { pid: processes[3].pid, exit: Exit::Code(3) });
    // A mux that goes away while children are watched.
    let (process, mut output) = Run::helper(&container, &["chain", "1"]).captured();
    output.until_line("complete");
    mux.watch(&process).expect("watched");
    drop(mux);
    container.kill().expect("ended");
}

#[test]
fn no_source_starves_another() {
    let root = stack();
    let container = root.container("fair").expect("a container");
    let (link, echo) = echo(&root);
    let mut mux = Mux::<u32>::new().expect("a mux");
    mux.set_link(Some(link));
    let process = Run::helper(&container, &["exit", "9"]).start().expect("it starts");
    mux.watch(&process).expect("watched");
    mux.send(b"frame").expect("sent");
    let sender = mux.sender();
    let (mut frame, mut exit) = (false, false);
    let end = Instant::now() + PATIENCE;
    while !frame || !exit {
        assert!(Instant::now() < end, "frame {frame}, exit {exit}");
        // There is always a message; a failure to add one more is the bound.
        sender.send(1);
        sender.send(1);
        match next(&mut mux) {
            Wake::Message(_) => {}
            Wake::Frame(_) => frame = true,
            Wake::ChildExited { .. } => exit = true,
            other => panic!("{other:?}"),
        }
    }
    mainstay_sys::process::kill(&echo.id).expect("killed");
}
