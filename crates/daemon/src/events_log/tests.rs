//! The files of events, over daemons that die.

use super::*;

fn all(state: &Path, since: u64, limit: usize) -> Vec<EventRecord> {
    let mut reader = Reader::open(state, since, limit).unwrap();
    let mut records = Vec::new();
    while let Some((first, piece)) = reader.next_piece().unwrap() {
        assert!(piece.len() < CHUNK + (8 << 10));
        let lines = std::str::from_utf8(&piece).unwrap().lines();
        let before = records.len();
        records.extend(lines.map(|line| serde_json::from_str::<EventRecord>(line).unwrap()));
        assert_eq!(records[before].seq, first);
    }
    records
}

fn seqs(state: &Path, since: u64, limit: usize) -> Vec<u64> {
    all(state, since, limit).iter().map(|record| record.seq).collect()
}

fn tell(log: &mut EventsLog, text: &str) {
    log.stage_own(text);
    log.take_leave();
    log.flush();
}

#[test]
fn numbers_rise_over_daemons() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let mut log = EventsLog::open(dir.path(), None, Vec::new());
        tell(&mut log, &format!("round {round}"));
        tell(&mut log, "and more");
    }
    assert_eq!(seqs(dir.path(), 0, 0), [1, 2, 3, 4, 5, 6]);
    assert_eq!(seqs(dir.path(), 4, 0), [5, 6]);
    assert_eq!(seqs(dir.path(), 0, 2), [5, 6]);
    assert_eq!(seqs(dir.path(), 3, 10), [4, 5, 6]);
    assert_eq!(all(dir.path(), 0, 1)[0].event, EventBody::Own { message: "and more".into(), about: None });
}

#[test]
fn what_a_daemon_could_not_write_the_next_one_writes_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EventsLog::open(dir.path(), None, Vec::new());
    tell(&mut log, "one");
    log.stage_own("two");
    log.stage_own("three");
    let saved = log.saved().unwrap();
    // Gone before it wrote; gone after it wrote one of them, and half of the other.
    let line = String::from_utf8(log.staged[0].json.to_vec()).unwrap();
    for written in [String::new(), line.clone(), line + "{\"seq\":3,\"at"] {
        let path = current(dir.path());
        let before = std::fs::read(&path).unwrap();
        std::fs::write(&path, [before.as_slice(), written.as_bytes()].concat()).unwrap();
        let next = EventsLog::open(dir.path(), Some(&saved), Vec::new());
        assert_eq!(seqs(dir.path(), 0, 0), [1, 2, 3]);
        assert!(!next.is_staged());
        drop(next);
        std::fs::write(&path, &before).unwrap();
    }
}

#[test]
fn what_came_to_nothing_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EventsLog::open(dir.path(), None, Vec::new());
    let text = "x".repeat(4000);
    (0..500).for_each(|_| tell(&mut log, &text));
    let saved = log.saved().unwrap();
    assert!(!log.is_staged());
    // Written, and even with a file put aside, but the keeper knows nothing of it.
    (0..1000).for_each(|_| tell(&mut log, &text));
    assert!(previous(dir.path()).exists());
    assert_eq!(seqs(dir.path(), 0, 0), (1..=1500).collect::<Vec<_>>());
    let mut next = EventsLog::open(dir.path(), Some(&saved), Vec::new());
    assert_eq!(seqs(dir.path(), 0, 0), (1..=500).collect::<Vec<_>>());
    tell(&mut next, "another");
    assert_eq!(seqs(dir.path(), 499, 0), [500, 501]);
}

#[test]
fn numbers_rise_without_the_files_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EventsLog::open(dir.path(), None, Vec::new());
    tell(&mut log, "one");
    log.stage_own("two");
    let saved = log.saved().unwrap();
    log.take_leave();
    log.flush();
    // Windows removes a file only when nobody has it open.
    drop(log);
    std::fs::remove_file(current(dir.path())).unwrap();
    let mut log = EventsLog::open(dir.path(), Some(&saved), Vec::new());
    tell(&mut log, "three");
    assert_eq!(seqs(dir.path(), 0, 0), [2, 3]);
}

#[test]
fn the_files_are_bounded_and_the_newest_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EventsLog::open(dir.path(), None, Vec::new());
    let text = "x".repeat(4000);
    for _ in 0..3000 {
        tell(&mut log, &text);
    }
    let sizes = [current(dir.path()), previous(dir.path())].map(|p| std::fs::metadata(p).unwrap().len());
    assert!(sizes.iter().all(|size| *size <= MAX_FILE), "{sizes:?}");
    let kept = seqs(dir.path(), 0, 0);
    assert!(kept.len() > 1000 && kept.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert_eq!(kept.last(), Some(&3000));
    assert_eq!(seqs(dir.path(), 0, 1500).len(), 1500);
    drop(log);
    assert_eq!(EventsLog::open(dir.path(), None, Vec::new()).next, 3001);
}

