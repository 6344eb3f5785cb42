//! The right of an account to log on as a service: granted when a service wants it, and taken back with the last service
//! for which we have granted it.
#![expect(unsafe_code, reason = "calls of Windows that windows-service does not have")]

use std::ffi::c_void;
use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::{STATUS_NO_MORE_ENTRIES, STATUS_OBJECT_NAME_NOT_FOUND};
use windows_sys::Win32::Security::Authentication::Identity::{
    LSA_ENUMERATION_INFORMATION, LSA_HANDLE, LSA_OBJECT_ATTRIBUTES, LSA_UNICODE_STRING, LsaAddAccountRights,
    LsaClose, LsaEnumerateAccountRights, LsaEnumerateAccountsWithUserRight, LsaFreeMemory,
    LsaNtStatusToWinError, LsaOpenPolicy, LsaRemoveAccountRights, POLICY_CREATE_ACCOUNT, POLICY_LOOKUP_NAMES,
    POLICY_VIEW_LOCAL_INFORMATION,
};
use windows_sys::Win32::Security::Authorization::ConvertStringSidToSidW;
use windows_sys::Win32::System::Registry::{HKEY_LOCAL_MACHINE, REG_SZ};

use super::super::LogOnRights;
use super::settings::parameters;
use crate::account::{self, Kind};
use crate::local::Local;
use crate::registry::{self, wide};

/// What `secpol.msc` shows as "Log on as a service".
const RIGHT: &str = "SeServiceLogonRight";

/// "Deny log on as a service", which is stronger.
const DENIAL: &str = "SeDenyServiceLogonRight";

/// Where it is noted for which SIDs the right was granted, below the service's own key: it goes with the service. Blanks are
/// between them.
const NOTE: &str = "GrantedLogonRight";

/// The SIDs of accounts that the service logs on itself, for programs of its own.
const OF_PROGRAMS: &str = "LogonAccounts";

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Add(String),
    Note(String),
    Remove(String),
    Forget(String),
}

/// What is to be done, in this order: whoever has lost the right in the middle can be granted it again, but a right that
/// nobody has noted stays for ever. `noted`: for whom it was granted for this service; `wanted`: who is to have it; `has`: who has
/// it; `shared`: whom another service needs it for.
fn steps(
    noted: &[String],
    wanted: &[String],
    has: impl Fn(&str) -> io::Result<bool>,
    shared: impl Fn(&str) -> bool,
) -> io::Result<Vec<Step>> {
    let mut steps = Vec::new();
    for old in noted.iter().filter(|old| !wanted.contains(old)) {
        if !shared(old) {
            steps.push(Step::Remove(old.clone()));
        }
        steps.push(Step::Forget(old.clone()));
    }
    for new in wanted {
        if !has(new)? {
            steps.extend([Step::Note(new.clone()), Step::Add(new.clone())]);
        }
    }
    Ok(steps)
}

fn own_key(service: &str) -> String {
    format!(r"{}\Parameters", parameters(service))
}

