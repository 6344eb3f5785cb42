//! Events in words: for `mainstay events`, each of them; for `mainstay up`, those that matter while one watches.

use anstyle::Style;
use mainstay_api::types::{EventBody, EventRecord};
use mainstay_core::leak::{Change, Growth, Resource};
use mainstay_core::{ConfigStage, Event, EventKind, ProbeKind, ReloadStage, StateName};

use crate::output::style::{self, Paint};
use crate::output::words;

/// What happened, in a short clause.
pub fn words(event: &Event) -> String {
    let text = match &event.kind {
        EventKind::State { from, to, reason } if reason.is_empty() => format!("{from} -> {to}"),
        EventKind::State { from, to, reason } => format!("{from} -> {to}: {reason}"),
        EventKind::Requested { by, what } => format!("{what} asked by {by}"),
        EventKind::Spawned { pid } => format!("started, pid {pid}"),
        EventKind::SpawnFailed { error } => format!("could not be started: {error}"),
        EventKind::Exited { exit, after } => format!("ended with {exit} after {}", words::duration(*after)),
        EventKind::BackOff { delay, attempt } => {
            format!("restart {attempt} comes in {}", words::duration(*delay))
        }
        EventKind::CrashLoop { attempt } => {
            format!("crash loop: {}", words::count(*attempt as usize, "restart"))
        }
        EventKind::Probe { probe, ok: true, detail } => format!("{probe} probe succeeds: {detail}"),
        EventKind::Probe { probe, ok: false, detail } => format!("{probe} probe fails: {detail}"),
        EventKind::StopStep { step } => format!("stop: {step}"),
        EventKind::Hook { hook, ok: true, detail } => format!("{hook} succeeded: {detail}"),
        EventKind::Hook { hook, ok: false, detail } => format!("{hook} failed: {detail}"),
        EventKind::Config { stage, detail, took } => {
            let took = words::duration(*took);
            match stage {
                ConfigStage::Written => format!("configuration: {detail}"),
                ConfigStage::Told => format!("configuration: {detail}, which took {took}"),
                ConfigStage::Taken => format!("configuration: healthy with it after {took}: {detail}"),
                ConfigStage::Failed => format!("configuration not changed: {detail}"),
            }
        }
        EventKind::Waiting { reason } => format!("waits: {reason}"),
        EventKind::Leak { change: Change::Grows(growth) } => format!("leak: {}", growth_text(growth)),
        EventKind::Leak { change: Change::Settled(growth) } => {
            format!("leak: {} no longer grows", growth.resource)
        }
        EventKind::NotEnforced { limit } => limit.words(),
        EventKind::LimitHit { hits } => hits.words(),
        EventKind::Left => "left running, nobody looks after it".to_owned(),
        EventKind::TakenOver => "taken over, it was left running".to_owned(),
        EventKind::Refused { reason } => format!("refused: {reason}"),
        EventKind::Reload { revision, stage, detail } => {
            let stage = match stage {
                ReloadStage::Refused => "is refused",
                ReloadStage::Begun => "is being applied",
                ReloadStage::Applied => "is applied",
                ReloadStage::Failed => "does not work, everything goes back",
                ReloadStage::TakenBack => "is taken back, everything is as before",
                ReloadStage::Abandoned => "is abandoned",
            };
            match detail.as_str() {
                "" => format!("revision {revision} {stage}"),
                detail => format!("revision {revision} {stage}: {detail}"),
            }
        }
    };
    words::printable(&text)
}

/// The colour of what happened.
pub fn colour(event: &Event) -> Style {
    match &event.kind {
        EventKind::State { to, .. } => match to {
            StateName::Ready | StateName::Completed => style::GOOD,
            StateName::Failed => style::BAD,
            StateName::Backoff => style::UNSURE,
            _ => Style::new(),
        },
        EventKind::SpawnFailed { .. } | EventKind::CrashLoop { .. } => style::BAD,
        EventKind::LimitHit { .. } => style::BAD,
        EventKind::NotEnforced { .. }
        | EventKind::Hook { ok: false, .. }
        | EventKind::Config { stage: ConfigStage::Failed, .. }
        | EventKind::Probe { ok: false, .. }
        | EventKind::BackOff { .. }
        | EventKind::Refused { .. } => style::UNSURE,
        EventKind::Leak { change: Change::Grows(_) } => style::UNSURE,
        EventKind::Reload { stage, .. } => match stage {
            ReloadStage::Applied => style::GOOD,
            ReloadStage::Refused | ReloadStage::Failed | ReloadStage::TakenBack => style::BAD,
            ReloadStage::Begun | ReloadStage::Abandoned => Style::new(),
        },
        EventKind::Exited { exit, .. } if !exit.is_success() => style::UNSURE,
        EventKind::Requested { .. } | EventKind::Spawned { .. } | EventKind::StopStep { .. } => style::DIM,
        _ => Style::new(),
    }
}

