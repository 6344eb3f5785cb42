//! The right of an account to log on as a service: granted when a service wants it, and taken back with the last service
//! for which we have granted it.
#![expect(unsafe_code, reason = "calls of Windows that windows-service does not have")]

use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::STATUS_OBJECT_NAME_NOT_FOUND;
use windows_sys::Win32::Security::Authentication::Identity::{
    LSA_HANDLE, LSA_OBJECT_ATTRIBUTES, LSA_UNICODE_STRING, LsaAddAccountRights, LsaClose,
    LsaEnumerateAccountRights, LsaFreeMemory, LsaNtStatusToWinError, LsaOpenPolicy, LsaRemoveAccountRights,
    POLICY_CREATE_ACCOUNT, POLICY_LOOKUP_NAMES,
};
use windows_sys::Win32::Security::Authorization::ConvertStringSidToSidW;
use windows_sys::Win32::System::Registry::{HKEY_LOCAL_MACHINE, REG_SZ};

use super::settings::parameters;
use crate::account::{self, Kind};
use crate::local::Local;
use crate::registry::{self, wide};

/// What `secpol.msc` shows as "Log on as a service".
const RIGHT: &str = "SeServiceLogonRight";

/// Where it is noted for which SID the right was granted, below the service's own key: it goes with the service.
const NOTE: &str = "GrantedLogonRight";

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Add(String),
    Note(String),
    Remove(String),
    Forget,
}

/// What is known before.
#[derive(Clone, Debug, Default)]
struct Known {
    /// For whom it was granted for this service.
    noted: Option<String>,
    /// Who is to have it.
    wanted: Option<String>,
    /// Whether that one has it.
    has: bool,
    /// Whether another service runs under the account that it was granted to.
    shared: bool,
}

/// What is to be done, in this order: whoever has lost the right in the middle can be granted it again, but a right that
/// nobody has noted stays for ever.
fn steps(known: &Known) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(old) = known.noted.as_ref().filter(|old| known.wanted.as_ref() != Some(old)) {
        if !known.shared {
            steps.push(Step::Remove(old.clone()));
        }
        steps.push(Step::Forget);
    }
    if let Some(new) = known.wanted.as_ref().filter(|_| !known.has) {
        steps.extend([Step::Note(new.clone()), Step::Add(new.clone())]);
    }
    steps
}

/// The account of a service is now this one; none if it is about to go.
pub(super) fn settle(service: &str, account: Option<&str>) -> io::Result<()> {
    let account = account.filter(|account| Kind::of(account).needs_logon_right());
    let key = format!(r"{}\Parameters", parameters(service));
    let noted = registry::open(HKEY_LOCAL_MACHINE, &key).ok().and_then(|key| key.text(NOTE));
    if account.is_none() && noted.is_none() {
        return Ok(());
    }
    let wanted = account.map(account::sid).transpose()?;
    let policy = Policy::open()?;
    let has = wanted.as_deref().map(|sid| policy.has(sid)).transpose()?.unwrap_or(false);
    let shared = noted.as_deref().is_some_and(|sid| is_used(service, sid));
    for step in steps(&Known { noted, wanted, has, shared }) {
        match step {
            Step::Add(sid) => policy.add(&sid)?,
            Step::Remove(sid) => policy.remove(&sid)?,
            Step::Note(sid) => {
                registry::create(HKEY_LOCAL_MACHINE, &key)?.set_text(NOTE, REG_SZ, &sid)?;
            }
            Step::Forget => registry::create(HKEY_LOCAL_MACHINE, &key)?.remove(NOTE)?,
        }
    }
    Ok(())
}

/// Whether a service other than this one runs under the account of this SID.
fn is_used(service: &str, sid: &str) -> bool {
    let names =
        registry::open(HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Services").map(|key| key.keys());
    let others = names.unwrap_or_default().into_iter().filter(|name| !name.eq_ignore_ascii_case(service));
    others.into_iter().any(|name| {
        let key = registry::open(HKEY_LOCAL_MACHINE, &parameters(&name)).ok();
        key.and_then(|key| key.text("ObjectName"))
            .filter(|account| Kind::of(account).needs_logon_right())
            .is_some_and(|account| account::sid(&account).is_ok_and(|other| other == sid))
    })
}

/// The machine's policy.
struct Policy(LSA_HANDLE);

impl Drop for Policy {
    fn drop(&mut self) {
        // SAFETY: it is open, and closed once.
        unsafe { LsaClose(self.0) };
    }
}

/// A SID as Windows takes it.
fn parsed(text: &str) -> io::Result<Local> {
    let (text, mut sid) = (wide(text), ptr::null_mut());
    // SAFETY: the text ends with a NUL; it and the result outlive the call, which says to free that by `LocalFree`.
    unsafe {
        match ConvertStringSidToSidW(text.as_ptr(), &mut sid) {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(Local::owned(sid)),
        }
    }
}

fn check(status: i32) -> io::Result<()> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: a plain value is passed.
    Err(io::Error::from_raw_os_error(unsafe { LsaNtStatusToWinError(status) }.cast_signed()))
}

