//! The values of secrets, as long as something needs them: read on threads of their own, held in memory that is zeroed,
//! given to processes, hooks and probes of the services that use them, and to nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_core::{
    ConfigFile, Encoding, HookFacts, HttpCheck, Input, Plan, RunId, SecretMarks, SecretSource, SecretText,
    ServiceName, ServicePlan, names_in,
};
use mainstay_link::Secret;
use mainstay_secrets::{Marker, SecretError, Secrets, Value, fill};
use tokio::runtime::Handle;
use tracing::warn;

use crate::driver::Driver;
use crate::message::ToDriver;

/// So many sources are read at the same time.
const AT_ONCE: usize = 8;
/// A line of a value that is shorter tells nothing.
const SHORTEST_LINE: usize = 4;
/// The mark of a secret that has no value.
const NONE: &str = "none";

/// What hears that values were read. False: no room now.
type Told = Arc<dyn Fn(ToDriver) -> bool + Send + Sync>;

/// The values of a stack's secrets.
#[derive(Clone)]
pub(crate) struct Vault(Arc<Inner>);

struct Inner {
    state: PathBuf,
    runtime: Handle,
    told: Told,
    known: Mutex<Known>,
    /// Made when it is first needed; once, as several threads may need it at the same time.
    marker: Mutex<Option<Arc<Marker>>>,
}

#[derive(Default)]
struct Known {
    sources: BTreeMap<String, SecretSource>,
    /// The secrets of the present plan.
    used: BTreeSet<String>,
    values: BTreeMap<String, Value>,
    /// What could not be read; told once, then tried again.
    failed: BTreeMap<String, SecretError>,
    /// What is being read because something waits for it.
    wanted: BTreeSet<String>,
    /// What was read for the configuration that is being applied, and need not be read again for it.
    fresh: BTreeSet<String>,
}

/// What came of reading the secrets of a preparation.
#[derive(Clone)]
pub(crate) struct Read {
    marks: SecretMarks,
    /// Why one of them has no value.
    error: Option<SecretError>,
}

/// Where values come from that are known already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// They are taken as they were read last.
    Known,
    /// They are read again: they may be others by now.
    Anew,
}

/// The files of a program, filled.
pub(crate) struct Filled {
    /// By their paths.
    pub contents: BTreeMap<String, Value>,
    /// The marks of the values in them; none if there is no key for marks.
    pub secrets: SecretMarks,
}

/// Why a text cannot be filled.
#[derive(Debug)]
pub(crate) enum Missing {
    /// Its values are being read; the driver is told when they are there.
    NotYet,
    /// There is none.
    Never(SecretError),
}

