//! The lives of services as traces: made of the events alone, so that a new daemon goes on where the old one was.

use std::collections::BTreeMap;
use std::mem;

use mainstay_core::{Event, EventKind, Exit, HookMoment, ProbeKind, RunId, ServiceName, StateName};

use super::span::{Ids, Span};

/// Services of which nothing ended are followed, at most so many.
const MAX_LIVES: usize = 10_000;
/// What comes before the process, whose run gives the trace its number, waits; at most so much of it.
const MAX_PENDING: usize = 64;

/// An event, and when it was, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    pub seq: u64,
    pub at: u64,
    pub event: &'a Event,
}

/// From the wish to start to the end of the process.
#[derive(Debug)]
struct Life {
    began: u64,
    /// Where the stretch begins that is told next.
    mark: u64,
    run: Option<RunId>,
    pid: u32,
    /// The number of the last span.
    spans: u64,
    pending: Vec<Span>,
    /// The process runs.
    running: Option<Span>,
    /// It is being stopped.
    stopping: Option<u64>,
    /// The step of the stop that it is at.
    step: Option<Span>,
    ready: bool,
    exit: Option<Exit>,
    /// Somebody, or the configuration, wanted its end.
    asked: bool,
}

/// All lives that are not over.
#[derive(Debug)]
pub(super) struct Lives {
    ids: Ids,
    lives: BTreeMap<ServiceName, Life>,
}

impl Lives {
    pub fn new(ids: Ids) -> Lives {
        Lives { ids, lives: BTreeMap::new() }
    }

    /// Takes in an event; what is complete by it goes to `done`.
    pub fn take(&mut self, told: Told<'_>, done: &mut Vec<Span>) {
        let Some(service) = &told.event.service else { return };
        let ids = self.ids;
        if let EventKind::State { to: StateName::Starting, reason, .. } = &told.event.kind {
            if let Some(life) = self.lives.remove(service) {
                life.over(ids, told, service, reason, done);
            }
            if self.lives.len() < MAX_LIVES {
                self.lives.insert(service.clone(), Life::new(told.at));
            }
            return;
        }
        let ends = |to: StateName| {
            matches!(to, StateName::Stopped | StateName::Backoff | StateName::Failed | StateName::Completed)
        };
        match &told.event.kind {
            EventKind::State { to, reason, .. } if ends(*to) => {
                if let Some(life) = self.lives.remove(service) {
                    life.over(ids, told, service, reason, done);
                }
            }
            _ => {
                if let Some(life) = self.lives.get_mut(service) {
                    life.goes_on(ids, told, done);
                }
            }
        }
    }
}

impl Life {
    fn new(at: u64) -> Life {
        Life {
            began: at,
            mark: at,
            run: None,
            pid: 0,
            spans: 0,
            pending: Vec::new(),
            running: None,
            stopping: None,
            step: None,
            ready: false,
            exit: None,
            asked: false,
        }
    }

    fn goes_on(&mut self, ids: Ids, told: Told<'_>, done: &mut Vec<Span>) {
        let Told { at, .. } = told;
        match &told.event.kind {
            EventKind::Hook { hook, ok, detail } => {
                let mut span = Span::new(format!("hook {hook}"), self.mark, at);
                span.error = (!ok).then(|| detail.clone());
                if *hook == HookMoment::BeforeStart {
                    self.mark = at;
                }
                self.tell(ids, told, span, done);
            }
            EventKind::Waiting { reason } => {
                let mut span = Span::new("wait", self.mark, at);
                span.texts.push(("mainstay.reason", reason.clone()));
                self.tell(ids, told, span, done);
            }
            EventKind::Spawned { pid } => {
                (self.run, self.pid) = (told.event.run, *pid);
                let span = Span::new("spawn", self.mark, at);
                self.tell(ids, told, span, done);
                self.running = Some(Span::new("run", at, at));
                self.mark = at;
            }
            EventKind::SpawnFailed { error } => {
                self.run = told.event.run;
                let mut span = Span::new("spawn", self.mark, at);
                span.error = Some(error.clone());
                self.tell(ids, told, span, done);
            }
            EventKind::State { to: StateName::Ready, .. } if !self.ready => {
                self.ready = true;
                let span = Span::new("until ready", self.mark, at);
                self.mark = at;
                self.tell(ids, told, span, done);
            }
            EventKind::State { to: StateName::Stopping, reason, .. } => {
                self.asked |= reason.contains("asked by") || reason.contains("goes down");
                self.end_run(ids, told, done);
                self.stopping = self.stopping.or(Some(at));
            }
            EventKind::StopStep { step } => self.step(ids, told, step, done),
            EventKind::Exited { exit, .. } => {
                self.exit = Some(*exit);
                self.end_step(ids, told, done);
                self.end_run(ids, told, done);
            }
            EventKind::Probe { probe, ok, detail } => {
                let verb = if *ok { "succeeds" } else { "fails" };
                // The first success of the readiness probe is told by the state.
                if let Some(run) = self.running.as_mut().filter(|_| self.ready || *probe != ProbeKind::Ready)
                {
                    run.event(at, format!("{probe} probe {verb}: {detail}"));
                }
            }
            EventKind::LimitHit { hits } => self.remark(at, hits.words()),
            EventKind::Leak { change: mainstay_core::leak::Change::Grows(growth) } => {
                self.remark(at, growth.to_string());
            }
            EventKind::Requested { by, what } => self.remark(at, format!("{what} asked by {by}")),
            _ => {}
        }
    }

