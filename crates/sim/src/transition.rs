//! Everything the outside can do to a supervisor: what people ask, what processes do, what breaks.
//!
//! A history is a list of these. None depends on another one, so that any of them can be left out while a failing
//! history is shrunk: a fault for a service that has no process does nothing.

use std::time::Duration;

use mainstay_core::{Exit, ProbeKind, Request, ServiceName};

/// One thing the outside does.
#[derive(Clone, Debug)]
pub enum Transition {
    /// Time passes, and with it everything that is under way.
    Wait(Duration),
    /// Somebody asks for something.
    Request(Request),
    /// How a service's processes behave from now on.
    Conduct(ServiceName, Box<Conduct>),
    /// How a service answers a probe from now on.
    Answers(ServiceName, ProbeKind, Answer),
    /// The main process of a service ends by itself, or is killed from outside.
    Ends(ServiceName, Exit),
    /// What is left of a service's tree after its main process ends by itself.
    LeftoversEnd(ServiceName),
    /// A service says something over the notify protocol.
    Notify(ServiceName, &'static str),
    /// An event that was delivered before comes again, as many deliveries ago as the number says.
    Echo(u64),
    /// The newest event comes a second time at once.
    Stutter,
    /// Something is told about a run of a service that is over, or that never was.
    Stale(ServiceName, Stale),
    /// The daemon is told that a deadline has come when none has.
    SpuriousTick,
    /// Somebody signs in, into this session, or whoever is signed in signs off.
    Session(Option<u32>),
    /// A file of this service's log is closed.
    Rotated(ServiceName),
    /// The daemon is so late from now on when it handles a deadline.
    Lateness(Duration),
    /// The daemon dies and another one takes its place.
    DaemonDies(DaemonDeath),
}

/// How the daemon dies.
#[derive(Clone, Copy, Debug)]
pub struct DaemonDeath {
    /// After it has handled so many more inputs.
    pub after_inputs: u64,
    /// Whether the frame that says what came of them still arrives at the keeper.
    pub frame_arrives: bool,
    /// How long there is no daemon.
    pub away: Duration,
}

/// What is told about a run that is no more.
#[derive(Clone, Copy, Debug)]
pub enum Stale {
    /// What comes before its start is done.
    Prepared,
    /// Its process was made.
    Spawned,
    /// Its process could not be made.
    SpawnFailed,
    /// Its main process ended.
    Exited,
    /// Nothing of its tree is left.
    TreeEmpty,
    /// It is frozen.
    Frozen,
    /// It goes on.
    Thawed,
    /// It could not be frozen.
    FreezeFailed,
    /// A command of its stop failed.
    StopStepDone,
    /// A probe of it was answered.
    ProbeResult,
    /// It said it is ready.
    Notify,
}

impl Stale {
    /// All of them.
    pub const ALL: [Stale; 11] = [
        Stale::Prepared,
        Stale::Spawned,
        Stale::SpawnFailed,
        Stale::Exited,
        Stale::TreeEmpty,
        Stale::Frozen,
        Stale::Thawed,
        Stale::FreezeFailed,
        Stale::StopStepDone,
        Stale::ProbeResult,
        Stale::Notify,
    ];
}

/// How a service's processes behave.
#[derive(Clone, Debug)]
pub struct Conduct {
    /// Whether its process can be made.
    pub spawns: bool,
    /// How long making it takes.
    pub spawn_takes: Duration,
    /// When and how it ends by itself; never if absent.
    pub life: Option<(Duration, Exit)>,
    /// What it leaves behind.
    pub leftovers: Leftovers,
    /// How long it takes to end when asked to; it ignores the question if absent.
    pub obeys: Option<Duration>,
    /// How it ends when asked to.
    pub obeys_with: Exit,
    /// How its commands and requests of a stop come out. Those that succeed ask it to end.
    pub stop_steps: Answer,
    /// So many kills have no effect (a process stuck in the kernel); later ones have.
    pub kills_lost: u32,
    /// How long a kill takes.
    pub kill_takes: Duration,
    /// Whether it can be frozen.
    pub freezes: bool,
    /// Whether it can be thawed.
    pub thaws: bool,
    /// How long freezing and thawing take.
    pub freeze_takes: Duration,
    /// When it says `READY=1`, counted from its start.
    pub notifies: Option<Duration>,
    /// How what comes before its start comes out.
    pub prepares: Answer,
    /// How changes of its files come out: well, refused, or too late for its program to be told.
    pub files: Answer,
    /// How it answers its probes: startup, ready, live.
    pub answers: [Answer; 3],
}

/// What is left of a tree when its main process ends by itself or because it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftovers {
    /// Nothing.
    None,
    /// A grandchild that ends after so long.
    EndAfter(Duration),
    /// A grandchild that ends so long after it is asked to.
    EndWhenAsked(Duration),
    /// A grandchild that only a kill ends.
    Stay,
}

/// How a probe is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Well, after so long.
    Good(Duration),
    /// Badly, after so long.
    Bad(Duration),
    /// Not at all: the daemon gives up at the probe's timeout and says so.
    Hangs,
    /// Not at all, and the daemon does not say so either.
    Lost,
    /// Well, but long after the probe's timeout.
    TooLate(Duration),
}

impl Conduct {
    /// The best of all processes: starts, lives, ends when asked, answers.
    pub fn perfect() -> Conduct {
        const SHORT: Duration = Duration::from_millis(1);
        Conduct {
            spawns: true,
            spawn_takes: SHORT,
            life: None,
            leftovers: Leftovers::None,
            obeys: Some(SHORT),
            obeys_with: Exit::Code(0),
            stop_steps: Answer::Good(SHORT),
            kills_lost: 0,
            kill_takes: SHORT,
            freezes: true,
            thaws: true,
            freeze_takes: SHORT,
            notifies: Some(SHORT),
            prepares: Answer::Good(SHORT),
            files: Answer::Good(SHORT),
            answers: [Answer::Good(SHORT); 3],
        }
    }

    /// A perfect process that does its work and ends.
    pub fn perfect_job() -> Conduct {
        Conduct { life: Some((Duration::from_millis(20), Exit::Code(0))), ..Conduct::perfect() }
    }

    /// How it answers this probe.
    pub const fn answer(&self, probe: ProbeKind) -> Answer {
        match probe {
            ProbeKind::Startup => self.answers[0],
            ProbeKind::Ready => self.answers[1],
            ProbeKind::Live => self.answers[2],
        }
    }

    /// Changes how it answers this probe.
    pub const fn set_answer(&mut self, probe: ProbeKind, answer: Answer) {
        match probe {
            ProbeKind::Startup => self.answers[0] = answer,
            ProbeKind::Ready => self.answers[1] = answer,
            ProbeKind::Live => self.answers[2] = answer,
        }
    }
}