/// One line of `mainstay events`.
pub fn line(record: &EventRecord, paint: Paint) -> String {
    let time = paint.apply(style::DIM, &local_time(&record.at));
    match &record.event {
        EventBody::Core(event) => {
            let name = event.service.as_ref().map_or("(stack)", |name| name.as_str());
            let what = paint.apply(colour(event), &words(event));
            format!("{time}  {}  {what}", paint.apply(style::STRONG, name))
        }
        EventBody::Own { message, .. } => format!("{time}  (mainstay)  {}", words::printable(message)),
        EventBody::Other(fields) => {
            let text = |name: &str| fields.get(name).and_then(serde_json::Value::as_str);
            let name = words::printable(text("service").unwrap_or("(stack)"));
            let kind = fields.get("kind").and_then(|kind| kind.get("kind").unwrap_or(kind).as_str());
            let kind = words::printable(kind.unwrap_or("something"));
            format!("{time}  {name}  {kind}, an event of a newer version; --json shows all of it")
        }
    }
}

/// What `mainstay up` says of it, if it says anything: what a person who watches wants to know, once.
pub fn brief(event: &Event) -> Option<String> {
    let text = match &event.kind {
        EventKind::State { to, reason, .. } => match to {
            // The end, the wait and the reason have been told by other events.
            StateName::Backoff | StateName::Starting => return None,
            StateName::Running | StateName::Stopping | StateName::Stopped | StateName::Paused => {
                to.to_string()
            }
            _ if reason.is_empty() => to.to_string(),
            StateName::Ready => {
                format!("{to}: {}", reason.strip_prefix("ready probe succeeds: ").unwrap_or(reason))
            }
            _ => format!("{to}: {reason}"),
        },
        EventKind::Requested { .. } | EventKind::Spawned { .. } => return None,
        EventKind::StopStep { .. } => return None,
        EventKind::Probe { ok: true, .. } | EventKind::Hook { ok: true, .. } => return None,
        EventKind::Probe { probe: ProbeKind::Ready, ok: false, detail } => format!("not ready: {detail}"),
        EventKind::Exited { .. }
        | EventKind::SpawnFailed { .. }
        | EventKind::BackOff { .. }
        | EventKind::CrashLoop { .. }
        | EventKind::Probe { .. }
        | EventKind::Hook { .. }
        | EventKind::Config { .. }
        | EventKind::Waiting { .. }
        | EventKind::Leak { .. }
        | EventKind::NotEnforced { .. }
        | EventKind::LimitHit { .. }
        | EventKind::Reload { .. }
        | EventKind::Left
        | EventKind::TakenOver
        | EventKind::Refused { .. } => return Some(words(event)),
    };
    Some(words::printable(&text))
}

