//! Readers beside a writer: each byte once, whatever the writer closes and deletes meanwhile.

#![expect(clippy::unwrap_used, reason = "what a test cannot do fails it")]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use mainstay_logs::{
    Catalog, Follower, Lines, LogPos, MAX_LINE, Settings, Step, Writer, active_path, closed_path, end,
    last_lines, tail_start,
};
use proptest::prelude::*;

fn writer(dir: &Path, rotate_size: u64, keep_files: u32) -> Writer {
    Writer::new(
        &mut Catalog::scan(dir).unwrap(),
        "web",
        Settings { rotate_size, keep_files, ..Settings::default() },
    )
    .unwrap()
}

fn read_all(follower: &mut Follower, size: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = vec![0; size];
    while let Step::Data(read) = follower.read(&mut buffer).unwrap() {
        all.extend_from_slice(&buffer[..read]);
    }
    all
}

fn all_lines(lines: &mut Lines) -> Vec<(LogPos, String)> {
    let mut all = Vec::new();
    while let Some(line) = lines.next_line().unwrap() {
        assert!(line.ended);
        all.push((line.start, String::from_utf8(line.text.to_vec()).unwrap()));
    }
    all
}

proptest! {
    // Each case makes dozens of files.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_follower_sees_each_byte_once(
        steps in prop::collection::vec((prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200), 0_usize..3), 1..30),
        rotate in 1_u64..200,
        size in 1_usize..100,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut open = writer(dir.path(), rotate, 10_000);
        let mut follower = Follower::new(dir.path(), "web", LogPos::default());
        let (mut input, mut seen) = (Vec::new(), Vec::new());
        for (chunk, reads) in &steps {
            open.write(chunk).unwrap();
            input.extend_from_slice(chunk);
            // Not to the end each time: the writer runs ahead, over rotations.
            let mut buffer = vec![0; size];
            for _ in 0..*reads {
                if let Step::Data(read) = follower.read(&mut buffer).unwrap() {
                    seen.extend_from_slice(&buffer[..read]);
                }
            }
            // Resuming at the place is the same as going on.
            if *reads == 2 {
                follower = Follower::new(dir.path(), "web", follower.position());
            }
        }
        seen.extend(read_all(&mut follower, size));
        prop_assert_eq!(seen, input);
        prop_assert_eq!(follower.take_missed(), 0);
        prop_assert_eq!(follower.position(), open.position());
        prop_assert_eq!(end(dir.path(), "web").unwrap(), open.position());
    }

    #[test]
    fn lines_and_tails_agree_with_the_text(
        pieces in prop::collection::vec("[a-c\n]{0,40}", 1..20),
        rotate in 1_u64..100,
        wanted in 0_u64..40,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut open = writer(dir.path(), rotate, 10_000);
        for piece in &pieces {
            open.write(piece.as_bytes()).unwrap();
        }
        let text = pieces.concat();
        let whole: Vec<&str> = text.split_inclusive('\n').collect();

        let mut lines = Lines::new(Follower::new(dir.path(), "web", LogPos { segment: 1, offset: 0 }));
        let mut seen = String::new();
        let mut starts = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            prop_assert!(line.ended);
            starts.push(line.start);
            seen.push_str(std::str::from_utf8(line.text).unwrap());
            seen.push('\n');
        }
        if let Some(rest) = lines.take_rest() {
            starts.push(rest.start);
            seen.push_str(std::str::from_utf8(rest.text).unwrap());
        }
        prop_assert_eq!(&seen, &text);
        // Each line's start leads to that line.
        for (start, line) in starts.iter().zip(&whole) {
            let from_there = read_all(&mut Follower::new(dir.path(), "web", *start), 1000);
            prop_assert!(from_there.starts_with(line.as_bytes()));
        }

        let tail = &whole[whole.len() - (wanted as usize).min(whole.len())..];
        let start = tail_start(dir.path(), "web", wanted).unwrap();
        let from_tail = read_all(&mut Follower::new(dir.path(), "web", start), 1000);
        prop_assert_eq!(String::from_utf8(from_tail).unwrap(), tail.concat());

        // The same between two places, as for one run of several.
        if starts.len() > 2 {
            let (from, to) = (1, starts.len() - 1);
            let between = &whole[from..to];
            let between = &between[between.len() - (wanted as usize).min(between.len())..];
            let range = (starts[from], starts[to]);
            let read = last_lines(dir.path(), "web", range, wanted, 1 << 20).unwrap();
            prop_assert_eq!(String::from_utf8(read).unwrap(), between.concat());
        }
    }
}

#[test]
fn a_follower_keeps_up_with_a_writer_in_another_thread() {
    const LINES: u64 = 60_000;
    let dir = tempfile::tempdir().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut open = writer(dir.path(), 4000, 100_000);
            for line in 0..LINES {
                open.write(format!("line {line}\n").as_bytes()).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut lines = Lines::new(Follower::new(dir.path(), "web", LogPos::default()));
                let mut expected = 0;
                loop {
                    let was_done = done.load(Ordering::Acquire);
                    while let Some(line) = lines.next_line().unwrap() {
                        assert_eq!(line.text, format!("line {expected}").as_bytes());
                        expected += 1;
                    }
                    if was_done {
                        break;
                    }
                    std::thread::yield_now();
                }
                assert_eq!((expected, lines.take_missed()), (LINES, 0));
            });
        }
    });
}

