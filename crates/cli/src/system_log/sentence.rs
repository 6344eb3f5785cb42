//! From an event to its number and what stands in its sentence.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use mainstay_api::types::{About, EventBody, EventRecord};
use mainstay_core::leak::Change;
use mainstay_core::{Event, EventKind, Exit, ReloadStage, StateName};

use crate::event_text::growth_text;
use crate::output::words;

/// A value is cut here: the Event Log takes about 60,000 bytes for all.
const LONGEST: usize = 8_000;

/// One event as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Of which kind.
    pub number: u16,
    /// Of which service, if of one.
    pub service: Option<String>,
    /// Which of several of this number, for one service: which probe, who asks for what.
    pub of: String,
    /// What stands in the places of its sentence.
    pub inserts: Vec<String>,
    /// What a program wants to find, for the journal.
    pub fields: Vec<(&'static str, String)>,
}

impl Said {
    /// With the stack and the service before the other inserts.
    pub fn new(number: u16, stack: &str, service: Option<&str>, inserts: &[&str]) -> Said {
        let all = std::iter::once(stack).chain(service).chain(inserts.iter().copied());
        Said {
            number,
            service: service.map(str::to_owned),
            of: String::new(),
            inserts: all.map(cut).collect(),
            fields: Vec::new(),
        }
    }

    fn which(mut self, of: impl ToString) -> Said {
        self.of = of.to_string();
        self
    }

    fn field(mut self, name: &'static str, value: impl ToString) -> Said {
        self.fields.push((name, value.to_string()));
        self
    }
}

fn cut(text: &str) -> String {
    let end = (0..=text.len().min(LONGEST)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[..end].to_owned()
}

/// Gives the last output of a service.
type LastOutput = Box<dyn Fn(&str) -> Vec<String> + Send>;

/// Makes sentences of the events of a stack, which come in their order.
pub struct Sentences {
    stack: String,
    last_output: LastOutput,
    /// Ends of processes: the next state tells whether somebody wanted them.
    ends: BTreeMap<String, (Exit, Duration)>,
    /// Whether nobody is to read them: logs are not looked at then.
    unread: bool,
}

impl fmt::Debug for Sentences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentences").field("stack", &self.stack).finish_non_exhaustive()
    }
}

impl Sentences {
    pub fn new(stack: &str, last_output: LastOutput) -> Sentences {
        Sentences { stack: stack.to_owned(), last_output, ends: BTreeMap::new(), unread: false }
    }

    /// What is to be said of it: nothing, mostly one thing, at times two.
    pub fn of(&mut self, record: &EventRecord) -> Vec<Said> {
        let mut all = match &record.event {
            EventBody::Core(event) => self.of_core(event),
            EventBody::Own { message, about: Some(about) } => vec![self.of_own(*about, message)],
            EventBody::Own { about: None, .. } | EventBody::Other(_) => Vec::new(),
        };
        for said in &mut all {
            said.fields.push(("MAINSTAY_SEQ", record.seq.to_string()));
        }
        all
    }

    /// The same without the last output, for one that was told by somebody else.
    pub fn of_before(&mut self, record: &EventRecord) -> Vec<Said> {
        self.unread = true;
        let all = self.of(record);
        self.unread = false;
        all
    }

    fn of_own(&self, about: About, message: &str) -> Said {
        let number = match about {
            About::Down => 14,
            About::DaemonReplaced => 20,
            About::UpgradeFailed => 21,
            About::KeeperLost => 22,
            About::DiskLow => 30,
            About::OutputLost => 31,
            About::Log => 32,
        };
        // The sentence has said so much already.
        let prefixes = ["daemon replaced: ", "the stack is down, ", "the stack is down"];
        let rest = prefixes.iter().find_map(|prefix| message.strip_prefix(prefix)).unwrap_or(message);
        Said::new(number, &self.stack, None, &[&words::printable(rest)])
    }

    fn of_core(&mut self, event: &Event) -> Vec<Said> {
        let name = event.service.as_ref().map(|name| name.as_str());
        if let (EventKind::Exited { exit, after }, Some(name)) = (&event.kind, name) {
            self.ends.insert(name.to_owned(), (*exit, *after));
            return Vec::new();
        }
        let mut all = Vec::new();
        if let (EventKind::State { from, .. }, Some(name)) = (&event.kind, name)
            && let Some((exit, after)) = self.ends.remove(name)
            && *from != StateName::Stopping
        {
            all.push(self.ended(name, exit, after));
        }
        all.extend(self.single(&event.kind, name));
        if let Some(run) = event.run {
            all.iter_mut().for_each(|said| said.fields.push(("MAINSTAY_RUN", run.0.to_string())));
        }
        all
    }