    fn remark(&mut self, at: u64, what: String) {
        if let Some(run) = &mut self.running {
            run.event(at, what);
        }
    }

    /// A step of the stop was taken, or came out.
    fn step(&mut self, ids: Ids, told: Told<'_>, text: &str, done: &mut Vec<Span>) {
        if let Some(step) = &mut self.step {
            if let Some((_, why)) = text.split_once(" failed: ") {
                step.error = Some(why.to_owned());
                return;
            }
            if text.ends_with(" succeeded") {
                return;
            }
        }
        self.end_step(ids, told, done);
        let what = text.split([',', ':']).next().unwrap_or(text);
        self.step = Some(Span::new(format!("stop: {what}"), told.at, told.at));
    }

    fn end_step(&mut self, ids: Ids, told: Told<'_>, done: &mut Vec<Span>) {
        if let Some(mut step) = self.step.take() {
            step.end = told.at;
            self.tell(ids, told, step, done);
        }
    }

    fn end_run(&mut self, ids: Ids, told: Told<'_>, done: &mut Vec<Span>) {
        if let Some(mut run) = self.running.take() {
            run.end = told.at;
            run.error = self.failure();
            self.tell(ids, told, run, done);
        }
    }

    /// Why the process's end was a failure, if it has ended and nobody wanted that.
    fn failure(&self) -> Option<String> {
        self.exit.filter(|exit| !exit.is_success() && !self.asked).map(|exit| exit.to_string())
    }

    /// Gives a stretch its place in the trace, as soon as that is known.
    fn tell(&mut self, ids: Ids, told: Told<'_>, span: Span, done: &mut Vec<Span>) {
        if self.pending.len() < MAX_PENDING {
            self.pending.push(span);
        }
        let Some(run) = self.run else { return };
        for mut span in mem::take(&mut self.pending) {
            self.spans += 1;
            (span.trace, span.id) = (ids.trace(run), ids.span(run, self.spans));
            (span.parent, span.seq) = (Some(ids.span(run, 0)), told.seq);
            done.push(span);
        }
    }

