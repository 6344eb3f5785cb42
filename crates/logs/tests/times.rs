//! Times beside a log: what was written when, over rotation, compression, damage and loss of the index.
#![expect(clippy::unwrap_used, reason = "what a test cannot do fails it")]

use std::path::Path;

use mainstay_logs::{
    Catalog, Follower, Form, Lines, LogPos, Settings, Stamp, Times, Writer, clean_up, of_run, pack, remove,
    since, until,
};

/// Lines of ten bytes; ten of them in a segment.
fn writer(dir: &Path) -> Writer {
    let settings = Settings { rotate_size: 100, keep_files: 1000, ..Settings::default() };
    Writer::new(&mut Catalog::scan(dir).unwrap(), "web", settings).unwrap()
}

/// Writes line `n` at second `n`; a run has 25 of them.
fn fill(dir: &Path, lines: std::ops::Range<u64>) {
    let mut writer = writer(dir);
    for n in lines {
        writer.mark(1 + n / 25, n * 1000);
        writer.write(format!("line {n:4}\n").as_bytes()).unwrap();
    }
}

fn stamps(dir: &Path, from: LogPos) -> Vec<(String, Option<Stamp>)> {
    let mut lines = Lines::new(Follower::new(dir, "web", from));
    let mut times = Times::new(dir, "web");
    let mut all = Vec::new();
    while let Some(line) = lines.next_line().unwrap() {
        all.push((String::from_utf8(line.text.to_vec()).unwrap(), times.at(line.start)));
    }
    all
}

fn index(number: u64) -> String {
    format!("web.log.{number:06}.idx")
}

#[test]
fn each_line_has_its_time_and_run_over_all_segments() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 0..95);
    pack(dir.path(), "web", 2, Form::Zstd, &mut || true).unwrap();
    pack(dir.path(), "web", 3, Form::Gzip, &mut || true).unwrap();
    let all = stamps(dir.path(), LogPos::default());
    assert_eq!(all.len(), 95);
    for (n, (text, stamp)) in all.into_iter().enumerate() {
        let n = n as u64;
        assert_eq!((text, stamp), (format!("line {n:4}"), Some(Stamp { time: n * 1000, run: 1 + n / 25 })));
    }
}

#[test]
fn places_are_found_by_time_and_by_run() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 0..95);
    let first = |from| stamps(dir.path(), from).first().map(|(text, _)| text.clone());
    for n in [1, 15, 40, 94] {
        // A little before: at the line before.
        let start = since(dir.path(), "web", n * 1000).unwrap();
        assert_eq!(first(start), Some(format!("line {:4}", n - 1)));
        let end = until(dir.path(), "web", n * 1000).unwrap();
        let after = end.and_then(first);
        assert_eq!(after, (n < 94).then(|| format!("line {:4}", n + 1)), "{n}: {end:?}");
    }
    assert_eq!(first(since(dir.path(), "web", 0).unwrap()).unwrap(), "line    0");
    assert_eq!(until(dir.path(), "web", u64::MAX).unwrap(), None);
    let (start, end) = of_run(dir.path(), "web", 3).unwrap().unwrap();
    assert_eq!(
        (first(start).unwrap(), first(end.unwrap()).unwrap()),
        ("line   50".into(), "line   75".into())
    );
    assert_eq!(of_run(dir.path(), "web", 4).unwrap().unwrap().1, None);
    assert_eq!(of_run(dir.path(), "web", 9).unwrap(), None);
    assert_eq!(of_run(dir.path(), "none", 9).unwrap(), None);
}

#[test]
fn a_reader_that_follows_knows_what_has_just_come() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path());
    let mut lines = Lines::new(Follower::new(dir.path(), "web", LogPos::default()));
    let mut times = Times::new(dir.path(), "web");
    for n in 0..250 {
        writer.mark(n / 7, n * 300);
        writer.write(format!("line {n:4}\n").as_bytes()).unwrap();
        let line = lines.next_line().unwrap().unwrap();
        assert_eq!(times.at(line.start), Some(Stamp { time: n * 300, run: n / 7 }));
    }
}

#[test]
fn the_place_where_another_run_goes_on_in_a_line_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path());
    for (run, text) in [(1, "begun"), (1, " and"), (2, "other\n"), (3, "third\n")] {
        writer.mark(run, run * 1000);
        writer.write(text.as_bytes()).unwrap();
    }
    let mut lines = Lines::new(Follower::new(dir.path(), "web", LogPos::default()));
    let mut times = Times::new(dir.path(), "web");
    let line = lines.next_line().unwrap().unwrap();
    times.at(line.start);
    assert_eq!(times.same_run(line.start, line.text.len()), Some(9));
    let line = lines.next_line().unwrap().unwrap();
    times.at(line.start);
    assert_eq!(times.same_run(line.start, line.text.len()), None);
}

#[test]
fn without_an_index_nothing_fails() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 0..45);
    std::fs::remove_file(dir.path().join(index(2))).unwrap();
    std::fs::write(dir.path().join(index(4)), b"this is not an index at all, is it?").unwrap();
    let all = stamps(dir.path(), LogPos::default());
    assert_eq!(all.len(), 45);
    for (n, (_, stamp)) in all.iter().enumerate() {
        assert_eq!(stamp.is_none(), (10..20).contains(&n) || (30..40).contains(&n), "{n}");
    }
    // What is not known may be wanted.
    let start = since(dir.path(), "web", 35_000).unwrap();
    assert_eq!(start, LogPos { segment: 3, offset: 90 });
    assert_eq!(until(dir.path(), "web", 12_000).unwrap(), Some(LogPos { segment: 3, offset: 0 }));
    // But not what is in a file that was last written to before that.
    let later = 1_000 * (1 << 33);
    assert_eq!(since(dir.path(), "web", later).unwrap(), LogPos { segment: 5, offset: 40 });
}

#[test]
fn indexes_go_with_their_segments() {
    let dir = tempfile::tempdir().unwrap();
    let has = |number| dir.path().join(index(number)).exists();
    fill(dir.path(), 0..45);
    assert!((1..=5).all(has));
    remove(dir.path(), "web", 1, false).unwrap();
    assert!(!has(1));
    std::fs::remove_file(dir.path().join("web.log.000002")).unwrap();
    clean_up(dir.path()).unwrap();
    assert!(!has(2) && (3..=5).all(has), "that of a segment somebody deleted goes later");
    let settings = Settings { rotate_size: 100, keep_files: 1, ..Settings::default() };
    let mut writer = Writer::new(&mut Catalog::scan(dir.path()).unwrap(), "web", settings).unwrap();
    writer.mark(9, 99_000);
    writer.write(&[b'\n'; 110]).unwrap();
    assert!(!has(3) && !has(4) && has(5) && has(6));
    assert_eq!(of_run(dir.path(), "web", 9).unwrap().unwrap().0, LogPos { segment: 5, offset: 50 });
}

#[test]
fn a_file_that_somebody_emptied_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 0..5);
    std::fs::write(dir.path().join("web.log"), "").unwrap();
    fill(dir.path(), 50..53);
    let times: Vec<u64> =
        stamps(dir.path(), LogPos::default()).iter().map(|(_, s)| s.unwrap().time).collect();
    assert_eq!(times, [50_000, 51_000, 52_000]);
}
