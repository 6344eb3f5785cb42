//! Under which account a process is made: what that takes, as data, and the doing of it.

use std::io;
use std::os::windows::io::OwnedHandle;

use windows_sys::Win32::Foundation::{
    ERROR_ACCOUNT_DISABLED, ERROR_ACCOUNT_LOCKED_OUT, ERROR_ACCOUNT_RESTRICTION, ERROR_LOGON_FAILURE,
    ERROR_LOGON_TYPE_NOT_GRANTED, ERROR_NO_SUCH_USER, ERROR_NONE_MAPPED, ERROR_PASSWORD_EXPIRED,
    ERROR_PASSWORD_MUST_CHANGE,
};
use windows_sys::Win32::Security::{LOGON32_LOGON_SERVICE, LOGON32_PROVIDER_DEFAULT};
use windows_sys::Win32::System::WindowsProgramming::LOGON32_PROVIDER_VIRTUAL;

use crate::spawn::{SpawnError, SpawnErrorKind};
use crate::win::logon::{self, Asked, Impersonation, Profile};
use crate::win::security::{self, Account};
use crate::win::token;
use crate::win::who::{Name, Who};

/// What stands for the password of a managed account, which Windows fetches itself (`SERVICE_ACCOUNT_PASSWORD` of
/// lmaccess.h).
const MANAGED_PASSWORD: &str = "_SA_{262E99C9-6160-4871-ACEC-4E61736B6F21}";

/// For making a process with the token of another account.
pub(crate) const TO_MAKE: [&str; 2] = ["SeAssignPrimaryTokenPrivilege", "SeIncreaseQuotaPrivilege"];
/// For loading a profile.
const TO_LOAD: [&str; 2] = ["SeBackupPrivilege", "SeRestorePrivilege"];
/// For logging on a virtual account, and for the token of who is signed in.
pub(super) const TO_BE_SYSTEM: &str = "SeTcbPrivilege";

