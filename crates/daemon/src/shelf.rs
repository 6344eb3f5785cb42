//! The closed segments of logs: compressed, and deleted when they are too many, too old or too large together.
//!
//! One thread with the lowest priority, one segment at a time. The keeper deletes by count too, so that a log stays
//! bounded without a daemon; what the two do to the same segment at once comes out right (`mainstay_logs::pack`).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use mainstay_core::{Compress, LogPlan, Plan, ServiceName};
use mainstay_logs::{Closed, Form, clean_up, list, pack, remove};
use mainstay_sys::own;
use tracing::warn;

use crate::outputs::service_of_log;

/// How often it is looked whether the directory has changed: one system call.
const LOOK: Duration = Duration::from_secs(5);

/// A segment is compressed so long after it was written to last. One that is soon deleted again, because a service
/// writes a lot, is not worth the work; and whoever follows the log has read it by then.
const REST: Duration = Duration::from_secs(30);

/// After a failure, which a full disk or another program's lock can be, it is tried again so much later.
const AGAIN: Duration = Duration::from_secs(60);

/// How logs are kept, by service. Shared by the driver, which knows, and the thread, which acts on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf(Arc<Mutex<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    plans: BTreeMap<String, LogPlan>,
    held: Held,
}

/// Segments that somebody is about to read: of these logs, those from this number on. They are not compressed.
pub(crate) type Held = BTreeMap<String, u64>;

impl Shelf {
    /// That of a plan.
    pub fn new(plan: &Plan) -> Shelf {
        let logs = plan.services.iter().map(|(name, plan)| (name.to_string(), plan.log.clone())).collect();
        Shelf(Arc::new(Mutex::new(Shared { plans: logs, held: Held::new() })))
    }

    /// A service's logs are kept like this from now on; none: it is gone, and its logs are left alone.
    pub fn set(&self, name: &ServiceName, log: Option<&LogPlan>) {
        let plans = &mut self.shared().plans;
        match log {
            Some(log) => plans.insert(name.to_string(), log.clone()),
            None => plans.remove(name.as_str()),
        };
    }

    /// These segments, and no others, are about to be read.
    pub fn hold(&self, held: Held) {
        self.shared().held = held;
    }

    fn get(&self, name: &str) -> Option<LogPlan> {
        self.shared().plans.get(name).cloned()
    }

