//! What operators find in the Event Log or the journal: the events of a stack that the system runs, as sentences with
//! stable numbers.

mod limiter;
mod numbers;
mod sentence;

use std::fmt;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mainstay_api::types::{About, EventBody, EventRecord};
use mainstay_daemon::Observer;
use mainstay_service::log::{Entry, write_entry};
use mainstay_service::{Host, Level};

use crate::excerpt;
use crate::history;
use crate::stack::Place;

use limiter::{Cause, Limiter, QUIET, Verdict};
use numbers::{KINDS, Kind, Weight};
use sentence::{Said, Sentences};

/// The kind of this number.
fn kind(number: u16) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.number == number)
}

/// Its sentence, as the Event Viewer makes it.
fn filled(text: &str, inserts: &[String]) -> String {
    let mut full = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        full.push_str(before);
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let insert = after[..digits].parse::<usize>().ok().and_then(|n| inserts.get(n.checked_sub(1)?));
        full.push_str(insert.map_or("", String::as_str));
        rest = &after[digits..];
    }
    full.push_str(rest);
    full.trim_end().to_owned()
}

fn level(weight: Weight) -> Level {
    match weight {
        Weight::Info => Level::Info,
        Weight::Warning => Level::Warning,
        Weight::Error => Level::Error,
    }
}

/// Writes one event of stack `name`.
fn write(name: &str, host: Host, said: &Said) {
    let Some(kind) = kind(said.number) else { return };
    let text = filled(kind.text, &said.inserts);
    let number = said.number.to_string();
    let mut fields = vec![("MAINSTAY_EVENT", number.as_str()), ("MAINSTAY_EVENT_NAME", kind.name)];
    fields.push(("MAINSTAY_STACK", name));
    fields.extend(said.service.iter().map(|service| ("MAINSTAY_SERVICE", service.as_str())));
    fields.extend(said.fields.iter().map(|(field, value)| (*field, value.as_str())));
    let inserts: Vec<&str> = said.inserts.iter().map(String::as_str).collect();
    let entry = Entry {
        level: level(kind.weight),
        number: u32::from(said.number),
        text: &text,
        inserts: &inserts,
        fields: &fields,
    };
    write_entry(name, host, &entry);
}

/// Tells that a configuration was refused where no stack can come up without it.
pub fn configuration_refused(stack: &str, host: Host, why: &str) {
    write(stack, host, &Said::new(10, stack, None, &[why]));
}

/// What happened longer ago does not matter to what is told now.
const BEFORE: Duration = Duration::from_secs(3600);

/// Gives what happened before the event of this number, the oldest first.
type Before = Box<dyn FnOnce(u64) -> Vec<EventRecord> + Send>;

/// The observer that writes.
pub struct SystemLog {
    stack: String,
    sentences: Sentences,
    limiter: Limiter,
    /// Until the first event has come.
    before: Option<Before>,
    /// What is not told singly and not counted singly, and until when nothing is said of it.
    lost: (u64, Option<Instant>),
    write: Box<dyn FnMut(&Said) + Send>,
}

impl fmt::Debug for SystemLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemLog").field("stack", &self.stack).finish_non_exhaustive()
    }
}

impl SystemLog {
    /// To the log of the service manager.
    pub fn new(place: Place, host: Host) -> SystemLog {
        let stack = place.name.clone();
        let name = stack.clone();
        let files = place.clone();
        let before: Before = Box::new(move |seq| {
            let since = Timestamp::now().checked_sub(BEFORE).unwrap_or(Timestamp::MIN);
            let since = format!("{since:.3}");
            // What cannot be read was told to nobody.
            let mut before = history::read(&files, |line| is_since(line, &since)).unwrap_or_default();
            before.retain(|record| record.seq < seq);
            before
        });
        let sentences =
            Sentences::new(&stack, Box::new(move |service| excerpt::last_output(&place, service)));
        SystemLog::with(stack, sentences, before, Box::new(move |said| write(&name, host, said)))
    }

    fn with(
        stack: String,
        sentences: Sentences,
        before: Before,
        write: Box<dyn FnMut(&Said) + Send>,
    ) -> SystemLog {
        SystemLog {
            stack,
            sentences,
            limiter: Limiter::default(),
            before: Some(before),
            lost: (0, None),
            write,
        }
    }

