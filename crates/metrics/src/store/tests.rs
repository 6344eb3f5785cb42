use super::*;

const START: u64 = 1_700_000_000 / 3_600 * 3_600;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path().join("metrics")).expect("it opens");
    (dir, store)
}

fn values(cpu: f64, memory: f64) -> Values {
    let mut values = [None; FIGURES];
    (values[0], values[1]) = (Some(cpu), Some(memory));
    values
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= b.abs() * 0.002
}

#[test]
fn what_was_put_is_read() {
    let (_dir, mut store) = store();
    for nth in 0..30 {
        assert_eq!(
            store.put("web", START + nth * 10, &values(nth as f64, 1e6)).expect("it is written"),
            None
        );
    }
    let series = store.read("web", START + 50, START + 120).expect("it is read");
    assert_eq!((series.interval, series.note), (10, None));
    let times: Vec<u64> = series.records.iter().map(|(at, _)| at - START).collect();
    assert_eq!(times, [50, 60, 70, 80, 90, 100, 110, 120]);
    let cpu = series.records[0].1[0].expect("it was seen");
    assert!(near(cpu.mean, 5.0) && cpu.min == cpu.max);
    assert_eq!(series.records[0].1[2], None);
    assert!(store.read("nobody", 0, START).expect("nothing is no error").records.is_empty());
}

#[test]
fn minutes_and_hours_are_summed_up() {
    let (_dir, mut store) = store();
    // Two hours and a bit, with a gap of some minutes.
    for nth in (0..360 * 2 + 7).filter(|nth| !(30..60).contains(nth)) {
        store.put("web", START + nth * 10, &values((nth % 6) as f64, 100.0)).expect("it is written");
    }
    let now = START + 7_260;
    let minutes = store.read("web", now - 2 * 86_400, now).expect("it is read");
    assert_eq!(minutes.interval, 60);
    // Of the last minute only a part was seen; it is not summed up yet.
    assert_eq!(minutes.records.len(), 121 - 5);
    let cpu = minutes.records[0].1[0].expect("it was seen");
    assert!(near(cpu.mean, 2.5) && cpu.min == 0.0 && near(cpu.max, 5.0), "{cpu:?}");
    let hours = store.read("web", now - 90 * 86_400, now).expect("it is read");
    assert_eq!((hours.interval, hours.records.len()), (3_600, 2));
    assert_eq!(hours.records[0].0, START);
}

#[test]
fn another_daemon_goes_on() {
    let (_dir, mut store) = store();
    for nth in 0..3 {
        store.put("web", START + nth * 10, &values(1.0, 1.0)).expect("it is written");
    }
    // The second half of the minute is another's, and so is the summing up.
    let mut other = Store::open(store.dir.clone()).expect("it opens");
    for nth in 3..7 {
        other.put("web", START + nth * 10, &values(3.0, 1.0)).expect("it is written");
    }
    let minutes = other.read("web", START - 2 * 86_400, START + 60).expect("it is read");
    assert!(near(minutes.records[0].1[0].expect("seen").mean, 2.0), "{minutes:?}");
}

#[test]
fn the_ring_turns_and_the_file_does_not_grow() {
    let (_dir, mut store) = store();
    let day = TIERS[0].interval * TIERS[0].slots;
    store.put("web", START, &values(1.0, 1.0)).expect("it is written");
    store.put("web", START + day, &values(2.0, 1.0)).expect("it is written");
    assert_eq!(std::fs::metadata(store.path("web")).expect("it is there").len(), FILE_SIZE);
    let series = store.read("web", START + day - 100, START + day).expect("it is read");
    assert_eq!(series.records.len(), 1);
    // What is overwritten is not taken for what it was.
    let old = store.read("web", START - 100, START + 100).expect("it is read");
    assert!(old.records.is_empty(), "{old:?}");
    const { assert!(FILE_SIZE < 3_200_000) };
}

#[test]
fn a_torn_record_is_left_out() {
    let (_dir, mut store) = store();
    for nth in 0..5 {
        store.put("web", START + nth * 10, &values(1.0, 1.0)).expect("it is written");
    }
    let mut file = OpenOptions::new().write(true).open(store.path("web")).expect("it is there");
    let slot = START / 10 % TIERS[0].slots + 2;
    file.seek(SeekFrom::Start(TIERS[0].offset + slot * TIERS[0].size + 7)).expect("a place");
    file.write_all(&[0xFF; 9]).expect("it is written");
    let series = store.read("web", START, START + 40).expect("it is read");
    assert_eq!((series.records.len(), series.note), (4, None));
}

#[test]
fn a_damaged_file_is_moved_aside_and_said_so() {
    for damage in ["head", "short", "records"] {
        let (_dir, mut store) = store();
        for nth in 0..20 {
            store.put("web", START + nth * 10, &values(1.0, 1.0)).expect("it is written");
        }
        let path = store.path("web");
        let mut file = OpenOptions::new().write(true).open(&path).expect("it is there");
        match damage {
            "head" => file.write_all(b"nonsense").expect("it is written"),
            "short" => file.set_len(1_000).expect("it is cut"),
            _ => {
                file.seek(SeekFrom::Start(TIERS[0].offset)).expect("a place");
                let ring = vec![0x5A; usize::try_from(TIERS[0].size * TIERS[0].slots).expect("a size")];
                file.write_all(&ring).expect("it is written");
                let series = store.read("web", START, START + 300).expect("it is read");
                assert!(series.records.is_empty() && series.note.is_some(), "{series:?}");
            }
        }
        let note = store.put("web", START + 300, &values(7.0, 1.0)).expect("it is written");
        assert_eq!(note.is_some(), damage != "records", "{damage}");
        assert!(path.with_extension("ring.damaged").exists(), "{damage}");
        let series = store.read("web", START, START + 300).expect("it is read");
        assert_eq!(series.records.len(), 1, "{damage}: it goes on");
    }
}

#[test]
fn odd_times_are_no_trouble() {
    let (_dir, mut store) = store();
    for time in [0, 5, u64::from(u32::MAX), START] {
        store.put("web", time, &values(1.0, 1.0)).expect("it is written");
    }
    for (from, to) in [(0, 0), (0, u64::from(u32::MAX)), (START, 0), (START, START)] {
        store.read("web", from, to).expect("it is read");
    }
}
