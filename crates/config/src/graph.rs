//! What depends on what: that it is there, that it can come about, that nothing waits for itself.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_core::{
    Condition, ExitAction, RestartPolicy, ServiceName, ServicePlan, StartMode, WhenMainstayStops,
};

use crate::context::Context;
use crate::elements::depends_on::Dependency;
use crate::elements::service::Draft;
use crate::nearest::{list, nearest};
use crate::profiles::Inactive;
use crate::source::Span;

/// Checks the dependencies of all services and puts them into their plans. `broken` are services that are in the file
/// but have no draft; whoever depends on them is not told again.
pub(crate) fn check(
    cx: &mut Context<'_>,
    drafts: &mut BTreeMap<ServiceName, Draft>,
    broken: &BTreeSet<String>,
    inactive: &Inactive,
) {
    name_groups(cx, drafts);
    log_names(cx, drafts);
    for (name, draft) in &*drafts {
        for dependency in &draft.depends_on {
            match drafts.get(&dependency.on) {
                _ if dependency.on == *name => {
                    cx.error(dependency.span, format!("`{name}` depends on itself")).hint("leave it out");
                }
                Some(other) => {
                    can_come_about(cx, &dependency.on, dependency.condition, dependency.span, other);
                    stays_with_it(cx, dependency, draft, other);
                }
                None if inactive.contains_key(&dependency.on) => {
                    let profiles = &inactive[&dependency.on];
                    let names = profiles.iter().map(String::as_str);
                    let message =
                        format!("`{}` belongs to the profile {} only", dependency.on, list(names, "or"));
                    cx.error(dependency.span, message).hint(format!(
                        "add --profile {}, or give `{name}` the same profiles",
                        profiles.first().map_or("NAME", String::as_str)
                    ));
                }
                None if broken.contains(dependency.on.as_str()) => {}
                None if cx.is_full() => {
                    cx.error(dependency.span, "there is no such service");
                }
                None => {
                    let names =
                        || drafts.keys().map(ServiceName::as_str).filter(|other| *other != name.as_str());
                    let hint = match nearest(dependency.on.as_str(), names()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("the other services are {}", list(names(), "and")),
                    };
                    cx.error(dependency.span, format!("there is no service `{}`", dependency.on)).hint(hint);
                }
            }
        }
    }
    cycles(cx, drafts);
    for draft in drafts.values_mut() {
        draft.plan.depends_on =
            draft.depends_on.iter().map(|dependency| (dependency.on.clone(), dependency.condition)).collect();
    }
}

/// Says so if a service is left running without one that it needs.
fn stays_with_it(cx: &mut Context<'_>, dependency: &Dependency, draft: &Draft, other: &Draft) {
    let leaves = |draft: &Draft| draft.plan.when_mainstay_stops == WhenMainstayStops::Leave;
    if leaves(draft) && !leaves(other) && dependency.condition != Condition::Completed {
        let on = &dependency.on;
        cx.warning(
            dependency.span,
            format!("it is left running when the stack goes down, and `{on}` is not"),
        )
        .hint(format!("give `{on}` `when_mainstay_stops = \"leave\"`, too, if it cannot do without"));
    }
}

/// No two services write to the same log.
fn log_names(cx: &mut Context<'_>, drafts: &BTreeMap<ServiceName, Draft>) {
    for (name, draft) in drafts.iter().filter(|(_, draft)| draft.plan.log.separate_stderr) {
        if let Some(other) = drafts.get(format!("{name}.err").as_str()) {
            cx.error(other.name_span, format!("the stderr of `{name}` goes to the log of this name"))
                .related(draft.name_span, "it has `log.stderr = \"separate\"`")
                .hint("give one of them another name");
        }
    }
}