    /// Goes on where the daemon before this one was: what it told is quiet, and what it counted is counted.
    fn resume(&mut self, before: &[EventRecord], now: Instant) {
        let clock = Timestamp::now();
        // Times of events are of a clock that may have been set; here they only rise.
        let mut at = now.checked_sub(BEFORE).unwrap_or(now);
        for record in before {
            let when = record.at.parse::<Timestamp>().unwrap_or(clock);
            let ago = Duration::try_from(clock.duration_since(when)).unwrap_or_default();
            at = now.checked_sub(ago).unwrap_or(now).max(at);
            // It was told by that one.
            self.limiter.over(at);
            for said in self.sentences.of_before(record) {
                self.limiter.take(&cause(&said), at);
            }
            self.last_word(record);
        }
        self.limiter.over(now);
    }

    fn say(&mut self, said: &Said, now: Instant) {
        match self.limiter.take(&cause(said), now) {
            Verdict::Told => (self.write)(said),
            Verdict::Counted => {}
            Verdict::NoRoom => self.lose(1, now),
        }
    }

    fn lose(&mut self, count: u64, now: Instant) {
        self.lost.0 += count;
        if self.lost.1.is_none_or(|until| until <= now) {
            self.tell_lost(now);
        }
    }

    fn tell_lost(&mut self, now: Instant) {
        let (count, until) = &mut self.lost;
        let count = std::mem::take(count);
        *until = (count > 0).then_some(now + QUIET);
        if count > 0 {
            (self.write)(&Said::new(90, &self.stack, None, &[&count.to_string()]));
        }
    }

    /// What is counted by now, if no other daemon comes that could tell it. One that only ends leaves that to the next.
    /// What went down in order begins anew; what was lost and comes again stays quiet.
    fn last_word(&mut self, record: &EventRecord) -> Option<Vec<(Cause, u64)>> {
        let EventBody::Own { about: Some(about @ (About::Down | About::KeeperLost)), .. } = &record.event
        else {
            return None;
        };
        let rest = self.limiter.rest();
        if *about == About::Down {
            self.limiter = Limiter::default();
        }
        Some(rest)
    }

    fn counted(&mut self, counts: Vec<(Cause, u64)>) {
        for (Cause { number, service, .. }, count) in counts {
            let name = kind(number).map_or("", |kind| kind.name);
            let inserts = [&number.to_string(), name, &count.to_string()];
            let mut said = Said::new(91, &self.stack, None, &[service.as_deref().unwrap_or("the stack")]);
            said.inserts.extend(inserts.map(ToString::to_string));
            said.service = service;
            said.fields = vec![("MAINSTAY_OF", number.to_string()), ("MAINSTAY_COUNT", count.to_string())];
            (self.write)(&said);
        }
    }
}

impl Observer for SystemLog {
    fn event(&mut self, record: EventRecord) {
        let now = Instant::now();
        if let Some(before) = self.before.take() {
            self.resume(&before(record.seq), now);
        }
        self.tick();
        for said in self.sentences.of(&record) {
            self.say(&said, now);
        }
        if let Some(rest) = self.last_word(&record) {
            self.counted(rest);
            self.tell_lost(now);
        }
    }

    fn missed(&mut self, count: u64) {
        self.lose(count, Instant::now());
    }

    fn deadline(&self) -> Option<Instant> {
        self.limiter.deadline().into_iter().chain(self.lost.1).min()
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let over = self.limiter.over(now);
        self.counted(over);
        if self.lost.1.is_some_and(|until| until <= now) {
            self.tell_lost(now);
        }
    }
}

fn cause(said: &Said) -> Cause {
    Cause { number: said.number, service: said.service.clone(), of: said.of.clone() }
}

/// Whether an event's line is of that time or later; both are written alike.
fn is_since(line: &[u8], since: &str) -> bool {
    /// Before it there is only the number.
    const KEY: &[u8] = b"\"at\":\"";
    let at = line.windows(KEY.len()).position(|window| window == KEY).map(|at| at + KEY.len());
    at.and_then(|at| line.get(at..at + since.len())).is_some_and(|at| at >= since.as_bytes())
}

#[cfg(test)]
mod tests;
