//! What a process is given, as `sys` takes it.

use std::path::PathBuf;

use mainstay_core::{Integrity, NotEnforced, Privileges, Settings};
use mainstay_sys::container::Container;
use mainstay_sys::spawn::{self, Rlimit};

use super::limited::Limited;

/// Before a run begins: what the service is given, with those of its limits that its first process takes with it; none if
/// that is nothing. And what cannot be enforced.
pub(crate) fn with_limits(
    settings: &Settings,
    limited: &Limited,
    container: &Container,
    user: Option<&str>,
) -> (Option<spawn::Settings>, Vec<NotEnforced>) {
    let (rlimits, not_enforced) = limited.at_start(container, settings, user);
    let plain = settings.is_default() && rlimits.is_empty();
    let given = (!plain).then(|| {
        let mut given = settings_of(settings);
        given.rlimits.extend(rlimits);
        given
    });
    (given, not_enforced)
}

fn settings_of(settings: &Settings) -> spawn::Settings {
    let limit = |(name, limit): (&String, &mainstay_core::Rlimit)| Rlimit {
        name: name.clone(),
        soft: limit.soft,
        hard: limit.hard,
    };
    spawn::Settings {
        group: settings.group.clone(),
        supplementary_groups: settings.supplementary_groups.clone(),
        nice: settings.nice,
        cpus: settings.cpus.clone(),
        rlimits: settings.rlimits.iter().map(limit).collect(),
        umask: settings.umask,
        stdin: settings.stdin.as_ref().map(PathBuf::from),
        sandbox: settings.sandbox.as_ref().map(|sandbox| spawn::Sandbox {
            no_new_privileges: sandbox.no_new_privileges,
            capabilities: sandbox.capabilities.clone(),
            private_tmp: sandbox.private_tmp,
            private_ipc: sandbox.private_ipc,
            read_only_paths: sandbox.read_only_paths.clone(),
            read_write_paths: sandbox.read_write_paths.clone(),
            inaccessible_paths: sandbox.inaccessible_paths.clone(),
            filter_system_calls: sandbox.filter_system_calls,
        }),
        privileges: settings.privileges.as_ref().map(|privileges| match privileges {
            Privileges::Remove(names) => spawn::Privileges::Remove(names.clone()),
            Privileges::Keep(names) => spawn::Privileges::Keep(names.clone()),
        }),
        integrity: settings.integrity.map(|level| match level {
            Integrity::Low => spawn::Integrity::Low,
            Integrity::Medium => spawn::Integrity::Medium,
            Integrity::High => spawn::Integrity::High,
            Integrity::System => spawn::Integrity::System,
        }),
    }
}