/// Puts the services of a group in place of its name, in all dependencies.
fn name_groups(cx: &mut Context<'_>, drafts: &mut BTreeMap<ServiceName, Draft>) {
    let mut groups: BTreeMap<ServiceName, Vec<ServiceName>> = BTreeMap::new();
    for (name, draft) in &*drafts {
        if let Some(group) = &draft.plan.instance_of {
            groups.entry(group.clone()).or_default().push(name.clone());
        }
    }
    for (group, members) in &groups {
        if let (Some(service), Some(member)) =
            (drafts.get(group), members.first().and_then(|m| drafts.get(m)))
        {
            cx.error(
                service.name_span,
                format!("`{group}` is the name of a service and of several together"),
            )
            .related(member.name_span, "this one is an instance of it")
            .hint("give one of them another name");
        }
    }
    for draft in drafts.values_mut().filter(|d| d.depends_on.iter().any(|on| groups.contains_key(&on.on))) {
        let each = |dependency: &Dependency| match groups.get(&dependency.on) {
            None => vec![dependency.clone()],
            Some(members) => {
                members.iter().map(|on| Dependency { on: on.clone(), ..dependency.clone() }).collect()
            }
        };
        draft.depends_on = draft.depends_on.iter().flat_map(each).collect();
    }
}

fn can_come_about(cx: &mut Context<'_>, on: &ServiceName, condition: Condition, span: Span, other: &Draft) {
    if other.plan.start == StartMode::Disabled {
        let start = other.start_span.unwrap_or(other.name_span);
        cx.error(span, format!("`{on}` is disabled, so this can never start"))
            .related(start, "disabled here")
            .hint("start = \"manual\" starts it only for those who depend on it");
        return;
    }
    match condition {
        Condition::Completed if !can_complete(&other.plan) => {
            cx.error(span, format!("`{on}` never completes: it restarts after every end"))
                .related(other.name_span, "this service")
                .hint("give it restart = \"on-failure\" or \"never\"");
        }
        Condition::Ready if !other.has_ready => {
            cx.warning(span, format!("`{on}` has no `ready` probe: it counts as ready when it has started"))
                .related(other.name_span, "this service")
                .hint("give it a probe such as ready = { tcp = \"127.0.0.1:5432\" }, or write \"started\"");
        }
        Condition::Started | Condition::Ready | Condition::Completed => {}
    }
}

fn can_complete(plan: &ServicePlan) -> bool {
    plan.restart.policy != RestartPolicy::Always
        || plan.restart.on_exit.values().any(|action| *action == ExitAction::Stop)
}

/// Tells of every circle that a walk along the dependencies runs into. Without recursion: chains may be long.
fn cycles(cx: &mut Context<'_>, drafts: &BTreeMap<ServiceName, Draft>) {
    let mut done: BTreeSet<&ServiceName> = BTreeSet::new();
    for start in drafts.keys() {
        // The way from `start` to here: each service, and which of its dependencies comes next.
        let mut way: Vec<(&ServiceName, usize)> = vec![(start, 0)];
        let mut on_way: BTreeMap<&ServiceName, usize> = BTreeMap::from([(start, 0)]);
        if done.contains(start) {
            continue;
        }
        while let Some((name, next)) = way.last_mut() {
            let Some(dependency) = drafts.get(*name).and_then(|draft| draft.depends_on.get(*next)) else {
                done.insert(name);
                on_way.remove(*name);
                way.pop();
                continue;
            };
            *next += 1;
            let on = &dependency.on;
            if on == *name || done.contains(on) || !drafts.contains_key(on) {
                continue;
            }
            if let Some(from) = on_way.get(on) {
                report(cx, &way[*from..], on, dependency.span);
                continue;
            }
            on_way.insert(on, way.len());
            way.push((on, 0));
        }
    }
}

fn report(cx: &mut Context<'_>, way: &[(&ServiceName, usize)], back_to: &ServiceName, span: Span) {
    const HALF: usize = 6;
    let name = |(name, _): &(&ServiceName, usize)| name.to_string();
    let mut names: Vec<String> = if way.len() <= 2 * HALF {
        way.iter().map(name).collect()
    } else {
        let (first, last) = (&way[..HALF], &way[way.len() - HALF..]);
        first.iter().map(name).chain(["…".to_owned()]).chain(last.iter().map(name)).collect()
    };
    names.push(back_to.to_string());
    cx.error(span, format!("these services wait for each other: {}", names.join(" → ")))
        .hint("take out one of these dependencies");
}
