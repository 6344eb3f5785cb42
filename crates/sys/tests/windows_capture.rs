//! What services write is read exactly, from many at once.
#![cfg(windows)]
#![expect(unsafe_code, reason = "it asks Wine for its version")]

mod windows;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use mainstay_sys::capture::{Chunk, NotifySocket, Set, pipe};
use windows::{PATIENCE, Run, exit_of, stack};

fn numbered(count: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..count {
        let mut line = format!("{number:09} ");
        while line.len() + 1 < length {
            line.push('x');
        }
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

#[test]
fn every_byte_is_read_in_order() {
    let root = stack();
    let container = root.container("exact").expect("a container");
    for (count, length) in [(1, 10), (1, 4095), (1, 4096), (1, 4097), (3_000, 50), (20, 100_000)] {
        let run = Run::helper(&container, &["lines", &count.to_string(), &length.to_string()]);
        let output = run.output();
        assert!(output == numbered(count, length), "{count} lines of {length}: {} bytes", output.len());
    }
    let output = Run::helper(&container, &["flood", "16", "1000000"]).output();
    assert_eq!(output.len(), 16_000_000);
    assert!(output.iter().enumerate().all(|(at, byte)| *byte == if at % 100 == 99 { b'\n' } else { b'x' }));
}

#[test]
fn many_are_read_at_once_and_none_starves() {
    const QUIET: u64 = 24;
    let root = stack();
    let container = root.container("many").expect("a container");
    let mut set = Set::new().expect("a set");
    let mut processes = Vec::new();
    for token in 0..=QUIET {
        let (reader, writer) = pipe().expect("a pipe");
        let arguments: &[&str] =
            if token == 0 { &["flood", "100000", "65536"] } else { &["lines", "20", "30"] };
        let run = Run::helper(&container, arguments);
        let helper = run.command.clone();
        processes.push(
            mainstay_sys::spawn::spawn(&mainstay_sys::spawn::Request {
                command: &helper,
                working_dir: None,
                environment: &BTreeMap::new(),
                remove: &[],
                user: None,
                password: None,
                settings: None,
                container: &container,
                run: token,
                output: Some(&writer),
                errors: None,
            })
            .expect("it starts"),
        );
        set.add(token, reader).expect("added");
    }
    let expected = numbered(20, 30);
    let mut read: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut ended = 0;
    let mut flood = 0;
    let end = Instant::now() + PATIENCE;
    while ended < QUIET {
        assert!(Instant::now() < end, "{ended} of {QUIET} ended while one floods with {flood} bytes");
        set.wait(Some(Duration::from_millis(100)), &mut |token, chunk| match chunk {
            Chunk::Data(data, _) if token == 0 => flood += data.len(),
            Chunk::Data(data, _) => read.entry(token).or_default().extend_from_slice(data),
            Chunk::Eof => ended += 1,
            Chunk::Datagram(_) => panic!("no notify socket here"),
        })
        .expect("read");
    }
    assert!(flood > 0);
    assert!(read.values().all(|bytes| *bytes == expected));
    assert_eq!(read.len() as u64, QUIET);
    container.kill().expect("ended");
}

#[test]
fn draining_reads_what_is_there_and_does_not_wait() {
    let (reader, writer) = pipe().expect("a pipe");
    let root = stack();
    let container = root.container("drain").expect("a container");
    let mut set = Set::new().expect("a set");
    set.add(7, reader).expect("added");
    assert!(set.add(7, pipe().expect("a pipe").0).is_err(), "the token is in use");
    assert!(!set.drain(7, &mut |_, chunk| panic!("nothing is there: {chunk:?}")).expect("drained"));
    let mut total = Vec::new();
    for round in 0..50 {
        let run = Run::helper(&container, &["lines", "40", "100"]);
        let process = mainstay_sys::spawn::spawn(&mainstay_sys::spawn::Request {
            command: &run.command,
            working_dir: None,
            environment: &BTreeMap::new(),
            remove: &[],
            user: None,
            password: None,
            settings: None,
            container: &container,
            run: round,
            output: Some(&writer),
            errors: None,
        })
        .expect("it starts");
        if round % 2 == 0 {
            // A read is under way or not.
            set.wait(Some(Duration::from_millis(1)), &mut |_, chunk| {
                if let Chunk::Data(data, _) = chunk {
                    total.extend_from_slice(data);
                }
            })
            .expect("read");
        }
        exit_of(&process);
        let ended = set
            .drain(7, &mut |token, chunk| match chunk {
                Chunk::Data(data, _) => {
                    assert_eq!(token, 7);
                    total.extend_from_slice(data);
                }
                other => panic!("{other:?}"),
            })
            .expect("drained");
        assert!(!ended, "we hold the other end");
        // All that it wrote before it ended is here now.
        assert!(total == numbered(40, 100), "round {round}: {} bytes", total.len());
        total.clear();
        if round == 9 {
            break;
        }
    }
    drop(writer);
    let mut seen = false;
    assert!(set.drain(7, &mut |_, chunk| seen = chunk == Chunk::Eof).expect("drained"));
    assert!(seen);
    assert!(set.drain(7, &mut |_, _| panic!("it is gone")).expect("unknown is drained"));
    set.add(7, pipe().expect("a pipe").0).expect("the token is free again");
}

#[test]
fn a_wake_ends_a_wait() {
    let mut set = Set::new().expect("a set");
    let (reader, _writer) = pipe().expect("a pipe");
    set.add(1, reader).expect("added");
    let waker = set.waker();
    let other = waker.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        other.wake();
    });
    let start = Instant::now();
    set.wait(Some(PATIENCE), &mut |_, _| panic!("nothing was written")).expect("woken");
    assert!(start.elapsed() < PATIENCE);
    thread.join().expect("no panic");
    // One before the wait counts, and any number count as one.
    for _ in 0..1_000 {
        waker.wake();
    }
    set.wait(Some(PATIENCE), &mut |_, _| panic!("nothing was written")).expect("woken");
    let start = Instant::now();
    set.wait(Some(Duration::from_millis(30)), &mut |_, _| panic!("nothing was written")).expect("timeout");
    assert!(start.elapsed() >= Duration::from_millis(29));
}

