//! One thread, everything it waits for.
#![cfg(target_os = "linux")]

mod common;

use std::io;
use std::time::Duration;

use common::PATIENCE;
use mainstay_sys::link::Link;
use mainstay_sys::mux::{MAX_FRAME, MAX_MESSAGES, MAX_QUEUED, Mux, Wake};

/// Two that are linked.
fn linked() -> (Mux<u32>, Mux<u32>) {
    let (one, end) = raw();
    let mut two = Mux::new().expect("it can be made");
    two.set_link(Some(end));
    (one, two)
}

/// One, and the other side of its link as bytes.
fn raw() -> (Mux<u32>, Link) {
    let mut mux = Mux::new().expect("it can be made");
    let (end, child) = mainstay_sys::link::pair().expect("a pair can be had");
    mux.set_link(Some(child.into_link().expect("it is a link")));
    (mux, end)
}

#[track_caller]
fn frame(mux: &mut Mux<u32>) -> Vec<u8> {
    match mux.next(Some(PATIENCE)).expect("it can be waited") {
        Wake::Frame(frame) => frame.to_vec(),
        other => panic!("{other:?} instead of a frame"),
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| u8::try_from(place % 251).expect("it is small")).collect()
}

#[test]
fn frames_of_every_size_arrive() {
    let (mut one, mut two) = linked();
    for length in [0, 1, 3, 4, 65_535, 65_536, 65_537, 1_000_000, 10_000_000] {
        let sent = pattern(length);
        let reader = std::thread::spawn(move || {
            let got = frame(&mut two);
            (two, got)
        });
        one.send(&sent).expect("it is taken");
        while one.queued() > 0 {
            assert_eq!(one.next(Some(Duration::from_millis(20))).expect("it can be waited"), Wake::Timeout);
        }
        let (back, got) = reader.join().expect("it reads");
        assert!(got == sent, "{length} bytes");
        two = back;
    }
}

#[test]
fn many_small_frames_keep_their_order() {
    let (mut one, mut two) = linked();
    let count = 100_000_u32;
    let writer = std::thread::spawn(move || {
        for number in 0..count {
            one.send(&number.to_le_bytes()).expect("it is taken");
        }
        while one.queued() > 0 {
            one.next(Some(Duration::from_millis(20))).expect("it can be waited");
        }
    });
    for number in 0..count {
        assert_eq!(frame(&mut two), number.to_le_bytes());
    }
    // The writer has gone meanwhile, which is told after its last frame, once.
    writer.join().expect("it writes");
    assert_eq!(two.next(Some(PATIENCE)).expect("it can be waited"), Wake::LinkClosed);
    assert_eq!(two.next(Some(Duration::ZERO)).expect("it can be waited"), Wake::Timeout);
    assert_eq!(two.send(b"x").map_err(|error| error.kind()), Err(io::ErrorKind::NotConnected));
}

#[test]
fn a_peer_that_never_reads_holds_nobody_up() {
    let (mut one, two) = linked();
    let block = vec![7; 1 << 20];
    let mut taken = 0;
    let refused = loop {
        match one.send(&block) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 100, "there is a bound");
    };
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    assert!(one.queued() <= MAX_QUEUED && one.queued() > MAX_QUEUED / 2);
    // Everything else goes on.
    let sender = one.sender();
    assert!(sender.send(1));
    assert_eq!(one.next(Some(PATIENCE)).expect("it can be waited"), Wake::Message(1));
    assert_eq!(one.next(Some(Duration::from_millis(1))).expect("it can be waited"), Wake::Timeout);
    drop(two);
    assert_eq!(one.next(Some(PATIENCE)).expect("it can be waited"), Wake::LinkClosed);
    assert_eq!(one.queued(), 0);
}

#[test]
fn what_was_sent_before_the_end_arrives() {
    let (mut one, mut two) = linked();
    // Two has unread data when it ends, which makes the end a reset.
    one.send(b"never read").expect("it is taken");
    two.send(b"last words").expect("it is taken");
    two.send(&pattern(100_000)).expect("it is taken");
    assert_eq!(two.queued(), 0);
    drop(two);
    one.send(b"into the void").expect("that it is gone is told otherwise");
    assert_eq!(frame(&mut one), b"last words");
    assert_eq!(frame(&mut one), pattern(100_000));
    assert_eq!(one.next(Some(PATIENCE)).expect("it can be waited"), Wake::LinkClosed);
}

#[test]
fn half_a_frame_is_none_and_a_monster_ends_the_link() {
    let (mut mux, mut end) = raw();
    end.write_all(&[5, 0, 0, 0, b'h', b'a']).expect("it is taken");
    assert_eq!(mux.next(Some(Duration::from_millis(1))).expect("it can be waited"), Wake::Timeout);
    drop(end);
    assert_eq!(mux.next(Some(PATIENCE)).expect("it can be waited"), Wake::LinkClosed);

    let (mut mux, mut end) = raw();
    let monster = u32::try_from(MAX_FRAME + 1).expect("it fits").to_le_bytes();
    end.write_all(&monster).expect("it is taken");
    assert_eq!(mux.next(Some(PATIENCE)).expect("it can be waited"), Wake::LinkClosed);

    let (mut mux, _end) = raw();
    let error = mux.send(&vec![0; MAX_FRAME + 1]).expect_err("it is too long");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

/// What was read behind a line belongs to the first frames.
#[test]
fn lines_first_and_frames_then() {
    let (mut ours, child) = mainstay_sys::link::pair().expect("a pair can be had");
    let mut theirs = child.into_link().expect("it is a link");
    theirs.write_all(b"ready\n\x02\0\0\0hi").expect("it is taken");
    assert_eq!(ours.read_line(PATIENCE).expect("a line").as_deref(), Some("ready"));
    let mut mux = Mux::<u32>::new().expect("it can be made");
    mux.set_link(Some(ours));
    assert_eq!(frame(&mut mux), b"hi");
}

#[test]
fn messages_are_bounded_and_in_order() {
    let mut mux = Mux::<usize>::new().expect("it can be made");
    let sender = mux.sender();
    for number in 0..MAX_MESSAGES {
        assert!(sender.send(number));
    }
    assert!(!sender.send(0), "it is full");
    for number in 0..MAX_MESSAGES {
        assert_eq!(mux.next(None).expect("it can be waited"), Wake::Message(number));
    }
    assert_eq!(mux.next(Some(Duration::ZERO)).expect("it can be waited"), Wake::Timeout);
    let other = sender.clone();
    let thread = std::thread::spawn(move || other.send(7));
    assert_eq!(mux.next(Some(PATIENCE)).expect("it can be waited"), Wake::Message(7));
    assert!(thread.join().expect("it sends"));
    drop(mux);
    assert!(!sender.send(0), "nobody is there");
}

/// A flood of one kind does not keep the others from being heard.
#[test]
fn nobody_starves() {
    let (mut one, mut two) = linked();
    let sender = two.sender();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let flood = std::thread::spawn(move || {
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            sender.send(1);
        }
    });
    assert!(matches!(two.next(Some(PATIENCE)), Ok(Wake::Message(1))));
    for _ in 0..10 {
        one.send(b"hello").expect("it is taken");
        let mut messages = 0;
        loop {
            match two.next(Some(PATIENCE)).expect("it can be waited") {
                Wake::Message(_) => messages += 1,
                Wake::Frame(frame) => break assert_eq!(frame.as_slice(), b"hello"),
                other => panic!("{other:?}"),
            }
            assert!(messages < 1000, "the frame has its turn");
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    flood.join().expect("it ends");
}
