//! Compressed segments: read like plain ones, and never lost or doubled.

#![expect(clippy::unwrap_used, reason = "what a test cannot do fails it")]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use mainstay_logs::{
    Catalog, Follower, Form, LogPos, Settings, Step, Writer, clean_up, closed_path, last_lines, list, pack,
    remove, tail_start,
};
use proptest::prelude::*;

fn writer(dir: &Path, rotate_size: u64) -> Writer {
    let settings = Settings { rotate_size, keep_files: 1000, ..Settings::default() };
    Writer::new(&mut Catalog::scan(dir).unwrap(), "web", settings).unwrap()
}

fn all(follower: &mut Follower) -> Vec<u8> {
    let (mut text, mut buffer) = (Vec::new(), vec![0; 300]);
    while let Step::Data(read) = follower.read(&mut buffer).unwrap() {
        text.extend_from_slice(&buffer[..read]);
    }
    text
}

fn read(dir: &Path, from: LogPos) -> Vec<u8> {
    all(&mut Follower::new(dir, "web", from))
}

fn form(choice: u8) -> Form {
    [Form::Plain, Form::Zstd, Form::Gzip][usize::from(choice % 3)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_makes_no_difference_to_readers_which_segments_are_compressed(
        lines in prop::collection::vec(0_usize..200, 1..60),
        packed in prop::collection::vec(any::<u8>(), 30),
        rotate in 100_u64..2000,
        (tail, bytes, from, to) in (0_u64..70, 1_usize..5000, 0_u64..9000, 0_u64..9000),
    ) {
        let (plain, mixed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for dir in [&plain, &mixed] {
            let mut open = writer(dir.path(), rotate);
            for length in &lines {
                open.write(format!("{}\n", "x".repeat(*length)).as_bytes()).unwrap();
            }
        }
        for closed in list(mixed.path()).unwrap().remove("web").unwrap_or_default() {
            let form = form(packed[closed.number as usize % packed.len()]);
            prop_assert!(pack(mixed.path(), "web", closed.number, form, &mut || true).unwrap());
        }
        let place = |at: u64| LogPos { segment: 1 + at / 1000, offset: at % 1000 };
        let seen = [plain.path(), mixed.path()].map(|dir| {
            (
                read(dir, LogPos::default()),
                read(dir, place(from)),
                tail_start(dir, "web", tail).unwrap(),
                last_lines(dir, "web", (place(from), place(from.max(to))), tail, bytes).unwrap(),
                Catalog::scan(dir).map(|mut catalog| {
                    let open = Writer::new(&mut catalog, "web", Settings::default()).unwrap();
                    open.oldest().map(|(number, _)| number)
                }).unwrap(),
            )
        });
        prop_assert_eq!(&seen[0], &seen[1]);
    }
}

#[test]
fn a_reader_that_has_it_open_is_not_disturbed() {
    let dir = tempfile::tempdir().unwrap();
    let text: Vec<u8> = (0..1000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    let mut open = writer(dir.path(), 5000);
    open.write(&text).unwrap();
    let mut follower = Follower::new(dir.path(), "web", LogPos::default());
    let mut seen = vec![0; 100];
    assert_eq!(follower.read(&mut seen).unwrap(), Step::Data(100));
    pack(dir.path(), "web", 1, Form::Zstd, &mut || true).unwrap();
    assert!(dir.path().join("web.log.000001.zst").exists());
    seen.extend(all(&mut follower));
    assert!(seen == text, "each byte once");
    assert!(!closed_path(dir.path(), "web", 1).exists());
    assert_eq!(follower.take_missed(), 0);
}

#[test]
fn it_is_never_lost_or_doubled_whenever_the_work_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    // It does not compress well, so that there are several blocks.
    let mut seed = 1_u64;
    let noise = std::iter::repeat_with(move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as u8 | 0x80
    });
    let mut text: Vec<u8> = noise.take(1 << 20).collect();
    text.push(b'\n');
    let mut open = writer(dir.path(), 1 << 20);
    open.write(&text).unwrap();
    for form in [Form::Zstd, Form::Gzip] {
        for blocks in 0..8 {
            let mut left = blocks;
            let mut idle = || {
                left -= 1;
                left >= 0
            };
            assert!(!pack(dir.path(), "web", 1, form, &mut idle).unwrap());
            assert_eq!(list(dir.path()).unwrap()["web"].len(), 1);
            assert!(read(dir.path(), LogPos::default()) == text);
            let files = fs::read_dir(dir.path()).unwrap().count();
            assert_eq!(files, 2, "nothing half is left");
        }
    }
    // What a crash leaves: half a file; and, a step later, both.
    fs::write(dir.path().join("web.log.000001.gz.77.tmp"), &text[..77]).unwrap();
    fs::write(dir.path().join("somebody.else.tmp"), "x").unwrap();
    assert!(read(dir.path(), LogPos::default()) == text);
    let plain = closed_path(dir.path(), "web", 1);
    pack(dir.path(), "web", 1, Form::Zstd, &mut || true).unwrap();
    fs::write(&plain, &text).unwrap();
    assert!(read(dir.path(), LogPos::default()) == text, "not twice");
    clean_up(dir.path()).unwrap();
    assert!(read(dir.path(), LogPos::default()) == text);
    assert!(!plain.exists() && !dir.path().join("web.log.000001.gz.77.tmp").exists());
    assert!(dir.path().join("somebody.else.tmp").exists());
}

#[test]
fn what_retention_deletes_meanwhile_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut open = writer(dir.path(), 10);
    open.write(b"a line of the first\n").unwrap();
    open.write(b"a line of the second\n").unwrap();
    let mut first = true;
    let mut idle = || {
        if std::mem::take(&mut first) {
            remove(dir.path(), "web", 1, false).unwrap();
        }
        true
    };
    assert!(pack(dir.path(), "web", 1, Form::Zstd, &mut idle).unwrap());
    assert_eq!(list(dir.path()).unwrap()["web"].iter().map(|c| c.number).collect::<Vec<_>>(), [2]);
    // The newest leaves its number behind.
    remove(dir.path(), "web", 2, true).unwrap();
    let mut open = writer(dir.path(), 10);
    assert_eq!(open.position(), LogPos { segment: 3, offset: 0 });
}

