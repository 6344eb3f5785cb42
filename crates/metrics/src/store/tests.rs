use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};

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

/// A look that saw these, and the daemon.
fn put(store: &mut Store, time: u64, seen: &[(&str, Values)]) -> Vec<String> {
    let mut seen = seen.to_vec();
    seen.push((HEARTBEAT, values(0.0, 9.0)));
    store.put(time, &seen).expect("it is written")
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= b.abs() * 0.002
}

#[test]
fn what_was_put_is_read() {
    let (_dir, mut store) = store();
    for nth in 0..30 {
        assert!(put(&mut store, START + nth * 10, &[("web", values(nth as f64, 1e6))]).is_empty());
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
        put(&mut store, START + nth * 10, &[("web", values((nth % 6) as f64, 100.0))]);
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
        put(&mut store, START + nth * 10, &[("web", values(1.0, 1.0))]);
    }
    // The second half of the minute is another's, and so is the summing up.
    let mut other = Store::open(store.dir.clone()).expect("it opens");
    for nth in 3..7 {
        put(&mut other, START + nth * 10, &[("web", values(3.0, 1.0))]);
    }
    let minutes = other.read("web", START - 2 * 86_400, START + 60).expect("it is read");
    assert!(near(minutes.records[0].1[0].expect("seen").mean, 2.0), "{minutes:?}");
}

#[test]
fn the_ring_turns_and_the_file_does_not_grow() {
    let (_dir, mut store) = store();
    let day = TIERS[0].interval * TIERS[0].slots;
    put(&mut store, START, &[("web", values(1.0, 1.0))]);
    put(&mut store, START + day, &[("web", values(2.0, 1.0))]);
    assert_eq!(std::fs::metadata(store.path("web")).expect("it is there").len(), FILE_SIZE);
    let series = store.read("web", START + day - 100, START + day).expect("it is read");
    assert_eq!(series.records.len(), 1);
    // What is overwritten is not taken for what it was.
    let old = store.read("web", START - 100, START + 100).expect("it is read");
    assert!(old.records.is_empty(), "{old:?}");
    const { assert!(FILE_SIZE < 3_200_000) };
}

#[test]
fn a_torn_record_is_not_taken() {
    let (_dir, mut store) = store();
    for nth in 0..5 {
        put(&mut store, START + nth * 10, &[("web", values(nth as f64, 1.0))]);
    }
    let mut file = OpenOptions::new().write(true).open(store.path("web")).expect("it is there");
    let slot = START / 10 % TIERS[0].slots + 2;
    file.seek(SeekFrom::Start(TIERS[0].offset() + slot * TIERS[0].size() + 7)).expect("a place");
    file.write_all(&[0xFF; 9]).expect("it is written");
    let (times, means) = seen(&mut store, "web", START, START + 40);
    assert_eq!(times.len(), 5);
    assert!(near(means[2], 1.0) && near(means[3], 3.0), "it is as the one before: {means:?}");
}

#[test]
fn a_damaged_file_is_moved_aside_and_said_so() {
    for damage in ["head", "short", "records", "minutes"] {
        let (_dir, mut store) = store();
        for nth in 0..20 {
            put(&mut store, START + nth * 10, &[("web", values(1.0, 1.0))]);
        }
        let path = store.path("web");
        let mut file = OpenOptions::new().write(true).open(&path).expect("it is there");
        match damage {
            "head" => file.write_all(b"nonsense").expect("it is written"),
            "short" => file.set_len(1_000).expect("it is cut"),
            _ => {
                let tier = &TIERS[usize::from(damage == "minutes")];
                file.seek(SeekFrom::Start(tier.offset())).expect("a place");
                let ring = vec![0x5A; usize::try_from(tier.size() * tier.slots).expect("a size")];
                file.write_all(&ring).expect("it is written");
                if damage == "records" {
                    let series = store.read("web", START, START + 300).expect("it is read");
                    assert!(series.records.is_empty() && series.note.is_some(), "{series:?}");
                } else {
                    // As leak detection does; it has nobody to tell it to.
                    assert!(store.minutes("web", START, START + 300).is_empty());
                }
            }
        }
        let note = put(&mut store, START + 300, &[("web", values(7.0, 1.0))]);
        // What was answered to somebody is told.
        assert_eq!(note.len(), usize::from(damage != "records"), "{damage}: {note:?}");
        assert!(path.with_extension("ring.damaged").exists(), "{damage}");
        let series = store.read("web", START, START + 300).expect("it is read");
        assert_eq!(series.records.len(), 1, "{damage}: it goes on");
    }
}

#[test]
fn odd_times_are_no_trouble() {
    let (_dir, mut store) = store();
    for time in [0, 5, u64::from(u32::MAX), START] {
        put(&mut store, time, &[("web", values(1.0, 1.0))]);
    }
    for (from, to) in [(0, 0), (0, u64::from(u32::MAX)), (START, 0), (START, START)] {
        store.read("web", from, to).expect("it is read");
    }
}

/// The times at which there is something of a service, and the means of its first figure.
fn seen(store: &mut Store, service: &str, from: u64, to: u64) -> (Vec<u64>, Vec<f64>) {
    let series = store.read(service, from, to).expect("it is read");
    series.records.iter().map(|(at, summary)| (at - START, summary[0].expect("it was seen").mean)).unzip()
}

