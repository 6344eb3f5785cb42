//! Tokens: what a process may do. Each call does one thing; what is done, and in which order, is said elsewhere.

use std::io;
use std::os::windows::io::OwnedHandle;

use windows_sys::Win32::Foundation::{ERROR_INSUFFICIENT_BUFFER, ERROR_NO_SUCH_PRIVILEGE, HANDLE, LUID};
use windows_sys::Win32::Security::{
    CreateRestrictedToken, DuplicateTokenEx, GetLengthSid, GetSidSubAuthority, GetTokenInformation,
    LUID_AND_ATTRIBUTES, LookupPrivilegeNameW, LookupPrivilegeValueW, SID_AND_ATTRIBUTES,
    SecurityImpersonation, SetTokenInformation, TOKEN_ACCESS_MASK, TOKEN_ADJUST_DEFAULT,
    TOKEN_ASSIGN_PRIMARY, TOKEN_DUPLICATE, TOKEN_INFORMATION_CLASS, TOKEN_MANDATORY_LABEL, TOKEN_PRIVILEGES,
    TOKEN_QUERY, TokenIntegrityLevel, TokenPrimary, TokenPrivileges,
};
use windows_sys::Win32::System::SystemServices::SE_GROUP_INTEGRITY;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::security::sid;
use super::{check, owned, raw, size_of, text_until_nul, wide};

/// What making a process with a token needs of its handle, and what changing the token's level needs. A restricted copy's
/// handle has the same.
const ACCESS: TOKEN_ACCESS_MASK = TOKEN_QUERY | TOKEN_DUPLICATE | TOKEN_ASSIGN_PRIMARY | TOKEN_ADJUST_DEFAULT;

/// This process's own.
pub(crate) fn own() -> io::Result<OwnedHandle> {
    let mut token: HANDLE = std::ptr::null_mut();
    // SAFETY: the pseudo handle is always valid, and `token` outlives the call.
    check(unsafe { OpenProcessToken(GetCurrentProcess(), ACCESS, &mut token) })?;
    owned(token)
}

/// The names of the privileges that it has, enabled or not.
pub(crate) fn privileges(token: &OwnedHandle) -> io::Result<Vec<String>> {
    let buffer = information(token, TokenPrivileges)?;
    // SAFETY: the call wrote a TOKEN_PRIVILEGES there, followed by as many entries as it says.
    let held = unsafe {
        let list = buffer.as_ptr().cast::<TOKEN_PRIVILEGES>();
        std::slice::from_raw_parts((&raw const (*list).Privileges).cast(), (*list).PrivilegeCount as usize)
    };
    held.iter().map(|held: &LUID_AND_ATTRIBUTES| name_of(&held.Luid)).collect()
}

fn name_of(luid: &LUID) -> io::Result<String> {
    // The longest has 41 characters.
    let mut name = [0_u16; 128];
    let mut length = 128;
    // SAFETY: the number and the buffer outlive the call, which is told how long that is.
    check(unsafe { LookupPrivilegeNameW(std::ptr::null(), luid, name.as_mut_ptr(), &mut length) })?;
    Ok(text_until_nul(&name).to_string_lossy().into_owned())
}

/// The number of a privilege; none if this Windows has no such thing.
pub(crate) fn luid_of(name: &str) -> io::Result<Option<LUID>> {
    let name = wide(name)?;
    let mut luid = LUID::default();
    // SAFETY: the name ends with a NUL; the result outlives the call.
    match check(unsafe { LookupPrivilegeValueW(std::ptr::null(), name.as_ptr(), &mut luid) }) {
        Ok(()) => Ok(Some(luid)),
        Err(error) if error.raw_os_error() == Some(ERROR_NO_SUCH_PRIVILEGE.cast_signed()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A copy without these privileges. Nothing brings them back.
pub(crate) fn without(token: &OwnedHandle, privileges: &[String]) -> io::Result<OwnedHandle> {
    let mut delete = Vec::with_capacity(privileges.len());
    for name in privileges {
        delete.extend(luid_of(name)?.map(|luid| LUID_AND_ATTRIBUTES { Luid: luid, Attributes: 0 }));
    }
    let count = u32::try_from(delete.len()).unwrap_or(u32::MAX);
    let (none, mut copy) = (std::ptr::null(), std::ptr::null_mut());
    // SAFETY: the token is open for copies; the list is as long as said; no groups are named.
    check(unsafe {
        CreateRestrictedToken(raw(token), 0, 0, none, count, delete.as_ptr(), 0, none, &mut copy)
    })?;
    owned(copy)
}

/// A copy to make a process with.
pub(crate) fn copy(token: &OwnedHandle) -> io::Result<OwnedHandle> {
    let mut copy: HANDLE = std::ptr::null_mut();
    // SAFETY: the token is open for copies, and the result outlives the call.
    check(unsafe {
        DuplicateTokenEx(raw(token), ACCESS, std::ptr::null(), SecurityImpersonation, TokenPrimary, &mut copy)
    })?;
    owned(copy)
}

/// Its integrity level: the last number of `S-1-16-…`.
pub(crate) fn integrity(token: &OwnedHandle) -> io::Result<u32> {
    let buffer = information(token, TokenIntegrityLevel)?;
    // SAFETY: the call wrote a TOKEN_MANDATORY_LABEL there, whose SID lies in the same buffer and has one number.
    Ok(unsafe { *GetSidSubAuthority((*buffer.as_ptr().cast::<TOKEN_MANDATORY_LABEL>()).Label.Sid, 0) })
}

/// Gives it another integrity level.
pub(crate) fn set_integrity(token: &OwnedHandle, level: u32) -> io::Result<()> {
    let sid = sid(&format!("S-1-16-{level}"))?;
    let label = TOKEN_MANDATORY_LABEL {
        Label: SID_AND_ATTRIBUTES { Sid: sid.pointer(), Attributes: SE_GROUP_INTEGRITY.cast_unsigned() },
    };
    // SAFETY: the SID is valid while `sid` lives, and its length is counted, as documented for this class; the label
    // outlives the call.
    check(unsafe {
        SetTokenInformation(
            raw(token),
            TokenIntegrityLevel,
            super::pointer(&label),
            size_of::<TOKEN_MANDATORY_LABEL>() + GetLengthSid(sid.pointer()),
        )
    })
}

/// What is known of a token, aligned for what comes.
fn information(token: &OwnedHandle, class: TOKEN_INFORMATION_CLASS) -> io::Result<Vec<usize>> {
    let mut buffer = vec![0_usize; 64];
    // Bound: the second try has the length that the first one was told.
    for _ in 0..2 {
        let mut length = 0;
        let room = u32::try_from(std::mem::size_of_val(&buffer[..])).unwrap_or(u32::MAX);
        // SAFETY: the buffer is as long as said, and the length outlives the call.
        let done = check(unsafe {
            GetTokenInformation(raw(token), class, buffer.as_mut_ptr().cast(), room, &mut length)
        });
        match done {
            Ok(()) => return Ok(buffer),
            Err(error) if error.raw_os_error() == Some(ERROR_INSUFFICIENT_BUFFER.cast_signed()) => {
                buffer = vec![0; (length as usize).div_ceil(std::mem::size_of::<usize>())];
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("what is known of a token grows without end"))
}
