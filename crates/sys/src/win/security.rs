//! Accounts and security descriptors.
//!
//! Every object of Mainstay's that has a name (pipes, jobs, directories) gets an explicit descriptor: the default
//! ones let others read. A process with an administrator's full rights leaves its own account out, so that the same
//! person's ordinary programs cannot steer it.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::OwnedHandle;
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::{HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, ConvertStringSidToSidW,
    GetSecurityInfo, SDDL_REVISION_1, SE_OBJECT_TYPE,
};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACE_HEADER, ACL, CheckTokenMembership, CreateWellKnownSid, DACL_SECURITY_INFORMATION,
    DuplicateToken, GetAce, GetTokenInformation, INHERIT_ONLY_ACE, LookupAccountSidW,
    OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES, SecurityIdentification,
    TOKEN_DUPLICATE, TOKEN_QUERY, TOKEN_USER, TokenUser, WinBuiltinAdministratorsSid,
};
use windows_sys::Win32::System::SystemServices::ACCESS_ALLOWED_ACE_TYPE;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, OpenProcess, OpenProcessToken, PROCESS_QUERY_LIMITED_INFORMATION,
};

use crate::dirs::{Given, Right};

use super::{check, code, owned, raw, size_of, text_at, text_until_nul, wide};

/// The SID of LocalSystem.
pub(crate) const SYSTEM: &str = "S-1-5-18";
/// The SID of the group Administrators.
pub(crate) const ADMINISTRATORS: &str = "S-1-5-32-544";

/// The SID of Windows' own installer, which owns the system's directories.
pub(crate) const TRUSTED_INSTALLER: &str = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";

/// What an object is, for the right that its descriptor grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    /// A pipe or a job.
    Kernel,
    /// A file.
    File,
    /// A directory: what is made in it gets the same.
    Directory,
}

/// An account as Windows sees a process under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// Its SID as text, `S-1-5-21-…`.
    pub(crate) sid: String,
    /// Whether the process has an administrator's full rights, and not only a user's who could get them.
    pub(crate) administrator: bool,
}

impl Account {
    /// The one this process runs under.
    pub(crate) fn own() -> io::Result<Self> {
        // A process never changes it.
        static OWN: OnceLock<Account> = OnceLock::new();
        if let Some(own) = OWN.get() {
            return Ok(own.clone());
        }
        // SAFETY: the pseudo handle of this process needs no closing.
        let own = Self::of(unsafe { GetCurrentProcess() })?;
        Ok(OWN.get_or_init(|| own).clone())
    }

    /// The one that the process with this number runs under now.
    pub(crate) fn of_pid(pid: u32) -> io::Result<Self> {
        // SAFETY: plain values are passed.
        let process = owned(unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) })?;
        Self::of(raw(&process))
    }

    fn of(process: HANDLE) -> io::Result<Self> {
        let mut token: HANDLE = std::ptr::null_mut();
        // SAFETY: `process` is open, and `token` outlives the call.
        check(unsafe { OpenProcessToken(process, TOKEN_QUERY | TOKEN_DUPLICATE, &mut token) })?;
        Self::of_token(&owned(token)?)
    }

    /// The one of this token, which is open for being looked at and copied.
    pub(crate) fn of_token(token: &OwnedHandle) -> io::Result<Self> {
        Ok(Self { sid: user_of(token)?, administrator: is_administrator(token)? })
    }

    /// `DOMAIN\name`, or the SID if it has no name.
    pub(crate) fn name(&self) -> String {
        name_of(&self.sid).unwrap_or_else(|_| self.sid.clone())
    }

    /// Whether an object of this owner is to be trusted by this account: its own, the system's, an administrator's.
    pub(crate) fn trusts(&self, owner: &str) -> bool {
        owner == self.sid || owner == SYSTEM || owner == ADMINISTRATORS
    }

    /// The descriptor, as text, that keeps an object of this account private, but for other accounts that it is given to.
    pub(crate) fn sddl(&self, object: Object, others: &[Given]) -> String {
        let (all, read, inherit) = match object {
            // Who may look at a stack's files may ask its daemon, too: read and write, and not FILE_CREATE_PIPE_INSTANCE (4),
            // which is in GW. With that it could answer others in the daemon's place.
            Object::Kernel => ("GA", "0x12019b", ""),
            Object::File => ("FA", "FR", ""),
            Object::Directory => ("FA", "FRFX", "OICI"),
        };
        let entry = |account: &str, right: &str| format!("(A;{inherit};{right};;;{account})");
        let mut entries = entry("SY", all) + &entry("BA", all);
        let owner = if self.administrator { "BA" } else { &self.sid };
        if !self.administrator && self.sid != SYSTEM {
            entries += &entry(&self.sid, all);
        }
        for other in others.iter().filter(|other| !self.trusts(&other.sid)) {
            entries += &entry(&other.sid, if other.right == Right::All { all } else { read });
        }
        format!("O:{owner}D:P{entries}")
    }

    /// The same, ready for use.
    pub(crate) fn private(&self, object: Object) -> io::Result<Descriptor> {
        self.shared(object, &[])
    }

    /// The same, given to other accounts too.
    pub(crate) fn shared(&self, object: Object, others: &[Given]) -> io::Result<Descriptor> {
        Descriptor::parse(&self.sddl(object, others))
    }
}

