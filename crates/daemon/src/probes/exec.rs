//! A command that exits with 0 is a yes. It is a process of the keeper, in a container of its own beside the
//! service's, with the service's environment, directory and account.
//!
//! One that has not ended in time is killed, tree and all, and answered for; the next question waits until nothing
//! of it is left.
//!
//! What a probe's command writes goes nowhere: it would come again every few seconds. What a step of a stop writes goes
//! into the service's log, up to [`MAX_OUTPUT`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mainstay_core::{
    Exit, Hook, Launch, Limits, LogFormat, ProbeKind, ProbeOutcome, RunId, SecretText, ServiceName,
    ServicePlan, Settings, Time,
};
use mainstay_link::{Command, Log, LogPos, Secret, Spawn};

use super::steps::{Step, StepDone};
use super::{Answer, Question, in_words, no, yes};
use crate::effects::log_of;
use crate::files::{CHECK, CommandDone};
use crate::secrets::{Missing, in_words as why};

type Key = (ServiceName, Asker);

/// So many bytes of what a step's command writes are kept: its messages, not what somebody wants of it.
const MAX_OUTPUT: u64 = 256 << 10;

/// Who wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asker {
    /// A probe.
    Probe(ProbeKind),
    /// A stop, one of whose steps this is.
    Stop,
    /// A hook. The next one is started when this one has been answered.
    Hook,
    /// A change of files, whose check this is.
    Check,
    /// A change of files, of which this tells the program.
    OnChange,
}

/// What the keeper says of a helper.
pub(crate) enum Helper {
    /// It could not be made.
    SpawnFailed(String),
    /// Its main process ended.
    Exited(Exit, bool),
    /// Nothing of it is left.
    TreeEmpty,
    /// All that it wrote is in its log.
    Drained,
}

/// All commands that run for probes.
#[derive(Default)]
pub(crate) struct Exec {
    slots: BTreeMap<Key, Slot>,
    keys: BTreeMap<RunId, Key>,
    /// Probes whose command can be started.
    free: BTreeSet<Key>,
    commands: Vec<Command>,
    answers: Answers,
}

/// What commands found out, for those who asked.
#[derive(Default)]
struct Answers {
    probes: Vec<Answer>,
    steps: Vec<StepDone>,
    /// With their numbers.
    hooks: Vec<(ServiceName, u64, ProbeOutcome)>,
    files: Vec<CommandDone>,
}

impl Answers {
    fn add(&mut self, (service, asker): &Key, question: &Pending, output: LogPos, outcome: ProbeOutcome) {
        let (run, seq) = (question.run, question.seq);
        match *asker {
            Asker::Probe(probe) => self.probes.push(Answer { run, probe, seq, outcome }),
            Asker::Stop => self.steps.push(StepDone::new(run, seq, outcome)),
            Asker::Hook => self.hooks.push((service.clone(), seq, outcome)),
            Asker::Check | Asker::OnChange => {
                self.files.push(CommandDone { service: service.clone(), seq, outcome, output });
            }
        }
    }
}

/// One probe.
#[derive(Default)]
struct Slot {
    /// The process, until nothing of it is left.
    helper: Option<RunId>,
    /// The question without an answer yet.
    question: Option<Pending>,
    /// Where the output of the process begins.
    output: LogPos,
    /// How it ended, and whether nothing is left of it, while its output is waited for.
    held: Option<(Exit, bool)>,
}

struct Pending {
    run: RunId,
    seq: u64,
    /// The helper that finds out; none while an earlier one is still going.
    by: Option<RunId>,
    deadline: Time,
    timeout: Duration,
    spawn: Spawn,
    /// Variables that still lack the values of their secrets.
    secrets: BTreeMap<String, SecretText>,
}

impl Exec {
    /// Asks a question that has to be answered by `deadline`.
    pub fn ask(&mut self, deadline: Time, question: &Question<'_>, command: &[String], timeout: Duration) {
        let key = (question.service.clone(), Asker::Probe(question.probe));
        let container = format!("{}.probe-{}", question.service, question.probe);
        let about = (question.run, question.seq);
        self.run(deadline, key, about, container, &question.plan.launch, command, None, timeout);
    }

