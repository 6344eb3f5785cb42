//! The events, each given out once: as they come, or from their files when more came than the line holds.

use std::path::PathBuf;

use mainstay_api::types::{EventBody, EventRecord};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tracing::warn;

use crate::events_log::{Line, Reader};

pub(crate) struct Tail {
    state: PathBuf,
    live: Receiver<Line>,
    /// The last that was given out.
    last: u64,
    /// Whether the files have some that were not given out.
    behind: bool,
}

impl Tail {
    /// After this number.
    pub fn new(state: PathBuf, live: Receiver<Line>, last: u64) -> Tail {
        Tail { state, live, last, behind: true }
    }

    /// The number of the last one that was given out.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Gives out what is new.
    pub fn take(&mut self, mut each: impl FnMut(&EventRecord, &mainstay_core::Event)) {
        if self.behind {
            self.catch_up(&mut each);
        }
        loop {
            match self.live.try_recv() {
                Ok(line) if line.seq > self.last => {
                    self.last = line.seq;
                    give(&line.json, &mut each);
                }
                Ok(_) => {}
                Err(TryRecvError::Lagged(_)) => self.catch_up(&mut each),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
    }

    fn catch_up(&mut self, each: &mut impl FnMut(&EventRecord, &mainstay_core::Event)) {
        self.behind = false;
        let read = Reader::open(&self.state, self.last, 0).and_then(|mut reader| {
            while let Some((_, piece)) = reader.next_piece()? {
                for line in piece.split(|byte| *byte == b'\n') {
                    give(line, each);
                }
                self.last = reader.last();
            }
            Ok(())
        });
        if let Err(error) = read {
            warn!("some events are not seen: {error}");
        }
    }
}

fn give(json: &[u8], each: &mut impl FnMut(&EventRecord, &mainstay_core::Event)) {
    if let Ok(record) = serde_json::from_slice::<EventRecord>(json)
        && let EventBody::Core(event) = &record.event
    {
        each(&record, event);
    }
}
