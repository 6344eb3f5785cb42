//! What a changed configuration means for what runs: which fields changed, and what their change does to a service.
//!
//! [`FIELDS`] is the whole of it: one line for each field of a plan. A field without a line counts as one that needs a
//! new process, so that nothing runs with an old setting that a newer version forgot about; a test says so first.

mod debounce;
mod fields;
mod shown;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use debounce::Debounce;
pub use fields::{Class, FIELDS, Field, field_table};

use crate::walks::in_order;
use crate::words::clip;
use crate::{Check, OnChange, Plan, ProbeKind, ProbePlan, ServiceName, ServicePlan, StartMode};

/// How a changed configuration is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ReloadSettings {
    /// At most so many services are restarted or started at a time. At least 1.
    pub at_once: u32,
    /// A service that was restarted or started is up in this time, or everything goes back.
    pub timeout: Duration,
    /// A service without a readiness probe has to run for so long before it counts as up.
    pub settle: Duration,
    /// Whether a change of its files is applied by itself.
    pub watch: bool,
    /// The files have to stay as they are for so long before they are read.
    pub quiet: Duration,
    /// But they are read after this time, however often they change.
    pub longest_wait: Duration,
    /// A part of this time more, by chance, is waited for, so that many who see the same files do not all change at once.
    pub splay: Duration,
}

impl Default for ReloadSettings {
    fn default() -> Self {
        ReloadSettings {
            at_once: 1,
            timeout: Duration::from_secs(60),
            settle: Duration::from_secs(1),
            watch: false,
            quiet: Duration::from_millis(500),
            longest_wait: Duration::from_secs(10),
            splay: Duration::ZERO,
        }
    }
}

impl ReloadSettings {
    /// Whether nothing is asked for.
    pub fn is_default(&self) -> bool {
        *self == ReloadSettings::default()
    }
}

/// What is done to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing; what changed is only looked at when it is needed.
    Nothing,
    /// What changed is taken over while it runs.
    Live,
    /// The files of its program are replaced, and it is told, while it runs.
    Signal,
    /// It gets a new process, if it runs.
    Restart,
    /// It is started, unless its `start` says otherwise.
    Start,
    /// It is stopped.
    Stop,
}

impl Action {
    /// The action's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Nothing => "nothing",
            Action::Live => "live",
            Action::Signal => "signal",
            Action::Restart => "restart",
            Action::Start => "start",
            Action::Stop => "stop",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A field that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Its place in the plan: `launch.command`.
    pub field: String,
    /// What its change does.
    pub action: Action,
    /// What it was, where that may be shown: values of variables may be secret.
    pub was: Option<String>,
    /// What it becomes.
    pub becomes: Option<String>,
}

/// What is done to one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Which.
    pub service: ServiceName,
    /// What.
    pub action: Action,
    /// Why, as a clause: "new", "not in the configuration any more", "launch.command changed".
    pub reason: String,
    /// All that changed in it; nothing for one that is new or gone.
    pub changes: Vec<Change>,
}

/// What applying a configuration would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReloadPlan {
    /// What changed that belongs to no service.
    pub stack: Vec<Change>,
    /// The services that something changes for, in the order in which they are taken. Others are left alone.
    pub steps: Vec<Step>,
}

impl ReloadPlan {
    /// What it takes to get from one plan to another.
    pub fn of(old: &Plan, new: &Plan) -> ReloadPlan {
        let top = |plan: &Plan| json(&Plan { services: [].into(), ..plan.clone() });
        let mut stack = Vec::new();
        walk("", &top(old), &top(new), &mut |field, was, becomes| {
            stack.push(change(field, Action::Live, was, becomes));
        });
        let mut steps = Vec::new();
        let late = needed_by_survivors(old, new);
        // Dependents first.
        let gone = in_order(old).into_iter().rev().filter(|name| !new.services.contains_key(name));
        let (last, first): (Vec<_>, Vec<_>) = gone.partition(|name| late.contains(name));
        let stop = |name: &ServiceName| Step {
            service: name.clone(),
            action: Action::Stop,
            reason: "not in the configuration any more".to_owned(),
            changes: Vec::new(),
        };
        steps.extend(first.iter().map(stop));
        for name in in_order(new) {
            let Some(plan) = new.services.get(&name) else { continue };
            steps.extend(match old.services.get(&name) {
                None => Some(Step::added(&name, plan)),
                Some(before) if before == plan => None,
                Some(before) => {
                    Some(Step::changed(&name, before, plan)).filter(|step| !step.changes.is_empty())
                }
            });
        }
        steps.extend(last.iter().map(stop));
        ReloadPlan { stack, steps }
    }

    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.stack.is_empty() && self.steps.is_empty()
    }
}