    /// The life is over. One that has had no process leaves no trace.
    fn over(mut self, ids: Ids, told: Told<'_>, service: &ServiceName, why: &str, done: &mut Vec<Span>) {
        let Some(run) = self.run else { return };
        self.end_step(ids, told, done);
        self.end_run(ids, told, done);
        if let Some(began) = self.stopping {
            let span = Span::new("stop", began, told.at);
            self.tell(ids, told, span, done);
        }
        let mut whole = Span::new(service.as_str(), self.began, told.at);
        (whole.trace, whole.id, whole.seq) = (ids.trace(run), ids.span(run, 0), told.seq);
        whole.texts = vec![("mainstay.service", service.to_string()), ("mainstay.reason", why.to_owned())];
        whole.numbers = vec![("mainstay.run", run.0)];
        if self.pid > 0 {
            whole.numbers.push(("process.pid", self.pid.into()));
        }
        if let Some(exit) = self.exit {
            whole.texts.push(("mainstay.exit", exit.to_string()));
        }
        whole.error = self.failure().or_else(|| (self.pid == 0).then(|| why.to_owned()));
        done.push(whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::ProbeKind::Live;
    use std::time::Duration;

    /// What comes of these events, each a second after the one before. Names as `name! why` if it was a failure.
    fn spans(events: &[(Option<u64>, EventKind)]) -> Vec<String> {
        let mut lives = Lives::new(Ids::of_stack("x"));
        let mut done = Vec::new();
        for ((run, kind), seq) in events.iter().zip(1..) {
            let service = ServiceName::new("web").ok();
            let event = Event { service, run: run.map(RunId), kind: kind.clone() };
            lives.take(Told { seq, at: seq * 1_000_000_000, event: &event }, &mut done);
        }
        let told = |span: &Span| {
            let seconds = (span.end - span.start) / 1_000_000_000;
            let error = span.error.as_ref().map(|why| format!("! {why}")).unwrap_or_default();
            let events: String = span.events.iter().map(|(_, what)| format!(" ({what})")).collect();
            format!("{} {seconds}s{error}{events}", span.name)
        };
        assert!(done.iter().all(|span| span.id != 0 && span.trace != 0 && span.seq > 0));
        done.iter().map(told).collect()
    }

    fn state(from: StateName, to: StateName, reason: &str) -> EventKind {
        EventKind::State { from, to, reason: reason.to_owned() }
    }

    fn starting(from: StateName) -> EventKind {
        state(from, StateName::Starting, "restart")
    }

    #[test]
    fn a_crash_and_a_restart_are_two_lives() {
        use StateName::{Running, Starting, Stopped};
        let detail = "503".to_owned();
        let exited = EventKind::Exited { exit: Exit::Code(3), after: Duration::from_secs(2) };
        let told = spans(&[
            (None, starting(Stopped)),
            (None, EventKind::Waiting { reason: "db is not ready yet".to_owned() }),
            (Some(1), EventKind::Spawned { pid: 7 }),
            (Some(1), state(Starting, Running, "process 7 runs")),
            (Some(1), EventKind::Probe { probe: Live, ok: false, detail }),
            (Some(1), exited),
            (None, starting(Running)),
            (Some(2), EventKind::SpawnFailed { error: "program not found".to_owned() }),
            (Some(2), state(Starting, StateName::Failed, "program not found")),
        ]);
        let wanted = [
            "wait 1s",
            "spawn 2s",
            "run 3s! exit code 3 (live probe fails: 503)",
            "web 6s! exit code 3",
            "spawn 1s! program not found",
            "web 2s! program not found",
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn a_stop_that_was_asked_for_is_no_failure() {
        use StateName::{Running, Starting, Stopped, Stopping};
        let step = |text: &str| EventKind::StopStep { step: text.to_owned() };
        let told = spans(&[
            (None, starting(Stopped)),
            (Some(1), EventKind::Spawned { pid: 7 }),
            (Some(1), state(Starting, Running, "process 7 runs")),
            (Some(1), state(Running, Stopping, "asked by root")),
            (Some(1), step("command ./quit, within 5 s")),
            (Some(1), step("command ./quit failed: exit code 1")),
            (Some(1), step("kill of the whole tree")),
            (Some(1), EventKind::Exited { exit: Exit::Signal(9), after: Duration::from_secs(2) }),
            (None, state(Stopping, Stopped, "asked by root")),
        ]);
        let wanted = [
            "spawn 1s",
            "run 2s",
            "stop: command ./quit 2s! exit code 1",
            "stop: kill of the whole tree 1s",
            "stop 5s",
            "web 8s",
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn what_has_no_process_or_no_begin_leaves_no_trace() {
        use StateName::{Running, Starting, Stopped};
        let exited = EventKind::Exited { exit: Exit::Code(0), after: Duration::from_secs(2) };
        let given_up = state(Starting, Stopped, "asked by root");
        let told = spans(&[
            (Some(1), exited),
            (None, state(Running, Stopped, "exit code 0")),
            (None, starting(Stopped)),
            (None, given_up),
        ]);
        assert_eq!(told, [""; 0]);
    }
}
