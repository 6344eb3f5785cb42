//! Why a service is in its state, in words: a pure function from [`Facts`] to an [`Explanation`].
//!
//! Everything that explains goes through here: `mainstay explain`, the short reasons in `mainstay status`, and
//! what a command says of a service that did not do as it was asked.

mod exits;
mod symptoms;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use exits::{Meaning, in_words, meaning};
pub use symptoms::{Finding, find as find_symptoms};

use crate::words::{count, span};
use crate::{Exit, LimitHits, NotEnforced, ProbeKind, StateName, bytes};

/// The most ends that are told.
pub const MAX_ENDS: usize = 10;

/// What is known about a service. What is not known is left empty; the explanation is the shorter for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The service's name.
    pub service: String,
    /// Its stack's name.
    pub stack: String,
    /// Whether it runs on Windows: there, exit codes mean other things.
    pub windows: bool,
    /// Its state.
    pub state: StateName,
    /// For how long.
    pub since: Option<Duration>,
    /// Why, as the supervisor told it.
    pub reason: String,
    /// The process that is there.
    pub pid: Option<u32>,
    /// For how long it has been there.
    pub uptime: Option<Duration>,
    /// Automatic restarts since the last start by hand.
    pub restarts: u32,
    /// Whether it keeps ending soon after its start.
    pub crash_loop: bool,
    /// When the next start comes, from now.
    pub next_start: Option<Duration>,
    /// How its last run ended.
    pub last_exit: Option<Exit>,
    /// Its last ends, the newest first.
    pub ends: Vec<End>,
    /// What it waits for.
    pub waits: Vec<Wait>,
    /// What its probes saw.
    pub probes: Vec<Seen>,
    /// The step of its stop that was taken last.
    pub stop_step: Option<String>,
    /// Who asked for something last.
    pub asked: Option<Asked>,
    /// What became of the newest configuration, if it was taken back because of this service.
    pub configuration: Option<String>,
    /// The last lines of its output, the oldest first.
    pub output: Vec<String>,
    /// What it uses that grows without end, in words each.
    pub leaks: Vec<String>,
    /// Bytes of its output that could not be written.
    pub log_lost: u64,
    /// Limits of it that do not hold here.
    pub not_enforced: Vec<NotEnforced>,
    /// Limits that its last run came up against.
    pub hits: LimitHits,
    /// Whether it was left running when the stack went down.
    pub left: bool,
    /// Whether the stack goes down.
    pub going_down: bool,
    /// Whether the stack is up at all.
    pub up: bool,
}

impl Facts {
    /// Nothing is known but the names and the state.
    pub fn new(stack: impl Into<String>, service: impl Into<String>, state: StateName) -> Facts {
        Facts {
            service: service.into(),
            stack: stack.into(),
            windows: false,
            state,
            since: None,
            reason: String::new(),
            pid: None,
            uptime: None,
            restarts: 0,
            crash_loop: false,
            next_start: None,
            last_exit: None,
            ends: Vec::new(),
            waits: Vec::new(),
            probes: Vec::new(),
            stop_step: None,
            asked: None,
            configuration: None,
            output: Vec::new(),
            leaks: Vec::new(),
            log_lost: 0,
            not_enforced: Vec::new(),
            hits: LimitHits::default(),
            left: false,
            going_down: false,
            up: true,
        }
    }
}

/// How a run ended, or did not come to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When, as RFC 3339.
    pub at: String,
    /// How long ago.
    #[serde(default)]
    pub ago: Option<Duration>,
    /// Which run.
    #[serde(default)]
    pub run: Option<u64>,
    /// How it ended; none if its process could not be made.
    pub exit: Option<Exit>,
    /// Why its process could not be made.
    #[serde(default)]
    pub error: Option<String>,
    /// How long it had run.
    #[serde(default)]
    pub after: Option<Duration>,
    /// The step of a stop that came before it: Mainstay ended it, or asked it to end.
    #[serde(default)]
    pub step: Option<String>,
    /// Why Mainstay did: "asked by root", "live probe fails: no answer".
    #[serde(default)]
    pub stopped_for: Option<String>,
    /// What the kernel said about its memory, if it killed it for that.
    #[serde(default)]
    pub out_of_memory: Option<String>,
    /// The limits that it came up against.
    #[serde(default)]
    pub hits: LimitHits,
}

/// Something that a service waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// In words: "db is not ready yet".
    pub what: String,
    /// The service at the root of it, if it is another one, and why that one is not there.
    #[serde(default)]
    pub root: Option<(String, String)>,
}

/// What a probe saw last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which probe.
    pub probe: ProbeKind,
    /// Its verdict.
    pub ok: Option<bool>,
    /// What it saw.
    pub detail: String,
    /// Failures in a row.
    pub failures: u32,
    /// How long ago.
    pub ago: Option<Duration>,
}