impl Vault {
    /// An empty one of the stack with this state directory.
    pub fn new(state: PathBuf, runtime: Handle, told: Told) -> Vault {
        Vault(Arc::new(Inner { state, runtime, told, known: Mutex::default(), marker: Mutex::default() }))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that reads nothing.
    #[cfg(test)]
    pub fn for_tests(state: &std::path::Path) -> Vault {
        Vault::new(state.to_owned(), Handle::current(), Arc::new(|_| true))
    }

    /// Takes in what a plan says of secrets. Values that nothing uses any more go.
    pub fn follow(&self, plan: &Plan) {
        let used: BTreeSet<String> = plan.services.values().flat_map(ServicePlan::all_secret_names).collect();
        let mut known = self.known();
        known.values.retain(|name, _| used.contains(name));
        (known.used, known.sources) = (used, plan.secrets.clone());
    }

    /// A plan is about to be applied for which its secrets were read: they need not be read again until that is over. A
    /// command that says one may ask somebody for it, or give each time another one.
    pub fn were_read_for(&self, plan: &Plan) {
        let names: BTreeSet<String> =
            plan.services.values().flat_map(|service| service.marks().into_keys()).collect();
        let mut known = self.known();
        let Known { values, sources, fresh, .. } = &mut *known;
        *fresh = names
            .into_iter()
            .filter(|name| values.contains_key(name) && sources.get(name) == plan.secrets.get(name))
            .collect();
    }

    /// From now on secrets are read anew.
    pub fn apply_is_over(&self) {
        self.known().fresh.clear();
    }

    /// A number that is another one after a file of a secret in use has changed.
    pub fn stamp(&self) -> u64 {
        let used = self.known().used.clone();
        self.stamp_of(&used)
    }

    /// Reads secrets from their sources, for a preparation. Told by [`ToDriver::SecretsRead`].
    fn prepare(&self, run: RunId, names: BTreeSet<String>, sources: &BTreeMap<String, SecretSource>) {
        {
            // The plan may have changed with what wants this.
            let mut known = self.known();
            if known.sources != *sources {
                known.sources.clone_from(sources);
            }
        }
        let vault = self.clone();
        self.0.runtime.spawn_blocking(move || {
            let read = vault.read_once(&names);
            vault.tell(|| {
                ToDriver::SecretsRead(run, Read { marks: read.marks.clone(), error: read.error.clone() })
            });
        });
    }

    /// Variables with their values, as far as these are known. What is not is read, and told by
    /// [`ToDriver::SecretsThere`].
    pub fn fill(&self, texts: &BTreeMap<String, SecretText>) -> Result<BTreeMap<String, Secret>, Missing> {
        let missing: BTreeSet<String> = {
            let mut known = self.known();
            let names = names_in(texts.values());
            if let Some(error) = names.iter().find_map(|name| known.failed.remove(name)) {
                return Err(Missing::Never(error));
            }
            let missing: BTreeSet<String> =
                names.into_iter().filter(|name| !known.values.contains_key(name)).collect();
            if missing.is_empty() {
                let value = |name: &str| known.values.get(name).cloned().ok_or(Missing::NotYet);
                let filled = texts
                    .iter()
                    .map(|(variable, text)| Ok((variable.clone(), Secret::new(fill(text, value)?))));
                return filled.collect();
            }
            missing.into_iter().filter(|name| known.wanted.insert(name.clone())).collect()
        };
        if !missing.is_empty() {
            let vault = self.clone();
            self.0.runtime.spawn_blocking(move || {
                vault.read(&missing);
                vault.known().wanted.retain(|name| !missing.contains(name));
                vault.tell(|| ToDriver::SecretsThere);
            });
        }
        Err(Missing::NotYet)
    }

    /// The files of a program with their values, and the marks of these. On a thread that may wait.
    ///
    /// # Errors
    /// One of the secrets has no value.
    pub fn fill_files(
        &self,
        files: &BTreeMap<String, ConfigFile>,
        reading: Reading,
    ) -> Result<Filled, SecretError> {
        let names = names_in(files.values().map(|file| &file.content));
        let unknown = |name: &String| !self.known().values.contains_key(name);
        if names.iter().any(|name| reading == Reading::Anew || unknown(name))
            && let Some(error) = self.read_once(&names).error
        {
            return Err(error);
        }
        let value = |name: &str| {
            let value = self.known().values.get(name).cloned();
            value.ok_or_else(|| SecretError {
                name: name.to_owned(),
                why: "the configuration has changed meanwhile".to_owned(),
                hint: None,
            })
        };
        let filled = files.iter().map(|(path, file)| Ok((path.clone(), fill(&file.content, value)?)));
        Ok(Filled { contents: filled.collect::<Result<_, _>>()?, secrets: self.marks_of(&names) })
    }

    /// The marks of values that are known.
    fn marks_of<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> SecretMarks {
        let Some(marker) = self.marker() else { return SecretMarks::new() };
        let known = self.known();
        let mark = |name: &String| Some((name.clone(), marker.mark(name, known.values.get(name)?)));
        names.into_iter().filter_map(mark).collect()
    }

    /// What tells of the content of a file, if there is a key for marks.
    pub fn mark_of_file(&self, path: &str, content: &[u8]) -> Option<String> {
        Some(self.marker()?.mark(path, content))
    }

    /// A text that somebody else has written, without the values that are known: as they are, as JSON has them, and line by
    /// line.
    pub fn mask(&self, text: String) -> String {
        let known = self.known();
        let mut forms: Vec<Value> = Vec::new();
        for value in known.values.values() {
            let mut json = Value::new(String::with_capacity(value.len() * Encoding::LONGEST));
            Encoding::Json.write(value, &mut json);
            forms.extend([value.clone(), json]);
            let lines = value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE);
            forms.extend(lines.map(|line| Value::new(line.to_owned())));
        }
        // One that is a part of another one would leave the rest of that.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.iter().fold(text, |text, form| text.replace(form.as_str(), "***"))
    }

