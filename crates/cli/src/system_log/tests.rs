use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_api::types::{About, EventBody};
use mainstay_core::{EventKind, Exit, HookMoment, ProbeKind, ReloadStage, StateName};

use super::*;
use crate::testing::event;

fn sentences() -> Sentences {
    let output = |service: &str| match service {
        "web" => vec!["listening on 8080".to_owned(), "panic: 100%1 of it\u{1b}[0m".to_owned()],
        _ => Vec::new(),
    };
    Sentences::new("shop", Box::new(output))
}

fn state(from: StateName, to: StateName, reason: &str) -> EventKind {
    EventKind::State { from, to, reason: reason.to_owned() }
}

fn text_of(said: &Said) -> String {
    filled(kind(said.number).expect("it is in the table").text, &said.inserts)
}

/// What the log of the system gets for these events of `web`.
fn told(kinds: Vec<EventKind>) -> Vec<String> {
    let mut sentences = sentences();
    let records = kinds.into_iter().enumerate().map(|(n, kind)| event(n as u64, Some("web"), kind));
    records.flat_map(|record| sentences.of(&record)).map(|said| text_of(&said)).collect()
}

#[test]
fn numbers_rise_and_sentences_name_their_stack_first() {
    assert!(KINDS.windows(2).all(|pair| pair[0].number < pair[1].number));
    for kind in KINDS {
        let places = kind.text.split('%').skip(1);
        let places: Vec<u32> = places.filter_map(|rest| rest.chars().next()?.to_digit(10)).collect();
        assert_eq!(places.len(), kind.text.matches('%').count(), "{}: a % is a place", kind.name);
        assert!(places.contains(&1), "{}", kind.name);
        assert!(kind.text.is_ascii() && !kind.text.contains("\n."), "{}: windmc reads it", kind.name);
        assert!(kind.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", kind.name);
    }
}

#[test]
fn every_event_in_its_sentence() {
    let own = |about, message: &str| EventBody::Own { message: message.to_owned(), about: Some(about) };
    let probe = |ok, detail: &str| EventKind::Probe { probe: ProbeKind::Live, ok, detail: detail.to_owned() };
    let reload = |stage, detail: &str| EventKind::Reload { revision: 4, stage, detail: detail.to_owned() };
    let kinds = vec![
        EventKind::Requested { by: "root".to_owned(), what: "start".to_owned() },
        EventKind::Spawned { pid: 1250 },
        EventKind::SpawnFailed { error: "program not found: ./api".to_owned() },
        state(StateName::Running, StateName::Ready, "ready probe succeeds: 200 OK"),
        probe(false, "no answer\u{1b}[2J"),
        probe(true, "200 OK"),
        EventKind::CrashLoop { attempt: 5 },
        EventKind::Hook { hook: HookMoment::BeforeStart, ok: false, detail: "exit code 3".to_owned() },
        EventKind::Leak { change: mainstay_core::leak::Change::Grows(crate::testing::growth()) },
        state(StateName::Running, StateName::Failed, "exit code 78"),
        state(StateName::Running, StateName::Completed, ""),
        state(StateName::Stopping, StateName::Stopped, "asked by root"),
        EventKind::Left,
        EventKind::TakenOver,
        EventKind::Refused { reason: "the stack is going down".to_owned() },
        reload(ReloadStage::Refused, "no such service: db"),
        reload(ReloadStage::Applied, "asked by root"),
        reload(ReloadStage::Failed, "web did not come up within 1 min"),
        reload(ReloadStage::TakenBack, ""),
    ];
    let mut text = told(kinds).join("\n");
    let bodies = [
        own(About::Down, "the stack is down"),
        own(About::DaemonReplaced, "daemon replaced: it did not answer for 10 s"),
        own(About::UpgradeFailed, "the upgrade failed, the old program is back: it said nothing"),
        own(About::KeeperLost, "the keeper is gone without a word; 3 processes were ended"),
        own(About::DiskLow, "web's log: less than min_free is left on the disk, its output is not written"),
        own(About::OutputLost, "77 bytes of web's output are lost so far: no space left"),
        own(About::Log, "web's log: there is space again, nothing is missing"),
    ];
    for body in bodies {
        let record = EventRecord { event: body, ..event(1, None, EventKind::Left) };
        for said in sentences().of(&record) {
            text.push_str(&format!("\n{}", text_of(&said)));
        }
    }
    let nothing = EventKind::Requested { by: "root".to_owned(), what: "down".to_owned() };
    for said in sentences().of(&event(9, None, nothing)) {
        text.push_str(&format!("\n{}", text_of(&said)));
    }
    insta::assert_snapshot!("sentences", text);
}

#[test]
fn an_end_is_a_crash_only_if_nobody_wanted_it() {
    let end = |exit| EventKind::Exited { exit, after: Duration::from_secs(61) };
    let crash = told(vec![end(Exit::Code(3)), state(StateName::Running, StateName::Backoff, "exit code 3")]);
    assert_eq!(
        crash,
        ["web of stack shop crashed with exit code 3 after 1m 1s. The last of its output:\n\
          listening on 8080\npanic: 100%1 of it?[0m"]
    );
    let wanted = vec![
        state(StateName::Running, StateName::Stopping, "asked by root"),
        end(Exit::Code(3)),
        state(StateName::Stopping, StateName::Stopped, "asked by root"),
    ];
    assert_eq!(told(wanted), ["web of stack shop is stopped: asked by root"]);
    let by_itself = told(vec![end(Exit::Code(0)), state(StateName::Running, StateName::Backoff, "")]);
    assert_eq!(by_itself.len(), 1);
    assert!(by_itself[0].contains("ended by itself"), "{by_itself:?}");
}

/// A log that was preceded by these events, and what it writes.
fn log(before: Vec<EventRecord>) -> (SystemLog, Arc<Mutex<Vec<String>>>) {
    let written = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&written);
    let write = move |said: &Said| {
        // Each can be looked for by its number, its service and its place among the events.
        let fields: Vec<String> = said.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        sink.lock().expect("a list").push(format!("{} {}", said.number, fields.join(" ")));
    };
    let log = SystemLog::with("shop".to_owned(), sentences(), Box::new(|_| before), Box::new(write));
    (log, written)
}