#[test]
fn what_is_removed_is_heard_no_more() {
    let root = stack();
    let container = root.container("remove").expect("a container");
    let mut set = Set::new().expect("a set");
    for token in 0..20 {
        let (reader, writer) = pipe().expect("a pipe");
        set.add(token, reader).expect("added");
        let _ = set.wait(Some(Duration::ZERO), &mut |_, _| {});
        let run = Run::helper(&container, &["count"]);
        drop(run);
        drop(writer);
        set.remove(token);
        set.remove(token);
    }
    set.wait(Some(Duration::from_millis(50)), &mut |token, chunk| panic!("{token}: {chunk:?}"))
        .expect("a wait");
    assert!(NotifySocket::bind(std::path::Path::new("x"), None).is_err());
}

#[test]
fn nothing_written_is_not_the_end() {
    let root = stack();
    let container = root.container("nothing").expect("a container");
    // A program that writes nothing at all, and one after it, through the same pipe.
    let (reader, writer) = pipe().expect("a pipe");
    let mut set = Set::new().expect("a set");
    set.add(1, reader).expect("added");
    for arguments in [&["lines", "0", "1"], &["lines", "1", "20"]] {
        let run = Run::helper(&container, arguments);
        let process = mainstay_sys::spawn::spawn(&mainstay_sys::spawn::Request {
            command: &run.command,
            working_dir: None,
            environment: &BTreeMap::new(),
            remove: &[],
            user: None,
            password: None,
            settings: None,
            container: &container,
            run: 1,
            output: Some(&writer),
            errors: None,
        })
        .expect("it starts");
        exit_of(&process);
    }
    let mut bytes = Vec::new();
    set.drain(1, &mut |_, chunk| {
        if let Chunk::Data(data, _) = chunk {
            bytes.extend_from_slice(data);
        }
    })
    .expect("drained");
    assert_eq!(bytes, numbered(1, 20));
}

/// Figures, not a test: `cargo test … --test windows_capture -- --ignored --nocapture`.
#[test]
#[ignore = "it measures"]
fn throughput() {
    let root = stack();
    let container = root.container("speed").expect("a container");
    for (arguments, what) in PROGRAMS {
        let (_process, mut output) = {
            let (reader, writer) = pipe().expect("a pipe");
            let run = Run::helper(&container, &arguments);
            let process = mainstay_sys::spawn::spawn(&mainstay_sys::spawn::Request {
                command: &run.command,
                working_dir: None,
                environment: &BTreeMap::new(),
                remove: &[],
                user: None,
                password: None,
                settings: None,
                container: &container,
                run: 1,
                output: Some(&writer),
                errors: None,
            })
            .expect("it starts");
            (process, windows::Output::new(reader))
        };
        let mut file = tempfile::tempfile().expect("a file");
        let (mut total, mut reads, mut start) = (0, 0, None);
        let mut ended = false;
        while !ended {
            // As the keeper does: while reads are small it looks only now and then.
            if total / reads.max(1) < 16_384 {
                std::thread::sleep(Duration::from_millis(2));
            }
            output
                .set
                .wait(Some(PATIENCE), &mut |_, chunk| match chunk {
                    Chunk::Data(data, _) => {
                        start.get_or_insert_with(Instant::now);
                        total += data.len();
                        reads += 1;
                        file.write_all(data).expect("written");
                    }
                    _ => ended = true,
                })
                .expect("read");
        }
        told(what, total, reads, start.expect("something was read").elapsed());
    }
    // The floor: the same program, read by the standard library, and straight into a file.
    for (arguments, what) in PROGRAMS {
        let start = Instant::now();
        let mut child = std::process::Command::new(windows::helper())
            .args(arguments)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut output = child.stdout.take().expect("a pipe");
        let mut buffer = vec![0; 65_536];
        let (mut total, mut reads) = (0, 0);
        while let Ok(count @ 1..) = output.read(&mut buffer) {
            total += count;
            reads += 1;
        }
        child.wait().expect("it ends");
        told(&format!("{what}, floor"), total, reads, start.elapsed());
        let file = tempfile::NamedTempFile::new().expect("a file");
        let start = Instant::now();
        let mut child = std::process::Command::new(windows::helper())
            .args(arguments)
            .stdout(File::create(file.path()).expect("a file"))
            .spawn()
            .expect("it starts");
        child.wait().expect("it ends");
        told(&format!("{what}, into a file"), total, 1, start.elapsed());
    }
}

const PROGRAMS: [([&str; 3], &str); 4] = [
    (["flood", "2000", "65536"], "pieces of 64 KiB"),
    (["flood", "10000", "10000"], "pieces of 10 kB"),
    (["flood", "20000", "4096"], "pieces of 4 KiB"),
    (["flood", "50000", "100"], "lines of 100 bytes"),
];

#[expect(clippy::print_stderr, reason = "figures are for reading")]
fn told(what: &str, bytes: usize, reads: usize, time: Duration) {
    let speed = bytes as f64 / time.as_secs_f64() / 1e6;
    eprintln!("{what}: {bytes} bytes in {time:?}, {speed:.1} MB/s, {} bytes a read", bytes / reads.max(1));
}