#[test]
fn what_was_deleted_before_it_was_read_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut open = writer(dir.path(), 1, 2);
    let mut lines = Lines::new(Follower::new(dir.path(), "web", LogPos { segment: 1, offset: 0 }));
    open.write(b"1\n").unwrap();
    assert_eq!(all_lines(&mut lines), [(LogPos { segment: 1, offset: 0 }, "1".to_owned())]);
    for line in 2..=9 {
        open.write(format!("{line}\n").as_bytes()).unwrap();
    }
    // Closed are 8 and 9; it stands at the start of 2, which it holds open.
    let seen: Vec<String> = all_lines(&mut lines).into_iter().map(|(_, text)| text).collect();
    assert_eq!(seen, ["2", "8", "9"]);
    assert_eq!((lines.take_missed(), lines.take_missed()), (5, 0));
}

#[test]
fn an_open_segment_is_read_to_its_end_though_it_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut open = writer(dir.path(), 100, 1);
    let mut follower = Follower::new(dir.path(), "web", LogPos::default());
    let mut first = [0; 4];
    open.write(b"one\ntwo\n").unwrap();
    assert_eq!(follower.read(&mut first).unwrap(), Step::Data(4));
    let line = format!("{}\n", "x".repeat(120));
    for _ in 0..3 {
        open.write(line.as_bytes()).unwrap();
    }
    let rest = String::from_utf8(read_all(&mut follower, 50)).unwrap();
    assert_eq!(rest, format!("two\n{line}{line}"), "segment 1, and 3; 2 was deleted before it was opened");
    assert_eq!(follower.take_missed(), 1);
}

#[test]
fn a_log_that_is_not_there_yet_is_read_when_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("later");
    let mut follower = Follower::new(&logs, "web", LogPos::default());
    assert_eq!(follower.read(&mut [0; 10]).unwrap(), Step::End);
    assert_eq!(end(&logs, "web").unwrap(), LogPos { segment: 1, offset: 0 });
    assert_eq!(tail_start(&logs, "web", 5).unwrap(), LogPos { segment: 1, offset: 0 });
    fs::create_dir(&logs).unwrap();
    writer(&logs, 100, 2).write(b"there\n").unwrap();
    assert_eq!(read_all(&mut follower, 10), b"there\n");
}

#[test]
fn deleting_emptying_or_replacing_the_active_file_does_not_confuse_a_follower() {
    let dir = tempfile::tempdir().unwrap();
    let path = active_path(dir.path(), "web");
    let mut open = writer(dir.path(), 1000, 5);
    let mut follower = Follower::new(dir.path(), "web", LogPos::default());
    open.write(b"one\n").unwrap();
    assert_eq!(read_all(&mut follower, 10), b"one\n");

    fs::remove_file(&path).unwrap();
    assert_eq!(read_all(&mut follower, 10), b"");
    open.check();
    open.write(b"second\n").unwrap();
    assert_eq!(read_all(&mut follower, 10), b"second\n");

    fs::write(&path, b"").unwrap();
    open.check();
    open.write(b"third\n").unwrap();
    assert_eq!(read_all(&mut follower, 10), b"third\n");
}

#[test]
fn closed_segments_deleted_by_hand_do_not_make_lines_come_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut open = writer(dir.path(), 10, 5);
    for line in 1..=3 {
        open.write(format!("a long line {line}\n").as_bytes()).unwrap();
    }
    for number in 1..=3 {
        fs::remove_file(closed_path(dir.path(), "web", number)).unwrap();
    }
    open.write(b"new\n").unwrap();
    // The directory no longer tells that the active one is number 4.
    let mut follower = Follower::new(dir.path(), "web", LogPos::default());
    assert_eq!(read_all(&mut follower, 10), b"new\n");
    open.write(b"newer, closes\nlast\n").unwrap();
    assert_eq!(read_all(&mut follower, 10), b"newer, closes\nlast\n");
    assert_eq!(follower.position(), open.position());

    // And who knows the number from the writer finds the place.
    fs::remove_file(closed_path(dir.path(), "web", 4)).unwrap();
    let place = open.position();
    open.write(b"more\n").unwrap();
    let mut follower = Follower::new(dir.path(), "web", place);
    assert_eq!(read_all(&mut follower, 10), b"more\n");
    assert_eq!(last_lines(dir.path(), "web", (place, open.position()), 9, 100).unwrap(), b"more\n");
}

#[test]
fn a_very_long_line_comes_in_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let mut open = writer(dir.path(), 1 << 30, 5);
    let long = vec![b'x'; MAX_LINE * 2 + 10];
    open.write(&long).unwrap();
    let mut lines = Lines::new(Follower::new(dir.path(), "web", LogPos::default()));
    for piece in 0..2 {
        let line = lines.next_line().unwrap().unwrap();
        let start = LogPos { segment: 1, offset: (piece * MAX_LINE) as u64 };
        assert_eq!((line.start, line.text.len(), line.ended), (start, MAX_LINE, false));
    }
    assert!(lines.next_line().unwrap().is_none(), "its end is still to come");
    open.write(b"end\nnext\n").unwrap();
    let line = lines.next_line().unwrap().unwrap();
    assert_eq!((line.text.len(), line.ended), (13, true));
    assert_eq!(lines.next_line().unwrap().unwrap().text, b"next");
}

#[test]
fn last_lines_of_a_flood_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut open = writer(dir.path(), 1 << 20, 100);
    let from = open.position();
    let line = format!("{}\n", "y".repeat(99));
    open.write(line.repeat(100_000).as_bytes()).unwrap();
    let range = (from, open.position());
    let read = last_lines(dir.path(), "web", range, 20, 1000).unwrap();
    assert_eq!(String::from_utf8(read).unwrap(), line.repeat(10), "bytes are the tighter limit here");
    let read = last_lines(dir.path(), "web", range, 20, 1 << 20).unwrap();
    assert_eq!(read.len(), 2000);
}
