//! Access lists, judged by Windows (Authz) for accounts that we are not.
//!
//! Accounts of Windows' own and of services are in groups that are always the same; these are said. Those of people and
//! managed ones are asked for. What a mandatory label takes is not looked at: Authz leaves it out for accounts that have not
//! logged on.

#[path = "windows/list.rs"]
mod list;

use std::ffi::c_void;
use std::io;
use std::path::{Path, PathBuf};

use windows_sys::Win32::Foundation::LUID;
use windows_sys::Win32::Security::Authorization::{
    AUTHZ_ACCESS_REPLY, AUTHZ_ACCESS_REQUEST, AUTHZ_CLIENT_CONTEXT_HANDLE, AUTHZ_RESOURCE_MANAGER_HANDLE,
    AUTHZ_RM_FLAG_NO_AUDIT, AUTHZ_SKIP_TOKEN_GROUPS, AuthzAccessCheck, AuthzAddSidsToContext,
    AuthzFreeContext, AuthzFreeResourceManager, AuthzInitializeContextFromSid,
    AuthzInitializeResourceManager,
};
use windows_sys::Win32::Security::{PSECURITY_DESCRIPTOR, SID_AND_ATTRIBUTES};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_ADD_FILE, FILE_ADD_SUBDIRECTORY, FILE_DELETE_CHILD, FILE_EXECUTE, FILE_GENERIC_EXECUTE,
    FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_LIST_DIRECTORY, FILE_READ_DATA, FILE_TRAVERSE,
    FILE_WRITE_DATA, WRITE_DAC, WRITE_OWNER,
};
use windows_sys::Win32::System::SystemServices::SE_GROUP_ENABLED;

use super::Wish;
use crate::win::check;
use crate::win::security::{self, Descriptor, EVERYBODY};
use list::List;

const AUTHENTICATED: &str = "S-1-5-11";
const USERS: &str = "S-1-5-32-545";
const INTERACTIVE: &str = "S-1-5-4";
const SERVICE: &str = "S-1-5-6";
const LOCAL: &str = "S-1-2-0";
const THIS_ORGANIZATION: &str = "S-1-5-15";
const ALL_SERVICES: &str = "S-1-5-80-0";

/// What a service under this account is in beside the groups that its account has; and whether that is all, because Windows
/// knows of no others.
fn groups(sid: &str) -> (Vec<&'static str>, bool) {
    let mut groups = vec![EVERYBODY, AUTHENTICATED];
    if sid == security::SYSTEM {
        groups.push(security::ADMINISTRATORS);
        return (groups, true);
    }
    groups.extend([SERVICE, LOCAL, THIS_ORGANIZATION]);
    let is_virtual = sid.starts_with("S-1-5-80-");
    let is_own = sid == crate::win::who::LOCAL_SERVICE || sid == crate::win::who::NETWORK_SERVICE;
    if is_virtual {
        groups.push(ALL_SERVICES);
    }
    if is_virtual || is_own {
        groups.push(USERS);
    }
    (groups, is_virtual || is_own)
}

fn needed(wish: Wish) -> u32 {
    match wish {
        Wish::Run => FILE_EXECUTE | FILE_READ_DATA,
        Wish::Enter => FILE_TRAVERSE,
        Wish::Read => FILE_READ_DATA,
        Wish::Write => FILE_ADD_FILE | FILE_ADD_SUBDIRECTORY | FILE_LIST_DIRECTORY,
    }
}

/// As icacls has them: `RX`, `R`, and both with `W`.
fn granted(wish: Wish) -> u32 {
    match wish {
        Wish::Run | Wish::Enter => FILE_GENERIC_READ | FILE_GENERIC_EXECUTE,
        Wish::Read => FILE_GENERIC_READ,
        Wish::Write => FILE_GENERIC_READ | FILE_GENERIC_EXECUTE | FILE_GENERIC_WRITE,
    }
}

#[derive(Debug)]
pub(super) struct Rights(Client);

impl Rights {
    pub(super) fn of(sid: &str, also: &[&str]) -> io::Result<Option<Rights>> {
        if !judges()? {
            return Ok(None);
        }
        let (mut groups, are_all) = groups(sid);
        groups.extend(also);
        let client = Client::of(sid, if are_all { AUTHZ_SKIP_TOKEN_GROUPS } else { 0 })?;
        Ok(Some(Rights(client.with(&groups)?)))
    }

    pub(super) fn allow(&self, path: &Path, wish: Wish) -> io::Result<bool> {
        self.0.may(&List::of(path)?, needed(wish))
    }

    pub(super) fn include(&self, sid: &str) -> io::Result<bool> {
        // Who is let in by a list that has nobody else is in it.
        let list = Descriptor::parse(&only(sid))?;
        self.0.access(list.pointer(), FILE_READ_DATA)
    }
}

/// A list that lets these in and nobody else. The owner is somebody who may nothing by that.
fn only(sid: &str) -> String {
    format!("O:SYG:SYD:P(A;;FR;;;{sid})")
}

