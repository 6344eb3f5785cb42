//! What ails the machine, or the stack as a whole.

use super::{Directory, Finding, Fix, Machine, Own, Seen, access};
use crate::{Plan, bytes};

/// With less of a disk than one in so many parts free, it will be full soon.
const DISK_PARTS: u64 = 20;

/// Nor with less than that, in bytes, if that is less.
const DISK_ENOUGH: u64 = 1 << 30;

pub(super) fn examine(plan: &Plan, seen: &Seen) -> Vec<Finding> {
    let floor = plan.services.values().filter_map(|service| service.log.min_free).max();
    let mut found = machine(plan, &seen.machine);
    found.extend(seen.stack.directories.iter().flat_map(|directory| disk(directory, floor)));
    found.extend(entry(plan, &seen.stack));
    found.extend(seen.stack.denied.iter().map(access::Denied::finding));
    found.extend(seen.stack.unknown.iter().map(|(account, why)| access::unknown(account, why)));
    let unsent = "the collector of OpenTelemetry gets neither metrics nor traces";
    found.extend(seen.stack.secrets.iter().map(|(name, why)| Finding::secret(name, why, unsent)));
    found
}

fn machine(plan: &Plan, seen: &Machine) -> Vec<Finding> {
    let mut found = Vec::new();
    let needed = plan.open_files_needed();
    if let Some(most) = seen.open_files.filter(|most| *most < needed) {
        found.push(Finding::problem(
            "open_files",
            format!("the stack needs about {needed} open files, and Mainstay may have {most}"),
            "some services will not start, or their output is not captured",
            "raise the limit: `ulimit -Hn`, limits.conf, or LimitNOFILE= of a systemd unit".to_owned(),
        ));
    }
    if let Some((there, most)) = seen.processes.filter(|(there, most)| there * 10 > most * 9) {
        found.push(Finding::problem(
            "processes",
            format!("there are {there} processes and threads, and there may be {most}"),
            "starts will fail, of services and of everything else",
            "find what has so many (`mainstay top`, `ps -eLf`), or raise the limit (kernel.threads-max, pids.max)"
                .to_owned(),
        ));
    }
    if let Some(why) = &seen.no_cgroups {
        found.push(Finding::risk(
            "cgroups",
            format!("services have no cgroups of their own: {why}"),
            "limits of memory, processor and processes do not hold for whole trees; what escapes its session is found \
             by a mark instead",
            "`mainstay install` gives the stack a unit with Delegate=yes; or run it as root with cgroup v2".to_owned(),
        ));
    }
    if seen.year.is_some_and(|year| year < 2025) {
        found.push(Finding::problem(
            "clock",
            format!("the clock says that it is the year {}", seen.year.unwrap_or_default()),
            "certificates count as not yet valid, and logs and history have wrong times",
            "set the clock, and have it kept right (chrony, systemd-timesyncd, w32time)".to_owned(),
        ));
    } else if seen.clock_is_synchronised == Some(false) {
        found.push(Finding::risk(
            "clock",
            "nothing keeps the clock right".to_owned(),
            "times in logs drift apart from other machines', and certificates fail one day",
            "`timedatectl set-ntp true`, or install chrony".to_owned(),
        ));
    }
    found
}

fn disk(seen: &Directory, floor: Option<u64>) -> Option<Finding> {
    let Directory { path, what, .. } = seen;
    if let Some(why) = &seen.closed {
        return Some(Finding::problem(
            "directory",
            format!("nothing can be written to {path}: {why}"),
            "the stack does not come up without its files",
            format!("give the account of Mainstay the directory; it holds the stack's {what}"),
        ));
    }
    let (free, total) = seen.space?;
    let low = (total / DISK_PARTS).min(DISK_ENOUGH).max(floor.unwrap_or(0));
    (free < low).then(|| {
        Finding::problem(
            "disk",
            format!("{} are free on the disk of {path}", bytes(free, true)),
            "output is dropped or waits when the disk is full, and nothing of what happens is kept",
            "free some space, keep less of the logs (`log.keep_total`), or set MAINSTAY_HOME to another disk"
                .to_owned(),
        )
    })
}

fn entry(plan: &Plan, seen: &Own) -> Vec<Finding> {
    let name = &plan.stack;
    let mut found = Vec::new();
    if let Some(words) = &seen.marked_for_deletion {
        found.push(Finding::problem(
            "marked_for_deletion",
            words.clone(),
            "it can be neither started nor installed again until then",
            "close services.msc, Process Explorer and what else has it open; else restart the machine"
                .to_owned(),
        ));
    }
    if let Some(line) = &seen.unquoted {
        found.push(Finding::problem(
            "unquoted_path",
            format!("the service is started with a path that has blanks and no quotation marks: {line}"),
            "Windows tries each part up to a blank first: whoever can put a program there has the service's rights",
            format!("`mainstay uninstall {name}` and `mainstay install` write it anew, in quotation marks"),
        ));
    }
    if seen.no_event_source {
        let finding = Finding::problem(
            "event_source",
            format!("the Event Log has no source {name}"),
            "Event Viewer shows numbers instead of sentences",
            "`mainstay doctor --fix` registers it".to_owned(),
        );
        found.push(finding.fixed_by(Fix::RegisterEventSource));
    }
    if seen.not_at_boot {
        found.push(Finding::risk(
            "not_at_boot",
            format!("stack {name} is installed, and does not start with the machine"),
            "after a restart of the machine nothing of it runs",
            format!("`mainstay install --start auto` for {name}, if it should"),
        ));
    }
    found
}
