//! Logging an account on, and what comes with it: its profile and its variables. Each call does one thing.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::OwnedHandle;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, ImpersonateLoggedOnUser, ImpersonateSelf, LUID_AND_ATTRIBUTES, LogonUserW, PSID,
    QUOTA_LIMITS, RevertToSelf, SE_PRIVILEGE_ENABLED, SecurityImpersonation, TOKEN_ADJUST_PRIVILEGES,
    TOKEN_GROUPS, TOKEN_PRIVILEGES,
};
use windows_sys::Win32::System::Environment::{CreateEnvironmentBlock, DestroyEnvironmentBlock};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Threading::{GetCurrentThread, OpenThreadToken};
use windows_sys::Win32::UI::Shell::{LoadUserProfileW, PROFILEINFOW, UnloadUserProfile};
use windows_sys::core::{BOOL, PCWSTR};
use zeroize::Zeroizing;

use super::{check, owned, raw, size_of, token, wide};

/// Says nothing to nobody at a screen (userenv.h).
const PI_NOUI: u32 = 1;

/// What a logon is asked with.
pub(crate) struct Asked<'a> {
    pub(crate) name: &'a str,
    pub(crate) domain: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
    /// `LOGON32_LOGON_…`
    pub(crate) kind: u32,
    /// `LOGON32_PROVIDER_…`
    pub(crate) provider: u32,
}

/// As the documentation of `LogonUserExExW` has it, which is in no header: it has to be looked for by its name.
type LogonUserExExW = unsafe extern "system" fn(
    PCWSTR,
    PCWSTR,
    PCWSTR,
    u32,
    u32,
    *const TOKEN_GROUPS,
    *mut HANDLE,
    *mut PSID,
    *mut *mut c_void,
    *mut u32,
    *mut QUOTA_LIMITS,
) -> BOOL;

/// Logs it on by `LogonUserW`.
pub(crate) fn log_on(asked: &Asked<'_>) -> io::Result<OwnedHandle> {
    let texts = Texts::of(asked)?;
    let (name, domain, password) = texts.pointers();
    let mut token: HANDLE = std::ptr::null_mut();
    // SAFETY: all texts end with a NUL and outlive the call, as does the result.
    check(unsafe { LogonUserW(name, domain, password, asked.kind, asked.provider, &mut token) })?;
    owned(token)
}