pub(super) fn name_of(sid: &str) -> String {
    security::name_of(sid).unwrap_or_else(|_| sid.to_owned())
}

/// Whether Authz judges at all: Wine knows no accounts, and says yes to everything.
fn judges() -> io::Result<bool> {
    let list = |entries: &str| Descriptor::parse(&format!("O:BAG:BAD:P{entries}"));
    let client = match Client::of(USERS, AUTHZ_SKIP_TOKEN_GROUPS) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(false),
        client => client?,
    };
    let may = |entries: &str| client.access(list(entries)?.pointer(), FILE_READ_DATA);
    Ok(!may("(A;;FR;;;SY)")? && may("(A;;FR;;;BU)")?)
}

/// Authz's place for clients.
#[derive(Debug)]
struct Judge(AUTHZ_RESOURCE_MANAGER_HANDLE);

impl Drop for Judge {
    fn drop(&mut self) {
        // SAFETY: it is open, and closed once.
        unsafe { AuthzFreeResourceManager(self.0) };
    }
}

/// An account with its groups.
#[derive(Debug)]
struct Client {
    context: AUTHZ_CLIENT_CONTEXT_HANDLE,
    /// Outlives its clients.
    judge: Option<Judge>,
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: it is open, and closed once, before the place that it is in.
        unsafe { AuthzFreeContext(self.context) };
    }
}

impl Client {
    /// `flags`: whether Windows is asked for its groups.
    fn of(sid: &str, flags: u32) -> io::Result<Client> {
        let mut judge: AUTHZ_RESOURCE_MANAGER_HANDLE = std::ptr::null_mut();
        // SAFETY: nothing is called back; it has no name; the result outlives the call.
        check(unsafe {
            let flags = AUTHZ_RM_FLAG_NO_AUDIT;
            AuthzInitializeResourceManager(flags, None, None, None, std::ptr::null(), &mut judge)
        })?;
        let judge = Judge(judge);
        let sid = security::sid(sid)?;
        let mut context: AUTHZ_CLIENT_CONTEXT_HANDLE = std::ptr::null_mut();
        let (expiry, none, nobody) = (std::ptr::null(), std::ptr::null(), LUID::default());
        // SAFETY: SID and place are valid; the number and the arguments are not used; the result outlives the call.
        check(unsafe {
            AuthzInitializeContextFromSid(flags, sid.pointer(), judge.0, expiry, nobody, none, &mut context)
        })?;
        Ok(Client { context, judge: Some(judge) })
    }

    /// The same in these groups, too.
    fn with(mut self, groups: &[&str]) -> io::Result<Client> {
        let sids = groups.iter().map(|group| security::sid(group)).collect::<io::Result<Vec<_>>>()?;
        let enabled = SE_GROUP_ENABLED.cast_unsigned();
        let list: Vec<SID_AND_ATTRIBUTES> =
            sids.iter().map(|sid| SID_AND_ATTRIBUTES { Sid: sid.pointer(), Attributes: enabled }).collect();
        let count = u32::try_from(list.len()).unwrap_or(0);
        let mut context: AUTHZ_CLIENT_CONTEXT_HANDLE = std::ptr::null_mut();
        // SAFETY: the list is as long as said, and its SIDs outlive the call; there are no restricting ones. What comes is a
        // copy.
        check(unsafe {
            AuthzAddSidsToContext(self.context, list.as_ptr(), count, std::ptr::null(), 0, &mut context)
        })?;
        Ok(Client { context, judge: self.judge.take() })
    }

    fn may(&self, list: &List, rights: u32) -> io::Result<bool> {
        self.access(list.pointer(), rights)
    }

    /// Whether the descriptor grants all of these rights.
    fn access(&self, descriptor: PSECURITY_DESCRIPTOR, rights: u32) -> io::Result<bool> {
        let request = AUTHZ_ACCESS_REQUEST { DesiredAccess: rights, ..AUTHZ_ACCESS_REQUEST::default() };
        let (mut granted, mut audited, mut error) = (0_u32, 0, 0_u32);
        let mut reply = AUTHZ_ACCESS_REPLY {
            ResultListLength: 1,
            GrantedAccessMask: &mut granted,
            SaclEvaluationResults: &mut audited,
            Error: &mut error,
        };
        let (none, no_list, no_cache): (*mut c_void, _, _) =
            (std::ptr::null_mut(), std::ptr::null(), std::ptr::null_mut());
        // SAFETY: the client is open and the descriptor valid; request, reply and its three places, of one element as said,
        // outlive the call.
        check(unsafe {
            AuthzAccessCheck(0, self.context, &request, none, descriptor, no_list, 0, &mut reply, no_cache)
        })?;
        Ok(error == 0 && granted & rights == rights)
    }
}

pub(super) fn grant(sid: &str, path: &Path, wish: Wish) -> io::Result<()> {
    list::add(path, sid, granted(wish))
}

