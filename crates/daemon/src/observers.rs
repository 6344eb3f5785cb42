//! Those outside who are told of each event, as the log of the system is. Each has a thread of its own: one that hangs
//! holds up nobody.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};

use mainstay_api::types::EventRecord;

use crate::events_log::Line;

/// So many events wait for an observer. What comes faster is counted and told as a number.
const WAITING: usize = 1024;

/// Somebody who is told of each event once it is in the stack's own file. An event of a daemon that died may be told by
/// the next one again, or not at all.
pub trait Observer: Send + std::fmt::Debug {
    /// Something happened. May take its time.
    fn event(&mut self, record: EventRecord);

    /// So many events came too fast for it.
    fn missed(&mut self, count: u64);

    /// When it wants [`tick`](Observer::tick), if nothing happens before.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline has come.
    fn tick(&mut self) {}
}

/// The way to an observer.
pub(crate) struct Observed {
    queue: SyncSender<Line>,
    missed: Arc<AtomicU64>,
    /// Closed when it has taken in everything.
    over: Receiver<()>,
}

impl Observed {
    /// Starts its thread.
    pub fn start(mut observer: Box<dyn Observer>) -> io::Result<Observed> {
        let (queue, lines) = sync_channel(WAITING);
        let (alive, over) = channel::<()>();
        let missed = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&missed);
        std::thread::Builder::new().name("observer".to_owned()).spawn(move || {
            run(&lines, &count, observer.as_mut());
            // Its last word before that it is over.
            drop(observer);
            drop(alive);
        })?;
        Ok(Observed { queue, missed, over })
    }

    /// Something happened. Never waits.
    pub fn tell(&self, line: &Line) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(line.clone()) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Nothing more happens; waits at most until then for it to have heard everything.
    pub fn finish(self, until: Instant) {
        drop(self.queue);
        let _ = self.over.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

fn run(lines: &Receiver<Line>, missed: &AtomicU64, observer: &mut dyn Observer) {
    /// What never comes to an end otherwise.
    const LONG: Duration = Duration::from_secs(24 * 3600);
    loop {
        let wait = observer.deadline().map(|at| at.saturating_duration_since(Instant::now()));
        let line = lines.recv_timeout(wait.unwrap_or(LONG));
        let lost = missed.swap(0, Ordering::Relaxed);
        match line {
            Ok(line) => {
                if let Ok(record) = serde_json::from_slice(&line.json) {
                    observer.event(record);
                }
            }
            Err(RecvTimeoutError::Timeout) if wait.is_some() => observer.tick(),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if lost > 0 {
            observer.missed(lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use mainstay_api::types::EventBody;

    use super::*;

    #[derive(Debug)]
    struct Notes {
        notes: Sender<String>,
        /// The first event waits for it.
        gate: Receiver<()>,
    }

    impl Observer for Notes {
        fn event(&mut self, record: EventRecord) {
            let _ = self.gate.recv();
            let _ = self.notes.send(record.seq.to_string());
        }

        fn missed(&mut self, count: u64) {
            let _ = self.notes.send(format!("missed {count}"));
        }
    }

    fn line(seq: u64) -> Line {
        let event = EventBody::Own { message: "x".to_owned(), about: None };
        let record = EventRecord { seq, at: "now".to_owned(), event };
        Line { seq, json: serde_json::to_vec(&record).unwrap().into() }
    }

    #[test]
    fn one_that_is_slow_holds_up_nobody_and_is_told_what_it_missed() {
        let (notes, told) = channel();
        let (go, gate) = channel();
        let observed = Observed::start(Box::new(Notes { notes, gate })).unwrap();
        const MORE: u64 = WAITING as u64 + 10;
        (1..=MORE).for_each(|seq| observed.tell(&line(seq)));
        drop(go);
        observed.finish(Instant::now() + Duration::from_secs(60));
        let told: Vec<String> = told.iter().collect();
        assert_eq!(told[0], "1");
        let missed: u64 =
            told.iter().filter_map(|text| text.strip_prefix("missed ")?.parse::<u64>().ok()).sum();
        let heard = told.iter().filter(|text| !text.starts_with("missed")).count() as u64;
        assert_eq!(heard + missed, MORE, "{missed} missed");
        assert!(missed >= 9, "one may have been taken out of the queue: {missed}");
    }
}
