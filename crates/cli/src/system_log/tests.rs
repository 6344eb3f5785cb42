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

#[test]
fn a_cause_is_told_once_and_then_counted() {
    let written = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&written);
    let write = move |said: &Said| {
        // Each can be looked for by its number, its service and its place among the events.
        let fields: Vec<String> = said.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        sink.lock().expect("a list").push(format!("{} {}", said.number, fields.join(" ")));
    };
    let mut log = SystemLog::with("shop".to_owned(), sentences(), Box::new(write));
    for seq in 1..=50 {
        log.event(event(seq, Some("web"), EventKind::Spawned { pid: 7 }));
    }
    log.event(event(51, Some("db"), EventKind::Spawned { pid: 8 }));
    log.missed(12);
    drop(log);
    let written = written.lock().expect("a list");
    assert_eq!(
        *written,
        [
            "100 MAINSTAY_PID=7 MAINSTAY_RUN=1 MAINSTAY_SEQ=1",
            "100 MAINSTAY_PID=8 MAINSTAY_RUN=51 MAINSTAY_SEQ=51",
            "90 ",
            "91 MAINSTAY_OF=100 MAINSTAY_COUNT=49",
        ]
    );
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