/// Which of the services that are to go are needed, directly or not, by one that stays. They go last.
pub(crate) fn needed_by_survivors(old: &Plan, new: &Plan) -> BTreeSet<ServiceName> {
    let stays = |name: &ServiceName| new.services.contains_key(name);
    let (mut late, mut open) = (BTreeSet::new(), Vec::new());
    open.extend(old.services.iter().filter(|(name, _)| stays(name)).map(|(_, plan)| plan));
    while let Some(plan) = open.pop() {
        for name in plan.depends_on.keys().filter(|name| !stays(name)) {
            if late.insert(name.clone()) {
                open.extend(old.services.get(name));
            }
        }
    }
    late
}

impl Step {
    fn added(name: &ServiceName, plan: &ServicePlan) -> Step {
        let action = if plan.start == StartMode::Auto { Action::Start } else { Action::Nothing };
        Step { service: name.clone(), action, reason: "new".to_owned(), changes: Vec::new() }
    }

    /// What a changed service needs.
    pub(crate) fn changed(name: &ServiceName, old: &ServicePlan, new: &ServicePlan) -> Step {
        let mut changes = Vec::new();
        let variables = shown::Variables::of([old, new]);
        walk("", &json(old), &json(new), &mut |field, was, becomes| {
            let action = action(field, old, new);
            changes.push(match (was, becomes) {
                (Value::String(was), Value::String(becomes)) if shown::is_content(field) => {
                    let (was, becomes) = shown::lines(was, becomes, &variables);
                    Change { field: field.to_owned(), action, was: Some(was), becomes: Some(becomes) }
                }
                _ => change(field, action, was, becomes),
            });
        });
        // A stop or a start is more than a restart: what is stopped needs no new process.
        let rank = |action: Action| match action {
            Action::Nothing => 0,
            Action::Live => 1,
            Action::Start => 2,
            Action::Signal => 3,
            Action::Restart => 4,
            Action::Stop => 5,
        };
        let action = changes.iter().map(|change| change.action).max_by_key(|action| rank(*action));
        let action = action.unwrap_or(Action::Nothing);
        let mut named: Vec<&str> = changes
            .iter()
            .filter(|change| change.action == action)
            .map(|change| change.field.as_str())
            .collect();
        let more = named.len().saturating_sub(3);
        named.truncate(3);
        let reason = match more {
            0 => format!("{} changed", named.join(", ")),
            more => format!("{} and {more} more changed", named.join(", ")),
        };
        Step { service: name.clone(), action, reason, changes }
    }
}

fn action(field: &str, old: &ServicePlan, new: &ServicePlan) -> Action {
    match fields::class_of(field) {
        None | Some(Class::Restart) => Action::Restart,
        Some(Class::Nothing | Class::Note) => Action::Nothing,
        Some(Class::Live) => Action::Live,
        Some(Class::Start) => match (old.start, new.start) {
            (_, StartMode::Disabled) => Action::Stop,
            (_, StartMode::Auto) => Action::Start,
            (_, StartMode::Manual) => Action::Nothing,
        },
        // A check says nothing of a file that is there.
        Some(Class::File) if field.ends_with(".check") => Action::Nothing,
        Some(Class::File) => match new.config.on_change {
            OnChange::Restart => Action::Restart,
            OnChange::Nothing => Action::Live,
            _ => Action::Signal,
        },
        Some(Class::Probe(kind)) => probe_action(kind, old.probe(kind), new.probe(kind)),
    }
}

/// A probe changes while its service runs, unless the process was made with it in mind: where it says so itself it
/// was given an address and a time, and where its output is watched that begins with it.
fn probe_action(kind: ProbeKind, old: Option<&ProbePlan>, new: Option<&ProbePlan>) -> Action {
    let of_process = |plan: Option<&ProbePlan>| {
        plan.filter(|plan| matches!(plan.check, Check::Notify | Check::Log(_))).map(|plan| {
            let told = (kind == ProbeKind::Live && plan.check == Check::Notify).then_some(plan.interval);
            (plan.check.clone(), told)
        })
    };
    if of_process(old) == of_process(new) { Action::Live } else { Action::Restart }
}

fn change(field: &str, action: Action, was: &Value, becomes: &Value) -> Change {
    let (was, becomes) = differing(was, becomes);
    let shown = |value: &Value| match value {
        Value::Null => None,
        _ if !fields::is_shown(field) => None,
        // A file that is new is in the configuration.
        Value::Object(file) if file.contains_key("content") => None,
        value => Some(clip(words(value))),
    };
    Change { field: field.to_owned(), action, was: shown(&was), becomes: shown(&becomes) }
}

