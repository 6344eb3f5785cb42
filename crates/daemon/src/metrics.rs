//! Measuring: what the services use is looked at every 10 s, by a thread of its own with the lowest priority.
//!
//! It reads only: from the system, and from the driver, which it asks like a client does.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_api::types::StackUsage;
use mainstay_sys::mux::Sender;
use tokio::sync::{mpsc, watch};

use crate::message::ToDriver;

mod collector;
mod leaks;

use collector::Collector;

/// How often it is looked. On the wall clock: at second 0, 10, 20 and so on.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);
/// Nobody makes it look more often.
const SHORTEST: Duration = Duration::from_secs(1);

/// What the thread has to know.
pub(crate) struct Stack {
    pub state_dir: PathBuf,
    pub keeper: u32,
    /// How trees are contained: `cgroup`, `session`, `job`.
    pub containment: String,
}

/// What was seen last, for the API. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// Asks for another look.
    look: mpsc::Sender<()>,
    seen: watch::Receiver<Seen>,
}

/// What was seen, and when, on the machine's monotonic clock.
#[derive(Clone, Debug, Default)]
struct Seen {
    at: Option<std::time::Instant>,
    usage: StackUsage,
}

impl Metrics {
    /// What the services use, looked at not longer ago than this.
    pub async fn usage(&self, max_age: Duration) -> StackUsage {
        let fresh =
            |seen: &Seen| seen.at.is_some_and(|at| at.elapsed() <= max_age.max(SHORTEST)).then_some(());
        let mut seen = self.seen.clone();
        if fresh(&seen.borrow_and_update()).is_none() {
            // One that waits already serves all who ask.
            let _ = self.look.try_send(());
            // The thread lives as long as the process.
            let _ = seen.changed().await;
        }
        let seen = seen.borrow();
        let age = seen.at.map_or(0, |at| at.elapsed().as_millis());
        StackUsage { age_ms: u64::try_from(age).unwrap_or(u64::MAX), ..seen.usage.clone() }
    }
}

/// Starts the thread. It ends with the process.
pub(crate) fn start(stack: Stack, driver: Sender<ToDriver>) -> io::Result<Metrics> {
    let (look, asked) = mpsc::channel(1);
    let (tell, seen) = watch::channel(Seen::default());
    let work = move || {
        mainstay_sys::own::step_back();
        Collector::new(&stack, driver, tell).run(asked);
    };
    std::thread::Builder::new().name("metrics".to_owned()).spawn(work)?;
    Ok(Metrics { look, seen })
}

#[cfg(test)]
impl Metrics {
    /// One that never sees anything.
    pub fn none() -> Metrics {
        Metrics { look: mpsc::channel(1).0, seen: watch::channel(Seen::default()).1 }
    }
}

/// The stack's id, by which its containers are known.
fn stack_id(state_dir: &Path) -> String {
    let read = |name: &str| {
        let text = std::fs::read_to_string(state_dir.join(name)).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    read("id").or_else(|| read("id.copy")).unwrap_or_default()
}