    /// It ended, and nobody wanted it to.
    fn ended(&self, name: &str, exit: Exit, after: Duration) -> Said {
        let (how, after) = (exit.to_string(), words::duration(after));
        let said = if exit.is_success() {
            Said::new(105, &self.stack, Some(name), &[&how, &after])
        } else {
            Said::new(110, &self.stack, Some(name), &[&how, &after, &self.output(name)])
        };
        match exit {
            Exit::Code(code) => said.field("MAINSTAY_EXIT_CODE", code),
            Exit::Signal(signal) => said.field("MAINSTAY_SIGNAL", signal),
            _ => said,
        }
    }

    fn output(&self, name: &str) -> String {
        if self.unread {
            return String::new();
        }
        let lines: Vec<String> = (self.last_output)(name).iter().map(|line| words::printable(line)).collect();
        if lines.is_empty() { "(none)".to_owned() } else { lines.join("\n") }
    }

    fn single(&self, kind: &EventKind, name: Option<&str>) -> Option<Said> {
        let of = |number, inserts: &[&str]| {
            let inserts: Vec<String> = inserts.iter().map(|text| words::printable(text)).collect();
            let inserts: Vec<&str> = inserts.iter().map(String::as_str).collect();
            let mut said = Said::new(number, &self.stack, Some(name.unwrap_or("the stack")), &inserts);
            said.service = name.map(str::to_owned);
            Some(said)
        };
        match kind {
            EventKind::State { to, reason, .. } => match to {
                StateName::Ready => of(101, &[reason]),
                StateName::Completed => of(102, &[reason]),
                StateName::Stopped => of(103, &[if reason.is_empty() { "it is over" } else { reason }]),
                StateName::Failed => {
                    let mut said = of(113, &[reason])?;
                    said.inserts.push(cut(&self.output(name?)));
                    Some(said)
                }
                _ => None,
            },
            EventKind::Requested { by, what } => {
                let said = of(104, &[by, what])?.which(format!("{what} {by}"));
                Some(said.field("MAINSTAY_BY", words::printable(by)))
            }
            EventKind::Spawned { pid } => Some(of(100, &[&pid.to_string()])?.field("MAINSTAY_PID", pid)),
            EventKind::SpawnFailed { error } => of(111, &[error]),
            EventKind::CrashLoop { attempt } => of(112, &[&attempt.to_string()]),
            EventKind::Probe { probe, ok, detail } => {
                let number = if *ok { 121 } else { 120 };
                Some(of(number, &[&probe.to_string(), detail])?.which(probe))
            }
            EventKind::Hook { hook, ok: false, detail } => {
                Some(of(130, &[&hook.to_string(), detail])?.which(hook))
            }
            EventKind::LimitHit { hits } => of(140, &[&hits.words()]),
            EventKind::NotEnforced { limit } => of(141, &[&limit.words()]),
            EventKind::Leak { change: Change::Grows(growth) } => of(142, &[&growth_text(growth)]),
            EventKind::Left => of(150, &[]),
            EventKind::TakenOver => of(151, &[]),
            EventKind::Refused { reason } => of(160, &[reason]),
            EventKind::Reload { revision, stage, detail } => self.reload(*revision, *stage, detail),
            EventKind::Exited { .. }
            | EventKind::BackOff { .. }
            | EventKind::StopStep { .. }
            | EventKind::Hook { ok: true, .. }
            // The configuration as a whole tells of it.
            | EventKind::Config { .. }
            | EventKind::Waiting { .. }
            | EventKind::Leak { change: Change::Settled(_) } => None,
        }
    }

    fn reload(&self, revision: u64, stage: ReloadStage, detail: &str) -> Option<Said> {
        let detail = words::printable(detail);
        let number = match stage {
            ReloadStage::Refused => return Some(Said::new(10, &self.stack, None, &[&detail])),
            ReloadStage::Applied => 11,
            ReloadStage::Failed => 12,
            ReloadStage::TakenBack => 13,
            ReloadStage::Begun | ReloadStage::Abandoned => return None,
        };
        let said = Said::new(number, &self.stack, None, &[&revision.to_string(), &detail]);
        Some(said.field("MAINSTAY_REVISION", revision))
    }
}
