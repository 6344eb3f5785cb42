//! A line of the run's output that matches is a yes, from then on for the rest of the run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mainstay_core::{ProbeOutcome, ServiceName};
use mainstay_link::LogPos;
use mainstay_logs::{Follower, Lines};
use regex::bytes::{Regex, RegexBuilder};

use super::{MAX_PATTERN, no, yes};

/// One question reads for so long at the most; the next one goes on where it stopped.
const SLICE: Duration = Duration::from_millis(200);

/// How far the output of one run is read for one probe.
pub(super) struct Scan {
    logs: PathBuf,
    name: String,
    pattern: String,
    place: Mutex<Place>,
}

struct Place {
    pos: mainstay_logs::LogPos,
    regex: Option<Regex>,
}

impl Scan {
    pub fn new(logs: &Path, service: &ServiceName, pattern: &str, start: LogPos) -> Scan {
        let pos = mainstay_logs::LogPos { segment: start.segment, offset: start.offset };
        Scan {
            logs: logs.to_owned(),
            name: service.to_string(),
            pattern: pattern.to_owned(),
            place: Mutex::new(Place { pos, regex: None }),
        }
    }

    fn look(&self) -> ProbeOutcome {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let regex = match &place.regex {
            Some(regex) => regex.clone(),
            None => match RegexBuilder::new(&self.pattern).size_limit(MAX_PATTERN).build() {
                Ok(regex) => place.regex.insert(regex).clone(),
                Err(error) => return no(format!("not a pattern that can be used: {error}")),
            },
        };
        let mut lines = Lines::new(Follower::new(&self.logs, &self.name, place.pos));
        let end = Instant::now() + SLICE;
        loop {
            match lines.next_line() {
                Ok(Some(line)) if regex.is_match(line.text) => return seen(),
                Ok(Some(_)) => place.pos = lines.position(),
                Ok(None) => break,
                Err(error) => return no(format!("can't read {}'s log: {error}", self.name)),
            }
            if Instant::now() > end {
                return no("no line matched so far; reading goes on");
            }
        }
        // A prompt has no line end. The place stays before it: the rest may follow.
        if lines.take_rest().is_some_and(|line| regex.is_match(line.text)) {
            return seen();
        }
        no("no line has matched")
    }
}

/// Asks once.
pub(super) async fn ask(scan: Arc<Scan>) -> ProbeOutcome {
    match tokio::task::spawn_blocking(move || scan.look()).await {
        Ok(outcome) => outcome,
        Err(error) => no(format!("the log could not be searched: {error}")),
    }
}

/// The answer once the line was seen.
pub(super) fn seen() -> ProbeOutcome {
    yes("a line matched")
}