/// The right's name, which points into `text`: lengths are in bytes and without the NUL.
fn right(text: &mut [u16]) -> LSA_UNICODE_STRING {
    let bytes = u16::try_from(text.len() * 2).unwrap_or(0);
    LSA_UNICODE_STRING { Length: bytes - 2, MaximumLength: bytes, Buffer: text.as_mut_ptr() }
}

impl Policy {
    fn open() -> io::Result<Policy> {
        // SAFETY: all zeros is what is asked for: no part of it is used.
        let attributes: LSA_OBJECT_ATTRIBUTES = unsafe { std::mem::zeroed() };
        let access = (POLICY_LOOKUP_NAMES | POLICY_CREATE_ACCOUNT).cast_unsigned();
        let mut handle: LSA_HANDLE = Default::default();
        // SAFETY: no name means this machine; attributes and result outlive the call.
        check(unsafe { LsaOpenPolicy(ptr::null(), &attributes, access, &mut handle) })?;
        Ok(Policy(handle))
    }

    fn has(&self, sid: &str) -> io::Result<bool> {
        let sid = parsed(sid)?;
        let (mut rights, mut count): (*mut LSA_UNICODE_STRING, u32) = (ptr::null_mut(), 0);
        // SAFETY: handle and SID are valid, and the results outlive the call.
        let status = unsafe { LsaEnumerateAccountRights(self.0, sid.as_ptr(), &mut rights, &mut count) };
        if status == STATUS_OBJECT_NAME_NOT_FOUND {
            return Ok(false);
        }
        check(status)?;
        // SAFETY: there are so many, each with as many bytes as it says; they are freed once, after use.
        unsafe {
            let all = (0..count as usize).map(|at| {
                let right = *rights.add(at);
                String::from_utf16_lossy(std::slice::from_raw_parts(
                    right.Buffer,
                    usize::from(right.Length) / 2,
                ))
            });
            let has = all.into_iter().any(|name| name == RIGHT);
            LsaFreeMemory(rights.cast());
            Ok(has)
        }
    }

    fn add(&self, sid: &str) -> io::Result<()> {
        let (sid, mut name) = (parsed(sid)?, wide(RIGHT));
        let right = right(&mut name);
        // SAFETY: handle and SID are valid; the name outlives the call.
        check(unsafe { LsaAddAccountRights(self.0, sid.as_ptr(), &right, 1) })
    }

    fn remove(&self, sid: &str) -> io::Result<()> {
        let (sid, mut name) = (parsed(sid)?, wide(RIGHT));
        let right = right(&mut name);
        // SAFETY: handle and SID are valid; the name outlives the call. Not all rights, but this one.
        match unsafe { LsaRemoveAccountRights(self.0, sid.as_ptr(), false, &right, 1) } {
            // Somebody else has taken it away.
            STATUS_OBJECT_NAME_NOT_FOUND => Ok(()),
            status => check(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(noted: Option<&str>, wanted: Option<&str>, has: bool, shared: bool) -> Vec<Step> {
        steps(&Known { noted: noted.map(str::to_owned), wanted: wanted.map(str::to_owned), has, shared })
    }

    #[test]
    fn the_right_is_granted_when_it_is_missing_and_only_what_was_granted_is_taken_back() {
        let (bob, ann) = (|| "bob".to_owned(), || "ann".to_owned());
        assert_eq!(known(None, Some("bob"), false, false), [Step::Note(bob()), Step::Add(bob())]);
        assert_eq!(known(None, Some("bob"), true, false), [], "somebody else has granted it, and keeps it");
        assert_eq!(known(Some("bob"), Some("bob"), true, false), [], "installed again");
        assert_eq!(known(Some("bob"), Some("bob"), false, false), [Step::Note(bob()), Step::Add(bob())]);
        assert_eq!(known(Some("bob"), None, false, false), [Step::Remove(bob()), Step::Forget]);
        assert_eq!(known(Some("bob"), None, false, true), [Step::Forget], "another service needs it");
        assert_eq!(
            known(Some("bob"), Some("ann"), false, false),
            [Step::Remove(bob()), Step::Forget, Step::Note(ann()), Step::Add(ann())]
        );
    }

    #[test]
    fn a_right_is_passed_with_its_length_in_bytes() {
        let mut text = wide(RIGHT);
        let name = right(&mut text);
        assert_eq!((name.Length, name.MaximumLength), (38, 40));
        assert_eq!(text.last(), Some(&0));
    }
}