    /// Takes a step of a stop; it has to be over by `deadline`.
    pub fn take_step(&mut self, deadline: Time, step: &Step<'_>, command: &[String], timeout: Duration) {
        let key = (step.service.clone(), Asker::Stop);
        let container = format!("{}.stop", step.service);
        let about = (step.run, u64::from(step.step));
        let log = Log { most: Some(MAX_OUTPUT), stderr: None, ..log_of(step.service, step.plan) };
        self.run(deadline, key, about, container, &step.plan.launch, command, Some(log), timeout);
    }

    /// Runs a hook with further variables; it has to be over by `deadline`.
    pub fn run_hook(
        &mut self,
        deadline: Time,
        (service, plan): (&ServiceName, &ServicePlan),
        about: (RunId, u64),
        hook: &Hook,
        variables: Vec<(&'static str, String)>,
    ) {
        let key = (service.clone(), Asker::Hook);
        let container = format!("{service}.hook");
        let mut launch = plan.launch.clone();
        launch.environment.extend(variables.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let log = Log { most: Some(MAX_OUTPUT), ..log_of(service, plan) };
        self.run(deadline, key, about, container, &launch, &hook.command, Some(log), hook.timeout);
    }

    /// Runs the check of a new file. What it writes goes into a log of its own.
    pub fn run_check(
        &mut self,
        now: Time,
        of: (&ServiceName, &ServicePlan),
        seq: u64,
        command: &[String],
        timeout: Duration,
    ) {
        let log = Log {
            name: format!("{}{CHECK}", of.0),
            stderr: None,
            keep_files: 1,
            format: LogFormat::Raw,
            tell_rotations: false,
            ..log_of(of.0, of.1)
        };
        self.run_for_files(now, of, (Asker::Check, seq), command, log, timeout);
    }

    /// Runs the command that tells a program of its new files.
    pub fn run_on_change(
        &mut self,
        now: Time,
        of: (&ServiceName, &ServicePlan),
        seq: u64,
        command: &[String],
        timeout: Duration,
    ) {
        self.run_for_files(now, of, (Asker::OnChange, seq), command, log_of(of.0, of.1), timeout);
    }

    fn run_for_files(
        &mut self,
        now: Time,
        (service, plan): (&ServiceName, &ServicePlan),
        (asker, seq): (Asker, u64),
        command: &[String],
        log: Log,
        timeout: Duration,
    ) {
        let ending = if asker == Asker::Check { CHECK } else { ".on-change" };
        let (key, container) = ((service.clone(), asker), format!("{service}{ending}"));
        let log = Log { most: Some(MAX_OUTPUT), ..log };
        let about = (RunId(0), seq);
        self.run(now.after(timeout), key, about, container, &plan.launch, command, Some(log), timeout);
    }

    /// Nobody waits for the hook of a service that is running.
    pub fn cancel_hook(&mut self, service: &ServiceName) {
        self.cancel_one(service, Asker::Hook);
    }

    /// Nobody waits for the check of a service's files.
    pub fn cancel_check(&mut self, service: &ServiceName) {
        self.cancel_one(service, Asker::Check);
    }

    fn cancel_one(&mut self, service: &ServiceName, asker: Asker) {
        if let Some(slot) = self.slots.get_mut(&(service.clone(), asker)) {
            slot.question = None;
            self.commands.extend(slot.helper.map(|run| Command::Kill { run }));
        }
        self.tidy();
    }

    /// The output of a helper begins here.
    pub fn begins(&mut self, helper: RunId, output: LogPos) {
        if let Some(slot) = self.keys.get(&helper).and_then(|key| self.slots.get_mut(key)) {
            slot.output = output;
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what both kinds of question are made of")]
    fn run(
        &mut self,
        deadline: Time,
        key: Key,
        (run, seq): (RunId, u64),
        container: String,
        launch: &Launch,
        command: &[String],
        log: Option<Log>,
        timeout: Duration,
    ) {
        let secrets = launch.secret_texts();
        let Launch { working_dir, environment, user, settings, .. } = launch.clone();
        // What the service reads is not for others to read.
        let settings = Settings { stdin: None, ..settings };
        let spawn = Spawn {
            run: 0,
            container,
            command: command.to_vec(),
            working_dir,
            environment,
            secrets: BTreeMap::new(),
            user,
            password: None,
            session: None,
            settings,
            // It is in a container of its own.
            limits: Limits::default(),
            log,
            notify: false,
        };
        let slot = self.slots.entry(key.clone()).or_default();
        slot.question = Some(Pending { run, seq, by: None, deadline, timeout, spawn, secrets });
        match slot.helper {
            // It is an earlier question's; whatever it would find out, it is not about now.
            Some(helper) => self.commands.push(Command::Kill { run: helper }),
            None => {
                self.free.insert(key);
            }
        }
    }

    /// Whether this run is a helper.
    pub fn is_helper(&self, run: RunId) -> bool {
        self.keys.contains_key(&run)
    }

    /// Whose helper it is.
    pub fn service_of(&self, run: RunId) -> Option<&ServiceName> {
        self.keys.get(&run).map(|(service, _)| service)
    }

    /// Takes in what the keeper says.
    pub fn heard(&mut self, helper: RunId, what: Helper) {
        let Some(key) = self.keys.get(&helper).cloned() else { return };
        let slot = self.slots.entry(key.clone()).or_default();
        let ended = |exit: Exit| {
            let words = exit.to_string();
            if exit.is_success() { yes(words) } else { no(words) }
        };
        let (outcome, over) = match (what, slot.held.take()) {
            (Helper::SpawnFailed(error), _) => (Some(no(error)), true),
            // What it wrote is a part of its answer.
            (Helper::Exited(exit, empty), _) if key.1 == Asker::Check && slot.question.is_some() => {
                slot.held = Some((exit, empty));
                return;
            }
            (Helper::TreeEmpty, Some((exit, _))) => {
                slot.held = Some((exit, true));
                return;
            }
            (Helper::Drained, Some((exit, empty))) => (Some(ended(exit)), empty),
            (Helper::Drained, None) => return,
            (Helper::Exited(exit, empty), _) => (Some(ended(exit)), empty),
            (Helper::TreeEmpty, None) => (None, true),
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
                if slot.question.is_some() {
                    self.free.insert(key);
                }
            }
            self.tidy();
        }
    }

    /// When [`tick`](Exec::tick) is wanted.
    pub fn deadline(&self) -> Option<Time> {
        self.slots.values().filter_map(|slot| slot.question.as_ref().map(|question| question.deadline)).min()
    }

    /// Kills those whose time is over, and answers for probes. The core tells itself that a step was not answered.
    pub fn tick(&mut self, now: Time) {
        for (key, slot) in &mut self.slots {
            let Some(question) = slot.question.take_if(|question| question.deadline <= now) else { continue };
            if key.1 != Asker::Stop {
                let outcome = if question.by.is_some() {
                    no(format!("did not end in {}", in_words(question.timeout)))
                } else {
                    no("the command asked before this one has not ended yet")
                };
                self.answers.add(key, &question, slot.output, outcome);
            }
            self.commands.extend(slot.helper.map(|run| Command::Kill { run }));
            if let (Some((_, true)), Some(helper)) = (slot.held.take(), slot.helper) {
                // Its output was waited for in vain.
                self.commands.push(Command::Forget { run: helper });
                self.keys.remove(&helper);
                slot.helper = None;
            }
        }
        self.tidy();
    }

    /// Nobody waits for the answers of probes about this run any more, or for its stop.
    pub fn cancel(&mut self, run: RunId, stop: bool) {
        for ((_, asker), slot) in &mut self.slots {
            let of_a_run = matches!(asker, Asker::Probe(_) | Asker::Stop);
            if !of_a_run || (*asker == Asker::Stop) != stop {
                continue;
            }
            if slot.question.take_if(|question| question.run == run).is_some() {
                self.commands.extend(slot.helper.map(|run| Command::Kill { run }));
            }
        }
        self.tidy();
    }

    /// What the keeper has to do now. `number` gives each process the number of its run; the commands have to go out
    /// in the order of these. `fill` gives it the values of its secrets; it is made when they are there.
    pub fn take_commands(
        &mut self,
        mut number: impl FnMut() -> RunId,
        mut fill: impl FnMut(&BTreeMap<String, SecretText>) -> Result<BTreeMap<String, Secret>, Missing>,
    ) -> Vec<Command> {
        for key in std::mem::take(&mut self.free) {
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            if slot.helper.is_some() {
                continue;
            }
            let Some(question) = &mut slot.question else { continue };
            let secrets = match fill(&question.secrets) {
                Ok(secrets) => secrets,
                Err(Missing::NotYet) => {
                    self.free.insert(key);
                    continue;
                }
                Err(Missing::Never(error)) => {
                    let helper = number();
                    question.by = Some(helper);
                    self.answer(&key, helper, no(why(&error)));
                    self.tidy();
                    continue;
                }
            };
            {
                let helper = number();
                question.by = Some(helper);
                slot.helper = Some(helper);
                self.keys.insert(helper, key);
                let mut spawn = Spawn { run: helper.0, ..std::mem::take(&mut question.spawn) };
                spawn.take_secrets(secrets);
                self.commands.push(Command::Spawn(Box::new(spawn)));
            }
        }
        std::mem::take(&mut self.commands)
    }

    /// What was found out.
    pub fn take_answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.answers.probes)
    }

    /// Steps of stops that are over.
    pub fn take_steps(&mut self) -> Vec<StepDone> {
        std::mem::take(&mut self.answers.steps)
    }

    /// Hooks that are over.
    pub fn take_hooks(&mut self) -> Vec<(ServiceName, u64, ProbeOutcome)> {
        std::mem::take(&mut self.answers.hooks)
    }

    /// Commands of changes of files that are over.
    pub fn take_files(&mut self) -> Vec<CommandDone> {
        std::mem::take(&mut self.answers.files)
    }

    fn answer(&mut self, key: &Key, helper: RunId, outcome: ProbeOutcome) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        if let Some(question) = slot.question.take_if(|question| question.by == Some(helper)) {
            self.answers.add(key, &question, slot.output, outcome);
        }
    }