/// Records of a service's file that were written.
fn written(store: &Store, service: &str, tier: usize) -> usize {
    let last = (START + 100 * 86_400) / TIERS[tier].interval;
    let from = START / TIERS[tier].interval;
    let to = last.min(from + TIERS[tier].slots - 1);
    ring::read(&store.path(service), &TIERS[tier], from, to).expect("it is read").0.len()
}

#[test]
fn what_does_nothing_is_not_written_and_still_read() {
    let (_dir, mut store) = store();
    let looks = 3 * 360_u64;
    for nth in 0..looks {
        let busy = values((nth % 7) as f64, 1.0);
        put(&mut store, START + nth * 10, &[("idle", values(2.0, 1.0)), ("busy", busy)]);
    }
    let end = START + (looks - 1) * 10;
    assert_eq!(written(&store, "busy", 0), 1_080);
    assert_eq!(written(&store, "idle", 0), 1_080 / 60, "one in ten minutes");
    assert!(written(&store, "idle", 1) < 10, "{}", written(&store, "idle", 1));
    for from in [START, START + 70, START + 5_990, end - 50, end] {
        let (times, means) = seen(&mut store, "idle", from, end);
        assert_eq!(times, (from - START..=end - START).step_by(10).collect::<Vec<_>>());
        assert!(means.iter().all(|mean| near(*mean, 2.0)));
    }
    // By the minute and the hour as if each had been written.
    let mut of = |service, days: u64| {
        let now = START + looks * 10;
        store.read(service, now - days * 86_400, now).expect("it is read").records.len()
    };
    assert_eq!((of("idle", 2), of("busy", 2)), (179, 179));
    assert_eq!((of("idle", 90), of("busy", 90)), (2, 2));
}

#[test]
fn a_change_is_seen_in_its_minute_alone() {
    let (_dir, mut store) = store();
    for nth in 0..120_u64 {
        // From the middle of the tenth minute on it is more.
        let cpu = if nth < 63 { 1.0 } else { 5.0 };
        put(&mut store, START + nth * 10, &[("web", values(cpu, 1.0))]);
    }
    let now = START + 1_190;
    let (times, means) = seen(&mut store, "web", now - 2 * 86_400, now);
    assert_eq!(times.len(), 19);
    for (time, mean) in times.iter().zip(&means) {
        let wanted = match time / 60 {
            0..10 => 1.0,
            10 => 3.0,
            _ => 5.0,
        };
        assert!(near(*mean, wanted), "minute {}: {mean}", time / 60);
    }
}

#[test]
fn what_stops_is_not_filled_in() {
    let (_dir, mut store) = store();
    for nth in 0..40_u64 {
        let runs = usize::from(!(9..=20).contains(&nth));
        put(&mut store, START + nth * 10, &[("web", values(1.0, 1.0))][..runs]);
    }
    let (times, _) = seen(&mut store, "web", START, START + 390);
    assert_eq!(
        times,
        (0..90).chain(210..400).step_by(10).filter(|at| *at < 90 || *at >= 210).collect::<Vec<_>>()
    );
    // Its last minute is summed up all the same.
    let (minutes, _) = seen(&mut store, "web", START + 390 - 2 * 86_400, START + 390);
    assert_eq!(minutes, [0, 60, 180, 240, 300]);
}

#[test]
fn a_pause_is_no_record() {
    // Of the looks, or between two daemons; the service goes on, or has stopped meanwhile.
    for (replaced, stopped) in [(false, false), (true, false), (false, true), (true, true)] {
        let (_dir, mut store) = store();
        for nth in 0..12_u64 {
            put(&mut store, START + nth * 10, &[("web", values(1.0, 1.0))]);
        }
        if replaced {
            store = Store::open(store.dir.clone()).expect("it opens");
        }
        for nth in 20..40_u64 {
            let runs = usize::from(!stopped);
            put(&mut store, START + nth * 10, &[("web", values(1.0, 1.0))][..runs]);
        }
        let (times, _) = seen(&mut store, "web", START, START + 390);
        let after = if stopped { 0 } else { 20 };
        assert_eq!(times.len(), 12 + after, "{replaced} {stopped}: {times:?}");
        assert!(times.iter().all(|at| *at < 120 || *at >= 200), "{times:?}");
        // The minute that the predecessor was in when it went.
        let (minutes, _) = seen(&mut store, "web", START + 390 - 2 * 86_400, START + 390);
        assert!(minutes.starts_with(&[0, 60]), "{replaced} {stopped}: {minutes:?}");
    }
}

#[test]
fn a_quick_change_of_daemons_ends_what_has_stopped() {
    let (_dir, mut store) = store();
    for nth in 0..12_u64 {
        put(&mut store, START + nth * 10, &[("web", values(1.0, 1.0)), ("db", values(1.0, 1.0))]);
    }
    // No look is left out.
    let mut store = Store::open(store.dir.clone()).expect("it opens");
    for nth in 12..20_u64 {
        put(&mut store, START + nth * 10, &[("db", values(1.0, 1.0))]);
    }
    assert_eq!(seen(&mut store, "web", START, START + 190).0.len(), 12);
    assert_eq!(seen(&mut store, "db", START, START + 190).0.len(), 20);
}
