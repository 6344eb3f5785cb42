//! Changes the files of programs and tells the programs: one change of a service at a time, in the order in which they
//! were wanted.
//!
//! A change goes through its steps: all new files are written beside their places, each is checked by its command, all
//! are put into their places, the program is told. What fails before the third of them has changed nothing. Whatever
//! was done when a daemon dies is done again by the next one: a file that is as it should be is left alone.

mod before;
mod tell;
mod work;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use mainstay_core::{
    FilesOutcome, HookFacts, Input, Plan, ProbeOutcome, ProgramConfig, RunId, SecretMarks, ServiceName,
    StopAction, Time,
};
use mainstay_link::LogPos;
use mainstay_sys::staged::Staged;
use tokio::runtime::Handle;

use crate::probes::Probes;
use crate::secrets::{Reading, Vault};

/// What follows the name of a service in the name of the log of its checks.
pub(crate) const CHECK: &str = ".check";

/// A step of a change that another thread has done.
#[derive(Clone, Debug)]
pub(crate) struct Moved {
    service: ServiceName,
    /// Which job.
    seq: u64,
    what: Step,
}

#[derive(Clone, Debug)]
enum Step {
    /// These files are beside their places; others are as they should be.
    Written(Result<Written, String>),
    /// They are in their places.
    Put(Result<(), String>),
    /// The program was told, or not.
    Told(ProbeOutcome),
}

#[derive(Clone, Debug, Default)]
struct Written {
    /// The places of the files.
    files: Vec<PathBuf>,
    /// Those of them that have again what they had before, which is not checked anew.
    again: BTreeSet<PathBuf>,
    /// Those that were to have it, but it is nowhere any more.
    lost: Vec<String>,
    /// What tells of the values that are in them.
    secrets: SecretMarks,
    /// What tells of the content of each file with a secret.
    contents: SecretMarks,
}

/// Where such steps go. False: no room now.
pub(crate) type Report = Arc<dyn Fn(Moved) -> bool + Send + Sync>;

/// What a command of a change found out.
#[derive(Debug)]
pub(crate) struct CommandDone {
    pub service: ServiceName,
    pub seq: u64,
    pub outcome: ProbeOutcome,
    /// Where its output begins.
    pub output: LogPos,
}

/// What follows from a change.
#[derive(Debug)]
pub(crate) enum Follows {
    /// The core is to hear this.
    Input(Input),
    /// The files of a start are there: its hooks have their turn.
    Hooks { service: ServiceName, run: RunId, facts: HookFacts },
    /// This is to be sent to the main process of a run, and the answer given to [`Files::sent`].
    Signal { id: u64, run: RunId, action: StopAction },
}

/// The changes of all services.
pub(crate) struct Files {
    runtime: Handle,
    report: Report,
    logs: PathBuf,
    vault: Vault,
    queues: BTreeMap<ServiceName, VecDeque<Job>>,
    /// The last job's number. They rise over all daemons of one boot: a late answer is nobody's.
    seq: u64,
    follows: Vec<Follows>,
}

/// Why files are changed.
enum Want {
    /// A process is about to be made.
    Start(HookFacts),
    /// They are others by now; this run is told, if one is.
    Change(Option<RunId>),
}

struct Job {
    run: RunId,
    seq: u64,
    want: Want,
    at: At,
    /// What it is about, as the plan said when it began.
    config: ProgramConfig,
    /// The new files, beside their places. They go with the job.
    staged: Vec<Staged>,
    /// What they are.
    written: Written,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Its turn has not come.
    Waiting,
    /// Another thread works for it.
    Working,
    /// Nobody wants it any more, but another thread works for it.
    Cancelled,
    /// This file is the next one to be checked.
    Check(usize),
    /// This file is being checked.
    Checking(usize),
    /// The program is to be told.
    Tell,
    /// It is being told.
    Telling,
}

impl Files {
    /// `logs` is the directory of the services' output.
    pub fn new(runtime: Handle, report: Report, logs: PathBuf, vault: Vault, now: Time) -> Files {
        let (queues, follows) = (BTreeMap::new(), Vec::new());
        Files { runtime, report, logs, vault, queues, seq: now.as_nanos(), follows }
    }