    fn tidy(&mut self) {
        self.slots.retain(|_, slot| slot.helper.is_some() || slot.question.is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::ServicePlan;
    use mainstay_link::LogPos;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Time {
        Time::ZERO.after(SECOND * u32::try_from(seconds).unwrap())
    }

    fn ask(exec: &mut Asked, seq: u64, deadline: Time) {
        let mut plan = ServicePlan::default();
        plan.launch.command = vec!["the service".into()];
        plan.launch.environment.insert("A".into(), "b".into());
        plan.launch.working_dir = Some("/there".into());
        plan.launch.user = Some("bob".into());
        let question = Question {
            service: &ServiceName::new("db").unwrap(),
            plan: &plan,
            run: RunId(7),
            probe: ProbeKind::Live,
            seq,
            log_start: LogPos::default(),
        };
        exec.ask(deadline, &question, &["check".into(), "-q".into()], SECOND);
    }

    fn answer(seq: u64, outcome: ProbeOutcome) -> Vec<Answer> {
        vec![Answer { run: RunId(7), probe: ProbeKind::Live, seq, outcome }]
    }

    /// An `Exec` whose commands are looked at, with the number of the last run.
    struct Asked(Exec, u64);

    impl std::ops::Deref for Asked {
        type Target = Exec;
        fn deref(&self) -> &Exec {
            &self.0
        }
    }

    impl std::ops::DerefMut for Asked {
        fn deref_mut(&mut self) -> &mut Exec {
            &mut self.0
        }
    }

    impl Asked {
        fn take_commands(&mut self) -> Vec<Command> {
            let Asked(exec, last) = self;
            let number = || {
                *last += 1;
                RunId(*last)
            };
            exec.take_commands(number, |_| Ok(BTreeMap::new()))
        }
    }

    fn none() -> Asked {
        Asked(Exec::default(), 100)
    }

    fn spawned(exec: &mut Asked) -> RunId {
        let commands = exec.take_commands();
        let Some(Command::Spawn(spawn)) = commands.last() else { panic!("{commands:?}") };
        RunId(spawn.run)
    }

    #[test]
    fn runs_beside_the_service_and_judges_by_the_code() {
        let mut exec = none();
        ask(&mut exec, 1, at(1));
        let commands = exec.take_commands();
        let [Command::Spawn(spawn)] = &commands[..] else { panic!("{commands:?}") };
        assert_eq!(spawn.container, "db.probe-live");
        assert_eq!(spawn.command, ["check", "-q"]);
        assert_eq!(spawn.environment["A"], "b");
        assert_eq!((spawn.working_dir.as_deref(), spawn.user.as_deref()), (Some("/there"), Some("bob")));
        assert_eq!(spawn.log, None);
        let helper = RunId(spawn.run);
        assert_eq!(helper, RunId(101));
        assert!(exec.is_helper(helper) && !exec.is_helper(RunId(7)));

        exec.heard(helper, Helper::Exited(Exit::Code(0), true));
        assert_eq!(exec.take_answers(), answer(1, yes("exit code 0")));
        assert_eq!(exec.take_commands(), [Command::Forget { run: helper }]);

        ask(&mut exec, 2, at(2));
        let next = spawned(&mut exec);
        assert_eq!(next, RunId(102));
        exec.heard(next, Helper::Exited(Exit::Code(3), true));
        assert_eq!(exec.take_answers(), answer(2, no("exit code 3")));
        ask(&mut exec, 3, at(2));
        let next = spawned(&mut exec);
        exec.heard(next, Helper::SpawnFailed("program not found: check".into()));
        assert_eq!(exec.take_answers(), answer(3, no("program not found: check")));
        assert!(exec.slots.is_empty() && exec.keys.is_empty());
    }

    #[test]
    fn what_takes_too_long_is_killed_answered_and_waited_for() {
        let mut exec = none();
        ask(&mut exec, 1, at(1));
        let first = spawned(&mut exec);
        assert_eq!(exec.deadline(), Some(at(1)));
        exec.tick(at(1));
        assert_eq!(exec.take_answers(), answer(1, no("did not end in 1s")));
        assert_eq!(exec.take_commands(), [Command::Kill { run: first }]);
        assert_eq!(exec.deadline(), None);

        // Asked again before it is gone: nothing is started beside it.
        ask(&mut exec, 2, at(3));
        assert_eq!(exec.take_commands(), [Command::Kill { run: first }]);
        exec.heard(first, Helper::Exited(Exit::Signal(9), false));
        assert_eq!(exec.take_answers(), []);
        assert_eq!(exec.take_commands(), [Command::Kill { run: first }]);
        exec.heard(first, Helper::TreeEmpty);
        let commands = exec.take_commands();
        let [Command::Forget { run }, Command::Spawn(spawn)] = &commands[..] else { panic!("{commands:?}") };
        assert_eq!(*run, first);
        exec.heard(RunId(spawn.run), Helper::Exited(Exit::Code(0), true));
        assert_eq!(exec.take_answers(), answer(2, yes("exit code 0")));
    }

    #[test]
    fn one_that_never_goes_is_answered_for_all_the_same() {
        let mut exec = none();
        ask(&mut exec, 1, at(1));
        exec.tick(at(1));
        ask(&mut exec, 2, at(3));
        exec.take_answers();
        exec.tick(at(3));
        assert_eq!(exec.take_answers(), answer(2, no("the command asked before this one has not ended yet")));
    }

    #[test]
    fn children_left_behind_are_ended() {
        let mut exec = none();
        ask(&mut exec, 1, at(1));
        let helper = spawned(&mut exec);
        exec.heard(helper, Helper::Exited(Exit::Code(0), false));
        assert_eq!(exec.take_answers(), answer(1, yes("exit code 0")));
        assert_eq!(exec.take_commands(), [Command::Kill { run: helper }]);
        exec.heard(helper, Helper::TreeEmpty);
        assert_eq!(exec.take_commands(), [Command::Forget { run: helper }]);
    }

    #[test]
    fn nobody_is_asked_about_a_run_that_is_over() {
        let mut exec = none();
        ask(&mut exec, 1, at(1));
        let helper = spawned(&mut exec);
        exec.cancel(RunId(8), false);
        assert_eq!(exec.take_commands(), []);
        exec.cancel(RunId(7), false);
        assert_eq!(exec.take_commands(), [Command::Kill { run: helper }]);
        assert_eq!(exec.deadline(), None);
        exec.heard(helper, Helper::Exited(Exit::Signal(9), true));
        assert_eq!(exec.take_answers(), []);
        assert!(exec.slots.is_empty());
    }
}
