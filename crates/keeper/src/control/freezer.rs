//! Freezing and thawing, and limits of what runs, may take a moment: on a thread of its own, one after the other.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use mainstay_core::RunId;
use mainstay_link::Event;
use mainstay_sys::container::Container;
use mainstay_sys::mux::Sender;

use super::Message;
use super::limited::Limited;

/// What is to be done to a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Freeze,
    Thaw,
    Limit(Box<Limited>),
}

struct Job {
    run: u64,
    container: Arc<Container>,
    wish: Wish,
}

/// The thread, which exists from the first wish on. Their number is bounded by the daemon's answers being bounded.
#[derive(Debug)]
pub(super) struct Freezer {
    jobs: Option<mpsc::Sender<Job>>,
    answers: Sender<Message>,
}

impl Freezer {
    pub(super) fn new(answers: Sender<Message>) -> Freezer {
        Freezer { jobs: None, answers }
    }

    /// Does it, and answers with a message.
    pub(super) fn ask(&mut self, run: u64, container: Arc<Container>, wish: Wish) {
        if self.jobs.is_none() {
            self.jobs = start(self.answers.clone());
        }
        let job = Job { run, container, wish };
        let refused = match &self.jobs {
            Some(jobs) => jobs.send(job).is_err(),
            None => true,
        };
        if refused {
            self.jobs = None;
            let error = "the keeper has no room for one more thread".to_owned();
            tell(&self.answers, run, &Event::FreezeFailed { run: RunId(run), error });
        }
    }
}

fn start(answers: Sender<Message>) -> Option<mpsc::Sender<Job>> {
    let (jobs, inbox) = mpsc::channel::<Job>();
    let work = move || {
        for job in inbox {
            tell(&answers, job.run, &perform(&job));
        }
    };
    thread::Builder::new().name("freezer".into()).spawn(work).ok()?;
    Some(jobs)
}

fn perform(job: &Job) -> Event {
    let run = RunId(job.run);
    let (result, done) = match &job.wish {
        Wish::Limit(limited) => {
            return Event::LimitsSet { run, not_enforced: limited.now(&job.container) };
        }
        Wish::Freeze => (job.container.freeze(), Event::Frozen { run }),
        Wish::Thaw => (job.container.thaw(), Event::Thawed { run }),
    };
    match result {
        Ok(()) => done,
        Err(error) => Event::FreezeFailed { run, error: error.to_string() },
    }
}

/// An answer must not get lost; the loop has only so many messages waiting for a moment.
fn tell(answers: &Sender<Message>, run: u64, event: &Event) {
    for _ in 0..1000 {
        if answers.send(Message::Answer { run, event: event.clone() }) {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