/// SIDs as a value of the service has them.
fn listed(service: &str, value: &str) -> Vec<String> {
    let text = registry::open(HKEY_LOCAL_MACHINE, &own_key(service)).ok().and_then(|key| key.text(value));
    text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn list(service: &str, value: &str, sids: &[String]) -> io::Result<()> {
    if sids.is_empty() && listed(service, value).is_empty() {
        return Ok(());
    }
    let key = registry::create(HKEY_LOCAL_MACHINE, &own_key(service))?;
    if sids.is_empty() { key.remove(value) } else { key.set_text(value, REG_SZ, &sids.join(" ")) }
}

/// The account that a service runs under, if it needs the right to.
fn account_of(service: &str) -> Option<String> {
    let key = registry::open(HKEY_LOCAL_MACHINE, &parameters(service)).ok()?;
    key.text("ObjectName").filter(|account| Kind::of(account).needs_logon_right())
}

/// The account of a service is now this one.
pub(super) fn settle(service: &str, account: Option<&str>) -> io::Result<()> {
    let account = account.filter(|account| Kind::of(account).needs_logon_right());
    let mut wanted = listed(service, OF_PROGRAMS);
    wanted.extend(account.map(account::sid).transpose()?);
    grant(service, &wanted)
}

/// The service is about to go.
pub(super) fn take_back(service: &str) -> io::Result<()> {
    grant(service, &[])
}

/// These are the accounts that the service logs on itself; whom that grants the right to.
pub(super) fn of_programs(service: &str, accounts: &[String], dry_run: bool) -> io::Result<Vec<String>> {
    let (mut sids, mut new) = (Vec::new(), Vec::new());
    for account in accounts.iter().filter(|account| Kind::of(account).needs_logon_right()) {
        let sid = account::sid(account).map_err(|error| {
            io::Error::new(error.kind(), format!("the account {account} is not known: {error}"))
        })?;
        if !sids.contains(&sid) {
            // Who may only look what would be done may not ask.
            let has = Policy::open().and_then(|policy| policy.has(&sid));
            if !(if dry_run { has.unwrap_or(false) } else { has? }) {
                new.push(account.clone());
            }
            sids.push(sid);
        }
    }
    if !dry_run && listed(service, OF_PROGRAMS) != sids {
        list(service, OF_PROGRAMS, &sids)?;
    }
    if !dry_run {
        settle(service, account_of(service).as_deref())?;
    }
    Ok(new)
}

/// Who may log on as a service, and who may not.
pub(super) fn rights() -> io::Result<LogOnRights> {
    let policy = Policy::open_to(POLICY_LOOKUP_NAMES | POLICY_VIEW_LOCAL_INFORMATION)?;
    Ok(LogOnRights { granted: policy.holders(RIGHT)?, denied: policy.holders(DENIAL)? })
}

fn grant(service: &str, wanted: &[String]) -> io::Result<()> {
    let mut noted = listed(service, NOTE);
    if wanted.is_empty() && noted.is_empty() {
        return Ok(());
    }
    let policy = Policy::open()?;
    for step in steps(&noted, wanted, |sid| policy.has(sid), |sid| is_used(service, sid))? {
        match step {
            Step::Add(sid) => policy.add(&sid)?,
            Step::Remove(sid) => policy.remove(&sid)?,
            Step::Note(sid) => {
                noted.retain(|known| *known != sid);
                noted.push(sid);
                list(service, NOTE, &noted)?;
            }
            Step::Forget(sid) => {
                noted.retain(|known| *known != sid);
                list(service, NOTE, &noted)?;
            }
        }
    }
    Ok(())
}

/// Whether a service other than this one runs under the account of this SID, or runs a program under it.
fn is_used(service: &str, sid: &str) -> bool {
    let names =
        registry::open(HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Services").map(|key| key.keys());
    let others = names.unwrap_or_default().into_iter().filter(|name| !name.eq_ignore_ascii_case(service));
    others.into_iter().any(|name| {
        let own = account_of(&name).is_some_and(|name| account::sid(&name).is_ok_and(|other| other == sid));
        own || listed(&name, OF_PROGRAMS).iter().any(|other| other == sid)
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
    /// To look at accounts and change them.
    fn open() -> io::Result<Policy> {
        Policy::open_to(POLICY_LOOKUP_NAMES | POLICY_CREATE_ACCOUNT)
    }

    fn open_to(access: i32) -> io::Result<Policy> {
        // SAFETY: all zeros is what is asked for: no part of it is used.
        let attributes: LSA_OBJECT_ATTRIBUTES = unsafe { std::mem::zeroed() };
        let mut handle: LSA_HANDLE = Default::default();
        // SAFETY: no name means this machine; attributes and result outlive the call.
        check(unsafe { LsaOpenPolicy(ptr::null(), &attributes, access.cast_unsigned(), &mut handle) })?;
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

    /// The SIDs of those who have a right.
    fn holders(&self, name: &str) -> io::Result<Vec<String>> {
        let mut name = wide(name);
        let right = right(&mut name);
        let (mut list, mut count): (*mut c_void, u32) = (ptr::null_mut(), 0);
        // SAFETY: the handle is valid; name and results outlive the call.
        match unsafe { LsaEnumerateAccountsWithUserRight(self.0, &right, &mut list, &mut count) } {
            STATUS_NO_MORE_ENTRIES => return Ok(Vec::new()),
            status => check(status)?,
        }
        // SAFETY: there are so many, each with a valid SID; they are freed once, after use.
        unsafe {
            let entries = list.cast::<LSA_ENUMERATION_INFORMATION>();
            let all = (0..count as usize).map(|at| account::sid_text((*entries.add(at)).Sid)).collect();
            LsaFreeMemory(list);
            all
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

    fn steps_of(noted: &[&str], wanted: &[&str], has: bool, shared: bool) -> Vec<Step> {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        steps(&own(noted), &own(wanted), |_| Ok(has), |_| shared).expect("steps")
    }

    #[test]
    fn the_right_is_granted_when_it_is_missing_and_only_what_was_granted_is_taken_back() {
        let (bob, ann) = (|| "bob".to_owned(), || "ann".to_owned());
        assert_eq!(steps_of(&[], &["bob"], false, false), [Step::Note(bob()), Step::Add(bob())]);
        assert_eq!(steps_of(&[], &["bob"], true, false), [], "somebody else has granted it, and keeps it");
        assert_eq!(steps_of(&["bob"], &["bob"], true, false), [], "installed again");
        assert_eq!(steps_of(&["bob"], &["bob"], false, false), [Step::Note(bob()), Step::Add(bob())]);
        assert_eq!(steps_of(&["bob"], &[], false, false), [Step::Remove(bob()), Step::Forget(bob())]);
        assert_eq!(steps_of(&["bob"], &[], false, true), [Step::Forget(bob())], "another service needs it");
        assert_eq!(
            steps_of(&["bob"], &["ann"], false, false),
            [Step::Remove(bob()), Step::Forget(bob()), Step::Note(ann()), Step::Add(ann())]
        );
        // The stack's own account stays, that of a service of it goes, and another one comes.
        assert_eq!(
            steps_of(&["bob", "eve"], &["bob", "ann"], false, false)[..3],
            [Step::Remove("eve".to_owned()), Step::Forget("eve".to_owned()), Step::Note(bob())]
        );
    }

    #[test]
    fn what_was_granted_is_noted_with_the_service_and_read_again() {
        let service = format!("mainstay-logon-{}", std::process::id());
        let sids = ["S-1-5-21-1-2-3-1000", "S-1-5-21-1-2-3-1001"].map(str::to_owned);
        if let Err(error) = list(&service, NOTE, &sids) {
            println!("skipped: only an administrator may: {error}");
            return;
        }
        assert_eq!(listed(&service, NOTE), sids);
        // One alone is what earlier versions noted.
        list(&service, NOTE, &sids[..1]).expect("noted");
        assert_eq!(listed(&service, NOTE), sids[..1]);
        list(&service, NOTE, &[]).expect("forgotten");
        assert!(listed(&service, NOTE).is_empty());
        registry::delete(HKEY_LOCAL_MACHINE, &parameters(&service)).expect("removed");
    }

    #[test]
    fn a_right_is_passed_with_its_length_in_bytes() {
        let mut text = wide(RIGHT);
        let name = right(&mut text);
        assert_eq!((name.Length, name.MaximumLength), (38, 40));
        assert_eq!(text.last(), Some(&0));
    }
}
