//! The user database.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;

/// Entries longer than this are not believed.
const MAX_ENTRY: usize = 1 << 20;

/// An account as the user database has it.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) name: CString,
    pub(crate) home: CString,
    pub(crate) shell: CString,
}

/// The account of this name.
pub(crate) fn by_name(name: &CStr) -> io::Result<Option<Account>> {
    // SAFETY: `name` is a C string; the other pointers are of the helper's own valid buffers.
    account(|entry, buffer, length, result| unsafe {
        libc::getpwnam_r(name.as_ptr(), entry, buffer, length, result)
    })
}

/// The account of this number.
pub(crate) fn by_uid(uid: u32) -> io::Result<Option<Account>> {
    // SAFETY: the pointers are of the helper's own valid buffers.
    account(|entry, buffer, length, result| unsafe { libc::getpwuid_r(uid, entry, buffer, length, result) })
}

/// The name of a uid, or its number where it has none.
pub(crate) fn name_of(uid: u32) -> String {
    match by_uid(uid) {
        Ok(Some(account)) => account.name.to_string_lossy().into_owned(),
        _ => uid.to_string(),
    }
}

/// The number of a group.
pub(crate) fn group_by_name(name: &CStr) -> io::Result<Option<u32>> {
    with_buffer(|buffer| {
        let mut entry = MaybeUninit::<libc::group>::uninit();
        let mut result = std::ptr::null_mut();
        // SAFETY: `name` is a C string, `entry`, `buffer` and `result` are valid for writes of the sizes given.
        let code = unsafe {
            libc::getgrnam_r(
                name.as_ptr(),
                entry.as_mut_ptr(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                &raw mut result,
            )
        };
        // SAFETY: a result that is not null points to `entry`, which was filled in.
        (code, (!result.is_null()).then(|| unsafe { (*result).gr_gid }))
    })
}

/// Whether there is a group of this number.
pub(crate) fn has_group(number: u32) -> io::Result<bool> {
    let found = with_buffer(|buffer| {
        let mut entry = MaybeUninit::<libc::group>::uninit();
        let mut result = std::ptr::null_mut();
        let (text, length) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: `entry`, `buffer` and `result` are valid for writes of the sizes given.
        let code = unsafe { libc::getgrgid_r(number, entry.as_mut_ptr(), text, length, &raw mut result) };
        (code, (!result.is_null()).then_some(()))
    });
    found.map(|found| found.is_some())
}

/// All groups of an account, the given one included.
pub(crate) fn groups_of(name: &CStr, gid: u32) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let mut count = libc::c_int::try_from(groups.len()).unwrap_or(libc::c_int::MAX);
        // SAFETY: `name` is a C string; `groups` has room for `count` numbers.
        let code = unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
        if code >= 0 {
            groups.truncate(usize::try_from(count).unwrap_or(0));
            return Ok(groups);
        }
        // The kernel takes no more than 65,536 groups.
        if groups.len() >= 65_536 {
            return Err(io::Error::other("the account is in more groups than the system takes"));
        }
        groups.resize(groups.len() * 4, 0);
    }
}

type Lookup<'a> =
    dyn Fn(*mut libc::passwd, *mut libc::c_char, usize, *mut *mut libc::passwd) -> libc::c_int + 'a;

fn account<'a>(
    lookup: impl Fn(*mut libc::passwd, *mut libc::c_char, usize, *mut *mut libc::passwd) -> libc::c_int + 'a,
) -> io::Result<Option<Account>> {
    let lookup: &Lookup<'a> = &lookup;
    with_buffer(|buffer| {
        let mut entry = MaybeUninit::<libc::passwd>::uninit();
        let mut result = std::ptr::null_mut();
        let code = lookup(entry.as_mut_ptr(), buffer.as_mut_ptr().cast(), buffer.len(), &raw mut result);
        if result.is_null() {
            return (code, None);
        }
        // SAFETY: a result that is not null points to `entry`, which was filled in with C strings in `buffer`.
        let account = unsafe {
            let entry = &*result;
            let text = |pointer: *const libc::c_char| {
                if pointer.is_null() { CString::default() } else { CStr::from_ptr(pointer).to_owned() }
            };
            Account {
                uid: entry.pw_uid,
                gid: entry.pw_gid,
                name: text(entry.pw_name),
                home: text(entry.pw_dir),
                shell: text(entry.pw_shell),
            }
        };
        (code, Some(account))
    })
}

/// Calls `f` with a larger and larger buffer until the entry fits.
fn with_buffer<T>(mut f: impl FnMut(&mut [u8]) -> (libc::c_int, Option<T>)) -> io::Result<Option<T>> {
    let mut buffer = vec![0_u8; 4096];
    loop {
        match f(&mut buffer) {
            (libc::ERANGE, _) if buffer.len() < MAX_ENTRY => buffer.resize(buffer.len() * 4, 0),
            (libc::EINTR, _) => {}
            (_, Some(found)) => return Ok(Some(found)),
            // "Not found" has several numbers, says getpwnam_r(3).
            (0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM, None) => return Ok(None),
            (code, None) => return Err(io::Error::from_raw_os_error(code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_and_nobody_else_by_that_name() {
        let root = by_name(c"root").expect("the database answers").expect("there is a root");
        assert_eq!(root.uid, 0);
        assert_eq!(name_of(0), "root");
        assert_eq!(name_of(3_999_999_999), "3999999999");
        assert!(by_name(c"no-such-user-here").expect("the database answers").is_none());
        assert!(group_by_name(c"no-such-group-here").expect("the database answers").is_none());
        assert!(has_group(0).expect("the database answers"));
        assert!(!has_group(3_999_999_999).expect("the database answers"));
        assert!(groups_of(c"root", 0).expect("root has groups").contains(&0));
    }
}