fn spawned(seq: u64, service: &str) -> EventRecord {
    event(seq, Some(service), EventKind::Spawned { pid: 7 })
}

fn own(seq: u64, about: About) -> EventRecord {
    EventRecord {
        event: EventBody::Own { message: String::new(), about: Some(about) },
        ..spawned(seq, "web")
    }
}

#[test]
fn a_cause_is_told_once_and_then_counted() {
    let (mut log, written) = log(Vec::new());
    for seq in 1..=50 {
        log.event(spawned(seq, "web"));
    }
    log.event(spawned(51, "db"));
    log.missed(12);
    log.missed(1);
    for (seq, by) in [(52, "root"), (53, "ann"), (54, "root")] {
        let what = "stop".to_owned();
        log.event(event(seq, Some("web"), EventKind::Requested { by: by.to_owned(), what }));
    }
    assert!(log.deadline().is_some(), "the counts are told in time");
    log.event(own(55, About::Down));
    // A stack that went down in order begins anew.
    log.event(spawned(56, "web"));
    let written = written.lock().expect("a list");
    assert_eq!(
        *written,
        [
            "100 MAINSTAY_PID=7 MAINSTAY_RUN=1 MAINSTAY_SEQ=1",
            "100 MAINSTAY_PID=7 MAINSTAY_RUN=51 MAINSTAY_SEQ=51",
            "90 ",
            "104 MAINSTAY_BY=root MAINSTAY_RUN=52 MAINSTAY_SEQ=52",
            "104 MAINSTAY_BY=ann MAINSTAY_RUN=53 MAINSTAY_SEQ=53",
            "14 MAINSTAY_SEQ=55",
            "91 MAINSTAY_OF=100 MAINSTAY_COUNT=49",
            "91 MAINSTAY_OF=104 MAINSTAY_COUNT=1",
            "90 ",
            "100 MAINSTAY_PID=7 MAINSTAY_RUN=56 MAINSTAY_SEQ=56",
        ]
    );
}