#[test]
fn a_reader_survives_that_a_file_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EventsLog::open(dir.path(), None, Vec::new());
    let text = "x".repeat(4000);
    (0..1000).for_each(|_| tell(&mut log, &text));
    let mut reader = Reader::open(dir.path(), 0, 0).unwrap();
    let mut last = 0;
    while let Some((first, piece)) = reader.next_piece().unwrap() {
        assert_eq!(first, last + 1);
        last = reader.last();
        (0..100).for_each(|_| tell(&mut log, &text));
        assert!(!piece.is_empty());
    }
    assert!(last >= 1000);
}

#[test]
fn garbage_in_the_files_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EventsLog::open(dir.path(), None, Vec::new());
    tell(&mut log, "one");
    let path = current(dir.path());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"\xFF\xFE not json\n{\"seq\":\"x\"}\n\n{\"half");
    std::fs::write(&path, bytes).unwrap();
    let mut log = EventsLog::open(dir.path(), None, Vec::new());
    tell(&mut log, "two");
    assert_eq!(seqs(dir.path(), 0, 0), [1, 2]);
}

#[test]
fn an_unwritable_place_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(current(dir.path())).unwrap();
    let mut log = EventsLog::open(dir.path(), None, Vec::new());
    let mut live = log.live().subscribe();
    tell(&mut log, "one");
    assert_eq!(live.try_recv().unwrap().seq, 1);
    std::fs::remove_dir(current(dir.path())).unwrap();
    tell(&mut log, "two");
    assert_eq!(seqs(dir.path(), 0, 0), [2]);
}

#[test]
fn a_number_that_a_failing_disk_made_does_not_end_all_counting() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EventsLog::open(dir.path(), None, Vec::new());
    tell(&mut log, "one");
    drop(log);
    let path = current(dir.path());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"{\"seq\":18446744073709551615,\"at\":\"\",\"message\":\"x\"}\n");
    bytes.extend_from_slice(&[0; 5000]);
    bytes.push(b'\n');
    std::fs::write(&path, bytes).unwrap();
    let mut log = EventsLog::open(dir.path(), None, Vec::new());
    tell(&mut log, "two");
    assert_eq!(seqs(dir.path(), 0, 0), [1, 2]);
}

#[test]
fn a_line_without_bounds_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EventsLog::open(dir.path(), None, Vec::new());
    tell(&mut log, "one");
    drop(log);
    let path = current(dir.path());
    let mut bytes = std::fs::read(&path).unwrap();
    let before = bytes.len();
    bytes.extend(std::iter::repeat_n(b'x', 3 << 20));
    bytes.push(b'\n');
    std::fs::write(&path, &bytes).unwrap();
    let mut log = EventsLog::open(dir.path(), None, Vec::new());
    tell(&mut log, "two");
    assert_eq!(seqs(dir.path(), 0, 0), [1, 2]);
    drop(log);
    // Without its end it is what a crash left, and is cut off.
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let log = EventsLog::open(dir.path(), None, Vec::new());
    assert_eq!((log.next, std::fs::metadata(&path).unwrap().len()), (2, before as u64));
}

#[test]
fn lines_of_a_newer_version_are_passed_on_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let line = "{\"seq\":7,\"at\":\"2030-01-01T00:00:00.000Z\",\"service\":\"api\",\"run\":1,\"kind\":{\"kind\":\"teleported\"}}\n";
    std::fs::write(current(dir.path()), line).unwrap();
    let mut log = EventsLog::open(dir.path(), None, Vec::new());
    tell(&mut log, "here");
    let all = all(dir.path(), 0, 0);
    assert!(
        matches!(&all[0].event, EventBody::Other(fields) if fields["kind"]["kind"] == "teleported"),
        "{all:?}"
    );
    assert_eq!(all[1].seq, 8);
}

#[test]
fn numbers_go_on_where_the_files_can_only_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EventsLog::open(dir.path(), None, Vec::new());
    tell(&mut log, "one");
    tell(&mut log, "two");
    drop(log);
    let path = current(dir.path());
    let writable = std::fs::metadata(&path).unwrap().permissions();
    let mut readonly = writable.clone();
    readonly.set_readonly(true);
    std::fs::set_permissions(&path, readonly).unwrap();
    // An administrator of Linux writes all the same; the numbers are right in both cases.
    let log = EventsLog::open(dir.path(), None, Vec::new());
    assert_eq!(log.next, 3);
    std::fs::set_permissions(&path, writable).unwrap();
}
