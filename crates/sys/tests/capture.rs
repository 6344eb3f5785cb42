//! Output is read as it was written, all of it, and everybody's.
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use common::{HELPER, PATIENCE, Run, Stack, directory, is_root, kill_and_wait, process_of, until};
use mainstay_sys::capture::{Chunk, NotifySocket, Set, pipe};
use mainstay_sys::container::Kind;

fn session() -> Stack {
    Stack::open(Kind::Session).expect("sessions can be had everywhere")
}

#[test]
fn both_streams_in_order_and_then_the_end() {
    let stack = session();
    let container = stack.container("a");
    let script = "printf 'one '; printf 'two ' >&2; printf 'three '; printf '\\000\\377' >&2; printf end";
    let (_, mut output) = Run::new(&container, &["sh", "-c", script]).captured();
    output.until_end();
    assert_eq!(output.bytes, b"one two three \0\xffend");
}

#[test]
fn a_grandchild_that_holds_the_pipe_keeps_it_open() {
    let stack = session();
    let container = stack.container("a");
    let script = format!("echo last words; setsid '{HELPER}' deaf & exit 0");
    let (main, mut output) = Run::new(&container, &["sh", "-c", &script]).captured();
    output.until_line("last words");
    output.until_line("ready");
    until("the main process is gone", || process_of(main.pid).is_none());
    output.pump(Duration::from_millis(20));
    assert!(!output.ended);
    kill_and_wait(&container);
    output.until_end();
}

#[test]
fn drain_takes_what_is_there_and_tells_the_end() {
    let stack = session();
    let container = stack.container("a");
    let (reader, writer) = pipe().expect("a pipe can be had");
    let mut set = Set::new().expect("a set can be had");
    set.add(5, reader).expect("it can be added");
    let mut bytes = Vec::new();
    let mut ends = 0;
    let mut sink = |token, chunk: Chunk<'_>| {
        assert_eq!(token, 5);
        match chunk {
            Chunk::Data(data, _) => bytes.extend_from_slice(data),
            Chunk::Eof => ends += 1,
            Chunk::Datagram(_) => panic!("no datagrams here"),
        }
    };
    assert!(!set.drain(5, &mut sink).expect("it can be drained"), "nobody has written, and we could");
    let main = Run::new(&container, &["sh", "-c", "head -c 60000 /dev/zero"]).start(Some(&writer));
    let main = main.expect("it starts");
    until("it has ended", || process_of(main.pid).is_none());
    assert!(!set.drain(5, &mut sink).expect("it can be drained"), "we still could");
    drop(writer);
    assert!(set.drain(5, &mut sink).expect("it can be drained"));
    assert!(set.drain(5, &mut sink).expect("it can be drained"), "and it stays so");
    assert_eq!((bytes.len(), ends), (60_000, 1));
    // The token is free again.
    let (reader, _writer) = pipe().expect("a pipe can be had");
    set.add(5, reader).expect("it can be added");
    let (other, _writer) = pipe().expect("a pipe can be had");
    assert!(set.add(5, other).is_err(), "it is in use");
    set.remove(5);
    set.remove(5);
    let (reader, _writer) = pipe().expect("a pipe can be had");
    set.add(5, reader).expect("it is free after it was removed");
}

#[test]
fn waiting_ends_by_a_wake_or_in_time() {
    let mut set = Set::new().expect("a set can be had");
    let mut nothing = |_, _: Chunk<'_>| panic!("there is nothing to read");
    let start = Instant::now();
    set.wait(Some(Duration::from_millis(30)), &mut nothing).expect("it can be waited");
    assert!(start.elapsed() >= Duration::from_millis(30));
    let waker = set.waker();
    waker.wake();
    waker.wake();
    set.wait(None, &mut nothing).expect("it can be waited");
    let thread = std::thread::spawn(move || waker.wake());
    set.wait(None, &mut nothing).expect("it can be waited");
    thread.join().expect("it wakes");
}

