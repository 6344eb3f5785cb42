//! Making a service with all of its settings, and changing one; or nothing.

use windows_service::service::{Service, ServiceAccess, ServiceConfig};
use windows_sys::Win32::System::Registry::{HKEY_LOCAL_MACHINE, REG_MULTI_SZ};

use super::settings::parameters;
use super::told::{INVALID_LEVEL, INVALID_TAG, code, told, told_io};
use super::{Done, logon, raw, rights, settings, there, triggers};
use crate::account::Kind;
use crate::definition::{Definition, Start};
use crate::manager::{Error, ErrorKind};
use crate::{log, registry};

/// What Windows wants as a password: an empty one for its own accounts, and none for virtual and managed ones, which have
/// none that anybody knows.
fn password(definition: &Definition) -> Option<&str> {
    let own = || matches!(Kind::of(definition.account.as_deref()?), Kind::Own(_)).then_some("");
    definition.password.as_ref().map(|password| password.reveal()).or_else(own)
}

/// Makes a service, or nothing.
pub(super) fn create(what: &str, definition: &Definition, list: &str) -> Done {
    raw::create(&settings::settings(definition), password(definition)).map_err(told_io(what))?;
    let rest = there(what, &definition.name, ServiceAccess::ALL_ACCESS).and_then(|service| {
        finish(what, &service, definition, list).map_err(|error| (service, error)).or_else(undo)
    });
    rest.inspect_err(|_| {
        let _ = log::unregister(&definition.name);
    })
}

/// Takes a service away that was not made to its end.
fn undo((service, error): (Service, Error)) -> Done {
    let how =
        if service.delete().is_ok() { "nothing was changed" } else { "and it could not be removed again" };
    Err(Error::new(error.kind, format!("{}; {how}", error.text)))
}

/// Changes a service, or leaves it as it was.
pub(super) fn change(what: &str, definition: &Definition, before: &ServiceConfig, list: &str) -> Done {
    let service = there(what, &definition.name, ServiceAccess::ALL_ACCESS)?;
    raw::change(&service, &settings::settings(definition), password(definition)).map_err(told_io(what))?;
    finish(what, &service, definition, list).map_err(|error| {
        let back = raw::change(&service, &settings::settings_before(&definition.name, before), None);
        let how = if back.is_ok() {
            "its program, start, dependencies and account are again as they were"
        } else {
            "and it could not be put back as it was"
        };
        Error::new(error.kind, format!("{}; {how}", error.text))
    })
}

/// What is no part of making a service.
fn finish(what: &str, service: &Service, definition: &Definition, list: &str) -> Done {
    set(service, definition).map_err(told(what))?;
    set_rights(service, definition, list).map_err(told_io(what))?;
    set_environment(definition)
        .and_then(|()| log::register(&definition.name, definition.event_messages.as_deref()))
        .map_err(|error| Error::new(ErrorKind::Failed, format!("{what} failed in the registry: {error}")))?;
    // Last: what fails after it would leave a right behind.
    logon::settle(&definition.name, definition.account.as_deref()).map_err(told_io(what))
}

/// The settings that are no part of creating a service.
fn set(service: &Service, definition: &Definition) -> windows_service::Result<()> {
    service.set_description(&definition.description)?;
    if definition.start == Start::Delayed {
        tolerate(service.set_delayed_auto_start(true))?;
    } else if definition.start == Start::Automatic {
        tolerate(service.set_delayed_auto_start(false))?;
    }
    tolerate(service.set_preshutdown_timeout(definition.stop_timeout))?;
    tolerate(service.set_config_service_sid_info(rights::sid_type(definition.service_sid)))?;
    tolerate(service.update_failure_actions(settings::failure_actions(definition)))?;
    tolerate(service.set_failure_actions_on_non_crash_failures(definition.recovery.also_failures))
}

/// What is as it should be is not touched: that takes rights that changing the rest does not.
fn set_rights(service: &Service, definition: &Definition, list: &str) -> std::io::Result<()> {
    let present = rights::privileges(service).unwrap_or_default();
    if present != definition.privileges {
        lacking(rights::set_privileges(service, &definition.privileges))?;
    }
    let present = triggers::present(service).unwrap_or_default();
    if present != triggers::wanted(&definition.triggers) {
        lacking(triggers::set(service, &definition.triggers))?;
    }
    match rights::access(service)? {
        Some(present) if present == list => Ok(()),
        _ => rights::set_access(service, list),
    }
}

/// A Windows that lacks a setting goes without it.
fn lacking(done: std::io::Result<()>) -> std::io::Result<()> {
    match done {
        Err(error) if matches!(error.raw_os_error(), Some(INVALID_LEVEL | INVALID_TAG)) => Ok(()),
        done => done,
    }
}

/// The same.
fn tolerate(done: windows_service::Result<()>) -> windows_service::Result<()> {
    match done {
        Err(error) if code(&error) == INVALID_LEVEL => Ok(()),
        done => done,
    }
}

fn set_environment(definition: &Definition) -> std::io::Result<()> {
    let key = registry::create(HKEY_LOCAL_MACHINE, &parameters(&definition.name))?;
    if definition.environment.is_empty() {
        return key.remove("Environment");
    }
    let strings = definition.environment.iter().map(|(name, value)| format!("{name}={value}"));
    let mut bytes: Vec<u8> =
        strings.flat_map(|text| registry::wide(&text)).flat_map(u16::to_le_bytes).collect();
    bytes.extend([0, 0]);
    key.set("Environment", REG_MULTI_SZ, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Secret;

    #[test]
    fn each_kind_of_account_has_its_kind_of_password() {
        let mut definition = Definition::new("x", r"C:\x.exe");
        assert_eq!(password(&definition), None);
        for (account, expected) in [
            (r"NT AUTHORITY\LocalService", Some("")),
            ("LocalSystem", Some("")),
            (r"NT SERVICE\x", None),
            (r"CORP\web$", None),
        ] {
            definition.account = Some(account.to_owned());
            assert_eq!(password(&definition), expected, "{account}");
        }
        definition.account = Some(r".\bob".to_owned());
        definition.password = Some(Secret::new("words"));
        assert_eq!(password(&definition), Some("words"));
    }
}