fn user_of(token: &OwnedHandle) -> io::Result<String> {
    // A TOKEN_USER and the SID behind it: at most 68 bytes. Made of usize for the alignment.
    let mut buffer = [0_usize; 64];
    let mut length = 0;
    // SAFETY: the buffer is as long as said and aligned for a TOKEN_USER.
    check(unsafe {
        GetTokenInformation(
            raw(token),
            TokenUser,
            buffer.as_mut_ptr().cast(),
            u32::try_from(std::mem::size_of_val(&buffer)).unwrap_or(0),
            &mut length,
        )
    })?;
    // SAFETY: the call above wrote a TOKEN_USER there, whose SID lies in the same buffer.
    unsafe { sid_text((*buffer.as_ptr().cast::<TOKEN_USER>()).User.Sid) }
}

/// Whether the group Administrators counts for this token. Not whether it is "elevated": that is also said of service
/// accounts with some privilege, which could neither give an object to the group nor open it then.
fn is_administrator(token: &OwnedHandle) -> io::Result<bool> {
    let mut group = [0_usize; 16];
    let mut length = u32::try_from(std::mem::size_of_val(&group)).unwrap_or(0);
    // SAFETY: the buffer is as long as said; no domain is needed for this one.
    check(unsafe {
        CreateWellKnownSid(
            WinBuiltinAdministratorsSid,
            std::ptr::null_mut(),
            group.as_mut_ptr().cast(),
            &mut length,
        )
    })?;
    // The question is answered for impersonation tokens alone.
    let mut copy: HANDLE = std::ptr::null_mut();
    // SAFETY: the token is open with the right to be duplicated, and `copy` outlives the call.
    check(unsafe { DuplicateToken(raw(token), SecurityIdentification, &mut copy) })?;
    let copy = owned(copy)?;
    let mut member = 0;
    // SAFETY: the token is open, the SID was made above, and `member` outlives the call.
    check(unsafe { CheckTokenMembership(raw(&copy), group.as_mut_ptr().cast(), &mut member) })?;
    Ok(member != 0)
}

/// # Safety
/// `sid` points at a valid SID.
pub(crate) unsafe fn sid_text(sid: PSID) -> io::Result<String> {
    let mut text: *mut u16 = std::ptr::null_mut();
    // SAFETY: the caller promises the SID; the text that comes back is ours to free, and read before.
    unsafe {
        check(ConvertSidToStringSidW(sid, &mut text))?;
        let result = text_at(text);
        LocalFree(text.cast());
        Ok(result)
    }
}

/// A SID in the form that calls take.
pub(crate) struct Sid(LocalMemory);

impl Sid {
    /// Points at it: use it while this lives.
    pub(crate) fn pointer(&self) -> PSID {
        self.0.0
    }
}

/// A SID from its text, `S-1-…`.
pub(crate) fn sid(text: &str) -> io::Result<Sid> {
    let text = wide(text)?;
    let mut binary: PSID = std::ptr::null_mut();
    // SAFETY: `text` ends with a NUL, and `binary` outlives the call.
    check(unsafe { ConvertStringSidToSidW(text.as_ptr(), &mut binary) })?;
    Ok(Sid(LocalMemory(binary)))
}

/// `DOMAIN\name` of a SID.
pub(crate) fn name_of(sid: &str) -> io::Result<String> {
    let binary = self::sid(sid)?;
    let (mut name, mut domain) = ([0_u16; 256], [0_u16; 256]);
    let (mut name_length, mut domain_length, mut kind) = (256, 256, 0);
    // SAFETY: both buffers are as long as said; the SID lives until the end of this function.
    check(unsafe {
        LookupAccountSidW(
            std::ptr::null(),
            binary.pointer(),
            name.as_mut_ptr(),
            &mut name_length,
            domain.as_mut_ptr(),
            &mut domain_length,
            &mut kind,
        )
    })?;
    let (name, domain) = (text_until_nul(&name), text_until_nul(&domain));
    let mut full = domain;
    if !full.is_empty() {
        full.push("\\");
    }
    full.push(name);
    Ok(full.to_string_lossy().into_owned())
}