    /// Files are to be there before a start; answered by `Prepared` if that fails.
    pub fn want_start(&mut self, service: &ServiceName, run: RunId, facts: HookFacts) {
        self.want(service, run, Want::Start(facts));
    }

    /// Files are to be others, and a run is to be told; answered by `Configured`.
    pub fn want_change(&mut self, service: &ServiceName, run: RunId, tell: Option<RunId>) {
        self.want(service, run, Want::Change(tell));
    }

    fn want(&mut self, service: &ServiceName, run: RunId, want: Want) {
        self.seq += 1;
        let queue = self.queues.entry(service.clone()).or_default();
        // Of changes only the last one counts: nobody waits for the answers to the others.
        queue.retain(|job| job.at != At::Waiting || matches!(job.want, Want::Start(_)));
        let (config, staged, written) = (ProgramConfig::default(), Vec::new(), Written::default());
        queue.push_back(Job { run, seq: self.seq, want, at: At::Waiting, config, staged, written });
    }

    /// Nobody waits for a preparation any more.
    pub fn cancel(&mut self, run: RunId, probes: &mut Probes) {
        for (service, queue) in &mut self.queues {
            let Some(place) = queue.iter().position(|job| job.run == run) else { continue };
            match queue.get_mut(place).map(|job| &mut job.at) {
                Some(at @ (At::Working | At::Cancelled)) => *at = At::Cancelled,
                Some(At::Checking(_)) => {
                    probes.exec.cancel_check(service);
                    queue.remove(place);
                }
                _ => drop(queue.remove(place)),
            }
        }
    }

    /// Takes in what another thread has done.
    pub fn moved(&mut self, moved: Moved) {
        let Moved { service, seq, what } = moved;
        // What nobody waits for any more goes with it.
        let staged: Vec<Staged> = match &what {
            Step::Written(Ok(written)) => written.files.iter().map(|path| Staged::again(path)).collect(),
            _ => Vec::new(),
        };
        let Some(job) = self.front(&service, seq) else { return };
        match what {
            _ if job.at == At::Cancelled => drop(self.drop_front(&service)),
            Step::Written(Ok(written)) => {
                (job.staged, job.written, job.at) = (staged, written, At::Check(0));
            }
            Step::Written(Err(why)) | Step::Put(Err(why)) => self.refuse(&service, why),
            Step::Put(Ok(())) => {
                job.at = At::Tell;
                let (run, notes) = (job.run, &job.config.notes);
                let Written { secrets, contents, .. } = job.written.clone();
                if !contents.is_empty() || !notes.is_empty() {
                    self.follows.push(Follows::Input(Input::FilesMade { run, secrets, contents }));
                }
            }
            Step::Told(outcome) => self.told(&service, outcome),
        }
    }

    /// Takes in the end of a command.
    pub fn ended(&mut self, done: CommandDone) {
        let CommandDone { service, seq, outcome, output } = done;
        let (logs, vault) = (self.logs.clone(), self.vault.clone());
        let Some(job) = self.front(&service, seq) else { return };
        match job.at {
            At::Checking(file) if outcome.ok => job.at = At::Check(file + 1),
            At::Checking(file) => {
                let name = job.written.files.get(file).map(|path| work::name(path)).unwrap_or_default();
                let said = work::last_words(&logs, &format!("{service}{CHECK}"), output, &vault);
                let said = if said.is_empty() { said } else { format!(": {said}") };
                self.refuse(&service, format!("{name} was refused by its check, {}{said}", outcome.detail));
            }
            At::Telling => self.told(&service, outcome),
            At::Waiting | At::Working | At::Cancelled | At::Check(_) | At::Tell => {}
        }
    }

    /// A signal was sent, or not. Whether it was one of these.
    pub fn sent(&mut self, id: u64, error: Option<String>) -> bool {
        let told =
            |queue: &VecDeque<Job>| queue.front().is_some_and(|job| job.seq == id && job.at == At::Telling);
        let found = self.queues.iter().find(|(_, queue)| told(queue)).map(|(service, _)| service.clone());
        let Some(service) = found else { return false };
        let (ok, detail) = (error.is_none(), error.unwrap_or_default());
        self.told(&service, ProbeOutcome { ok, detail });
        true
    }

