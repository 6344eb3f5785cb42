//! The fake operating system with its keeper: processes that behave as their conduct says, and nothing else.
//!
//! It knows the truth. What the supervisor believes comes from the events alone.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mainstay_core::{Exit, Input, RunId, ServiceName, StopAction, Time};

use crate::transition::{Conduct, Leftovers};

/// Something of the operating system's that comes about later.
#[derive(Clone, Debug)]
pub enum Later {
    /// The process is made, or isn't.
    Made,
    /// The main process ends.
    MainEnds(Exit),
    /// What is left of the tree ends.
    LeftoversEnd,
    /// A kill has its effect.
    Killed,
    /// The tree is frozen, or can't be.
    FreezeDone,
    /// The tree goes on, or can't.
    ThawDone,
    /// The service says something.
    Says(&'static str),
}

/// What is asked of the keeper.
#[derive(Clone, Debug)]
enum Asked {
    Signal(StopAction),
    Kill,
    Freeze,
    Thaw,
}

/// The session where a process is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is there, or any will do.
    There,
    /// Whoever was signed in has signed off.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Main {
    Making,
    Alive,
    Ended,
}

/// A run and its process tree.
#[derive(Debug)]
struct Process {
    service: ServiceName,
    conduct: Conduct,
    main: Main,
    leftovers: bool,
    frozen: bool,
    asked_to_end: bool,
    kills_lost: u32,
    /// What was asked before the process was there.
    early: Vec<Asked>,
    /// What would have come about but for the frost.
    held: Vec<Later>,
    /// What it has read of its files last.
    read: String,
}

/// The operating system with the keeper.
#[derive(Debug, Default)]
pub struct Os {
    processes: BTreeMap<RunId, Process>,
    conduct: BTreeMap<ServiceName, Conduct>,
    /// The files of each service.
    files: BTreeMap<ServiceName, String>,
    /// Those that are kept beside them.
    previous: BTreeMap<ServiceName, String>,
    agenda: BTreeMap<(Time, u64), (RunId, Later)>,
    scheduled: u64,
    last_run: u64,
    now: Time,
    /// What the keeper has to tell, in order.
    pub events: VecDeque<Input>,
    /// The first thing that must never have happened.
    pub outrage: Option<String>,
}

impl Os {
    /// How a service's processes behave from now on; those there as well, but for their end that was set already.
    pub fn set_conduct(&mut self, service: &ServiceName, conduct: Conduct) {
        for process in self.processes.values_mut().filter(|process| process.service == *service) {
            process.conduct = Conduct { leftovers: process.conduct.leftovers, ..conduct.clone() };
        }
        self.conduct.insert(service.clone(), conduct);
    }

    /// How a service's processes behave.
    pub fn conduct(&self, service: &ServiceName) -> Conduct {
        self.conduct.get(service).cloned().unwrap_or_else(Conduct::perfect)
    }

    /// The same, to change it.
    pub fn conduct_mut(&mut self, service: &ServiceName) -> &mut Conduct {
        self.conduct.entry(service.clone()).or_insert_with(Conduct::perfect)
    }

    /// The files of a service are these now; a run that is told reads them.
    pub fn write_files(&mut self, service: &ServiceName, files: String, tell: Option<RunId>) {
        if let Some(process) = tell.and_then(|run| self.processes.get_mut(&run)) {
            process.read.clone_from(&files);
        }
        let before = self.files.insert(service.clone(), files);
        if let Some(before) = before.filter(|before| self.files.get(service) != Some(before)) {
            self.previous.insert(service.clone(), before);
        }
    }

    /// Whether this is in a file of a service, or in one that is kept beside it.
    pub fn keeps(&self, service: &ServiceName, content: &str) -> bool {
        let kept = |files: &BTreeMap<ServiceName, String>| {
            files.get(service).is_some_and(|files| files.contains(content))
        };
        kept(&self.files) || kept(&self.previous)
    }

    /// The files of a service, and what its process has read of them.
    pub fn files(&self, service: &ServiceName) -> (String, Option<String>) {
        let read = self.run_of(service).and_then(|run| self.processes.get(&run)).map(|it| it.read.clone());
        (self.files.get(service).cloned().unwrap_or_default(), read)
    }

    /// The newest run of a service that is not forgotten.
    pub fn run_of(&self, service: &ServiceName) -> Option<RunId> {
        self.processes.iter().rev().find(|(_, process)| process.service == *service).map(|(run, _)| *run)
    }