/// The SID of the account that owns an object.
pub(crate) fn owner(object: HANDLE, kind: SE_OBJECT_TYPE) -> io::Result<String> {
    let mut sid: PSID = std::ptr::null_mut();
    let mut descriptor: PSECURITY_DESCRIPTOR = std::ptr::null_mut();
    // SAFETY: the handle is open, and both results outlive the call; the others are not asked for.
    let status = unsafe {
        GetSecurityInfo(
            object,
            kind,
            OWNER_SECURITY_INFORMATION,
            &mut sid,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            &mut descriptor,
        )
    };
    if status != 0 {
        return Err(code(status));
    }
    let _free = LocalMemory(descriptor);
    if sid.is_null() {
        return Err(io::Error::other("an object without an owner"));
    }
    // SAFETY: the SID lies in the descriptor, which lives until the end of this function.
    unsafe { sid_text(sid) }
}

/// The SID of everybody.
pub(crate) const EVERYBODY: &str = "S-1-1-0";
/// The SID that stands for an object's owner in its own list.
pub(crate) const OWNER_RIGHTS: &str = "S-1-3-4";

/// Who is granted what by the access list of an object: SIDs as text, and rights. One without a list grants everything to
/// everybody. What is denied before is not taken off.
pub(crate) fn granted(object: HANDLE, kind: SE_OBJECT_TYPE) -> io::Result<Vec<(String, u32)>> {
    let (mut list, mut descriptor): (*mut ACL, PSECURITY_DESCRIPTOR) =
        (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the handle is open, and both results outlive the call; the others are not asked for.
    let status = unsafe {
        GetSecurityInfo(
            object,
            kind,
            DACL_SECURITY_INFORMATION,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            &mut list,
            std::ptr::null_mut(),
            &mut descriptor,
        )
    };
    if status != 0 {
        return Err(code(status));
    }
    let _free = LocalMemory(descriptor);
    if list.is_null() {
        return Ok(vec![(EVERYBODY.to_owned(), u32::MAX)]);
    }
    let mut granted = Vec::new();
    // SAFETY: the list lies in the descriptor, which lives until the end of this function.
    let count = unsafe { (*list).AceCount };
    for number in 0..u32::from(count) {
        let mut entry: *mut c_void = std::ptr::null_mut();
        // SAFETY: as above; the number is one of the list's.
        check(unsafe { GetAce(list, number, &mut entry) })?;
        // SAFETY: every entry begins with a header, which says what it is.
        let header = unsafe { *entry.cast::<ACE_HEADER>() };
        let inherit_only = u32::from(header.AceFlags) & INHERIT_ONLY_ACE != 0;
        if u32::from(header.AceType) != ACCESS_ALLOWED_ACE_TYPE || inherit_only {
            continue;
        }
        let entry = entry.cast::<ACCESS_ALLOWED_ACE>();
        // SAFETY: it is one of this type, whose SID begins at its last field.
        granted.push(unsafe { (sid_text((&raw mut (*entry).SidStart).cast())?, (*entry).Mask) });
    }
    Ok(granted)
}

/// Gives an object a list that lets everybody read it.
#[cfg(test)]
pub(crate) fn let_everybody_read(object: HANDLE, kind: SE_OBJECT_TYPE) -> io::Result<()> {
    use windows_sys::Win32::Security::Authorization::SetSecurityInfo;
    use windows_sys::Win32::Security::{GetSecurityDescriptorDacl, PROTECTED_DACL_SECURITY_INFORMATION};
    let descriptor = Descriptor::parse("D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GR;;;WD)")?;
    let (mut present, mut defaulted, mut list) = (0, 0, std::ptr::null_mut());
    // SAFETY: the descriptor lives until the end of this function, as do the results.
    check(unsafe {
        GetSecurityDescriptorDacl(descriptor.pointer(), &mut present, &mut list, &mut defaulted)
    })?;
    let what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
    let none = std::ptr::null_mut();
    // SAFETY: the handle is open with the right to change its list; the list lies in the descriptor.
    match unsafe { SetSecurityInfo(object, kind, what, none, none, list, std::ptr::null()) } {
        0 => Ok(()),
        status => Err(code(status)),
    }
}

/// Memory that Windows allocated for us.
pub(crate) struct LocalMemory(pub(crate) *mut c_void);

impl Drop for LocalMemory {
    fn drop(&mut self) {
        // SAFETY: it came from a call that says to free it so, and nothing points at it any more.
        unsafe { LocalFree(self.0) };
    }
}

/// A security descriptor.
pub(crate) struct Descriptor(LocalMemory);

impl Descriptor {
    /// Made from its text form (SDDL).
    pub(crate) fn parse(sddl: &str) -> io::Result<Self> {
        let text = wide(sddl)?;
        let mut descriptor: PSECURITY_DESCRIPTOR = std::ptr::null_mut();
        // SAFETY: `text` ends with a NUL, and `descriptor` outlives the call.
        check(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &mut descriptor,
                std::ptr::null_mut(),
            )
        })?;
        Ok(Self(LocalMemory(descriptor)))
    }

    /// For calls that make an object. Points at the descriptor: use it while that lives.
    pub(crate) fn attributes(&self, inheritable: bool) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>(),
            lpSecurityDescriptor: self.0.0,
            bInheritHandle: i32::from(inheritable),
        }
    }

    /// The raw pointer.
    pub(crate) fn pointer(&self) -> PSECURITY_DESCRIPTOR {
        self.0.0
    }
}