/// Logs it on by `LogonUserExExW`, which knows virtual accounts.
pub(crate) fn log_on_virtual(asked: &Asked<'_>) -> io::Result<OwnedHandle> {
    let library = wide("advapi32.dll")?;
    // SAFETY: both names end with a NUL; the library stays loaded, because this program is bound to it.
    let found =
        unsafe { GetProcAddress(GetModuleHandleW(library.as_ptr()), c"LogonUserExExW".as_ptr().cast()) };
    let Some(found) = found else { return Err(io::ErrorKind::Unsupported.into()) };
    // SAFETY: this is how Microsoft documents the function of this name.
    let call: LogonUserExExW = unsafe { std::mem::transmute(found) };
    let texts = Texts::of(asked)?;
    let (name, domain, password) = texts.pointers();
    let mut token: HANDLE = std::ptr::null_mut();
    // SAFETY: all texts end with a NUL and outlive the call, as does the result; what is null is optional.
    check(unsafe {
        call(
            name,
            domain,
            password,
            asked.kind,
            asked.provider,
            std::ptr::null(),
            &mut token,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    })?;
    owned(token)
}

/// The texts of a logon as calls take them. The password's are zeroed when they go.
struct Texts {
    name: Vec<u16>,
    domain: Option<Vec<u16>>,
    password: Option<Zeroizing<Vec<u16>>>,
}

impl Texts {
    fn of(asked: &Asked<'_>) -> io::Result<Texts> {
        let password = asked.password.map(|password| {
            // As long as it will be: one that grew would leave copies.
            let mut units = Zeroizing::new(Vec::with_capacity(password.len() + 1));
            units.extend(password.encode_utf16().chain([0]));
            units
        });
        Ok(Texts { name: wide(asked.name)?, domain: asked.domain.map(wide).transpose()?, password })
    }

    fn pointers(&self) -> (PCWSTR, PCWSTR, PCWSTR) {
        let domain = self.domain.as_ref().map_or(std::ptr::null(), |text| text.as_ptr());
        let password = self.password.as_ref().map_or(std::ptr::null(), |text| text.as_ptr());
        (self.name.as_ptr(), domain, password)
    }
}

/// A loaded profile: the account's part of the registry and its directories. Unloaded when this is dropped.
#[derive(Debug)]
pub(crate) struct Profile {
    token: OwnedHandle,
    /// A number, so that this may go to another thread.
    profile: usize,
}

impl Profile {
    /// Loads it, and makes it if the account has none yet.
    pub(crate) fn load(token: &OwnedHandle, name: &str) -> io::Result<Profile> {
        let mut name = wide(name)?;
        let mut info = PROFILEINFOW {
            dwSize: size_of::<PROFILEINFOW>(),
            dwFlags: PI_NOUI,
            lpUserName: name.as_mut_ptr(),
            ..PROFILEINFOW::default()
        };
        let token = super::duplicate(raw(token), false)?;
        // SAFETY: the token is open; the name ends with a NUL, and outlives the call as the structure does.
        check(unsafe { LoadUserProfileW(raw(&token), &mut info) })?;
        Ok(Profile { token, profile: info.hProfile.addr() })
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        let profile = std::ptr::with_exposed_provenance_mut(self.profile);
        // SAFETY: this is what the load gave, with the same token; it is given back once.
        unsafe { UnloadUserProfile(raw(&self.token), profile) };
    }
}

/// The variables of an account, each as `NAME=value`: those of the system with its own over them.
pub(crate) fn variables(token: &OwnedHandle) -> io::Result<Vec<Vec<u16>>> {
    let mut block: *mut c_void = std::ptr::null_mut();
    // SAFETY: the token is open, and the result outlives the call.
    check(unsafe { CreateEnvironmentBlock(&mut block, raw(token), 0) })?;
    let mut entries = Vec::new();
    let mut at = block.cast::<u16>().cast_const();
    // SAFETY: the block is a run of texts with a NUL each that ends with an empty one; it is read before it is freed.
    unsafe {
        while *at != 0 {
            let mut length = 0;
            while *at.add(length) != 0 {
                length += 1;
            }
            entries.push(std::slice::from_raw_parts(at, length).to_vec());
            at = at.add(length + 1);
        }
        DestroyEnvironmentBlock(block);
    }
    Ok(entries)
}

/// While it is there this thread is somebody else, or itself with more privileges enabled. No process that is made
/// meanwhile inherits that.
pub(crate) struct Impersonation(());

impl Impersonation {
    /// As this account: what is opened is opened with its rights.
    pub(crate) fn of(token: &OwnedHandle) -> io::Result<Impersonation> {
        // SAFETY: the token is open.
        check(unsafe { ImpersonateLoggedOnUser(raw(token)) })?;
        Ok(Impersonation(()))
    }

    /// Ourselves, with these privileges enabled. Those that we do not have are passed over.
    pub(crate) fn with(privileges: &[&str]) -> io::Result<Impersonation> {
        // SAFETY: a plain value is passed.
        check(unsafe { ImpersonateSelf(SecurityImpersonation) })?;
        let own = Impersonation(());
        let mut token: HANDLE = std::ptr::null_mut();
        // SAFETY: the pseudo handle is always valid, and the result outlives the call.
        check(unsafe { OpenThreadToken(GetCurrentThread(), TOKEN_ADJUST_PRIVILEGES, 1, &mut token) })?;
        let token = owned(token)?;
        for name in privileges {
            let Some(luid) = token::luid_of(name)? else { continue };
            let wanted = TOKEN_PRIVILEGES {
                PrivilegeCount: 1,
                Privileges: [LUID_AND_ATTRIBUTES { Luid: luid, Attributes: SE_PRIVILEGE_ENABLED }],
            };
            // SAFETY: the token is open for this; the structure outlives the call; no state of before is asked for.
            check(unsafe {
                AdjustTokenPrivileges(raw(&token), 0, &wanted, 0, std::ptr::null_mut(), std::ptr::null_mut())
            })?;
        }
        Ok(own)
    }
}

impl Drop for Impersonation {
    fn drop(&mut self) {
        // SAFETY: no arguments. If it fails the thread would go on as somebody else: nothing may be done then.
        if unsafe { RevertToSelf() } == 0 {
            std::process::abort();
        }
    }
}
