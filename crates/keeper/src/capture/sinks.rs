//! Where captured bytes go: a log for each stream, with its writer; and what there is to tell of them.

mod space;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use mainstay_core::{Rotation, RotationCause};
use mainstay_logs::{Catalog, LogPos, Rotated, Settings, Tally, Trouble, Why, Writer};
use mainstay_sys::capture::Chunk;

use super::{Nap, Shape, Told, errors_token, output_token, run_of};
use crate::state::MAX_NOTICE;
use crate::when;

/// Trouble with a log is told at most so often.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How often it is looked whether somebody has deleted or moved a file that is written to, and told how much was written.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// When the control loop takes no more, it is tried again after this.
const TELL_AGAIN: Duration = Duration::from_millis(10);

/// Segments that are closed by age are looked at each fiftieth of that age, but not more and not less often.
const AGE_LEAST: Duration = Duration::from_secs(1);
const AGE_MOST: Duration = Duration::from_secs(60);

/// So many notifications wait for a control loop that takes no more; further ones are dropped.
const MAX_WAITING: usize = 4096;

/// One log that is written to.
struct Log {
    writer: Writer,
    /// Where it comes from.
    sources: Vec<u64>,
    /// Written to since the last check.
    written: bool,
    /// The newest trouble, and whether bytes were lost in it.
    trouble: Option<String>,
    lost: bool,
    told: Option<Instant>,
    /// What found no space and is not to be lost: while there is something, its runs are not read from. As long as
    /// what came in one look at their pipes, and what they left when they ended.
    waiting: Vec<u8>,
}

/// A run of whose output there is only so much to be taken.
struct Bounded {
    most: u64,
    left: u64,
    /// Bytes left out.
    over: u64,
}

impl Bounded {
    /// What is to be taken of it.
    fn take<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(data.len());
        self.left -= taken as u64;
        self.over += (data.len() - taken) as u64;
        &data[..taken]
    }
}

/// All of them.
pub(super) struct Sinks {
    catalog: Catalog,
    logs: Vec<Option<Log>>,
    by_name: BTreeMap<String, usize>,
    /// The place in `logs` of each source's log.
    streams: BTreeMap<u64, usize>,
    /// Sources whose output is not written as it is.
    shapes: BTreeMap<u64, Shape>,
    /// What a shape has made.
    shaped: Vec<u8>,
    /// Where the output of runs has ended whose standard error has not, and in which log.
    ended: BTreeMap<u64, (String, LogPos)>,
    /// Runs whose output is bounded.
    bounded: BTreeMap<u64, Bounded>,
    /// Logs with trouble that was not told yet.
    troubled: BTreeSet<usize>,
    /// What came by writers that are closed, by log.
    before: BTreeMap<String, Tally>,
    /// Closed since it was told how much was written.
    closed: BTreeSet<String>,
    /// Whether a log was written to since the last check.
    written: bool,
    next_check: Option<Instant>,
    /// Sources to read from no more (true), or again.
    pub(super) holds: Vec<(u64, bool)>,
    space: space::Space,
    /// How often it is looked whether segments are old enough to be closed, if any are closed by age; and when next.
    age_every: Option<Duration>,
    next_age: Option<Instant>,
    tell: Box<dyn Fn(Told) -> bool + Send>,
    /// What could not be told yet, in order.
    untold: VecDeque<Told>,
}

impl Sinks {
    pub(super) fn new(catalog: Catalog, tell: Box<dyn Fn(Told) -> bool + Send>) -> Sinks {
        Sinks {
            catalog,
            logs: Vec::new(),
            by_name: BTreeMap::new(),
            streams: BTreeMap::new(),
            shapes: BTreeMap::new(),
            shaped: Vec::new(),
            ended: BTreeMap::new(),
            bounded: BTreeMap::new(),
            troubled: BTreeSet::new(),
            before: BTreeMap::new(),
            closed: BTreeSet::new(),
            written: false,
            next_check: None,
            holds: Vec::new(),
            space: space::Space::default(),
            age_every: None,
            next_age: None,
            tell,
            untold: VecDeque::new(),
        }
    }

    /// The runs whose output is read.
    pub(super) fn runs(&self) -> Vec<u64> {
        let mut runs: Vec<u64> = self.streams.keys().map(|token| run_of(*token)).collect();
        runs.dedup();
        runs
    }