    fn front(&mut self, service: &ServiceName, seq: u64) -> Option<&mut Job> {
        self.queues.get_mut(service)?.front_mut().filter(|job| job.seq == seq)
    }

    fn drop_front(&mut self, service: &ServiceName) -> Option<Job> {
        self.queues.get_mut(service)?.pop_front()
    }

    /// Nothing was changed.
    fn refuse(&mut self, service: &ServiceName, why: String) {
        let Some(Job { run, want, .. }) = self.drop_front(service) else { return };
        self.follows.push(Follows::Input(match want {
            Want::Start(_) => Input::Prepared { run, error: Some(why) },
            Want::Change(_) => Input::Configured { run, outcome: FilesOutcome::Refused(why) },
        }));
    }

    fn told(&mut self, service: &ServiceName, outcome: ProbeOutcome) {
        let Some(job) = self.drop_front(service) else { return };
        let what = &job.config.on_change;
        let outcome = match outcome.ok {
            true => FilesOutcome::Done(format!("{}; told by {what}", job.written)),
            false => FilesOutcome::NotTold(format!("{what}: {}", outcome.detail)),
        };
        self.follows.push(Follows::Input(Input::Configured { run: job.run, outcome }));
    }

    /// The files are in their places, and nobody is to be told.
    fn in_place(&mut self, service: &ServiceName) {
        let Some(Job { run, want, written, .. }) = self.drop_front(service) else { return };
        let (service, detail) = (service.clone(), written.to_string());
        match want {
            Want::Start(facts) => {
                if !written.files.is_empty() {
                    let service = service.clone();
                    self.follows.push(Follows::Input(Input::FilesWritten { service, run, detail }));
                }
                self.follows.push(Follows::Hooks { service, run, facts });
            }
            Want::Change(_) => {
                let outcome = FilesOutcome::Done(detail);
                self.follows.push(Follows::Input(Input::Configured { run, outcome }));
            }
        }
    }

    /// Does what can be done, and returns what follows.
    pub fn go_on(&mut self, now: Time, plan: &Plan, probes: &mut Probes) -> Vec<Follows> {
        let names: Vec<ServiceName> = self.queues.keys().cloned().collect();
        for service in names {
            while self.one_step(now, &service, plan, probes) {}
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        std::mem::take(&mut self.follows)
    }

    /// Takes the next step of a service's first job. Whether there may be another one at once.
    fn one_step(&mut self, now: Time, service: &ServiceName, plan: &Plan, probes: &mut Probes) -> bool {
        let worker =
            work::Worker { runtime: &self.runtime, report: &self.report, service, vault: &self.vault };
        let Some(job) = self.queues.get_mut(service).and_then(VecDeque::front_mut) else { return false };
        let Some(there) = plan.services.get(service) else {
            // It is gone, and nobody waits for it.
            let gone = !matches!(job.at, At::Working | At::Cancelled);
            return gone && self.drop_front(service).is_some();
        };
        match job.at {
            At::Working | At::Cancelled | At::Checking(_) | At::Telling => return false,
            At::Waiting => {
                job.config = there.config.clone();
                job.at = At::Working;
                let reading = match job.want {
                    // They were read just now, with those of its process.
                    Want::Start(_) => Reading::Known,
                    Want::Change(_) => Reading::Anew,
                };
                worker.write(job.seq, job.config.clone(), reading);
            }
            At::Check(file) => match job.staged.get(file) {
                None => {
                    job.at = At::Working;
                    worker.put(job.seq, std::mem::take(&mut job.staged));
                }
                Some(staged) => {
                    let known = job.written.again.contains(staged.place());
                    let command = work::check_of(staged, &job.config).filter(|_| !known);
                    job.at = if command.is_some() { At::Checking(file) } else { At::Check(file + 1) };
                    if let Some(command) = command {
                        probes.exec.run_check(now, (service, there), job.seq, &command, job.config.timeout);
                    }
                }
            },
            At::Tell => match job.want {
                Want::Change(Some(run)) if job.config.on_change.tells() => {
                    job.at = At::Telling;
                    let told =
                        tell::Telling { now, service, plan: there, run, config: &job.config, seq: job.seq };
                    self.follows.extend(told.begin(&worker, probes));
                }
                _ => self.in_place(service),
            },
        }
        true
    }
}