    fn is_held(&self, log: &str, number: u64) -> bool {
        self.shared().held.get(log).is_some_and(|first| number >= *first)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread. It ends with the process: at whatever moment that is, nothing is lost.
pub(crate) fn start(dir: PathBuf, shelf: Shelf) -> io::Result<()> {
    let work = move || {
        own::step_back();
        if let Err(error) = clean_up(&dir) {
            warn!("cannot tidy {}: {error}", dir.display());
        }
        let mut keeper = Shelves { dir, shelf, seen: None, due: None };
        loop {
            keeper.look(SystemTime::now());
            std::thread::sleep(LOOK);
        }
    };
    std::thread::Builder::new().name("logs".to_owned()).spawn(work).map(drop)
}

struct Shelves {
    dir: PathBuf,
    shelf: Shelf,
    /// When the directory was changed last, as far as that was seen to.
    seen: Option<SystemTime>,
    /// When something is to be done although it has not changed.
    due: Option<SystemTime>,
}

impl Shelves {
    fn look(&mut self, now: SystemTime) {
        let changed = std::fs::metadata(&self.dir).and_then(|metadata| metadata.modified()).ok();
        if changed == self.seen && self.due.is_none_or(|due| due > now) {
            return;
        }
        self.seen = changed;
        let held = |log: &str, number| self.shelf.is_held(log, number);
        match pass(&self.dir, &|name| self.shelf.get(name), &held, now) {
            Ok(due) => self.due = due,
            Err(error) => {
                warn!("old logs in {}: {error}; it is tried again", self.dir.display());
                self.due = Some(now + AGAIN);
            }
        }
    }
}

/// A closed segment and the log it is of.
#[derive(Debug)]
struct Old {
    log: String,
    closed: Closed,
    /// The newest of its log, which carries the numbering on.
    newest: bool,
}

/// Does what is due. Tells when something is next, if nothing changes.
fn pass(
    dir: &Path,
    plan: &dyn Fn(&str) -> Option<LogPlan>,
    held: &dyn Fn(&str, u64) -> bool,
    now: SystemTime,
) -> io::Result<Option<SystemTime>> {
    let mut services: BTreeMap<String, Vec<Old>> = BTreeMap::new();
    for (log, segments) in list(dir)? {
        let last = segments.last().map(|closed| closed.number);
        let there = |name: &str| plan(name).map(|_| name.to_owned());
        let Some(service) = service_of_log(&log, there) else { continue };
        services.entry(service).or_default().extend(segments.into_iter().map(|closed| Old {
            log: log.clone(),
            newest: Some(closed.number) == last,
            closed,
        }));
    }
    let mut due: Option<SystemTime> = None;
    let mut result = Ok(());
    let mut sooner = |at: SystemTime| due = Some(due.map_or(at, |due| due.min(at)));
    for (service, mut old) in services {
        let Some(plan) = plan(&service) else { continue };
        old.retain(|old| old.closed.bytes > 0);
        old.sort_by_key(|old| old.closed.written);
        let (gone, stays) = choose(old, &plan, now);
        for old in gone {
            result = result.and(remove(dir, &old.log, old.closed.number, old.newest));
        }
        if let (Some(age), Some(oldest)) = (plan.keep_age, stays.first()) {
            sooner(oldest.closed.written + age);
        }
        let form = match plan.compress {
            Compress::Zstd => Form::Zstd,
            Compress::Gzip => Form::Gzip,
            Compress::None => continue,
        };
        for old in stays.iter().filter(|old| old.closed.forms.contains(&Form::Plain)) {
            let rested = old.closed.written + REST;
            let is_free = || !held(&old.log, old.closed.number);
            if !is_free() {
                sooner(now + LOOK);
            } else if rested > now {
                sooner(rested);
            } else {
                match pack(dir, &old.log, old.closed.number, form, &mut || is_free()) {
                    Ok(true) => {}
                    Ok(false) => sooner(now + LOOK),
                    Err(error) => result = result.and(Err(error)),
                }
            }
        }
    }
    result.map(|()| due)
}

/// Which segments of a service go: those beyond the number to keep of each stream, too old ones, and the oldest of
/// what is too large together. `old` is in order of age.
fn choose(old: Vec<Old>, plan: &LogPlan, now: SystemTime) -> (Vec<Old>, Vec<Old>) {
    let mut left: BTreeMap<String, u32> = BTreeMap::new();
    for old in &old {
        *left.entry(old.log.clone()).or_default() += 1;
    }
    let mut total: u64 = old.iter().map(|old| old.closed.bytes).sum();
    old.into_iter().partition(|old| {
        let left = left.entry(old.log.clone()).or_default();
        let too_many = *left > plan.keep_files.max(1);
        let too_old = plan
            .keep_age
            .is_some_and(|age| now.duration_since(old.closed.written).is_ok_and(|since| since >= age));
        let too_large = plan.keep_total.is_some_and(|most| total > most);
        let goes = too_many || too_old || too_large;
        if goes {
            *left -= 1;
            total -= old.closed.bytes;
        }
        goes
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_logs::{Catalog, Follower, LogPos, Settings, Step, Writer};
    use std::fs::{File, read_dir};

    fn fill(dir: &Path, log: &str, lines: u32) {
        let settings = Settings { rotate_size: 1000, keep_files: 1000, ..Settings::default() };
        let mut writer = Writer::new(&mut Catalog::scan(dir).unwrap(), log, settings).unwrap();
        for n in 0..lines {
            writer.write(format!("{n:0>999}\n").as_bytes()).unwrap();
        }
    }

    fn written(dir: &Path, file: &str, ago: Duration) {
        let file = File::options().write(true).open(dir.join(file)).unwrap();
        file.set_modified(SystemTime::now() - ago).unwrap();
    }

    fn files(dir: &Path) -> Vec<String> {
        let names = read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.ends_with(".log")).collect();
        names.sort();
        names
    }

    fn plan(change: impl Fn(&mut LogPlan)) -> impl Fn(&str) -> Option<LogPlan> {
        let mut plan = LogPlan::default();
        change(&mut plan);
        move |name| (name == "web").then(|| plan.clone())
    }

    fn free(_: &str, _: u64) -> bool {
        false
    }

    fn text(dir: &Path, log: &str) -> Vec<u8> {
        let mut follower = Follower::new(dir, log, LogPos::default());
        let (mut text, mut buffer) = (Vec::new(), vec![0; 4096]);
        while let Step::Data(read) = follower.read(&mut buffer).unwrap() {
            text.extend_from_slice(&buffer[..read]);
        }
        text
    }

    #[test]
    fn closed_segments_are_compressed_when_they_have_rested() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), "web", 2);
        fill(dir.path(), "stranger", 1);
        let before = text(dir.path(), "web");
        let zstd = plan(|_| ());
        let due = pass(dir.path(), &zstd, &free, SystemTime::now()).unwrap().unwrap();
        assert_eq!(files(dir.path()), ["stranger.log.000001", "web.log.000001", "web.log.000002"]);
        assert!(due <= SystemTime::now() + REST);
        assert_eq!(pass(dir.path(), &zstd, &free, due + REST).unwrap(), None);
        assert_eq!(files(dir.path()), ["stranger.log.000001", "web.log.000001.zst", "web.log.000002.zst"]);
        assert!(text(dir.path(), "web") == before);
        // A change of mind holds for what comes.
        pass(dir.path(), &plan(|plan| plan.compress = Compress::Gzip), &free, due + REST).unwrap();
        assert_eq!(files(dir.path())[1..], ["web.log.000001.zst", "web.log.000002.zst"]);
    }

