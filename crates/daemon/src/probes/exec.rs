//! A command that exits with 0 is a yes. It is a process of the keeper, in a container of its own beside the
//! service's, with the service's environment, directory and account.
//!
//! One that has not ended in time is killed, tree and all, and answered for; the next question waits until nothing
//! of it is left.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::{Exit, Launch, ProbeKind, ProbeOutcome, RunId, ServiceName, Time};
use mainstay_link::{Command, Spawn};

use super::{Answer, Question, in_words, no, yes};

/// Helpers' run numbers start above this one. They are a row of their own, so that the numbers of services' runs
/// depend on the core alone, and a recording of its inputs can be replayed.
pub(crate) const HELPERS: u64 = 1 << 40;

type Key = (ServiceName, ProbeKind);

/// What the keeper says of a helper.
pub(crate) enum Helper {
    /// It could not be made.
    SpawnFailed(String),
    /// Its main process ended.
    Exited(Exit, bool),
    /// Nothing of it is left.
    TreeEmpty,
}

/// All commands that run for probes.
pub(crate) struct Exec {
    last: u64,
    slots: BTreeMap<Key, Slot>,
    keys: BTreeMap<RunId, Key>,
    commands: Vec<Command>,
    answers: Vec<Answer>,
}

/// One probe.
#[derive(Default)]
struct Slot {
    /// The process, until nothing of it is left.
    helper: Option<RunId>,
    /// The question without an answer yet.
    question: Option<Pending>,
}

struct Pending {
    run: RunId,
    seq: u64,
    /// The helper that finds out; none while an earlier one is still going.
    by: Option<RunId>,
    deadline: Time,
    timeout: Duration,
    spawn: Spawn,
}

impl Exec {
    /// Gives numbers above `last`.
    pub fn new(last: u64) -> Self {
        Exec {
            last: last.max(HELPERS),
            slots: BTreeMap::new(),
            keys: BTreeMap::new(),
            commands: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Asks a question that has to be answered by `deadline`.
    pub fn ask(&mut self, deadline: Time, question: &Question<'_>, command: &[String], timeout: Duration) {
        let Launch { working_dir, environment, user, .. } = question.plan.launch.clone();
        let spawn = Spawn {
            run: 0,
            container: format!("{}.probe-{}", question.service, question.probe),
            command: command.to_vec(),
            working_dir,
            environment,
            user,
            log: None,
            notify: false,
        };
        let (run, seq) = (question.run, question.seq);
        let key = (question.service.clone(), question.probe);
        let slot = self.slots.entry(key.clone()).or_default();
        slot.question = Some(Pending { run, seq, by: None, deadline, timeout, spawn });
        if let Some(helper) = slot.helper {
            // It is an earlier question's; whatever it would find out, it is not about now.
            self.commands.push(Command::Kill { run: helper });
        } else {
            self.start(&key);
        }
    }

    /// Whether this run is a helper.
    pub fn is_helper(run: RunId) -> bool {
        run.0 > HELPERS
    }

    /// Takes in what the keeper says.
    pub fn heard(&mut self, helper: RunId, what: Helper) {
        let Some(key) = self.keys.get(&helper).cloned() else { return };
        let (outcome, over) = match what {
            Helper::SpawnFailed(error) => (Some(no(error)), true),
            Helper::Exited(exit, empty) => {
                let words = exit.to_string();
                (Some(if exit.is_success() { yes(words) } else { no(words) }), empty)
            }
            Helper::TreeEmpty => (None, true),
        };
        if let Some(outcome) = outcome {
            self.answer(&key, helper, outcome);
            if !over {
                // What it left behind is of no use to anybody.
                self.commands.push(Command::Kill { run: helper });
            }
        }
        if over {
            self.commands.push(Command::Forget { run: helper });
            self.keys.remove(&helper);
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.helper = None;
            }
            self.start(&key);
        }
    }

    /// When [`tick`](Exec::tick) is wanted.
    pub fn deadline(&self) -> Option<Time> {
        self.slots.values().filter_map(|slot| slot.question.as_ref().map(|question| question.deadline)).min()
    }

    /// Kills and answers for those whose time is over.
    pub fn tick(&mut self, now: Time) {
        for ((_, probe), slot) in &mut self.slots {
            let Some(question) = slot.question.take_if(|question| question.deadline <= now) else { continue };
            let outcome = if question.by.is_some() {
                no(format!("did not end in {}", in_words(question.timeout)))
            } else {
                no("the command asked before this one has not ended yet")
            };
            self.answers.push(Answer { run: question.run, probe: *probe, seq: question.seq, outcome });
            self.commands.extend(slot.helper.map(|run| Command::Kill { run }));
        }
        self.tidy();
    }

    /// Nobody waits for answers about this run any more.
    pub fn cancel(&mut self, run: RunId) {
        for slot in self.slots.values_mut() {
            if slot.question.take_if(|question| question.run == run).is_some() {
                self.commands.extend(slot.helper.map(|run| Command::Kill { run }));
            }
        }
        self.tidy();
    }

    /// What the keeper has to do now.
    pub fn take_commands(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }

    /// What was found out.
    pub fn take_answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.answers)
    }

    /// Starts the command of a question that waits, if nothing is in its way.
    fn start(&mut self, key: &Key) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        if slot.helper.is_none()
            && let Some(question) = &mut slot.question
        {
            self.last += 1;
            let helper = RunId(self.last);
            question.by = Some(helper);
            slot.helper = Some(helper);
            self.keys.insert(helper, key.clone());
            let spawn = Spawn { run: helper.0, ..std::mem::take(&mut question.spawn) };
            self.commands.push(Command::Spawn(Box::new(spawn)));
        }
        self.tidy();
    }

    fn answer(&mut self, key: &Key, helper: RunId, outcome: ProbeOutcome) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        if let Some(question) = slot.question.take_if(|question| question.by == Some(helper)) {
            self.answers.push(Answer { run: question.run, probe: key.1, seq: question.seq, outcome });
        }
    }

    fn tidy(&mut self) {
        self.slots.retain(|_, slot| slot.helper.is_some() || slot.question.is_some());
    }
}