    /// What is written to a log.
    pub(super) fn sources_of(&self, log: &str) -> Vec<u64> {
        let log = self.by_name.get(log).and_then(|place| self.logs.get(*place)?.as_ref());
        log.map_or_else(Vec::new, |log| log.sources.clone())
    }

    /// Of this run, which is to begin, so many bytes are taken.
    pub(super) fn bound(&mut self, run: u64, most: Option<u64>) {
        if let Some(most) = most {
            self.bounded.insert(run, Bounded { most, left: most, over: 0 });
        }
    }

    /// What comes from this source is not written as it is.
    pub(super) fn shape(&mut self, token: u64, shape: Option<Shape>) {
        if let Some(shape) = shape {
            self.shapes.insert(token, shape);
        }
    }

    /// What comes from this source goes to this log from here on.
    pub(super) fn begin(&mut self, token: u64, name: &str, settings: Settings) -> LogPos {
        let place = match self.by_name.get(name) {
            Some(place) => *place,
            None => match self.open(name, settings) {
                Ok(place) => place,
                Err(error) => {
                    self.tell(Told::Grumble(error));
                    return LogPos::default();
                }
            },
        };
        self.streams.insert(token, place);
        let Some(log) = self.logs.get_mut(place).and_then(Option::as_mut) else { return LogPos::default() };
        log.sources.push(token);
        log.writer.set_settings(settings);
        if !log.waiting.is_empty() {
            self.holds.push((token, true));
        }
        let position = log.writer.position();
        self.look_at_age(settings);
        self.tell_rotated_by(run_of(token), place);
        position
    }

    /// A log that is open is kept in another way from now on; one that is not is opened so.
    pub(super) fn set(&mut self, name: &str, settings: Settings) {
        let place = self.by_name.get(name).copied();
        if let Some(log) = place.and_then(|place| self.logs.get_mut(place)?.as_mut()) {
            log.writer.set_settings(settings);
            self.look_at_age(settings);
        }
    }

    fn look_at_age(&mut self, settings: Settings) {
        if let Some(age) = settings.rotate_age {
            let every = (age / 50).clamp(AGE_LEAST, AGE_MOST);
            self.age_every = Some(self.age_every.map_or(every, |known| known.min(every)));
        }
    }

    fn open(&mut self, name: &str, settings: Settings) -> Result<usize, String> {
        let writer = Writer::new(&mut self.catalog, name, settings)?;
        let log = Log {
            writer,
            sources: Vec::new(),
            written: false,
            trouble: None,
            lost: false,
            told: None,
            waiting: Vec::new(),
        };
        let place = match self.logs.iter().position(Option::is_none) {
            Some(free) => free,
            None => {
                self.logs.push(None);
                self.logs.len() - 1
            }
        };
        if let Some(slot) = self.logs.get_mut(place) {
            *slot = Some(log);
        }
        self.by_name.insert(name.to_owned(), place);
        Ok(place)
    }

    /// Something was read.
    pub(super) fn take(&mut self, token: u64, chunk: Chunk<'_>, nap: &mut Nap) {
        let run = run_of(token);
        match chunk {
            Chunk::Data(data, room) => {
                nap.read(data.len(), room);
                let data = self.bounded.get_mut(&run).map_or(data, |bounded| bounded.take(data));
                if data.is_empty() {
                    return;
                }
                let Some(place) = self.streams.get(&token).copied() else { return };
                let now = when::millis();
                let Some(shape) = self.shapes.get_mut(&token) else {
                    self.write(place, run, data, now);
                    return;
                };
                let mut shaped = std::mem::take(&mut self.shaped);
                shape.feed(data, now, &mut shaped);
                self.write(place, run, &shaped, now);
                shaped.clear();
                self.shaped = shaped;
            }
            Chunk::Datagram(data) => {
                let text = String::from_utf8_lossy(&data[..data.len().min(MAX_NOTICE)]).into_owned();
                if self.untold.len() < MAX_WAITING {
                    self.tell(Told::Said { run, text });
                }
            }
            // The end of the notifications is not that of the output.
            Chunk::Eof => {
                if token == output_token(run) || token == errors_token(run) {
                    self.end(token);
                }
            }
        }
    }

