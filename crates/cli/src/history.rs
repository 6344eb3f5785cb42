//! What happened to a stack, from its files: for one that is down, and for explanations, which must not depend on a
//! daemon that answers.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use jiff::Timestamp;
use mainstay_api::types::{EventBody, EventRecord};
use mainstay_core::explain::{Asked, End, MAX_ENDS};
use mainstay_core::leak::{Change, Growth};
use mainstay_core::{EventKind, LimitHits, StateName};

use crate::failure::Failure;
use crate::stack::Place;

/// Longer lines are no events of ours.
const LONGEST: u64 = 1 << 20;

/// All events that the files have and `wanted` takes by their text, the oldest first. What cannot be read as an event
/// (a line that was cut off when the machine went down) is passed over.
///
/// # Errors
/// A file that is there can't be read.
pub fn read(place: &Place, wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<EventRecord>, Failure> {
    let mut all: Vec<EventRecord> = Vec::new();
    for file in ["events.jsonl.1", "events.jsonl"] {
        let path = place.dirs.state.join(file);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Failure::io("read", path.display(), &error)),
        };
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader
                .by_ref()
                .take(LONGEST)
                .read_until(b'\n', &mut line)
                .map_err(|e| Failure::io("read", path.display(), &e))?;
            if read == 0 {
                break;
            }
            if wanted(&line)
                && let Ok(record) = serde_json::from_slice::<EventRecord>(&line)
                // A file that is put aside between two looks is seen twice.
                && all.last().is_none_or(|last| last.seq < record.seq)
            {
                all.push(record);
            }
        }
    }
    Ok(all)
}

/// What the events tell about one service.
#[derive(Debug, Default)]
pub struct Story {
    /// Its last ends, the newest first.
    pub ends: Vec<End>,
    /// The process of the end that is the newest.
    pub last_pid: Option<u32>,
    /// The step of its stop that was taken last.
    pub stop_step: Option<String>,
    /// Who asked for something last.
    pub asked: Option<Asked>,
    /// What grows without end in its present run, the newest last.
    pub leaks: Vec<Growth>,
}

/// Reads the story of `service` out of the events.
pub fn story(events: &[EventRecord], service: &str, now: Timestamp) -> Story {
    let mut story = Story::default();
    let mut pid = None;
    let mut hits = LimitHits::default();
    let (mut step, mut stopped_for): (Option<String>, Option<String>) = (None, None);
    for record in events {
        let EventBody::Core(event) = &record.event else { continue };
        if event.service.as_ref().is_some_and(|name| name.as_str() != service) {
            continue;
        }
        let run = event.run.map(|run| run.0);
        let end = || End { at: record.at.clone(), ago: ago(&record.at, now), run, ..End::default() };
        match &event.kind {
            EventKind::Requested { by, what } => {
                let (by, what) = (by.clone(), what.clone());
                story.asked = Some(Asked { by, what, at: record.at.clone(), ago: ago(&record.at, now) });
            }
            EventKind::LimitHit { hits: new } => hits = new.clone(),
            EventKind::Spawned { pid: new } => {
                pid = Some(*new);
                hits = LimitHits::default();
                (step, stopped_for) = (None, None);
                story.leaks.clear();
            }
            EventKind::Leak { change } => {
                let (Change::Grows(growth) | Change::Settled(growth)) = change;
                story.leaks.retain(|known| known.resource != growth.resource);
                if matches!(change, Change::Grows(_)) {
                    story.leaks.push(*growth);
                }
            }
            EventKind::State { to: StateName::Stopping, reason, .. } => stopped_for = Some(reason.clone()),
            EventKind::State { to: StateName::Starting, .. } => (step, stopped_for) = (None, None),
            EventKind::StopStep { step: taken } => step = Some(taken.clone()),
            EventKind::SpawnFailed { error } => {
                story.ends.push(End { error: Some(error.clone()), ..end() });
                story.last_pid = None;
            }
            EventKind::Exited { exit, after } => {
                let (step, stopped_for) = (step.clone(), stopped_for.clone());
                let (after, hits) = (Some(*after), std::mem::take(&mut hits));
                story.ends.push(End { exit: Some(*exit), after, step, stopped_for, hits, ..end() });
                story.last_pid = pid.take();
            }
            _ => {}
        }
    }
    story.stop_step = step;
    story.ends.reverse();
    story.ends.truncate(MAX_ENDS);
    story
}

fn ago(at: &str, now: Timestamp) -> Option<Duration> {
    Duration::try_from(now.duration_since(at.parse().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::event;
    use mainstay_core::Exit;

    #[test]
    fn a_story_has_ends_with_what_came_before_them() {
        let state =
            |to, reason: &str| EventKind::State { from: StateName::Running, to, reason: reason.into() };
        let exited = |exit| EventKind::Exited { exit, after: Duration::from_secs(1) };
        let events = [
            event(1, Some("api"), EventKind::Requested { by: "root".into(), what: "start".into() }),
            event(2, Some("api"), EventKind::Spawned { pid: 10 }),
            event(3, Some("db"), EventKind::Spawned { pid: 11 }),
            event(4, Some("api"), exited(Exit::Code(3))),
            event(5, Some("api"), state(StateName::Backoff, "exit code 3")),
            event(6, Some("api"), EventKind::Spawned { pid: 12 }),
            event(7, Some("api"), state(StateName::Stopping, "live probe fails")),
            event(8, Some("api"), EventKind::StopStep { step: "kill of the whole tree".into() }),
            event(9, Some("db"), exited(Exit::Code(9))),
            event(10, Some("api"), exited(Exit::Signal(9))),
            event(11, Some("api"), EventKind::Leak { change: Change::Grows(crate::testing::growth()) }),
            event(12, None, EventKind::Requested { by: "me".into(), what: "down".into() }),
        ];
        let now = "2026-11-22T20:00:00Z".parse().expect("a time");
        let story = story(&events, "api", now);
        assert_eq!(story.ends.len(), 2);
        assert_eq!(story.ends[0].exit, Some(Exit::Signal(9)));
        assert_eq!(story.ends[0].stopped_for.as_deref(), Some("live probe fails"));
        assert_eq!(story.ends[0].step.as_deref(), Some("kill of the whole tree"));
        assert_eq!((story.ends[1].exit, story.ends[1].step.clone()), (Some(Exit::Code(3)), None));
        assert_eq!(story.last_pid, Some(12));
        assert_eq!(story.asked.map(|asked| asked.by).as_deref(), Some("me"));
        assert_eq!(story.leaks, [crate::testing::growth()]);
        assert!(story.ends[0].ago.is_some_and(|ago| ago > Duration::from_secs(1)));
    }
}