#[test]
fn the_time_of_the_last_write_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut open = writer(dir.path(), 10);
    open.write(b"a line of the first\n").unwrap();
    let before = SystemTime::now() - Duration::from_secs(5 * 24 * 3600);
    let plain = closed_path(dir.path(), "web", 1);
    fs::File::options().write(true).open(&plain).unwrap().set_modified(before).unwrap();
    pack(dir.path(), "web", 1, Form::Gzip, &mut || true).unwrap();
    let listed = &list(dir.path()).unwrap()["web"][0];
    assert_eq!(listed.forms, [Form::Gzip]);
    let off = listed.written.duration_since(before).unwrap_or_else(|earlier| earlier.duration());
    assert!(off < Duration::from_secs(1));
}

#[test]
fn a_segment_is_closed_by_age_at_the_end_of_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut open = writer(dir.path(), 1 << 20);
    let hour = Duration::from_secs(3600);
    open.set_settings(Settings { rotate_age: Some(hour), ..open.settings() });
    open.tick(SystemTime::now() + 2 * hour).unwrap();
    open.write(b"one\ntw").unwrap();
    open.tick(SystemTime::now()).unwrap();
    assert!(list(dir.path()).unwrap().is_empty());
    open.tick(SystemTime::now() + hour).unwrap();
    assert!(list(dir.path()).unwrap().is_empty(), "not inside a line");
    open.write(b"o\nthree\n").unwrap();
    assert_eq!(fs::read(closed_path(dir.path(), "web", 1)).unwrap(), b"one\ntwo\n");
    open.tick(SystemTime::now() + hour).unwrap();
    assert_eq!(fs::read(closed_path(dir.path(), "web", 2)).unwrap(), b"three\n");
    // An empty one never.
    open.tick(SystemTime::now() + 9 * hour).unwrap();
    assert_eq!(list(dir.path()).unwrap()["web"].len(), 2);
}

#[test]
fn a_follower_gets_each_byte_once_while_segments_are_compressed_as_they_close() {
    let dir = tempfile::tempdir().unwrap();
    let done = AtomicBool::new(false);
    let text: Vec<u8> = (0..20_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    let seen = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut open = writer(dir.path(), 4000);
            text.chunks(777).for_each(|chunk| open.write(chunk).unwrap());
            done.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            loop {
                let last = done.load(Ordering::Acquire);
                for closed in list(dir.path()).unwrap().remove("web").unwrap_or_default() {
                    pack(dir.path(), "web", closed.number, form(closed.number as u8), &mut || true).unwrap();
                }
                if last {
                    break;
                }
            }
        });
        let mut follower = Follower::new(dir.path(), "web", LogPos::default());
        let mut seen = Vec::new();
        loop {
            let last = done.load(Ordering::Acquire);
            seen.extend(all(&mut follower));
            if last && seen.len() >= text.len() {
                break;
            }
        }
        assert_eq!(follower.take_missed(), 0);
        seen
    });
    assert!(seen == text, "{} of {} bytes", seen.len(), text.len());
}