    fn write(&mut self, place: usize, run: u64, data: &[u8], now: u64) {
        let Some(log) = self.logs.get_mut(place).and_then(Option::as_mut) else { return };
        if data.is_empty() {
            return;
        }
        log.written = true;
        self.written = true;
        self.space.written |= log.writer.settings().min_free.is_some();
        log.writer.mark(run, now);
        if !log.waiting.is_empty() {
            log.waiting.extend_from_slice(data);
        } else if let Err(trouble) = log.writer.write(data) {
            if trouble.waiting > 0 {
                self.wait_for_space(place, &data[data.len() - trouble.waiting..], &trouble);
            }
            self.note(place, &trouble);
        }
        self.tell_rotated_by(run, place);
    }

    /// What a hook fills with its own words is told with the next file: there would be no end if that ran the hook again.
    fn tell_rotated_by(&mut self, run: u64, place: usize) {
        if !self.bounded.contains_key(&run) {
            self.tell_rotated(place);
        }
    }

    fn tell_rotated(&mut self, place: usize) {
        let Some(log) = self.logs.get_mut(place).and_then(Option::as_mut) else { return };
        let Some(Rotated { first, last, why }) = log.writer.take_rotated() else { return };
        let why = match why {
            Why::Size => RotationCause::Size,
            Why::Age => RotationCause::Age,
            Why::Asked => RotationCause::Asked,
        };
        let log = log.writer.name().to_owned();
        self.tell(Told::Rotated(Rotation { log, first, last, why }));
    }

    /// Nothing more comes from this source. Told once for each run, when it has no other.
    pub(super) fn end(&mut self, token: u64) {
        let Some(place) = self.streams.remove(&token) else { return };
        let run = run_of(token);
        if let Some(mut shape) = self.shapes.remove(&token) {
            let (mut rest, now) = (Vec::new(), when::millis());
            shape.finish(now, &mut rest);
            self.write(place, run, &rest, now);
        }
        let Some(log) = self.logs.get_mut(place).and_then(Option::as_mut) else { return };
        log.sources.retain(|writing| *writing != token);
        let end = log.writer.position();
        let unused = log.sources.is_empty() && log.waiting.is_empty();
        let log = log.writer.name().to_owned();
        if token == output_token(run) {
            self.ended.insert(run, (log, end));
        }
        let others = [output_token(run), errors_token(run)];
        if !others.iter().any(|token| self.streams.contains_key(token))
            && let Some((log, end)) = self.ended.remove(&run)
        {
            if let Some(Bounded { most, over: over @ 1.., .. }) = self.bounded.remove(&run) {
                let text = format!("{over} bytes of a command's output are left out: {most} were taken");
                self.tell(Told::Note { name: log.clone(), text });
            }
            self.tell(Told::Ended { run, log, end });
        }
        if unused {
            self.close(place);
        }
    }

    fn close(&mut self, place: usize) {
        self.give_up_waiting(place);
        if self.troubled.remove(&place) {
            self.tell_trouble(place);
        }
        let Some(log) = self.logs.get_mut(place).and_then(Option::take) else { return };
        self.by_name.remove(log.writer.name());
        if log.writer.tally() != Tally::default() {
            *self.before.entry(log.writer.name().to_owned()).or_default() += log.writer.tally();
            self.closed.insert(log.writer.name().to_owned());
            self.written = true;
        }
        log.writer.close(&mut self.catalog);
    }

    /// Does what is due, and tells when the next thing is.
    pub(super) fn chores(&mut self, now: Instant) -> Option<Duration> {
        self.tell_waiting();
        let mut wait = (!self.untold.is_empty()).then_some(TELL_AGAIN);
        let mut sooner = |until: Duration| wait = Some(wait.map_or(until, |wait| wait.min(until)));
        for place in self.troubled.clone() {
            let told = self.logs.get(place).and_then(Option::as_ref).and_then(|log| log.told);
            match told.map(|told| (told + TELL_EVERY).saturating_duration_since(now)) {
                Some(left) if !left.is_zero() => sooner(left),
                _ => {
                    self.troubled.remove(&place);
                    self.tell_trouble(place);
                }
            }
        }
        if let Some(left) = self.see_to_space(now) {
            sooner(left);
        }
        if let Some(left) = self.close_aged(now) {
            sooner(left);
        }
        match self.next_check {
            Some(due) if now >= due => {
                self.check();
                self.next_check = None;
                self.written = false;
            }
            Some(due) => sooner(due - now),
            None if self.written => {
                self.next_check = Some(now + CHECK_EVERY);
                sooner(CHECK_EVERY);
            }
            None => {}
        }
        wait
    }

