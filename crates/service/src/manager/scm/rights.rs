//! Privileges, the service's SID and its access list at the SCM.
#![expect(unsafe_code, reason = "calls of Windows that windows-service does not have")]

use std::io;
use std::ptr;

use windows_service::service::{Service, ServiceSidType};
use windows_sys::Win32::Security::Authorization::{
    ConvertSecurityDescriptorToStringSecurityDescriptorW,
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{DACL_SECURITY_INFORMATION, LookupPrivilegeValueW, PSECURITY_DESCRIPTOR};
use windows_sys::Win32::System::Services::{
    ChangeServiceConfig2W, QueryServiceObjectSecurity, SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO,
    SERVICE_REQUIRED_PRIVILEGES_INFOW, SetServiceObjectSecurity,
};

use super::raw::{list, query_config, text_at};
use crate::account;
use crate::definition::Definition;
use crate::local::Local;
use crate::registry::wide;
use crate::rights::{ServiceSid, access_list};

/// The access list that a service should have, as text.
pub(super) fn wanted_access(definition: &Definition) -> io::Result<String> {
    if let Some(list) = &definition.access_list {
        let wrong = |error: io::Error| io::Error::new(error.kind(), format!("{list} is no SDDL: {error}"));
        return text_of(parsed(list).map_err(wrong)?.as_ptr());
    }
    let mut roles = Vec::new();
    for (account, role) in &definition.access {
        let sid = account::sid(account).map_err(|error| {
            io::Error::new(error.kind(), format!("the account {account} is not known: {error}"))
        })?;
        roles.push((sid, *role));
    }
    text_of(parsed(&access_list(&roles))?.as_ptr())
}

/// A privilege that Windows does not know.
pub(super) fn unknown_privilege(definition: &Definition) -> Option<&str> {
    let known = |name: &str| {
        let name = wide(name);
        let mut id = Default::default();
        // SAFETY: the name ends with a NUL, no system is this one, and the result outlives the call.
        unsafe { LookupPrivilegeValueW(ptr::null(), name.as_ptr(), &mut id) != 0 }
    };
    definition.privileges.iter().map(String::as_str).find(|name| !known(name))
}

pub(super) fn sid_type(sid: ServiceSid) -> ServiceSidType {
    match sid {
        ServiceSid::None => ServiceSidType::None,
        ServiceSid::Unrestricted => ServiceSidType::Unrestricted,
        ServiceSid::Restricted => ServiceSidType::Restricted,
    }
}

/// The privileges that it is left, by name; none at all said leaves all that its account has.
pub(super) fn privileges(service: &Service) -> io::Result<Vec<String>> {
    let buffer = query_config(service, SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO)?;
    let info = buffer.as_ptr().cast::<SERVICE_REQUIRED_PRIVILEGES_INFOW>();
    // SAFETY: the call wrote the structure there, and its list lies behind it in the buffer.
    Ok(unsafe { texts((*info).pmszRequiredPrivileges) })
}

/// # Safety
/// There is nothing, or texts that each end with a NUL, and an empty one behind the last.
unsafe fn texts(mut at: *const u16) -> Vec<String> {
    let mut texts = Vec::new();
    while !at.is_null() {
        // SAFETY: what the caller promises.
        let text = unsafe { text_at(at) };
        // SAFETY: the NUL behind it is there, and what comes next begins behind that.
        at = unsafe { at.add(text.encode_utf16().count() + 1) };
        if text.is_empty() {
            break;
        }
        texts.push(text);
    }
    texts
}

pub(super) fn set_privileges(service: &Service, names: &[String]) -> io::Result<()> {
    let mut units = list(names);
    let info = SERVICE_REQUIRED_PRIVILEGES_INFOW { pmszRequiredPrivileges: units.as_mut_ptr() };
    // SAFETY: the handle is open while `service` is; the list ends with two NULs; both outlive the call.
    let done = unsafe {
        ChangeServiceConfig2W(
            service.raw_handle(),
            SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO,
            ptr::from_ref(&info).cast(),
        )
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The access list of a service, as text; none where services have none (Wine).
pub(super) fn access(service: &Service) -> io::Result<Option<String>> {
    let mut buffer = [0_usize; 2048];
    let mut needed = 0;
    let descriptor: PSECURITY_DESCRIPTOR = buffer.as_mut_ptr().cast();
    // SAFETY: the handle is open while `service` is; the place is as long as said and aligned.
    let done = unsafe {
        QueryServiceObjectSecurity(
            service.raw_handle(),
            DACL_SECURITY_INFORMATION,
            descriptor,
            u32::try_from(std::mem::size_of_val(&buffer)).unwrap_or(0),
            &mut needed,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    // A list without an entry would keep everybody out: no service of Windows has that.
    text_of(descriptor).map(|text| Some(text).filter(|text| text.contains('(')))
}

pub(super) fn set_access(service: &Service, list: &str) -> io::Result<()> {
    let descriptor = parsed(list)?;
    // SAFETY: the handle is open while `service` is, and the descriptor is valid.
    let done = unsafe {
        SetServiceObjectSecurity(service.raw_handle(), DACL_SECURITY_INFORMATION, descriptor.as_ptr())
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A security descriptor of this text.
fn parsed(text: &str) -> io::Result<Local> {
    let (text, mut descriptor) = (wide(text), ptr::null_mut());
    // SAFETY: the text ends with a NUL, and the result outlives the call, which says to free it by `LocalFree`.
    unsafe {
        match ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
            SDDL_REVISION_1,
            &mut descriptor,
            ptr::null_mut(),
        ) {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(Local::owned(descriptor)),
        }
    }
}

/// As Windows writes it, so that two can be compared.
fn text_of(descriptor: PSECURITY_DESCRIPTOR) -> io::Result<String> {
    let (mut text, mut length) = (ptr::null_mut(), 0);
    // SAFETY: the descriptor is valid, and the results outlive the call.
    let done = unsafe {
        ConvertSecurityDescriptorToStringSecurityDescriptorW(
            descriptor,
            SDDL_REVISION_1,
            DACL_SECURITY_INFORMATION,
            &mut text,
            &mut length,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the text ends with a NUL, and is to be freed so.
    Ok(unsafe { Local::owned(text).text() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::Role;

    #[test]
    fn the_access_list_is_one_that_windows_takes() {
        let mut definition = Definition::new("x", r"C:\x.exe");
        let plain = wanted_access(&definition).expect("a list");
        assert_eq!(plain.matches("(A;").count(), 4, "{plain}");
        definition.access =
            vec![(r"NT SERVICE\shop".to_owned(), Role::Start), ("LocalSystem".to_owned(), Role::Look)];
        let list = wanted_access(&definition).expect("a list");
        assert!(list.starts_with(&plain), "{list}");
        assert!(list.contains(&account::sid(r"NT SERVICE\shop").expect("a SID")), "{list}");
        definition.access_list = Some("D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)".to_owned());
        assert_eq!(wanted_access(&definition).expect("a list").matches("(A;").count(), 1, "it counts alone");
        definition.access_list = Some("administrators only".to_owned());
        let error = wanted_access(&definition).expect_err("no list");
        assert!(error.to_string().contains("is no SDDL"), "{error}");
        definition.access_list = None;
        definition.access = vec![(r".\nobody-of-this-name".to_owned(), Role::Look)];
        let error = wanted_access(&definition).expect_err("nobody");
        assert!(error.to_string().contains("nobody-of-this-name"), "{error}");
    }

    /// `SERVICE_SID_TYPE_…` and `SERVICE_REQUIRED_PRIVILEGES_INFO` of Microsoft's documentation.
    #[test]
    fn the_sid_and_the_privileges_are_as_windows_takes_them() {
        for (sid, number) in
            [(ServiceSid::None, 0), (ServiceSid::Unrestricted, 1), (ServiceSid::Restricted, 3)]
        {
            assert_eq!(sid_type(sid) as u32, number, "{sid:?}");
        }
        for (names, expected) in [
            (
                &["SeChangeNotifyPrivilege", "SeImpersonatePrivilege"][..],
                "SeChangeNotifyPrivilege\0SeImpersonatePrivilege\0\0",
            ),
            (&["SeChangeNotifyPrivilege"], "SeChangeNotifyPrivilege\0\0"),
            (&[], "\0\0"),
        ] {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            let units = list(&names);
            assert_eq!(String::from_utf16_lossy(&units), expected);
            // SAFETY: the list ends with an empty text.
            assert_eq!(unsafe { texts(units.as_ptr()) }, names);
        }
        // SAFETY: nothing is a list of nothing.
        assert!(unsafe { texts(ptr::null()) }.is_empty());
    }

    #[test]
    fn privileges_are_known_by_name() {
        let mut definition = Definition::new("x", r"C:\x.exe");
        definition.privileges = vec!["SeChangeNotifyPrivilege".to_owned()];
        assert_eq!(unknown_privilege(&definition), None);
        definition.privileges.push("SeEverythingPrivilege".to_owned());
        assert_eq!(unknown_privilege(&definition), Some("SeEverythingPrivilege"));
    }
}