/// Who asked for something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Who.
    pub by: String,
    /// What, as the command's word.
    pub what: String,
    /// When, as RFC 3339.
    pub at: String,
    /// How long ago.
    #[serde(default)]
    pub ago: Option<Duration>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The service.
    pub service: String,
    /// Its stack.
    pub stack: String,
    /// Its state.
    pub state: StateName,
    /// In a sentence: the state, since when, and why.
    pub headline: String,
    /// What there is to say beyond that, a sentence each.
    pub because: Vec<String>,
    /// When the next start comes, or that none comes.
    #[serde(default)]
    pub next: Option<String>,
    /// Who asked for something last.
    #[serde(default)]
    pub asked: Option<String>,
    /// The last ends, the newest first.
    pub ends: Vec<EndWords>,
    /// What its output says that is known.
    pub findings: Vec<Finding>,
    /// The last lines of its output.
    pub output: Vec<String>,
    /// What to do, the most promising first.
    pub to_do: Vec<ToDo>,
}

/// An end in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndWords {
    /// The facts.
    #[serde(flatten)]
    pub end: End,
    /// `exit code 127 (command not found), after 12 ms`
    pub text: String,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToDo {
    /// What and what for.
    pub text: String,
    /// The command for it.
    #[serde(default)]
    pub command: Option<String>,
}

/// Why the service is in its state, as a short clause for a table: `exit code 127 (command not found); next start in
/// 2 s`.
pub fn short(facts: &Facts) -> String {
    let mut parts: Vec<String> = Vec::new();
    if facts.state == StateName::Starting && !facts.waits.is_empty() {
        parts.extend(facts.waits.iter().map(|wait| wait.what.clone()));
        if let [wait] = facts.waits.as_slice()
            && let Some((root, why)) = &wait.root
        {
            parts.push(format!("at the root of it is {root}: {why}"));
        }
        parts = vec![parts.join(", ")];
    } else if says_something(facts) {
        let reason = with_meaning(facts);
        let cut = facts.next_start.and_then(|_| reason.rfind("; restart "));
        parts.push(reason[..cut.unwrap_or(reason.len())].to_owned());
    }
    if !facts.hits.is_empty() && is_trouble(facts) {
        parts.push(facts.hits.words());
    }
    if let Some(probe) = troubled_probe(facts)
        && (probe.detail.is_empty() || !parts.iter().any(|part| part.contains(&probe.detail)))
    {
        parts.push(probe_words(probe));
    }
    if facts.crash_loop {
        parts.push(format!("crash loop, {} so far", count(facts.restarts, "restart")));
    }
    if let Some(left) = facts.next_start {
        parts.push(format!("next start in {}", span(left)));
    }
    parts.join("; ")
}

/// Whether the reason is more than that there is a process.
fn says_something(facts: &Facts) -> bool {
    let plain = facts.pid.map(|pid| format!("process {pid} runs"));
    !facts.reason.is_empty() && plain.as_deref() != Some(facts.reason.as_str())
}

/// The reason, with what the end in it means put behind it.
fn with_meaning(facts: &Facts) -> String {
    let Some(exit) = facts.last_exit.filter(|exit| !exit.is_success()) else { return facts.reason.clone() };
    let (plain, decoded) = (exit.to_string(), in_words(exit, facts.windows));
    match facts.reason.find(&plain) {
        // `exit code 12` is in `exit code 127`, too.
        Some(at) if !facts.reason[at + plain.len()..].starts_with(|c: char| c.is_ascii_alphanumeric()) => {
            facts.reason.replacen(&plain, &decoded, 1)
        }
        _ => facts.reason.clone(),
    }
}

/// The probe that stands between the service and being well.
pub fn troubled_probe(facts: &Facts) -> Option<&Seen> {
    facts.probes.iter().find(|probe| match (facts.state, probe.probe) {
        (StateName::Starting, ProbeKind::Startup) => probe.ok != Some(true),
        (StateName::Running, ProbeKind::Ready) => probe.ok != Some(true),
        (StateName::Running | StateName::Ready, ProbeKind::Live) => probe.failures > 0,
        _ => false,
    })
}

fn probe_words(probe: &Seen) -> String {
    match (probe.detail.as_str(), probe.failures) {
        ("", _) => format!("{} probe has not answered yet", probe.probe),
        (detail, 0 | 1) => format!("{} probe: {detail}", probe.probe),
        (detail, n) => format!("{} probe: {detail} ({n} times in a row)", probe.probe),
    }
}

