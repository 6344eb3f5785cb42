//! What a writer leaves on the disk, for any way the bytes come in.

#![expect(clippy::unwrap_used, reason = "what a test cannot do fails it")]

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use mainstay_logs::{
    Catalog, LINE_ALLOWANCE, LogPos, Rotated, Settings, Why, Writer, active_path, closed_path,
};
use proptest::prelude::*;

fn settings(rotate_size: u64, keep_files: u32) -> Settings {
    Settings { rotate_size, keep_files, ..Settings::default() }
}

fn writer(dir: &Path, settings: Settings) -> Writer {
    Writer::new(&mut Catalog::scan(dir).unwrap(), "web", settings).unwrap()
}

/// All segments in order, the active one last (if it is there).
fn segments(dir: &Path) -> Vec<Vec<u8>> {
    let mut segments = Vec::new();
    for number in 1.. {
        let Ok(content) = fs::read(closed_path(dir, "web", number)) else { break };
        segments.push(content);
    }
    segments.extend(fs::read(active_path(dir, "web")));
    segments
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    // Many line ends, and every other byte too.
    prop::collection::vec(prop_oneof![1 => Just(b'\n'), 4 => any::<u8>()], 0..400)
}

proptest! {
    // Each case makes dozens of files.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn segments_in_a_row_are_the_input_and_break_at_line_ends(
        chunks in prop::collection::vec((text(), prop::bool::weighted(0.1)), 0..20),
        rotate in 0_u64..300,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut input = Vec::new();
        let mut open = writer(dir.path(), settings(rotate, 10_000));
        for (chunk, reopen) in &chunks {
            open.write(chunk).unwrap();
            input.extend_from_slice(chunk);
            if *reopen {
                drop(open);
                open = writer(dir.path(), settings(rotate, 10_000));
            }
        }
        let segments = segments(dir.path());
        prop_assert_eq!(segments.concat(), input);
        if let Some((_, closed)) = segments.split_last() {
            for segment in closed {
                prop_assert_eq!(segment.last(), Some(&b'\n'));
                prop_assert!(segment.len() as u64 >= rotate);
                // Not one line end later than needed.
                let before = &segment[..segment.len() - 1];
                let late = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at as u64 + 1);
                prop_assert!(late < rotate.max(1), "closed {} bytes after it could have been", late);
            }
        }
        let position = open.position();
        let last = segments.last().map_or(0, Vec::len) as u64;
        prop_assert_eq!(position, LogPos { segment: segments.len().max(1) as u64, offset: last });
        prop_assert_eq!(open.tally().dropped_bytes, 0);
    }

    #[test]
    fn only_the_newest_are_kept(keep in 0_u32..6, lines in 1_usize..40) {
        let dir = tempfile::tempdir().unwrap();
        let mut open = writer(dir.path(), settings(1, keep));
        for line in 0..lines {
            open.write(format!("{line}\n").as_bytes()).unwrap();
        }
        let keep = (keep.max(1) as usize).min(lines);
        for number in 1..=lines {
            let there = closed_path(dir.path(), "web", number as u64).exists();
            prop_assert_eq!(there, number > lines - keep, "segment {}", number);
        }
        // The next writer goes on with the number.
        drop(open);
        prop_assert_eq!(writer(dir.path(), settings(1, 1)).position().segment, lines as u64 + 1);
    }
}

#[test]
fn a_line_that_does_not_end_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let mut open = writer(dir.path(), settings(1000, 10));
    let block = vec![b'x'; 1 << 20];
    for _ in 0..17 {
        open.write(&block).unwrap();
    }
    open.write(b"end\n").unwrap();
    let segments = segments(dir.path());
    assert_eq!(segments[0].len() as u64, 1000 + LINE_ALLOWANCE);
    assert_eq!(segments.concat().len(), (17 << 20) + 4);
    assert!(segments[1].ends_with(b"end\n"), "the rest of the line starts the next segment");
    assert!(segments[2].is_empty(), "which closes at the line's end, as any other");
}

#[test]
fn a_smaller_size_closes_what_is_already_larger() {
    let dir = tempfile::tempdir().unwrap();
    writer(dir.path(), settings(1000, 10)).write(b"one\ntwo\n").unwrap();
    writer(dir.path(), settings(5, 10)).write(b"three\n").unwrap();
    assert_eq!(segments(dir.path()), [b"one\ntwo\n".to_vec(), b"three\n".to_vec(), Vec::new()]);

    let mut open = writer(dir.path(), settings(1000, 10));
    open.write(b"four\nfi").unwrap();
    open.set_settings(settings(2, 10));
    open.write(b"ve\nsix").unwrap();
    assert_eq!(segments(dir.path())[2..], [b"four\nfive\n".to_vec(), b"six".to_vec()]);
}