    /// Every run that is not forgotten.
    pub fn runs(&self) -> impl Iterator<Item = RunId> + '_ {
        self.processes.keys().copied()
    }

    /// The highest run number ever used.
    pub const fn last_run(&self) -> u64 {
        self.last_run
    }

    /// Whether anything of a run is left.
    pub fn is_there(&self, run: RunId) -> bool {
        self.processes.get(&run).is_some_and(Process::is_there)
    }

    /// Whether the main process of a run is there and not frozen.
    pub fn answers(&self, run: RunId) -> bool {
        self.processes.get(&run).is_some_and(|process| process.main == Main::Alive && !process.frozen)
    }

    /// Whether a run is frozen.
    pub fn is_frozen(&self, run: RunId) -> bool {
        self.processes.get(&run).is_some_and(|process| process.frozen)
    }

    /// When something comes about next.
    pub fn next(&self) -> Option<Time> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    /// Lets everything come about that does until `now`.
    pub fn advance(&mut self, now: Time) {
        while let Some(entry) = self.agenda.first_entry()
            && entry.key().0 <= now
        {
            let ((at, _), (run, later)) = entry.remove_entry();
            self.now = at;
            self.comes_about(run, later);
        }
        self.now = now;
    }

    /// A number was used for something that is no process.
    pub fn reserve(&mut self, run: RunId) {
        self.last_run = self.last_run.max(run.0);
    }

    /// The supervisor's `Spawn`.
    pub fn spawn(&mut self, service: &ServiceName, run: RunId, place: Place) {
        if let Some((old, _)) =
            self.processes.iter().find(|(_, process)| process.service == *service && process.is_there())
        {
            self.outrage(format!("{service} is made as run {run} while run {old} is still there"));
        }
        if run.0 <= self.last_run {
            self.outrage(format!("run number {run} is used again"));
        }
        self.last_run = self.last_run.max(run.0);
        let mut conduct = self.conduct(service);
        conduct.spawns &= place == Place::There;
        self.later(conduct.spawn_takes, run, Later::Made);
        let process = Process {
            service: service.clone(),
            kills_lost: conduct.kills_lost,
            conduct,
            main: Main::Making,
            leftovers: false,
            frozen: false,
            asked_to_end: false,
            early: Vec::new(),
            held: Vec::new(),
            read: String::new(),
        };
        self.processes.insert(run, process);
    }

    /// The supervisor's `Signal`.
    pub fn signal(&mut self, run: RunId, action: StopAction) {
        self.ask(run, Asked::Signal(action));
    }

    /// The supervisor's `Kill`.
    pub fn kill(&mut self, run: RunId) {
        self.ask(run, Asked::Kill);
    }

    /// The supervisor's `Freeze`.
    pub fn freeze(&mut self, run: RunId) {
        self.ask(run, Asked::Freeze);
    }

    /// The supervisor's `Thaw`.
    pub fn thaw(&mut self, run: RunId) {
        self.ask(run, Asked::Thaw);
    }

    /// The supervisor's `Forget`.
    pub fn forget(&mut self, run: RunId) {
        match self.processes.remove(&run) {
            Some(process) if process.is_there() => {
                self.outrage(format!("run {run} of {} is forgotten while it is there", process.service));
            }
            Some(_) => {}
            None => self.outrage(format!("run {run} is forgotten, which nobody knows")),
        }
    }

    /// The main process of a service ends by itself.
    pub fn main_ends(&mut self, service: &ServiceName, exit: Exit) {
        if let Some(run) = self.run_of(service) {
            self.comes_about(run, Later::MainEnds(exit));
        }
    }

    /// What is left of a service's tree ends by itself.
    pub fn leftovers_end(&mut self, service: &ServiceName) {
        if let Some(run) = self.run_of(service) {
            self.comes_about(run, Later::LeftoversEnd);
        }
    }

    /// A service says something.
    pub fn says(&mut self, service: &ServiceName, text: &'static str) {
        if let Some(run) = self.run_of(service) {
            self.comes_about(run, Later::Says(text));
        }
    }

    fn outrage(&mut self, what: String) {
        self.outrage.get_or_insert(what);
    }

    fn later(&mut self, after: Duration, run: RunId, what: Later) {
        self.scheduled += 1;
        self.agenda.insert((self.now.after(after), self.scheduled), (run, what));
    }

    fn ask(&mut self, run: RunId, asked: Asked) {
        let Some(process) = self.processes.get_mut(&run) else {
            return self.outrage(format!("{asked:?} for run {run}, which nobody knows"));
        };
        match process.main {
            Main::Making => process.early.push(asked),
            Main::Alive | Main::Ended => self.do_asked(run, asked),
        }
    }

    fn do_asked(&mut self, run: RunId, asked: Asked) {
        let Some(process) = self.processes.get_mut(&run) else { return };
        match asked {
            Asked::Signal(StopAction::Kill) | Asked::Kill => {
                if process.kills_lost > 0 {
                    process.kills_lost -= 1;
                } else {
                    let takes = process.conduct.kill_takes;
                    self.later(takes, run, Later::Killed);
                }
            }
            Asked::Signal(_) => {
                process.asked_to_end = true;
                let after = match (process.main, process.conduct.leftovers) {
                    (Main::Alive, _) => {
                        process.conduct.obeys.map(|d| (d, Later::MainEnds(process.conduct.obeys_with)))
                    }
                    (_, Leftovers::EndWhenAsked(d)) if process.leftovers => Some((d, Later::LeftoversEnd)),
                    _ => None,
                };
                if let Some((after, what)) = after {
                    self.later(after, run, what);
                }
            }
            Asked::Freeze => {
                let takes = process.conduct.freeze_takes;
                self.later(takes, run, Later::FreezeDone);
            }
            Asked::Thaw => {
                let takes = process.conduct.freeze_takes;
                self.later(takes, run, Later::ThawDone);
            }
        }
    }

    fn comes_about(&mut self, run: RunId, later: Later) {
        let Some(process) = self.processes.get_mut(&run) else { return };
        let heeds_frost = matches!(later, Later::MainEnds(_) | Later::LeftoversEnd | Later::Says(_));
        if process.frozen && heeds_frost {
            process.held.push(later);
            return;
        }
        match later {
            Later::Made => self.made(run),
            Later::MainEnds(exit) => self.ended(run, exit),
            Later::LeftoversEnd => self.leftovers_gone(run),
            Later::Killed => self.killed(run),
            Later::FreezeDone => self.frozen(run),
            Later::ThawDone => self.thawed(run),
            Later::Says(text) => {
                if process.main == Main::Alive {
                    self.events.push_back(Input::Notify { run, text: text.to_owned() });
                }
            }
        }
    }

    fn made(&mut self, run: RunId) {
        let Some(process) = self.processes.get_mut(&run) else { return };
        let conduct = process.conduct.clone();
        if !conduct.spawns {
            process.main = Main::Ended;
            self.events.push_back(Input::SpawnFailed { run, error: "program not found".to_owned() });
            return;
        }
        process.main = Main::Alive;
        process.read = self.files.get(&process.service).cloned().unwrap_or_default();
        let early = std::mem::take(&mut process.early);
        let pid = u32::try_from(run.0 % 30_000).unwrap_or(0) + 2;
        self.events.push_back(Input::Spawned { run, pid });
        if let Some((after, exit)) = conduct.life {
            self.later(after, run, Later::MainEnds(exit));
        }
        if let Some(after) = conduct.notifies {
            self.later(after, run, Later::Says("READY=1"));
        }
        for asked in early {
            self.do_asked(run, asked);
        }
    }

    fn ended(&mut self, run: RunId, exit: Exit) {
        let Some(process) = self.processes.get_mut(&run) else { return };
        if process.main != Main::Alive {
            return;
        }
        process.main = Main::Ended;
        process.leftovers = process.conduct.leftovers != Leftovers::None;
        let end_after = match process.conduct.leftovers {
            Leftovers::EndAfter(after) => Some(after),
            Leftovers::EndWhenAsked(after) if process.asked_to_end => Some(after),
            _ => None,
        };
        let tree_empty = !process.leftovers;
        if let Some(after) = end_after {
            self.later(after, run, Later::LeftoversEnd);
        }
        self.events.push_back(Input::Exited { run, exit, tree_empty });
    }

    fn leftovers_gone(&mut self, run: RunId) {
        let Some(process) = self.processes.get_mut(&run) else { return };
        if process.main == Main::Ended && process.leftovers {
            process.leftovers = false;
            self.events.push_back(Input::TreeEmpty { run });
        }
    }

    /// A kill ends what there is, frozen or not; a large tree a moment after its main process.
    fn killed(&mut self, run: RunId) {
        let Some(process) = self.processes.get_mut(&run) else { return };
        process.frozen = false;
        process.held.clear();
        match process.main {
            Main::Alive => self.ended(run, Exit::Signal(9)),
            Main::Ended | Main::Making => return self.leftovers_gone(run),
        }
        self.later(Duration::from_millis(1), run, Later::Killed);
    }

    fn frozen(&mut self, run: RunId) {
        let Some(process) = self.processes.get_mut(&run) else { return };
        if process.is_there() && process.conduct.freezes {
            process.frozen = true;
            self.events.push_back(Input::Frozen { run });
        } else {
            self.events.push_back(Input::FreezeFailed { run, error: "the tree can't be frozen".to_owned() });
        }
    }

    fn thawed(&mut self, run: RunId) {
        let Some(process) = self.processes.get_mut(&run) else { return };
        if !process.is_there() || !process.conduct.thaws {
            self.events.push_back(Input::FreezeFailed { run, error: "the tree can't be thawed".to_owned() });
            return;
        }
        process.frozen = false;
        let held = std::mem::take(&mut process.held);
        self.events.push_back(Input::Thawed { run });
        for later in held {
            self.comes_about(run, later);
        }
    }
}

impl Process {
    const fn is_there(&self) -> bool {
        matches!(self.main, Main::Making | Main::Alive) || self.leftovers
    }
}