/// What grows, and when that comes to an end: in the reader's time zone.
pub fn growth_text(growth: &Growth) -> String {
    let time = |at: u64| {
        let time =
            i64::try_from(at).ok().and_then(|at| jiff::Timestamp::from_second(at).ok()).unwrap_or_default();
        // Of the same day the time will do.
        let form = if at < growth.at + 20 * 3_600 { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        time.to_zoned(jiff::tz::TimeZone::system()).strftime(form).to_string()
    };
    let end = growth.reach().zip(growth.limit).map(|(reach, limit)| {
        let limit = match growth.resource {
            Resource::Memory => words::bytes(limit as u64),
            _ => format!("{limit}"),
        };
        let latest = reach.latest.map_or_else(|| "later".to_owned(), time);
        format!(
            "; its limit of {limit} is reached at about {} ({} to {latest})",
            time(reach.at),
            time(reach.earliest)
        )
    });
    format!("{growth}{}", end.unwrap_or_default())
}

/// A time from an event, in the reader's time zone: `2026-11-22 19:12:03.123`. What is no time stays as it is.
pub fn local_time(at: &str) -> String {
    match at.parse::<jiff::Timestamp>() {
        Ok(time) => time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
        Err(_) => words::printable(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growth_says_when_its_limit_is_reached() {
        let growth = Growth { limit: Some(512e6), ..crate::testing::growth() };
        let text = growth_text(&growth);
        let (head, end) =
            text.split_once("; its limit of 512.0 MB is reached at about ").expect("it says so");
        assert_eq!(head, growth.to_string());
        // Two times, and the one at which it is hardly reached.
        assert!(end.matches(':').count() == 3 && end.contains(" to "), "{end}");
        assert_eq!(growth_text(&crate::testing::growth()), growth.to_string());
    }
    use mainstay_core::{Exit, LimitHits, MemoryHit, NotEnforced, ProcessesHit, RunId, ServiceName};
    use std::time::Duration;

    fn all() -> Vec<EventKind> {
        let state = |from, to, reason: &str| EventKind::State { from, to, reason: reason.to_owned() };
        vec![
            EventKind::Requested { by: "root".to_owned(), what: "start".to_owned() },
            EventKind::Waiting { reason: "db is not ready yet".to_owned() },
            state(StateName::Stopped, StateName::Starting, "asked by root"),
            EventKind::Spawned { pid: 1250 },
            EventKind::SpawnFailed { error: "program not found: ./api".to_owned() },
            state(StateName::Starting, StateName::Running, ""),
            EventKind::Probe { probe: ProbeKind::Ready, ok: true, detail: "200 OK".to_owned() },
            state(StateName::Running, StateName::Ready, "ready probe succeeds: 200 OK"),
            EventKind::Probe { probe: ProbeKind::Ready, ok: false, detail: "503 no".to_owned() },
            EventKind::Probe { probe: ProbeKind::Live, ok: false, detail: "no answer\u{1b}[2J".to_owned() },
            EventKind::Exited { exit: Exit::Code(3), after: Duration::from_millis(61_200) },
            EventKind::Exited { exit: Exit::Signal(11), after: Duration::from_millis(12) },
            EventKind::BackOff { delay: Duration::from_millis(500), attempt: 2 },
            EventKind::CrashLoop { attempt: 5 },
            state(StateName::Running, StateName::Failed, "exit code 78"),
            EventKind::StopStep { step: "ctrl_c".to_owned() },
            state(StateName::Stopping, StateName::Stopped, "asked by root"),
            EventKind::Leak { change: Change::Grows(crate::testing::growth()) },
            EventKind::Leak { change: Change::Settled(crate::testing::growth()) },
            EventKind::NotEnforced {
                limit: NotEnforced {
                    limit: "memory".to_owned(),
                    why: "no cgroup".to_owned(),
                    to_do: Some("run it as root".to_owned()),
                    in_part: false,
                },
            },
            EventKind::LimitHit {
                hits: LimitHits {
                    memory: Some(MemoryHit {
                        own: true,
                        limit: Some(512_000_000),
                        peak: Some(511_996_000),
                        killed: 1,
                    }),
                    processes: Some(ProcessesHit { limit: 100, refused: 7 }),
                },
            },
            EventKind::Left,
            EventKind::TakenOver,
            EventKind::Refused { reason: "the stack is going down".to_owned() },
        ]
    }

    #[test]
    fn every_event_in_words() {
        let mut text = String::new();
        for kind in all() {
            let service = Some(ServiceName::new("api").expect("a name"));
            let event = Event { service, run: Some(RunId(1)), kind };
            text.push_str(&format!(
                "{}\n    up: {}\n",
                words(&event),
                brief(&event).unwrap_or("-".to_owned())
            ));
        }
        insta::assert_snapshot!("events", text);
    }

    #[test]
    fn a_line_has_time_service_and_words() {
        let kind = EventKind::Spawned { pid: 7 };
        let record = EventRecord {
            seq: 1,
            at: "not a time".to_owned(),
            event: EventBody::Core(Event { service: None, run: None, kind }),
        };
        assert_eq!(line(&record, Paint::plain()), "not a time  (stack)  started, pid 7");
        let own = EventRecord {
            event: EventBody::Own { message: "daemon replaced".to_owned(), about: None },
            ..record
        };
        assert_eq!(line(&own, Paint::plain()), "not a time  (mainstay)  daemon replaced");
        let newer =
            r#"{"seq":2,"at":"t","service":"api","run":null,"kind":{"kind":"teleported","to":"mars"}}"#;
        let newer: EventRecord = serde_json::from_str(newer).expect("an event");
        assert!(line(&newer, Paint::plain()).starts_with("t  api  teleported, an event of a newer version"));
        assert!(serde_json::to_string(&newer).expect("JSON").contains(r#""to":"mars""#));
        assert_eq!(local_time("2026-11-22T19:12:03.123Z").len(), "2026-11-22 19:12:03.123".len());
    }
}
