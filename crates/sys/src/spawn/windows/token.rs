//! With which token a process is made: what is taken away, as data, and the doing of it.

use std::io;
use std::os::windows::io::OwnedHandle;

use windows_sys::Win32::System::SystemServices::{
    SECURITY_MANDATORY_HIGH_RID, SECURITY_MANDATORY_LOW_RID, SECURITY_MANDATORY_MEDIUM_RID,
    SECURITY_MANDATORY_SYSTEM_RID,
};

use crate::spawn::{Integrity, Privileges, Settings, SpawnError, SpawnErrorKind};
use crate::win::token;

/// Taken only if it is named: without it no program finds its files.
const ALWAYS_KEPT: &str = "SeChangeNotifyPrivilege";

/// What a token is, before something is done to it.
#[derive(Debug)]
struct Known {
    privileges: Vec<String>,
    integrity: u32,
}

/// What is done to it, in this order.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// `CreateRestrictedToken` without these privileges. No flags: `DISABLE_MAX_PRIVILEGE` would also free the program of
    /// AppLocker's rules.
    Without(Vec<String>),
    /// `DuplicateTokenEx`: the account's own token stays as it is.
    Copy,
    /// `SetTokenInformation` with `TokenIntegrityLevel`.
    Lower(u32),
}

const fn level_of(integrity: Integrity) -> u32 {
    (match integrity {
        Integrity::Low => SECURITY_MANDATORY_LOW_RID,
        Integrity::Medium => SECURITY_MANDATORY_MEDIUM_RID,
        Integrity::High => SECURITY_MANDATORY_HIGH_RID,
        Integrity::System => SECURITY_MANDATORY_SYSTEM_RID,
    })
    .cast_unsigned()
}

/// The level's name, or that of the one below it.
fn name_of(level: u32) -> &'static str {
    let names = [
        (Integrity::System, "system"),
        (Integrity::High, "high"),
        (Integrity::Medium, "medium"),
        (Integrity::Low, "low"),
    ];
    names.into_iter().find(|(known, _)| level >= level_of(*known)).map_or("untrusted", |(_, name)| name)
}

/// What has to be done; nothing if the token is already as wanted.
fn steps(settings: &Settings, known: &Known) -> Result<Vec<Step>, SpawnError> {
    let among = |names: &[String], one: &str| names.iter().any(|name| name.eq_ignore_ascii_case(one));
    let goes = |held: &str| match &settings.privileges {
        None => false,
        Some(Privileges::Remove(names)) => among(names, held),
        Some(Privileges::Keep(names)) => held != ALWAYS_KEPT && !among(names, held),
    };
    let mut steps = Vec::new();
    let gone: Vec<String> = known.privileges.iter().filter(|held| goes(held)).cloned().collect();
    if !gone.is_empty() {
        steps.push(Step::Without(gone));
    }
    if let Some(wanted) = settings.integrity.map(level_of).filter(|wanted| *wanted != known.integrity) {
        if wanted > known.integrity {
            return Err(SpawnError::new(
                SpawnErrorKind::Setting,
                format!(
                    "integrity: \"{}\" is above what its account has here, \"{}\"; it can be lowered alone",
                    name_of(wanted),
                    name_of(known.integrity)
                ),
            ));
        }
        if steps.is_empty() {
            steps.push(Step::Copy);
        }
        steps.push(Step::Lower(wanted));
    }
    Ok(steps)
}

/// The token that these settings want, made from `base` or else from our own; none if that is it already.
pub(super) fn wanted(
    settings: &Settings,
    base: Option<&OwnedHandle>,
) -> Result<Option<OwnedHandle>, SpawnError> {
    if settings.privileges.is_none() && settings.integrity.is_none() {
        return Ok(None);
    }
    let own;
    let base = match base {
        Some(base) => base,
        None => {
            own = token::own().map_err(|error| failed("our own rights cannot be read", &error))?;
            &own
        }
    };
    let known = || Ok(Known { privileges: token::privileges(base)?, integrity: token::integrity(base)? });
    let known = known().map_err(|error| failed("the rights of its account cannot be read", &error))?;
    let mut made: Option<OwnedHandle> = None;
    for step in steps(settings, &known)? {
        let from = made.as_ref().unwrap_or(base);
        made = match step {
            Step::Without(names) => Some(
                token::without(from, &names)
                    .map_err(|error| failed("privileges cannot be taken away", &error))?,
            ),
            Step::Copy => {
                Some(token::copy(from).map_err(|error| failed("a token cannot be copied", &error))?)
            }
            Step::Lower(level) => {
                token::set_integrity(from, level)
                    .map_err(|error| failed("its integrity level cannot be lowered", &error))?;
                made
            }
        };
    }
    Ok(made)
}