#[test]
fn deleting_or_moving_the_active_file_makes_a_new_one() {
    if cfg!(windows) {
        println!("SKIPPED on Windows: Wine keeps a deleted file in its directory until nobody has it open");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = active_path(dir.path(), "web");
    let mut open = writer(dir.path(), settings(1000, 10));
    open.write(b"one\n").unwrap();
    fs::remove_file(&path).unwrap();
    open.check();
    open.write(b"two\n").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two\n");

    let aside = dir.path().join("web.log.1");
    fs::rename(&path, &aside).unwrap();
    fs::write(&path, b"").unwrap();
    open.check();
    open.write(b"three\n").unwrap();
    assert_eq!(
        (fs::read(&aside).unwrap(), fs::read(&path).unwrap()),
        (b"two\n".to_vec(), b"three\n".to_vec())
    );

    fs::write(&path, b"").unwrap();
    open.check();
    assert_eq!(open.position(), LogPos { segment: 1, offset: 0 }, "emptied");
    open.write(b"four\n").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"four\n");
}

#[test]
fn a_rotation_without_the_active_file_goes_on_with_its_number() {
    if cfg!(windows) {
        println!("SKIPPED on Windows: Wine keeps a deleted file in its directory until nobody has it open");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut open = writer(dir.path(), settings(10, 10));
    open.write(b"one\n").unwrap();
    fs::remove_file(active_path(dir.path(), "web")).unwrap();
    let trouble = open.write(b"lost with the file\n").unwrap_err();
    assert_eq!(trouble.dropped, 0, "written, though to a file without a name: {trouble}");
    open.write(b"two\n").unwrap();
    assert_eq!(segments(dir.path()), [b"two\n".to_vec()]);
    assert_eq!(open.position().segment, 1);
}

#[test]
fn a_closed_segment_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let mut open = writer(dir.path(), settings(1, 10));
    // Somebody put a file there after the listing.
    fs::write(closed_path(dir.path(), "web", 1), "a stranger's").unwrap();
    open.write(b"one\n").unwrap();
    assert_eq!(segments(dir.path()), [b"a stranger's".to_vec(), b"one\n".to_vec(), Vec::new()]);
}

#[test]
fn a_name_that_leads_elsewhere_is_refused() {
    let mut catalog = Catalog::unknown(Path::new("/nowhere"));
    for name in ["../web", "", "a/b"] {
        assert!(Writer::new(&mut catalog, name, settings(1, 1)).is_err(), "{name}");
    }
}

#[test]
fn a_closed_writer_leaves_its_number_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut catalog = Catalog::scan(dir.path()).unwrap();
    let mut open = Writer::new(&mut catalog, "web", settings(1, 10)).unwrap();
    open.write(b"one\n").unwrap();
    open.close(&mut catalog);
    // Also if somebody has deleted all closed segments meanwhile.
    fs::remove_file(closed_path(dir.path(), "web", 1)).unwrap();
    let mut open = Writer::new(&mut catalog, "web", settings(1, 10)).unwrap();
    assert_eq!(open.position(), LogPos { segment: 2, offset: 0 });
}

#[test]
fn what_was_closed_is_told_once_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let told = Settings { report: true, rotate_age: Some(Duration::from_secs(3600)), ..settings(10, 10) };
    let mut open = writer(dir.path(), told);
    open.write(b"short\n").unwrap();
    assert_eq!(open.take_rotated(), None);
    open.write(b"a longer line\nanother long one\nshort\n").unwrap();
    assert_eq!(open.take_rotated(), Some(Rotated { first: 1, last: 2, why: Why::Size }));
    assert_eq!(open.take_rotated(), None);
    open.rotate_now().unwrap();
    assert_eq!(open.take_rotated(), Some(Rotated { first: 3, last: 3, why: Why::Asked }));
    // Inside a line, at its end, for what it was wanted.
    open.write(b"he").unwrap();
    open.tick(SystemTime::now() + Duration::from_secs(4000)).unwrap();
    assert_eq!(open.take_rotated(), None);
    open.write(b"y\nso ").unwrap();
    assert_eq!(open.take_rotated(), Some(Rotated { first: 4, last: 4, why: Why::Age }));
    open.write(b"large a line\n").unwrap();
    // What nobody asked for is still there for the next writer.
    let mut catalog = Catalog::scan(dir.path()).unwrap();
    open.close(&mut catalog);
    let mut open = Writer::new(&mut catalog, "web", settings(10, 10)).unwrap();
    open.write(b"not told of at all\n").unwrap();
    assert_eq!(open.take_rotated(), Some(Rotated { first: 5, last: 5, why: Why::Size }));
}