#[test]
fn another_daemon_goes_on_counting() {
    let at = |ago: u64, record: EventRecord| {
        let at = Timestamp::now() - Duration::from_secs(ago);
        EventRecord { at: format!("{at:.3}"), ..record }
    };
    let crash = |seq| event(seq, Some("web"), EventKind::SpawnFailed { error: "no such file".to_owned() });
    let before = vec![
        // Long over.
        at(500, spawned(1, "old")),
        // The stack went down in order, and came up again.
        at(30, spawned(2, "fresh")),
        at(29, own(3, About::Down)),
        at(20, crash(4)),
        at(15, crash(5)),
        at(10, spawned(6, "db")),
        // It told what was counted.
        at(9, own(7, About::KeeperLost)),
        at(5, crash(8)),
    ];
    let (mut log, written) = log(before);
    log.event(own(9, About::DaemonReplaced));
    log.event(crash(10));
    log.event(spawned(11, "old"));
    log.event(spawned(12, "fresh"));
    log.event(spawned(13, "db"));
    log.event(own(14, About::KeeperLost));
    let written = written.lock().expect("a list");
    assert_eq!(
        *written,
        [
            "20 MAINSTAY_SEQ=9",
            "100 MAINSTAY_PID=7 MAINSTAY_RUN=11 MAINSTAY_SEQ=11",
            "100 MAINSTAY_PID=7 MAINSTAY_RUN=12 MAINSTAY_SEQ=12",
            "91 MAINSTAY_OF=22 MAINSTAY_COUNT=1",
            "91 MAINSTAY_OF=100 MAINSTAY_COUNT=1",
            "91 MAINSTAY_OF=111 MAINSTAY_COUNT=2",
        ]
    );
}

#[test]
fn only_what_was_lately_is_read_of_the_events() {
    let line = serde_json::to_vec(&spawned(7, "web")).expect("it is JSON");
    assert!(is_since(&line, "2026-11-22T19:00:07.000Z"));
    assert!(!is_since(&line, "2026-11-22T19:00:07.001Z"));
    assert!(!is_since(b"{\"seq\":1}", "2026-11-22T19:00:07.000Z"));
}

/// People have alarms on these. Whoever changes one of them breaks those: add another number instead.
#[test]
fn a_number_is_for_ever() {
    let numbers: Vec<String> = KINDS.iter().map(|kind| format!("{} {}", kind.number, kind.name)).collect();
    for fixed in [
        "1 note",
        "2 warning",
        "3 error",
        "10 configuration-refused",
        "11 configuration-applied",
        "12 configuration-failed",
        "13 configuration-taken-back",
        "14 stack-down",
        "20 daemon-replaced",
        "21 upgrade-failed",
        "22 keeper-lost",
        "30 disk-low",
        "31 output-lost",
        "32 log-note",
        "90 missed",
        "91 repeated",
        "100 started",
        "101 ready",
        "102 completed",
        "103 stopped",
        "104 asked",
        "105 ended",
        "110 crashed",
        "111 start-failed",
        "112 crash-loop",
        "113 gave-up",
        "120 probe-failing",
        "121 probe-succeeding",
        "130 hook-failed",
        "140 limit-hit",
        "141 limit-not-enforced",
        "142 leak",
        "150 left-running",
        "151 taken-over",
        "160 request-refused",
    ] {
        assert!(numbers.iter().any(|number| number == fixed), "{fixed} is gone or has another meaning");
    }
}

#[test]
fn the_documentation_has_every_number() {
    const MARK: &str = "<!-- the numbers, made by UPDATE_DOCS=1 -->\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events.md");
    let there = std::fs::read_to_string(&path).expect("docs/events.md").replace("\r\n", "\n");
    let (before, _) = there.split_once(MARK).expect("the place of the table");
    let mut table = "\n| number | name | level | sentence |\n|---|---|---|---|\n".to_owned();
    for kind in KINDS {
        let level = match kind.weight {
            Weight::Info => "information",
            Weight::Warning => "warning",
            Weight::Error => "error",
        };
        let text = kind.text.replace('\n', " ⏎ ");
        table.push_str(&format!("| {} | `{}` | {level} | {text} |\n", kind.number, kind.name));
    }
    let wanted = format!("{before}{MARK}{table}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).expect("written");
    }
    assert!(
        there == wanted,
        "write it anew: UPDATE_DOCS=1 cargo test -p mainstay-cli --bin mainstay documentation"
    );
}