    #[test]
    fn what_is_about_to_be_read_is_compressed_later() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), "web", 3);
        fill(dir.path(), "web.err", 1);
        let shelf = Shelf::default();
        shelf.hold(Held::from([("web".to_owned(), 2)]));
        let held = |log: &str, number| shelf.is_held(log, number);
        let later = SystemTime::now() + REST + REST;
        let due = pass(dir.path(), &plan(|_| ()), &held, later).unwrap();
        assert_eq!(due, Some(later + LOOK));
        let two = ["web.err.log.000001.zst", "web.log.000001.zst", "web.log.000002", "web.log.000003"];
        assert_eq!(files(dir.path()), two);
        shelf.hold(Held::new());
        assert_eq!(pass(dir.path(), &plan(|_| ()), &held, later).unwrap(), None);
        assert!(files(dir.path()).iter().all(|name| name.ends_with(".zst")));
    }

    #[test]
    fn old_ones_go_by_age_across_streams_and_the_numbering_stays() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), "web", 2);
        fill(dir.path(), "web.err", 2);
        let hour = Duration::from_secs(3600);
        for (file, ago) in [("web.log.000001", 5), ("web.err.log.000001", 4), ("web.err.log.000002", 3)] {
            written(dir.path(), file, ago * hour);
        }
        let keep = plan(|plan| (plan.keep_age, plan.compress) = (Some(3 * hour), Compress::None));
        let due = pass(dir.path(), &keep, &free, SystemTime::now()).unwrap().unwrap();
        assert_eq!(files(dir.path()), ["web.err.log.000002", "web.log.000002"]);
        assert_eq!(std::fs::metadata(dir.path().join("web.err.log.000002")).unwrap().len(), 0);
        assert!(due > SystemTime::now() + 2 * hour, "when the next one is too old");
        pass(dir.path(), &keep, &free, due).unwrap();
        assert_eq!(text(dir.path(), "web"), b"");
        let mut catalog = Catalog::scan(dir.path()).unwrap();
        let mut next = Writer::new(&mut catalog, "web.err", Settings::default()).unwrap();
        assert_eq!(next.position().segment, 3, "no number is used twice");
    }

    #[test]
    fn the_oldest_go_when_all_together_are_too_large() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), "web", 3);
        fill(dir.path(), "web.err", 3);
        let minute = Duration::from_secs(60);
        for (file, ago) in [("web.log.000001", 9), ("web.err.log.000001", 8), ("web.log.000002", 7)] {
            written(dir.path(), file, ago * minute);
        }
        let keep = plan(|plan| (plan.keep_total, plan.compress) = (Some(3999), Compress::None));
        pass(dir.path(), &keep, &free, SystemTime::now()).unwrap();
        assert_eq!(files(dir.path()), ["web.err.log.000002", "web.err.log.000003", "web.log.000003"]);
        let few = plan(|plan| (plan.keep_files, plan.compress) = (1, Compress::None));
        pass(dir.path(), &few, &free, SystemTime::now()).unwrap();
        assert_eq!(files(dir.path()), ["web.err.log.000003", "web.log.000003"]);
    }

    #[test]
    fn it_looks_into_the_directory_only_when_something_is_due() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::default();
        shelf.set(&ServiceName::new("web").unwrap(), Some(&LogPlan::default()));
        let mut shelves = Shelves { dir: dir.path().to_owned(), shelf, seen: None, due: None };
        shelves.look(SystemTime::now());
        assert_eq!(shelves.due, None);
        fill(dir.path(), "web", 1);
        // Some file systems know the time of a change only roughly.
        shelves.seen = None;
        shelves.look(SystemTime::now());
        let due = shelves.due.unwrap();
        shelves.look(due);
        assert_eq!(files(dir.path()), ["web.log.000001.zst"]);
    }
}