/// All that can be said.
pub fn explain(facts: &Facts) -> Explanation {
    let trouble = is_trouble(facts);
    let findings = if trouble { symptoms::find(&facts.output, facts.windows) } else { Vec::new() };
    let ends: Vec<EndWords> = facts
        .ends
        .iter()
        .take(MAX_ENDS)
        .map(|end| EndWords { end: end.clone(), text: end_words(end, facts.windows) })
        .collect();
    let mut because = because(facts);
    if trouble && let Some(end) = facts.ends.first() {
        because.extend(killed(end, facts.windows));
    }
    because.extend(facts.configuration.as_ref().map(|what| format!("The newest configuration: {what}.")));
    Explanation {
        service: facts.service.clone(),
        stack: facts.stack.clone(),
        state: facts.state,
        headline: headline(facts),
        because,
        next: next(facts),
        asked: facts.asked.as_ref().map(asked_words),
        to_do: to_do(facts, &findings, trouble),
        ends,
        findings,
        output: facts.output.clone(),
    }
}

/// Whether the end of its last run, and what it wrote then, has to do with the state it is in.
fn is_trouble(facts: &Facts) -> bool {
    let ended_badly = facts.last_exit.is_some_and(|exit| !exit.is_success());
    match facts.state {
        StateName::Failed | StateName::Backoff => true,
        StateName::Starting | StateName::Running => {
            facts.crash_loop || troubled_probe(facts).is_some() || (facts.restarts > 0 && ended_badly)
        }
        StateName::Ready => facts.crash_loop,
        _ => false,
    }
}

fn headline(facts: &Facts) -> String {
    let since = facts.since.map(|since| format!(" for {}", span(since))).unwrap_or_default();
    format!("{} of stack {}: {}{since}", facts.service, facts.stack, facts.state)
}

/// The state in a sentence.
fn state_words(facts: &Facts) -> &'static str {
    match facts.state {
        _ if facts.left => "The stack is down, and it was left running: nobody probes or restarts it.",
        StateName::Stopped if !facts.up => "The stack is not up.",
        StateName::Stopped => "It is down, and nothing wants it up.",
        StateName::Starting if !facts.waits.is_empty() => "It is to start, and waits for others.",
        StateName::Starting => "It is on its way up.",
        StateName::Running if troubled_probe(facts).is_some() => "Its process runs, but it is not well.",
        StateName::Running => "Its process runs.",
        StateName::Ready => "Its process runs and is ready.",
        StateName::Pausing => "It is being frozen.",
        StateName::Paused => "It is frozen: its processes are there and do nothing.",
        StateName::Continuing => "It was frozen and is being let go on.",
        StateName::Stopping => "It is being ended.",
        StateName::Backoff => "It ended, and will be started again.",
        StateName::Failed => "It is down for good: Mainstay does not start it again by itself.",
        StateName::Completed => "It ran to its end, as wanted.",
    }
}

fn because(facts: &Facts) -> Vec<String> {
    let mut all = vec![state_words(facts).to_owned()];
    if says_something(facts) {
        all.push(format!("Why: {}.", with_meaning(facts)));
    }
    for wait in &facts.waits {
        let root = wait.root.as_ref();
        let root =
            root.map(|(name, why)| format!(" At the root of it is {name}: {why}.")).unwrap_or_default();
        all.push(format!("It waits: {}.{root}", wait.what));
    }
    if let Some(probe) = troubled_probe(facts) {
        let ago = probe.ago.map(|ago| format!(", {} ago", span(ago))).unwrap_or_default();
        all.push(format!("Its {}{ago}.", probe_words(probe)));
    }
    if facts.state == StateName::Stopping
        && let Some(step) = &facts.stop_step
    {
        all.push(format!("The last step of its stop: {step}."));
    }
    if let (Some(pid), Some(uptime)) = (facts.pid, facts.uptime) {
        all.push(format!("Its process {pid} has been there for {}.", span(uptime)));
    }
    if facts.crash_loop {
        let restarts = count(facts.restarts, "restart");
        all.push(format!("It is in a crash loop: it keeps ending soon after its start ({restarts} so far)."));
    } else if facts.restarts > 0 {
        let restarts = count(facts.restarts, "time");
        all.push(format!("It was restarted {restarts} since the last start by hand."));
    }
    all.extend(facts.leaks.iter().map(|leak| format!("It seems to leak: {leak}.")));
    all.extend(facts.not_enforced.iter().map(|limit| capital(&format!("{}.", limit.words()))));
    if facts.log_lost > 0 {
        all.push(format!("{} of its output could not be written to its log.", bytes(facts.log_lost, false)));
    }
    if facts.going_down && !facts.left {
        all.push("The stack is going down.".to_owned());
    }
    all
}

