//! Ports that others have, names that lead nowhere, and stacks that fight for one thing.

use std::collections::BTreeMap;

use super::{Contact, Finding, Listener, Other, Seen, Service, contacts};
use crate::{Launch, Plan, ServiceName, ServicePlan, StartMode};

pub(super) fn examine(plan: &ServicePlan, service: &Service, seen: &Seen) -> Vec<Finding> {
    let contacts = contacts(plan);
    // Several probes often ask the same address.
    let once: BTreeMap<(&str, u16), &Contact> =
        contacts.iter().rev().map(|contact| ((contact.host.as_str(), contact.port), contact)).collect();
    let of = |contact: &Contact| {
        taken(contact, service, &seen.listeners).into_iter().chain(nowhere(contact, seen))
    };
    once.into_values().flat_map(|contact| of(contact).collect::<Vec<_>>()).collect()
}

/// Somebody has the port of a service that does not run.
fn taken(contact: &Contact, service: &Service, listeners: &[Listener]) -> Option<Finding> {
    let holder = listeners.iter().find(|holder| contact.reaches(holder.ip, holder.port))?;
    if service.is_up {
        return None;
    }
    let (who, way) = match &holder.holder {
        Some((pid, program)) => (
            format!("{program} (pid {pid})"),
            format!("end that program (`kill {pid}`, or what keeps it up)"),
        ),
        None => (
            "a program of another account".to_owned(),
            "end that program (`ss -tlnp` as root names it)".to_owned(),
        ),
    };
    Some(Finding::problem(
        "port",
        format!("port {} is taken by {who}", contact.port),
        "the service cannot listen there, and its probe would be answered by somebody else",
        format!("{way}, or choose another port"),
    ))
}

fn nowhere(contact: &Contact, seen: &Seen) -> Option<Finding> {
    let why = seen.unresolved.get(&contact.host)?;
    Some(Finding::problem(
        "name",
        format!("the host {} of its {} probe cannot be found: {why}", contact.host, contact.probe),
        "the probe never succeeds",
        "correct the name, or the machine's DNS".to_owned(),
    ))
}

/// What this stack and another one both want for themselves.
pub(super) fn fights(plan: &Plan, seen: &Seen) -> Vec<Finding> {
    let mut found = Vec::new();
    for other in seen.others.iter().filter(|other| other.is_used) {
        for (name, service) in plan.services.iter().filter(|(name, _)| seen.services.contains_key(*name)) {
            found.extend(fight(name, service, other).map(|finding| finding.of(name)));
        }
        if let (Some(ours), Some(theirs)) = (&plan.metrics.listen, &other.plan.metrics.listen)
            && ours == theirs
        {
            found.push(Finding::problem(
                "fight",
                format!("stack {} serves its metrics on {ours} too", other.plan.stack),
                "only the first that comes up gets the address",
                "give each stack its own `metrics.listen`".to_owned(),
            ));
        }
    }
    found
}

fn fight(name: &ServiceName, service: &ServicePlan, other: &Other) -> Option<Finding> {
    let stack = &other.plan.stack;
    let theirs = || other.plan.services.iter().filter(|(_, theirs)| theirs.start != StartMode::Disabled);
    if let Some((twin, _)) = theirs().find(|(_, theirs)| is_same(&service.launch, &theirs.launch)) {
        return Some(Finding::risk(
            "fight",
            format!("{twin} of stack {stack} runs the same command in the same directory"),
            "the two write the same files and want the same ports",
            format!("take one of them out: `mainstay stop {stack}/{twin}`"),
        ));
    }
    // Probes of a service ask the service itself, or what it depends on: only what asks itself is told by its own port.
    let own = contacts(service);
    let mut local = own.iter().filter(|contact| contact.is_local());
    let contact = local.find(|ours| {
        theirs().any(|(_, theirs)| contacts(theirs).iter().any(|it| it.is_local() && it.port == ours.port))
    })?;
    Some(Finding::risk(
        "fight",
        format!("a service of stack {stack} is probed at port {} too, as {name} is", contact.port),
        "if both listen there, only the first that comes up gets the port, and answers for the other",
        "give each its own port".to_owned(),
    ))
}

fn is_same(ours: &Launch, theirs: &Launch) -> bool {
    !ours.command.is_empty()
        && ours.command == theirs.command
        && ours.working_dir == theirs.working_dir
        && ours.environment == theirs.environment
}