fn failed(what: &str, error: &io::Error) -> SpawnError {
    SpawnError::new(SpawnErrorKind::Setting, format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// As an administrator's program has it, in part.
    fn of(privileges: Option<Privileges>, integrity: Option<Integrity>) -> Result<Vec<Step>, SpawnError> {
        let held = ["SeShutdownPrivilege", "SeChangeNotifyPrivilege", "SeDebugPrivilege"];
        let known = Known { privileges: names(&held), integrity: 0x3000 };
        steps(&Settings { privileges, integrity, ..Settings::default() }, &known)
    }

    #[test]
    fn what_is_removed_is_what_the_account_has_of_it() {
        let removed = |list: &[&str]| of(Some(Privileges::Remove(names(list))), None).expect("steps");
        assert_eq!(
            removed(&["SeDebugPrivilege", "SeTcbPrivilege"]),
            [Step::Without(names(&["SeDebugPrivilege"]))]
        );
        assert_eq!(removed(&["sedebugprivilege"]), [Step::Without(names(&["SeDebugPrivilege"]))]);
        assert_eq!(
            removed(&["SeChangeNotifyPrivilege"]),
            [Step::Without(names(&["SeChangeNotifyPrivilege"]))],
            "by name it goes"
        );
        assert_eq!(removed(&["SeTcbPrivilege"]), [], "our own token does");
        assert_eq!(removed(&[]), []);
    }

    #[test]
    fn what_is_not_kept_goes_but_for_the_one_that_everybody_needs() {
        let kept = |list: &[&str]| of(Some(Privileges::Keep(names(list))), None).expect("steps");
        assert_eq!(kept(&[]), [Step::Without(names(&["SeShutdownPrivilege", "SeDebugPrivilege"]))]);
        assert_eq!(
            kept(&["SeDebugPrivilege", "SeTcbPrivilege"]),
            [Step::Without(names(&["SeShutdownPrivilege"]))],
            "nothing is given that the account has not"
        );
        assert_eq!(kept(&["SeDebugPrivilege", "SeShutdownPrivilege"]), []);
    }

    #[test]
    fn the_level_is_lowered_on_a_copy_and_never_raised() {
        assert_eq!(of(None, Some(Integrity::Low)).expect("steps"), [Step::Copy, Step::Lower(0x1000)]);
        assert_eq!(of(None, Some(Integrity::Medium)).expect("steps"), [Step::Copy, Step::Lower(0x2000)]);
        assert_eq!(of(None, Some(Integrity::High)).expect("steps"), [], "it has that");
        assert_eq!(
            of(Some(Privileges::Keep(Vec::new())), Some(Integrity::Low)).expect("steps"),
            [Step::Without(names(&["SeShutdownPrivilege", "SeDebugPrivilege"])), Step::Lower(0x1000)],
            "the copy without privileges is one already"
        );
        let error = of(None, Some(Integrity::System)).expect_err("above");
        assert_eq!(error.kind, SpawnErrorKind::Setting);
        assert_eq!(
            error.message,
            "integrity: \"system\" is above what its account has here, \"high\"; it can be lowered alone"
        );
    }

    #[test]
    fn our_own_token_can_be_read_and_a_copy_has_less() {
        let own = token::own().expect("our own");
        let held = token::privileges(&own).expect("privileges");
        assert!(held.iter().any(|name| name == ALWAYS_KEPT), "{held:?}");
        assert!(token::integrity(&own).expect("a level") >= 0x1000);
        let settings = Settings { privileges: Some(Privileges::Keep(Vec::new())), ..Settings::default() };
        let less = wanted(&settings, None).expect("a token").expect("less than ours");
        assert_eq!(token::privileges(&less).expect("privileges"), [ALWAYS_KEPT]);
        assert_eq!(token::privileges(&own).expect("privileges"), held, "ours is as it was");
    }

    #[test]
    fn a_privilege_that_this_windows_does_not_know_is_passed_over() {
        let own = token::own().expect("our own");
        token::without(&own, &names(&["SeNoSuchThingPrivilege"])).expect("a token");
    }
}