/// What there is to say about an end by SIGKILL, which gives no reason itself.
fn killed(end: &End, windows: bool) -> Option<String> {
    if !end.hits.is_empty() {
        return Some(capital(&format!("{}.", end.hits.words())));
    }
    if let Some(words) = &end.out_of_memory {
        return Some(format!("The kernel killed it because memory ran out: {words}."));
    }
    let kill = matches!(end.exit, Some(Exit::Signal(9))) || (!windows && end.exit == Some(Exit::Code(137)));
    if !kill || end.step.is_some() {
        return None;
    }
    Some(
        "It was killed with SIGKILL, and not by Mainstay: by the kernel because memory ran out (`dmesg` or \
         `journalctl -k` say so), or by somebody's `kill -9`."
            .to_owned(),
    )
}

/// With a capital letter, as a sentence begins.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn next(facts: &Facts) -> Option<String> {
    let text = match facts.state {
        StateName::Backoff => match facts.next_start {
            Some(left) => format!("The next start comes in {}.", span(left)),
            None => "The next start comes soon.".to_owned(),
        },
        StateName::Failed => "No start comes by itself.".to_owned(),
        StateName::Stopped if facts.up => "It stays so until somebody starts it.".to_owned(),
        _ => return None,
    };
    Some(text)
}

fn asked_words(asked: &Asked) -> String {
    let ago = asked.ago.map(|ago| format!(", {} ago", span(ago))).unwrap_or_default();
    format!("Asked last by {}: {}{ago}.", asked.by, asked.what)
}

fn end_words(end: &End, windows: bool) -> String {
    let mut text = match (&end.exit, &end.error) {
        (Some(exit), _) => in_words(*exit, windows),
        (None, Some(error)) => format!("could not be started: {error}"),
        (None, None) => "ended".to_owned(),
    };
    if let Some(after) = end.after {
        text.push_str(&format!(", after {}", span(after)));
    }
    if end.out_of_memory.is_some() || end.hits.memory.is_some() {
        text.push_str("; out of memory");
    }
    if end.hits.processes.is_some() {
        text.push_str("; at its limit of processes");
    }
    match (&end.stopped_for, &end.step) {
        (Some(why), Some(step)) if step.starts_with("kill") => {
            text.push_str(&format!("; killed by Mainstay, {why}"));
        }
        (Some(why), _) => text.push_str(&format!("; stopped by Mainstay, {why}")),
        (None, Some(_)) => text.push_str("; in a stop by Mainstay"),
        (None, None) => {}
    }
    text
}

fn to_do(facts: &Facts, findings: &[Finding], trouble: bool) -> Vec<ToDo> {
    let (stack, name) = (&facts.stack, &facts.service);
    let mut all: Vec<ToDo> = Vec::new();
    let mut say = |text: &str, command: Option<String>| {
        if !all.iter().any(|known| known.text == text) {
            all.push(ToDo { text: text.to_owned(), command });
        }
    };
    if !facts.up {
        say("start the stack", Some("mainstay up".to_owned()));
    }
    if facts.left {
        say("start the stack, which takes it over", Some("mainstay up".to_owned()));
        say("stop it, too", Some(format!("mainstay down --all --stack {stack}")));
    }
    for finding in findings {
        say(&finding.hint, None);
    }
    let last = facts.ends.first().and_then(|end| end.exit).or(facts.last_exit);
    if trouble
        && findings.is_empty()
        && let Some(hint) = last.and_then(|exit| meaning(exit, facts.windows)).and_then(|known| known.hint)
    {
        say(&hint, None);
    }
    if facts.log_lost > 0 {
        let text = "make space on the disk of the logs, or have Mainstay keep some: `log.keep`, `log.min_free`; it \
                    writes again by itself";
        say(text, None);
    }
    if let Some(end) = facts.ends.first() {
        match &end.hits.memory {
            Some(hit) if hit.own => say("raise `limits.memory`, or look for what it keeps in memory", None),
            Some(_) => say("give the machine more memory, or limit who takes it", None),
            None if end.out_of_memory.is_some() => say("give it more memory, or raise its limit", None),
            None => {}
        }
        if end.hits.processes.is_some() {
            say("raise `limits.processes`, or look for what starts so many", None);
        }
    }
    for (root, _) in facts.waits.iter().filter_map(|wait| wait.root.as_ref()) {
        say(&format!("look at {root}"), Some(format!("mainstay explain --stack {stack} {root}")));
    }
    let on = |command: &str| Some(format!("mainstay {command} --stack {stack} {name}"));
    match facts.state {
        StateName::Failed => say("start it again when the reason is gone", on("start")),
        StateName::Stopped | StateName::Completed if facts.up => say("start it", on("start")),
        StateName::Backoff => say("start it now, without waiting", on("start")),
        StateName::Paused if !facts.left => say("let it go on", on("continue")),
        _ => {}
    }
    if trouble || facts.state == StateName::Failed {
        say("read what it wrote", on("logs"));
    }
    all
}