/// How an account is logged on.
#[derive(Debug, PartialEq, Eq)]
struct Logon {
    /// Privileges that this takes.
    privileges: Vec<&'static str>,
    name: String,
    domain: Option<String>,
    password: Password,
    /// `LOGON32_PROVIDER_…`; the virtual one by another call than the others.
    provider: u32,
    /// Whether its profile has to be loaded: that of Windows' own accounts always is.
    profile: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Password {
    None,
    Managed,
    Given,
}

/// How this account is logged on. `localised` is what Windows calls one of its own here.
fn logon(who: &Who, localised: impl Fn(&str) -> Option<Name>) -> Result<Logon, String> {
    let mut privileges = TO_MAKE.to_vec();
    let (name, password, provider) = match who {
        Who::Own(security::SYSTEM) => {
            return Err("only a stack that runs under LocalSystem has services that do; \
                        `mainstay install --account LocalSystem`"
                .to_owned());
        }
        Who::Own(sid) => {
            let name = localised(sid).ok_or_else(|| format!("this Windows does not know {sid}"))?;
            let Name { domain, name } = name;
            let (password, provider) = (Password::None, LOGON32_PROVIDER_DEFAULT);
            return Ok(Logon { privileges, name, domain, password, provider, profile: false });
        }
        Who::Virtual(service) => {
            privileges.push(TO_BE_SYSTEM);
            let name = Name { domain: Some("NT SERVICE".to_owned()), name: service.clone() };
            (name, Password::None, LOGON32_PROVIDER_VIRTUAL)
        }
        Who::Managed(name) if name.domain.as_deref() == Some(".") => {
            return Err(format!("a managed account is one of a domain; write it like CORP\\{}", name.name));
        }
        Who::Managed(name) => (name.clone(), Password::Managed, LOGON32_PROVIDER_DEFAULT),
        Who::Person(name) => (name.clone(), Password::Given, LOGON32_PROVIDER_DEFAULT),
    };
    privileges.extend(TO_LOAD);
    let Name { domain, name } = name;
    Ok(Logon { privileges, name, domain, password, provider, profile: true })
}

/// An account that is logged on.
pub(super) struct LoggedOn {
    pub(super) token: OwnedHandle,
    /// Loaded until this is dropped.
    pub(super) profile: Option<Profile>,
    /// Its variables, each as `NAME=value`.
    pub(super) variables: Vec<Vec<u16>>,
}

/// The account that a process is to run under; none if that is ours.
pub(super) fn wanted(user: Option<&str>, password: Option<&str>) -> Result<Option<LoggedOn>, SpawnError> {
    let Some(user) = user else { return Ok(None) };
    let own =
        Account::own().map_err(|error| refused(user, format!("our own account cannot be told: {error}")))?;
    let who = Who::of(user);
    if is_own(user, &who, &own) {
        return Ok(None);
    }
    let localised = |sid: &str| {
        let full = security::name_of(sid).ok()?;
        let (domain, name) = full.split_once('\\')?;
        Some(Name { domain: Some(domain.to_owned()), name: name.to_owned() })
    };
    let logon = logon(&who, localised).map_err(|why| refused(user, why))?;
    allowed(&logon.privileges, &own, &format!("cannot run as {user}"))?;
    log_on(&logon, user, password).map(Some)
}

fn is_own(user: &str, who: &Who, own: &Account) -> bool {
    if let Who::Own(sid) = who {
        return *sid == own.sid;
    }
    let name = own.name();
    let short = name.rsplit('\\').next().unwrap_or_default();
    user.eq_ignore_ascii_case(&name)
        || user.strip_prefix(r".\").unwrap_or(user).eq_ignore_ascii_case(short) && !short.is_empty()
}

/// Whether our own account has these privileges; `what` cannot be done if not.
pub(super) fn allowed(needed: &[&str], own: &Account, what: &str) -> Result<(), SpawnError> {
    let held = token::own().and_then(|own| token::privileges(&own));
    let held = held.map_err(|error| {
        SpawnError::new(SpawnErrorKind::User, format!("{what}: our own privileges cannot be told: {error}"))
    })?;
    match missing(needed, &held, &own.name()) {
        Some(why) => Err(SpawnError::new(SpawnErrorKind::NotAllowed, format!("{what}: {why}"))),
        None => Ok(()),
    }
}

/// What is missing to log somebody on, and what to do about it.
fn missing(needed: &[&str], held: &[String], own: &str) -> Option<String> {
    let lacks: Vec<&str> =
        needed.iter().copied().filter(|name| !held.iter().any(|held| held == name)).collect();
    (!lacks.is_empty()).then(|| {
        format!(
            "that takes {}, which the stack's account, {own}, has not; a stack under LocalSystem has it \
             (`mainstay install --account LocalSystem`)",
            lacks.join(", ")
        )
    })
}

fn log_on(logon: &Logon, user: &str, password: Option<&str>) -> Result<LoggedOn, SpawnError> {
    let password = match (&logon.password, password) {
        (Password::None, _) => None,
        (Password::Managed, _) => Some(MANAGED_PASSWORD),
        (Password::Given, Some(password)) => Some(password),
        (Password::Given, None) => {
            let why = "its password is needed: password = \"${secret:NAME}\"";
            return Err(SpawnError::new(SpawnErrorKind::NotAllowed, format!("cannot run as {user}: {why}")));
        }
    };
    let asked = Asked {
        name: &logon.name,
        domain: logon.domain.as_deref(),
        password,
        kind: LOGON32_LOGON_SERVICE,
        provider: logon.provider,
    };
    let _enabled = Impersonation::with(&logon.privileges)
        .map_err(|error| refused(user, format!("privileges cannot be enabled: {error}")))?;
    let call = if logon.provider == LOGON32_PROVIDER_VIRTUAL { logon::log_on_virtual } else { logon::log_on };
    let token = call(&asked).map_err(|error| refused(user, words(&error, logon)))?;
    let profile = logon.profile.then(|| Profile::load(&token, &logon.name)).transpose();
    let profile = profile.map_err(|error| refused(user, format!("its profile cannot be loaded: {error}")))?;
    let variables = logon::variables(&token)
        .map_err(|error| refused(user, format!("its variables cannot be read: {error}")))?;
    Ok(LoggedOn { token, profile, variables })
}

fn refused(user: &str, why: impl std::fmt::Display) -> SpawnError {
    SpawnError::new(SpawnErrorKind::User, format!("cannot run as {user}: {why}"))
}

/// Why a logon failed, and what to do about it.
fn words(error: &io::Error, logon: &Logon) -> String {
    let virtual_account = logon.provider == LOGON32_PROVIDER_VIRTUAL;
    let code = error.raw_os_error().map_or(0, i32::cast_unsigned);
    match code {
        ERROR_NONE_MAPPED | ERROR_NO_SUCH_USER | ERROR_LOGON_FAILURE if virtual_account => format!(
            "Windows has no service {}, whose account that is; `mainstay install --entries` makes one for each service",
            logon.name
        ),
        ERROR_LOGON_FAILURE if logon.password == Password::Managed => {
            "this machine may not fetch the password of the managed account; `Test-ADServiceAccount` says more".to_owned()
        }
        ERROR_LOGON_FAILURE => "name or password is wrong; `mainstay secret set` takes another one".to_owned(),
        ERROR_NONE_MAPPED | ERROR_NO_SUCH_USER => "there is no such account".to_owned(),
        ERROR_LOGON_TYPE_NOT_GRANTED => "it may not log on as a service; give it that right in secpol.msc, Local \
                                         Policies, User Rights Assignment, \"Log on as a service\""
            .to_owned(),
        ERROR_ACCOUNT_DISABLED => "the account is disabled".to_owned(),
        ERROR_ACCOUNT_LOCKED_OUT => "the account is locked after too many wrong passwords".to_owned(),
        ERROR_PASSWORD_EXPIRED | ERROR_PASSWORD_MUST_CHANGE => "its password has expired".to_owned(),
        ERROR_ACCOUNT_RESTRICTION => {
            "a policy is against it: an empty password, the hour or the machine".to_owned()
        }
        _ if error.kind() == io::ErrorKind::Unsupported => "this Windows has no virtual accounts".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn english(sid: &str) -> Option<Name> {
        let name = if sid == "S-1-5-19" { "LOCAL SERVICE" } else { "NETWORK SERVICE" };
        Some(Name { domain: Some("NT AUTHORITY".to_owned()), name: name.to_owned() })
    }

    fn of(user: &str) -> Result<Logon, String> {
        logon(&Who::of(user), english)
    }

    fn expected(
        (domain, name): (Option<&str>, &str),
        password: Password,
        provider: u32,
        more: &[&'static str],
    ) -> Result<Logon, String> {
        let privileges = TO_MAKE.iter().chain(more).copied().collect();
        let (domain, name) = (domain.map(str::to_owned), name.to_owned());
        Ok(Logon { privileges, name, domain, password, provider, profile: !more.is_empty() })
    }

    #[test]
    fn each_kind_of_account_is_logged_on_as_documented() {
        let local = (Some("NT AUTHORITY"), "LOCAL SERVICE");
        assert_eq!(of("LocalService"), expected(local, Password::None, 0, &[]));
        let network = (Some("NT AUTHORITY"), "NETWORK SERVICE");
        assert_eq!(of(r"NT AUTHORITY\NetworkService"), expected(network, Password::None, 0, &[]));
        // 4 is LOGON32_PROVIDER_VIRTUAL, which only somebody who acts as a part of the system may use.
        let all = ["SeTcbPrivilege", "SeBackupPrivilege", "SeRestorePrivilege"];
        assert_eq!(
            of(r"NT SERVICE\shop@web"),
            expected((Some("NT SERVICE"), "shop@web"), Password::None, 4, &all)
        );
        let profile = &all[1..];
        assert_eq!(of(r"CORP\web$"), expected((Some("CORP"), "web$"), Password::Managed, 0, profile));
        assert_eq!(of(r".\bob"), expected((Some("."), "bob"), Password::Given, 0, profile));
        let upn = (None, "bob@corp.example");
        assert_eq!(
            of("bob@corp.example"),
            expected(upn, Password::Given, 0, profile),
            "no domain with a UPN"
        );
        assert_eq!(LOGON32_LOGON_SERVICE, 5);
    }

    #[test]
    fn what_cannot_be_logged_on_is_told() {
        assert!(of("LocalSystem").is_err_and(|why| why.contains("--account LocalSystem")));
        assert!(of("web$").is_err_and(|why| why.contains(r"CORP\web$")));
    }

    #[test]
    fn who_may_not_is_told_what_is_missing() {
        let held = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(missing(&TO_MAKE, &held(&TO_MAKE), "me"), None);
        let why = missing(&TO_MAKE, &held(&["SeIncreaseQuotaPrivilege"]), r"NT SERVICE\shop").expect("one");
        assert_eq!(
            why,
            "that takes SeAssignPrimaryTokenPrivilege, which the stack's account, NT SERVICE\\shop, has not; a stack under \
             LocalSystem has it (`mainstay install --account LocalSystem`)"
        );
    }

    #[test]
    fn a_failed_logon_says_what_to_do() {
        let error = |code: u32| crate::win::code(code);
        let bob = of(r".\bob").expect("a logon");
        assert!(words(&error(ERROR_LOGON_FAILURE), &bob).contains("password is wrong"));
        assert!(words(&error(ERROR_LOGON_TYPE_NOT_GRANTED), &bob).contains("secpol.msc"));
        let web = of(r"NT SERVICE\shop@web").expect("a logon");
        assert!(words(&error(ERROR_NONE_MAPPED), &web).contains("no service shop@web"));
        let managed = of(r"CORP\web$").expect("a logon");
        assert!(words(&error(ERROR_LOGON_FAILURE), &managed).contains("managed"));
    }

    #[test]
    fn our_own_account_needs_no_logon() {
        let own = Account::own().expect("our own");
        assert!(wanted(None, None).expect("ours").is_none());
        assert!(wanted(Some(&own.name()), None).expect("ours").is_none());
        let system = Account { sid: security::SYSTEM.to_owned(), administrator: true };
        assert!(is_own("LocalSystem", &Who::of("LocalSystem"), &system));
        assert!(!is_own("LocalService", &Who::of("LocalService"), &system));
    }

    #[test]
    fn privileges_are_enabled_for_a_while_and_variables_are_read() {
        let enabled = Impersonation::with(&["SeChangeNotifyPrivilege", "SeNoSuchThingPrivilege"]);
        drop(enabled.expect("ourselves"));
        let own = token::own().expect("our own");
        let variables = logon::variables(&own).expect("variables");
        let texts: Vec<String> = variables.iter().map(|entry| String::from_utf16_lossy(entry)).collect();
        assert!(texts.iter().any(|text| text.to_ascii_uppercase().starts_with("SYSTEMROOT=")), "{texts:?}");
    }
}
