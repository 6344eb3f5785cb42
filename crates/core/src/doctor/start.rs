//! What keeps a service from starting, or makes its start unsafe.

use super::{Finding, Fix, Machine, RefusedKind, Service, access};
use crate::ServicePlan;
use crate::dynamic_user::service_of;

pub(super) fn examine(plan: &ServicePlan, seen: &Service, machine: &Machine) -> Vec<Finding> {
    let mut found: Vec<Finding> = refused(plan, seen).into_iter().collect();
    if !seen.libraries.is_empty() {
        let program = plan.launch.command.first().map_or("", String::as_str);
        found.push(Finding::problem(
            "library",
            format!("{program} needs libraries that are nowhere: {}", seen.libraries.join(", ")),
            "the system starts the program, cannot load it, and it ends at once",
            "install the packages that have them, or put them beside the program".to_owned(),
        ));
    }
    if let Some(path) = &seen.writable_by_all
        && seen.privileged
    {
        let command = if machine.access_lists {
            format!("icacls \"{path}\" /inheritance:r /grant *S-1-5-18:F *S-1-5-32-544:F *S-1-5-32-545:RX")
        } else {
            format!("chmod o-w {path}")
        };
        found.push(Finding::risk(
            "writable",
            format!("anyone may write to {path}, or replace it"),
            "whoever replaces the program has all rights of this machine at its next start",
            format!("`{command}`, or run the service as somebody harmless with `user`"),
        ));
    }
    found.extend(seen.denied.iter().map(access::Denied::finding));
    found.extend(seen.log_on.as_ref().map(access::LogOn::finding));
    found.extend(seen.no_session.as_deref().map(access::no_session));
    found.extend(seen.in_a_session.then(access::in_a_session));
    for (name, why) in &seen.secrets {
        found.push(Finding::secret(name, why, "the service is not started without it"));
    }
    for limit in &seen.not_enforced {
        let what = format!("its limit `{}` does not hold here: {}", limit.limit, limit.why);
        let mend = limit.to_do.clone().unwrap_or_else(|| "take it out, or run it where it holds".to_owned());
        let why = "the service runs without it and may take more than was meant";
        found.push(Finding::risk("limit", what, why, mend));
    }
    found
}

fn refused(plan: &ServicePlan, seen: &Service) -> Option<Finding> {
    let refused = seen.refused.as_ref()?;
    let what = refused.message.clone();
    let never = "it cannot start, and every try ends like this";
    let directory = plan.launch.working_dir.clone();
    let user = plan.launch.user.as_deref();
    let is_nobody = user.and_then(service_of).is_some();
    let who = if is_nobody {
        "everybody (its user is a dynamic one)"
    } else {
        user.unwrap_or("the account of Mainstay")
    };
    let user = user.filter(|_| !is_nobody);
    Some(match refused.kind {
        RefusedKind::Missing => {
            let mend = match &seen.unquoted {
                Some(path) => format!(
                    "{path} is there: its path has blanks; write `command` as a list, with the whole path as its first \
                     element"
                ),
                None => "correct `command`, or install the program".to_owned(),
            };
            Finding::problem("program", what, never, mend)
        }
        RefusedKind::NotExecutable => {
            Finding::problem("program", what, never, format!("let {who} execute the program"))
        }
        RefusedKind::NotRunnable => {
            let mend = "install what is missing, or take the program's build for this machine".to_owned();
            Finding::problem("program", what, never, mend)
        }
        RefusedKind::NoDirectory => {
            let mend = "correct `working_dir`, or let `mainstay doctor --fix` make it".to_owned();
            let finding = Finding::problem("directory", what, never, mend);
            match directory {
                Some(path) => finding.fixed_by(Fix::MakeDirectory { path, owner: user.map(str::to_owned) }),
                None => finding,
            }
        }
        RefusedKind::ClosedDirectory => {
            Finding::problem("directory", what, never, format!("let {who} into the directory"))
        }
        RefusedKind::NoAccount => {
            let mend = "correct `user` or `group`, or make the account".to_owned();
            Finding::problem("account", what, never, mend)
        }
        RefusedKind::NotTried => Finding::risk(
            "not_examined",
            what,
            "program, directory and rights were not looked at, because that takes the account's own eyes",
            "run `mainstay doctor` with the rights that Mainstay itself has (as root, or elevated)"
                .to_owned(),
        ),
        RefusedKind::Other => {
            let mend = "correct what the message names".to_owned();
            Finding::problem("start", what, never, mend)
        }
    })
}