    /// A check of a probe, its headers filled.
    pub async fn headers(&self, check: &HttpCheck) -> Result<HttpCheck, SecretError> {
        let mut check = check.clone();
        let names = names_in(check.secret_headers.values());
        let values = |vault: &Vault| -> Option<BTreeMap<String, Value>> {
            let known = vault.known();
            names.iter().map(|name| Some((name.clone(), known.values.get(name)?.clone()))).collect()
        };
        let found = match values(self) {
            Some(found) => found,
            None => {
                let (vault, wanted) = (self.clone(), names.clone());
                // The daemon is ending if this fails.
                let read = tokio::task::spawn_blocking(move || vault.read(&wanted)).await.ok();
                if let Some(error) = read.and_then(|read| read.error) {
                    return Err(error);
                }
                values(self).unwrap_or_default()
            }
        };
        for (header, text) in std::mem::take(&mut check.secret_headers) {
            let value = fill(&text, |name| found.get(name).cloned().ok_or(()));
            check.headers.extend(value.ok().map(|value| (header, value.to_string())));
        }
        Ok(check)
    }

    /// Values as they are at their sources now, for somebody who keeps them himself. On a thread that may wait.
    ///
    /// # Errors
    /// One of the secrets has no value.
    pub fn read_apart(&self, names: &BTreeSet<String>) -> Result<BTreeMap<String, Value>, SecretError> {
        let read = all_of(&self.secrets(), names);
        read.into_iter().map(|(name, value)| Ok((name.clone(), value?))).collect()
    }

    /// A number that is another one after a file of these secrets has changed.
    pub fn stamp_of(&self, names: &BTreeSet<String>) -> u64 {
        self.secrets().stamp(names.iter().map(String::as_str))
    }

    fn secrets(&self) -> Secrets {
        Secrets::new(&self.0.state, &self.known().sources)
    }

    /// A plan with the marks of the values that its secrets have by now. Of `only` these; of those that cannot be read,
    /// and of others, it has none.
    pub async fn marked(&self, mut plan: Plan, only: Option<BTreeSet<String>>) -> Plan {
        let of_processes: BTreeSet<String> =
            plan.services.values().flat_map(ServicePlan::secret_names).collect();
        let names: BTreeSet<String> = of_processes
            .into_iter()
            .filter(|name| only.as_ref().is_none_or(|only| only.contains(name)))
            .collect();
        if names.is_empty() {
            return plan;
        }
        let (vault, sources) = (self.clone(), plan.secrets.clone());
        let read = tokio::task::spawn_blocking(move || vault.read_from(&names, &sources)).await;
        let marks = read.map(|read| read.marks).unwrap_or_default();
        for service in plan.services.values_mut() {
            let names = service.secret_names().into_iter();
            let fresh = names.filter_map(|name| Some((name.clone(), marks.get(&name)?.clone())));
            service.set_marks(&fresh.filter(|(_, mark)| mark != NONE).collect());
        }
        plan
    }

    /// The same but for what was read already for the configuration that is being applied.
    fn read_once(&self, names: &BTreeSet<String>) -> Read {
        let fresh = self.known().fresh.clone();
        let (fresh, stale) =
            names.iter().cloned().partition::<BTreeSet<String>, _>(|name| fresh.contains(name));
        let mut read = self.read(&stale);
        read.marks.extend(self.marks_of(&fresh));
        read
    }

    /// Reads secrets as the present plan says, and keeps their values.
    fn read(&self, names: &BTreeSet<String>) -> Read {
        let sources = self.known().sources.clone();
        self.read_from(names, &sources)
    }