/// Of two tables only what is not the same in both, of two lists what is not the same and what is beside it.
fn differing(was: &Value, becomes: &Value) -> (Value, Value) {
    if let (Value::Array(old), Value::Array(new)) = (was, becomes) {
        let begin = old.iter().zip(new).take_while(|(old, new)| old == new).count();
        let left = old[begin..].iter().rev().zip(new[begin..].iter().rev());
        let end = left.take_while(|(old, new)| old == new).count();
        return (without_known(old, begin, end), without_known(new, begin, end));
    }
    let (Value::Object(old), Value::Object(new)) = (was, becomes) else {
        return (was.clone(), becomes.clone());
    };
    if duration(was).is_some() || duration(becomes).is_some() {
        return (was.clone(), becomes.clone());
    }
    let (mut left, mut right) = (serde_json::Map::new(), serde_json::Map::new());
    for key in old.keys().chain(new.keys()) {
        match (old.get(key), new.get(key)) {
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(new)) => {
                let (old, new) = differing(old, new);
                left.insert(key.clone(), old);
                right.insert(key.clone(), new);
            }
            (Some(old), None) => drop(left.insert(key.clone(), old.clone())),
            (None, Some(new)) => drop(right.insert(key.clone(), new.clone())),
            (None, None) => {}
        }
    }
    (Value::Object(left), Value::Object(right))
}

/// Stands for what is left out of a list.
const LEFT_OUT: &str = "…";

/// A list of which so many at the begin and at the end are known: the first, which is a command's program, and the one
/// before what differs, which may be an option's name, are left.
fn without_known(list: &[Value], begin: usize, end: usize) -> Value {
    let left_out = || Value::from(LEFT_OUT);
    let (before, rest) = list.split_at(begin);
    let (differs, after) = rest.split_at(rest.len() - end);
    let mut short: Vec<Value> = match before {
        [first, _, .., last] if begin > 3 => vec![first.clone(), left_out(), last.clone()],
        few => few.to_vec(),
    };
    short.extend(differs.iter().cloned());
    match after {
        // What is new at the begin is before something.
        [next, _, _, ..] if begin == 0 => short.extend([next.clone(), left_out()]),
        [_, _, ..] if begin > 0 => short.push(left_out()),
        few => short.extend(few.iter().cloned()),
    }
    Value::Array(short)
}

/// A value for people: `{delay: 500 ms, limit: none}`.
fn words(value: &Value) -> String {
    if let Some(duration) = duration(value) {
        return crate::words::span(duration);
    }
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => shown::without_password(text),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(list) => {
            let list: Vec<String> = list.iter().map(element).collect();
            format!("[{}]", list.join(","))
        }
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| match key.as_str() {
                fields::HEADERS => format!("{key}: …"),
                _ => format!("{key}: {}", words(value)),
            };
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

/// One of a list, where a text has quotes.
fn element(value: &Value) -> String {
    match value.as_str() {
        Some(LEFT_OUT) => LEFT_OUT.to_owned(),
        _ => value.to_string(),
    }
}

/// One as serde writes it.
fn duration(value: &Value) -> Option<std::time::Duration> {
    let members = value.as_object().filter(|members| members.len() == 2)?;
    let part = |name| members.get(name).and_then(Value::as_u64);
    Some(std::time::Duration::new(part("secs")?, u32::try_from(part("nanos")?).ok()?))
}

/// Says which fields differ: down to those that have a line in the table, or to values.
fn walk(at: &str, old: &Value, new: &Value, differs: &mut dyn FnMut(&str, &Value, &Value)) {
    if old == new || fields::class_of(at) == Some(Class::Note) {
        return;
    }
    let nothing = serde_json::Map::new();
    let inside = |value: &'_ Value| value.as_object().is_some() || value.is_null();
    // Variables and files are told one by one.
    let by_name = [
        "launch.environment",
        "launch.secret_environment",
        "launch.secrets",
        "config.files",
        "config.secrets",
    ]
    .contains(&at);
    // What is there before and after is looked into, what is new or gone is one thing.
    let known = !by_name && fields::is_leaf(at) && (old.is_null() || new.is_null());
    let whole = duration(old).is_some() || duration(new).is_some();
    if known || whole || !(inside(old) && inside(new)) || (old.is_null() && new.is_null()) {
        return differs(at, old, new);
    }
    let (old, new) = (old.as_object().unwrap_or(&nothing), new.as_object().unwrap_or(&nothing));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        walk(&path, old.get(key).unwrap_or(&Value::Null), new.get(key).unwrap_or(&Value::Null), differs);
    }
}

fn json<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
