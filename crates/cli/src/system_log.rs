//! What operators find in the Event Log or the journal: the events of a stack that the system runs, as sentences with
//! stable numbers.

mod limiter;
mod numbers;
mod sentence;

use std::fmt;
use std::time::Instant;

use mainstay_api::types::EventRecord;
use mainstay_daemon::Observer;
use mainstay_service::log::{Entry, write_entry};
use mainstay_service::{Host, Level};

use crate::excerpt;
use crate::stack::Place;

use limiter::Limiter;
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

/// Tells that a configuration was refused before there was a daemon that could.
pub fn configuration_refused(stack: &str, host: Host, why: &str) {
    write(stack, host, &Said::new(10, stack, None, &[why]));
}

/// The observer that writes.
pub struct SystemLog {
    stack: String,
    sentences: Sentences,
    limiter: Limiter,
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
        let sentences =
            Sentences::new(&stack, Box::new(move |service| excerpt::last_output(&place, service)));
        SystemLog::with(stack, sentences, Box::new(move |said| write(&name, host, said)))
    }

    fn with(stack: String, sentences: Sentences, write: Box<dyn FnMut(&Said) + Send>) -> SystemLog {
        SystemLog { stack, sentences, limiter: Limiter::default(), write }
    }

    fn say(&mut self, said: Said, now: Instant) {
        if self.limiter.take(&(said.number, said.service.clone()), now) {
            (self.write)(&said);
        }
    }

    fn counted(&mut self, counts: Vec<(limiter::Cause, u64)>) {
        for ((number, service), count) in counts {
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
        self.tick();
        for said in self.sentences.of(&record) {
            self.say(said, now);
        }
    }

    fn missed(&mut self, count: u64) {
        let said = Said::new(90, &self.stack, None, &[&count.to_string()]);
        self.say(said, Instant::now());
    }

    fn deadline(&self) -> Option<Instant> {
        self.limiter.deadline()
    }

    fn tick(&mut self) {
        let over = self.limiter.over(Instant::now());
        self.counted(over);
    }
}

impl Drop for SystemLog {
    fn drop(&mut self) {
        let rest = self.limiter.rest();
        self.counted(rest);
    }
}

#[cfg(test)]
mod tests;