    fn read_from(&self, names: &BTreeSet<String>, sources: &BTreeMap<String, SecretSource>) -> Read {
        let mut read = Read { marks: SecretMarks::new(), error: None };
        let marker = self.marker();
        let secrets = Secrets::new(&self.0.state, sources);
        for (name, value) in all_of(&secrets, names) {
            let mark = match (&value, &marker) {
                (Ok(value), Some(marker)) => marker.mark(name, value),
                _ => NONE.to_owned(),
            };
            read.marks.insert(name.clone(), mark);
            let mut known = self.known();
            // One of another configuration is none of ours yet.
            let ours = known.sources.get(name) == sources.get(name);
            match value {
                Ok(value) if ours => {
                    known.failed.remove(name);
                    known.values.insert(name.clone(), value);
                }
                Ok(_) => {}
                Err(error) => {
                    if ours && known.wanted.contains(name) {
                        known.failed.insert(name.clone(), error.clone());
                    }
                    read.error.get_or_insert(error);
                }
            }
        }
        read
    }

    fn marker(&self) -> Option<Arc<Marker>> {
        let mut marker = self.0.marker.lock().unwrap_or_else(PoisonError::into_inner);
        if marker.is_none() {
            match Marker::of(&self.0.state) {
                Ok(made) => *marker = Some(Arc::new(made)),
                Err(error) => warn!("changed secrets are not noticed: the key of their marks: {error}"),
            }
        }
        marker.clone()
    }

    /// Tells the driver, who may be far behind.
    fn tell(&self, message: impl Fn() -> ToDriver) {
        while !(self.0.told)(message()) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Reads secrets from their sources, a few at a time: each may be a command that takes its time.
fn all_of<'n>(
    secrets: &Secrets,
    names: &'n BTreeSet<String>,
) -> Vec<(&'n String, Result<Value, SecretError>)> {
    let names: Vec<&String> = names.iter().collect();
    let mut all = Vec::with_capacity(names.len());
    for some in names.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let reading: Vec<_> =
                some.iter().map(|name| (*name, scope.spawn(|| secrets.get(name)))).collect();
            all.extend(reading.into_iter().filter_map(|(name, value)| Some((name, value.join().ok()?))));
        });
    }
    all
}

/// What is wrong, and what to do about it, in one line.
pub(crate) fn in_words(error: &SecretError) -> String {
    match &error.hint {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

/// Takes over the marks that a plan has no newer ones for: those with which the processes were made that are there.
/// What was never prepared has none that could differ.
pub(crate) fn keep_marks(plan: &mut Plan, running: &Plan) {
    for (name, service) in &mut plan.services {
        let Some(before) = running.services.get(name).map(ServicePlan::marks) else { continue };
        let mut marks = before.clone();
        if !before.is_empty() {
            marks.extend(service.marks());
        }
        service.set_marks(&marks);
        if let Some(running) = running.services.get(name) {
            service.config.notes = running.config.notes.clone();
        }
    }
}

/// The same plan with no marks: another time its secrets have other values.
pub(crate) fn without_marks(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.services.values_mut().for_each(ServicePlan::forget_marks);
    plan
}

/// Leaves values out that did not work, of secrets that have nothing newer: nobody has asked for them.
pub(crate) fn leave_refused(plan: &mut Plan, running: &Plan) {
    for (name, service) in &mut plan.services {
        let Some(running) = running.services.get(name) else { continue };
        for (secret, refused) in &running.config.notes.refused {
            if service.config.secrets.get(secret) == Some(refused)
                && let Some(mark) = running.config.secrets.get(secret)
            {
                service.config.secrets.insert(secret.clone(), mark.clone());
            }
        }
    }
}

impl Driver {
    /// Does what comes before a start: reads the secrets, then puts the files in their places, then lets the hooks run.
    pub(crate) fn prepare(&mut self, service: ServiceName, run: RunId, facts: HookFacts) {
        let plan = self.core.plan().services.get(&service);
        let names = plan.map(ServicePlan::secret_names).unwrap_or_default();
        if names.is_empty() {
            self.files.want_start(&service, run, facts);
            return;
        }
        self.preparing.insert(run, (service, facts));
        self.vault.prepare(run, names, &self.core.plan().secrets);
    }

    /// The secrets of a preparation were read.
    pub(crate) fn secrets_read(&mut self, run: RunId, read: Read) {
        let Some((service, facts)) = self.preparing.remove(&run) else { return };
        self.input(Input::SecretsRead { run, marks: read.marks });
        match read.error {
            Some(error) => self.input(Input::Prepared { run, error: Some(in_words(&error)) }),
            None => self.files.want_start(&service, run, facts),
        }
    }
}