    /// Looks at all that was written to since the last time, and tells how much that was.
    fn check(&mut self) {
        let mut closed = std::mem::take(&mut self.closed);
        let mut tallies = Vec::new();
        for log in self.logs.iter_mut().flatten().filter(|log| log.written) {
            log.writer.check();
            log.written = false;
            tallies.push((log.writer.name().to_owned(), log.writer.tally()));
            closed.remove(log.writer.name());
        }
        tallies.extend(closed.into_iter().map(|name| (name, Tally::default())));
        for (name, tally) in &mut tallies {
            *tally += self.before.get(name).copied().unwrap_or_default();
        }
        if !tallies.is_empty() {
            self.tell(Told::Tallied(tallies));
        }
    }

    /// Somebody wants this log to go on in a new segment.
    pub(super) fn rotate(&mut self, log: &str) {
        let Some(place) = self.by_name.get(log).copied() else { return };
        let Some(log) = self.logs.get_mut(place).and_then(Option::as_mut) else { return };
        if let Err(trouble) = log.writer.rotate_now() {
            self.note(place, &trouble);
        }
        self.tell_rotated(place);
    }

    /// Closes segments that are old enough; tells when it is looked again.
    fn close_aged(&mut self, now: Instant) -> Option<Duration> {
        let every = self.age_every?;
        let due = *self.next_age.get_or_insert(now + every);
        if due > now {
            return Some(due - now);
        }
        let (mut aged, mut troubles) = (Vec::new(), Vec::new());
        let time = SystemTime::now();
        for (place, log) in self.logs.iter_mut().enumerate() {
            let Some(log) = log.as_mut().filter(|log| log.writer.settings().rotate_age.is_some()) else {
                continue;
            };
            aged.push(place);
            if let Err(trouble) = log.writer.tick(time) {
                troubles.push((place, trouble));
            }
        }
        for (place, trouble) in troubles {
            self.note(place, &trouble);
        }
        for place in &aged {
            self.tell_rotated(*place);
        }
        self.next_age = Some(now + every);
        self.age_every = self.age_every.filter(|_| !aged.is_empty());
        Some(every)
    }

    fn note(&mut self, place: usize, trouble: &Trouble) {
        if trouble.is_full() {
            self.space.look_at_once();
        }
        if trouble.waiting > 0 && trouble.dropped == 0 {
            return;
        }
        if let Some(log) = self.logs.get_mut(place).and_then(Option::as_mut) {
            log.lost |= trouble.dropped > 0;
            log.trouble = Some(trouble.to_string());
            self.troubled.insert(place);
        }
    }

    fn tell_trouble(&mut self, place: usize) {
        let Some(log) = self.logs.get_mut(place).and_then(Option::as_mut) else { return };
        let Some(error) = log.trouble.take() else { return };
        log.told = Some(Instant::now());
        let lost = std::mem::take(&mut log.lost);
        if lost {
            let name = log.writer.name().to_owned();
            let before = self.before.get(&name).map_or(0, |tally| tally.dropped_bytes);
            let bytes = log.writer.tally().dropped_bytes + before;
            self.tell(Told::Lost { name, bytes, error });
        } else {
            self.tell(Told::Grumble(error));
        }
    }

    /// Gives a message to the control loop, after all that wait already.
    pub(super) fn tell(&mut self, told: Told) {
        if !self.untold.is_empty() || !(self.tell)(told.clone()) {
            self.untold.push_back(told);
        }
    }

    fn tell_waiting(&mut self) {
        while let Some(told) = self.untold.front() {
            if !(self.tell)(told.clone()) {
                break;
            }
            self.untold.pop_front();
        }
    }

    /// The end of the thread: everything is told that can be.
    pub(super) fn stop(mut self) {
        for place in 0..self.logs.len() {
            self.close(place);
        }
        self.tell(Told::Stopped);
        self.tell_waiting();
    }
}