/// Every service's bytes arrive whole, while one of them floods.
#[test]
fn a_flood_does_not_drown_the_others() {
    const BYTES: usize = 64 << 20;
    let stack = session();
    let mut set = Set::new().expect("a set can be had");
    let mut containers = Vec::new();
    for token in 0..20_u64 {
        let container = stack.container(&format!("c{token}"));
        let (reader, writer) = pipe().expect("a pipe can be had");
        set.add(token, reader).expect("it can be added");
        let run = match token {
            0 => Run::helper(&container, &["flood", &BYTES.to_string()]),
            _ => Run::new(
                &container,
                &["sh", "-c", "i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done"],
            ),
        };
        run.start(Some(&writer)).expect("it starts");
        containers.push(container);
    }
    let mut seen: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let (mut flood, mut next, mut part) = (0, 0_u64, Vec::new());
    let mut open = 20;
    let end = Instant::now() + PATIENCE;
    while open > 0 {
        assert!(Instant::now() < end, "{open} are still open");
        set.wait(Some(Duration::from_millis(100)), &mut |token, chunk| match chunk {
            Chunk::Data(data, _) if token == 0 => {
                flood += data.len();
                part.extend_from_slice(data);
                let whole = part.len() / 8 * 8;
                for number in part[..whole].chunks_exact(8) {
                    assert_eq!(number, next.to_le_bytes(), "nothing is lost or doubled");
                    next += 1;
                }
                part.drain(..whole);
            }
            Chunk::Data(data, _) => seen.entry(token).or_default().extend_from_slice(data),
            Chunk::Eof => open -= 1,
            Chunk::Datagram(_) => panic!("no datagrams here"),
        })
        .expect("it can be waited");
    }
    assert_eq!(flood, BYTES);
    let wanted: String = (0..100).map(|number| format!("line {number}\n")).collect();
    assert_eq!(seen.len(), 19);
    assert!(seen.values().all(|bytes| *bytes == wanted.as_bytes()));
}

/// The next message, if it comes.
fn datagram(set: &mut Set, timeout: Duration) -> Option<Vec<u8>> {
    let end = Instant::now() + timeout;
    let mut found = None;
    while found.is_none() && Instant::now() < end {
        set.wait(Some(Duration::from_millis(20)), &mut |_, chunk| match chunk {
            Chunk::Datagram(data) => found = Some(data.to_vec()),
            other => panic!("{other:?}"),
        })
        .expect("it can be waited");
    }
    found
}

#[test]
fn notify_at_a_path() {
    let dir = directory();
    let path = dir.path().join("notify.sock");
    let mut set = Set::new().expect("a set can be had");
    let socket = NotifySocket::bind(&path, None).expect("it can be bound");
    assert_eq!(socket.address(), path.to_str().expect("it is text"));
    set.add_notify(3, socket).expect("it can be added");
    let sender = UnixDatagram::unbound().expect("a socket can be had");
    sender.send_to(b"READY=1\nSTATUS=fine", &path).expect("it is heard");
    assert_eq!(datagram(&mut set, PATIENCE).as_deref(), Some(&b"READY=1\nSTATUS=fine"[..]));
    // Bound anew in place of one that a killed keeper has left.
    let again = NotifySocket::bind(&path, None).expect("it can be bound again");
    drop(again);
    set.remove(3);
    assert!(!path.exists(), "it is taken away with the socket");
}

#[test]
fn notify_for_another_account() {
    if !is_root() {
        eprintln!("notify_for_another_account skipped: only root can become somebody else");
        return;
    }
    let mut set = Set::new().expect("a set can be had");
    let socket = NotifySocket::bind("/not/used".as_ref(), Some("nobody")).expect("it can be bound");
    let address = socket.address();
    assert!(address.starts_with('@'), "{address}");
    set.add_notify(3, socket).expect("it can be added");
    let dir = directory();
    let helper = common::reachable_helper(dir.path());
    let stack = session();
    let container = stack.container("a");
    let says = |user: &str, text: &str| {
        let mut run = Run::new(&container, &[&helper, "notify", text]);
        run.environment.insert("NOTIFY_SOCKET".to_owned(), address.clone());
        run.user = Some(user.to_owned());
        assert_eq!(run.output(), "sent\n");
    };
    says("nobody", "READY=1");
    assert_eq!(datagram(&mut set, PATIENCE).as_deref(), Some(&b"READY=1"[..]));
    // A stranger's message is passed over; the next one comes after it.
    says("12345:12345", "READY=strange");
    says("root", "READY=root");
    assert_eq!(datagram(&mut set, PATIENCE).as_deref(), Some(&b"READY=root"[..]));
}

/// The path of a socket may have no more than 107 bytes, and a directory's may.
#[test]
fn notify_at_a_long_path() {
    let mut set = Set::new().expect("a set can be had");
    let path = std::path::PathBuf::from("/tmp").join("x".repeat(200));
    let socket = NotifySocket::bind(&path, None).expect("it can be bound");
    let address = socket.address();
    assert!(address.starts_with('@'), "{address}");
    set.add_notify(3, socket).expect("it can be added");
    mainstay_sys::notify::send(address.as_ref(), "READY=1").expect("it is heard");
    assert_eq!(datagram(&mut set, PATIENCE).as_deref(), Some(&b"READY=1"[..]));
}