#[cfg(test)]
mod tests {
    use windows_sys::Win32::Storage::FileSystem::{
        FILE_CREATE_PIPE_INSTANCE, FILE_GENERIC_READ, FILE_GENERIC_WRITE,
    };

    use super::*;

    fn account(sid: &str, administrator: bool) -> Account {
        Account { sid: sid.to_owned(), administrator }
    }

    #[test]
    fn an_ordinary_account_lets_in_itself_the_system_and_administrators() {
        assert_eq!(
            account("S-1-5-21-1-2-3-1000", false).sddl(Object::Kernel, &[]),
            "O:S-1-5-21-1-2-3-1000D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;S-1-5-21-1-2-3-1000)"
        );
    }

    #[test]
    fn an_administrator_keeps_its_own_ordinary_programs_out() {
        assert_eq!(
            account("S-1-5-21-1-2-3-1000", true).sddl(Object::Directory, &[]),
            "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
        );
    }

    #[test]
    fn an_object_is_given_to_accounts_by_name_of_each() {
        let service = Given { sid: "S-1-5-80-1-2-3-4-5".to_owned(), right: Right::All };
        let entry = Given { sid: "S-1-5-80-6-7-8-9-10".to_owned(), right: Right::Read };
        let installer = account("S-1-5-21-1-2-3-1000", true);
        let both = [service.clone(), entry.clone()];
        assert_eq!(
            installer.sddl(Object::Directory, &both),
            "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;S-1-5-80-1-2-3-4-5)\
             (A;OICI;FRFX;;;S-1-5-80-6-7-8-9-10)"
        );
        assert_eq!(
            installer.sddl(Object::Kernel, &both),
            "O:BAD:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;S-1-5-80-1-2-3-4-5)(A;;0x12019b;;;S-1-5-80-6-7-8-9-10)"
        );
        let may = FILE_GENERIC_READ | FILE_GENERIC_WRITE;
        assert_eq!(0x0012_019b, may & !FILE_CREATE_PIPE_INSTANCE, "it asks the daemon, and is no daemon");
        // The service itself does not name itself twice, nor the system.
        let system = Given { sid: SYSTEM.to_owned(), right: Right::All };
        assert_eq!(
            account(&service.sid, false).sddl(Object::File, &[service.clone(), entry, system]),
            "O:S-1-5-80-1-2-3-4-5D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;S-1-5-80-1-2-3-4-5)\
             (A;;FR;;;S-1-5-80-6-7-8-9-10)"
        );
    }

    #[test]
    fn the_text_is_one_that_windows_takes() {
        for (sid, administrator) in [("S-1-5-21-1-2-3-1000", false), (SYSTEM, true), ("S-1-5-19", false)] {
            for object in [Object::Kernel, Object::File, Object::Directory] {
                Descriptor::parse(&account(sid, administrator).sddl(object, &[]))
                    .expect("a valid descriptor");
            }
        }
    }

    #[test]
    fn the_owner_is_checked_against_the_account() {
        let own = account("S-1-5-21-1-2-3-1000", false);
        assert!(own.trusts("S-1-5-21-1-2-3-1000"));
        assert!(own.trusts(SYSTEM));
        assert!(own.trusts(ADMINISTRATORS));
        assert!(!own.trusts("S-1-5-21-1-2-3-1001"));
    }

    #[test]
    fn the_own_account_has_a_sid() {
        assert!(Account::own().expect("own account").sid.starts_with("S-1-"));
    }
}