/// Somebody who is signed in and nothing more. Each right alone is enough to put another program there: into the file, into its
/// directory (as a library that it loads), or by moving a directory away.
pub(super) fn open_to_all(path: &Path) -> Option<PathBuf> {
    const CHANGE: [u32; 3] = [DELETE, WRITE_DAC, WRITE_OWNER];
    if !judges().ok()? {
        return None;
    }
    let anybody = Client::of(USERS, AUTHZ_SKIP_TOKEN_GROUPS).ok()?;
    let anybody = anybody.with(&[EVERYBODY, AUTHENTICATED, INTERACTIVE, LOCAL]).ok()?;
    let has = |path: &Path, more: &[u32]| {
        let Ok(list) = List::of(path) else { return false };
        CHANGE.iter().chain(more).any(|right| anybody.may(&list, *right).unwrap_or(false))
    };
    if has(path, &[FILE_WRITE_DATA]) {
        return Some(path.to_owned());
    }
    let mut above = path.ancestors().skip(1);
    let own = above.next().filter(|dir| has(dir, &[FILE_ADD_FILE, FILE_DELETE_CHILD]));
    own.or_else(|| above.find(|dir| has(dir, &[FILE_DELETE_CHILD]))).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::windows::io::AsRawHandle;

    use windows_sys::Win32::Security::Authorization::SE_FILE_OBJECT;

    use super::*;

    #[test]
    fn services_are_in_the_groups_that_windows_puts_them_into() {
        assert_eq!(groups("S-1-5-18"), (vec![EVERYBODY, AUTHENTICATED, security::ADMINISTRATORS], true));
        let (local, all) = groups("S-1-5-19");
        assert!(all && local.contains(&USERS) && local.contains(&SERVICE) && !local.contains(&ALL_SERVICES));
        let (of_service, all) = groups("S-1-5-80-1-2-3-4-5");
        assert!(all && of_service.contains(&ALL_SERVICES) && of_service.contains(&USERS));
        let (bob, all) = groups("S-1-5-21-1-2-3-1000");
        assert!(!all && bob.contains(&SERVICE) && !bob.contains(&USERS), "Windows knows bob's groups");
    }

    #[test]
    fn wishes_are_rights_of_winnt_h() {
        assert_eq!([Wish::Run, Wish::Enter, Wish::Read, Wish::Write].map(needed), [0x21, 0x20, 0x1, 0x7]);
        // icacls: RX, RX, R, and RX with W.
        let masks = [0x0012_00A9, 0x0012_00A9, 0x0012_0089, 0x0012_01BF];
        assert_eq!([Wish::Run, Wish::Enter, Wish::Read, Wish::Write].map(granted), masks);
    }

    #[test]
    fn what_a_list_grants_is_told() {
        let sid = "S-1-5-80-1-2-3-4-5";
        let of_stack = "S-1-5-80-6-7-8-9-10";
        let Some(rights) = Rights::of(sid, &[of_stack]).expect("an account") else {
            println!("skipped: this system (Wine) judges no access lists");
            return;
        };
        let includes = [sid, of_stack, ALL_SERVICES, USERS, security::ADMINISTRATORS, "S-1-5-80-9-9-9-9-9"];
        let includes = includes.map(|sid| rights.include(sid).expect("an answer"));
        assert_eq!(includes, [true, true, true, true, false, false]);
        for (entries, read, write) in [
            (format!("(A;;FA;;;{sid})"), true, true),
            ("(A;;FRFX;;;BU)".to_owned(), true, false),
            (format!("(D;;FR;;;{sid})(A;;FA;;;BU)"), false, false),
            ("(A;;FA;;;SY)(A;;FA;;;BA)".to_owned(), false, false),
        ] {
            let list = Descriptor::parse(&format!("O:BAG:BAD:P{entries}")).expect("a list");
            let may = |wish| rights.0.access(list.pointer(), needed(wish)).expect("an answer");
            assert_eq!((may(Wish::Read), may(Wish::Write)), (read, write), "{entries}");
        }
    }

    #[test]
    fn a_list_for_one_is_one_that_windows_takes() {
        assert_eq!(only("S-1-5-80-1"), "O:SYG:SYD:P(A;;FR;;;S-1-5-80-1)");
        Descriptor::parse(&only("S-1-5-80-1-2-3-4-5")).expect("a list");
    }

    #[test]
    fn an_entry_is_added_to_a_list() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("program.exe");
        std::fs::write(&path, "").expect("a file");
        let sid = "S-1-5-80-1-2-3-4-5";
        grant(sid, &path, Wish::Run).expect("granted");
        std::fs::write(&path, "we may still").expect("written");
        let file = std::fs::File::open(&path).expect("opened");
        let list = security::granted(file.as_raw_handle(), SE_FILE_OBJECT).expect("a list");
        match list.iter().find(|(other, _)| other == sid) {
            Some((_, mask)) => assert_eq!(*mask & granted(Wish::Run), granted(Wish::Run)),
            None => println!("skipped reading back: this system (Wine) keeps no entries of other accounts"),
        }
    }
}
