//! `%ProgramData%` for administrators, `%LOCALAPPDATA%` for everybody else; and `%ProgramData%` for the account that an
//! administrator has given a stack there to.

use std::io;
use std::os::windows::io::OwnedHandle;
use std::path::{Path, PathBuf};

use windows_sys::Win32::Foundation::ERROR_ALREADY_EXISTS;
use windows_sys::Win32::Security::Authorization::{SE_FILE_OBJECT, SetNamedSecurityInfoW};
use windows_sys::Win32::Security::{
    ACL, DACL_SECURITY_INFORMATION, GetSecurityDescriptorDacl, PROTECTED_DACL_SECURITY_INFORMATION,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateDirectoryW, CreateFileW, FILE_ALL_ACCESS, FILE_FLAG_BACKUP_SEMANTICS, FILE_SHARE_DELETE,
    FILE_SHARE_READ, FILE_SHARE_WRITE, OPEN_EXISTING, READ_CONTROL,
};

use super::Dirs;
use crate::win::security::{self, Account, Descriptor, Object};
use crate::win::{check, code, explain, long_path, owned, raw};

pub(super) fn stack(name: &str) -> io::Result<Dirs> {
    Ok(super::below(&base_of(name)?, name))
}

pub(super) fn config(name: &str) -> io::Result<PathBuf> {
    Ok(base_of(name)?.join(name).join("mainstay.toml"))
}

pub(super) fn stacks() -> Vec<String> {
    base().map(|base| super::names_in(&base, Some("state"))).unwrap_or_default()
}

/// Where the stacks of administrators are.
pub(crate) fn of_machine() -> Option<PathBuf> {
    let base = std::env::var_os("ProgramData").filter(|value| !value.is_empty())?;
    Some(PathBuf::from(base).join("Mainstay"))
}

/// Below what the directories of this stack are.
fn base_of(name: &str) -> io::Result<PathBuf> {
    let account = Account::own()?;
    if let Some(machine) = of_machine().filter(|_| !account.administrator)
        && given(&machine.join(name).join("state")).contains(&account.sid)
    {
        return Ok(machine);
    }
    base()
}

/// To which accounts an administrator has given what is in this directory, beside those who have it anyway. Anybody may make
/// directories in `%ProgramData%`: only what belongs to the system or to administrators says something.
pub(crate) fn given(dir: &Path) -> Vec<String> {
    let Some(machine) = of_machine() else { return Vec::new() };
    let inside = dir.strip_prefix(&machine).is_ok_and(|rest| rest.components().next().is_some());
    let known = |sid: &str| sid == security::SYSTEM || sid == security::ADMINISTRATORS;
    let granted = || -> io::Result<Vec<(String, u32)>> {
        let handle = open(dir)?;
        match known(&security::owner(raw(&handle), SE_FILE_OBJECT)?) {
            true => security::granted(raw(&handle), SE_FILE_OBJECT),
            false => Ok(Vec::new()),
        }
    };
    let granted = if inside { granted().unwrap_or_default() } else { Vec::new() };
    let all = granted.into_iter().filter(|(_, rights)| rights & FILE_ALL_ACCESS == FILE_ALL_ACCESS);
    all.map(|(sid, _)| sid).filter(|sid| !known(sid) && is_of_one(sid)).collect()
}

/// Whether a SID is an account's, and not that of a group of all sorts of people.
fn is_of_one(sid: &str) -> bool {
    let one = ["S-1-5-19", "S-1-5-20"].contains(&sid);
    one || ["S-1-5-21-", "S-1-5-80-"].iter().any(|prefix| sid.starts_with(prefix))
}

/// So deep is looked below a stack's directories, and at so many files.
const DEEPEST: usize = 4;
const MOST_FILES: usize = 100_000;

pub(super) fn give_to(dirs: &Dirs, accounts: &[String]) -> io::Result<()> {
    let account = Account::own()?;
    let above = dirs.state.parent();
    let mut left = MOST_FILES;
    for dir in above.into_iter().chain([dirs.run.as_path(), &dirs.state, &dirs.log]) {
        create_private(dir)?;
        give(dir, &account, accounts)?;
    }
    for dir in above.into_iter() {
        give_below(dir, &account, accounts, DEEPEST, &mut left)?;
    }
    Ok(())
}

fn give(path: &Path, account: &Account, accounts: &[String]) -> io::Result<()> {
    let object = if path.is_dir() { Object::Directory } else { Object::File };
    secure(path, &account.shared(object, accounts)?)
        .map_err(|e| explain(format_args!("cannot give {} to another account", path.display()), &e))
}

/// What is there already has access lists of its own.
fn give_below(
    dir: &Path,
    account: &Account,
    accounts: &[String],
    deep: usize,
    left: &mut usize,
) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)?.flatten() {
        let Some(fewer) = left.checked_sub(1) else { return Ok(()) };
        *left = fewer;
        // What a link leads to is not ours to give.
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            continue;
        }
        give(&entry.path(), account, accounts)?;
        if kind.is_dir() && deep > 0 {
            give_below(&entry.path(), account, accounts, deep - 1, left)?;
        }
    }
    Ok(())
}

fn base() -> io::Result<PathBuf> {
    let variable = if Account::own()?.administrator { "ProgramData" } else { "LOCALAPPDATA" };
    match std::env::var_os(variable).filter(|value| !value.is_empty()) {
        Some(dir) => Ok(PathBuf::from(dir).join("Mainstay")),
        None => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!(
                "the environment has no {variable}, below which Mainstay keeps its files; \
                     set it, or {}",
                super::HOME_VARIABLE
            ),
        )),
    }
}

pub(super) fn create_private(path: &Path) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let account = Account::own()?;
    let there = path.ancestors().find(|dir| dir.is_dir());
    let descriptor = account.shared(Object::Directory, &there.map(given).unwrap_or_default())?;
    let missing: Vec<&Path> = path.ancestors().take_while(|dir| !dir.is_dir()).collect();
    if let (true, Some(parent)) = (account.administrator, missing.last().and_then(|dir| dir.parent())) {
        check_parent(parent, &account)
            .map_err(|e| explain(format_args!("{} is not safe", parent.display()), &e))?;
    }
    for dir in missing.iter().rev() {
        make(dir, &descriptor).map_err(|e| explain(format_args!("cannot make {}", dir.display()), &e))?;
    }
    if missing.is_empty() {
        check_owner(&path, &account)
            .and_then(|()| secure(&path, &descriptor))
            .map_err(|e| explain(format_args!("{} is not private", path.display()), &e))?;
    }
    Ok(())
}

fn make(dir: &Path, descriptor: &Descriptor) -> io::Result<()> {
    let name = long_path(dir)?;
    let attributes = descriptor.attributes(false);
    // SAFETY: the name ends with a NUL; it and the descriptor outlive the call.
    match check(unsafe { CreateDirectoryW(name.as_ptr(), &attributes) }) {
        // Another process of the same stack was faster.
        Err(e) if e.raw_os_error() == Some(ERROR_ALREADY_EXISTS.cast_signed()) && dir.is_dir() => Ok(()),
        result => result,
    }
}

/// Whoever owns the directory above can put another in the place of ours: for an administrator that must not be just
/// anybody.
fn check_parent(parent: &Path, account: &Account) -> io::Result<()> {
    let owner = owner_of(parent)?;
    if account.trusts(&owner) || owner == security::TRUSTED_INSTALLER {
        return Ok(());
    }
    Err(belongs_to(owner))
}

/// Anybody may make directories in `%ProgramData%`: one that is there already is ours only if we own it.
fn check_owner(dir: &Path, account: &Account) -> io::Result<()> {
    let owner = owner_of(dir)?;
    if account.trusts(&owner) { Ok(()) } else { Err(belongs_to(owner)) }
}

/// Gives it this access list, and no other from above.
fn secure(dir: &Path, descriptor: &Descriptor) -> io::Result<()> {
    let name = long_path(dir)?;
    let (mut present, mut defaulted) = (0, 0);
    let mut acl: *mut ACL = std::ptr::null_mut();
    // SAFETY: the descriptor is valid, and the results outlive the call.
    check(unsafe {
        GetSecurityDescriptorDacl(descriptor.pointer(), &mut present, &mut acl, &mut defaulted)
    })?;
    // SAFETY: the name ends with a NUL; the list lies in the descriptor; both outlive the call.
    let status = unsafe {
        SetNamedSecurityInfoW(
            name.as_ptr(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            acl,
            std::ptr::null(),
        )
    };
    if status == 0 { Ok(()) } else { Err(code(status)) }
}

fn belongs_to(owner: String) -> io::Error {
    let name = security::name_of(&owner).unwrap_or(owner);
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("it belongs to {name}; remove it, or choose another place with {}", super::HOME_VARIABLE),
    )
}

fn owner_of(dir: &Path) -> io::Result<String> {
    security::owner(raw(&open(dir)?), SE_FILE_OBJECT)
}

fn open(dir: &Path) -> io::Result<OwnedHandle> {
    let name = long_path(dir)?;
    // SAFETY: the name ends with a NUL and outlives the call.
    owned(unsafe {
        CreateFileW(
            name.as_ptr(),
            READ_CONTROL,
            FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
            std::ptr::null(),
            OPEN_EXISTING,
            FILE_FLAG_BACKUP_SEMANTICS,
            std::ptr::null_mut(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_directory_is_made_with_those_above_and_made_private_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a").join("b").join("c");
        create_private(&path).expect("made");
        assert!(path.is_dir());
        create_private(&path).expect("there already");
        assert!(Account::own().expect("own account").trusts(&owner_of(&path).expect("an owner")));
        std::fs::write(path.join("file"), "x").expect("we may write");
    }

    #[test]
    fn only_single_accounts_are_given_a_stack() {
        for sid in ["S-1-5-19", "S-1-5-20", "S-1-5-21-1-2-3-1000", "S-1-5-80-1-2-3-4-5"] {
            assert!(is_of_one(sid), "{sid}");
        }
        // Everybody, all who are signed in, Users, and the one that made it.
        for sid in ["S-1-1-0", "S-1-5-11", "S-1-5-32-545", "S-1-3-0"] {
            assert!(!is_of_one(sid), "{sid}");
        }
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(given(dir.path()), Vec::<String>::new(), "not among the machine's stacks");
    }

    #[test]
    fn a_stack_is_given_to_an_account_with_all_that_is_in_it() {
        let Some(machine) = of_machine().filter(|_| Account::own().is_ok_and(|own| own.administrator)) else {
            return; // Only an administrator gives.
        };
        let name = format!("given-{}", std::process::id());
        let dirs = super::super::below(&machine, &name);
        create_private(&dirs.state).expect("made");
        crate::file::write_atomic(&dirs.state.join("plan.json"), b"{}", true).expect("written");
        let service = "S-1-5-80-1-2-3-4-5".to_owned();
        give_to(&dirs, std::slice::from_ref(&service)).expect("given");
        let has = |path: &Path| {
            let granted =
                security::granted(raw(&open(path).expect("opened")), SE_FILE_OBJECT).expect("a list");
            granted.iter().any(|(sid, rights)| *sid == service && rights & FILE_ALL_ACCESS == FILE_ALL_ACCESS)
        };
        let (all, kept) = (has(&dirs.state), given(&dirs.state) == [service.clone()]);
        let file = has(&dirs.state.join("plan.json"));
        // What an administrator writes there later is given, too, and a look at the directory takes nothing away.
        create_private(&dirs.state).expect("private still");
        crate::file::write_atomic(&dirs.state.join("later.json"), b"{}", true).expect("written");
        let later = has(&dirs.state.join("later.json"));
        give_to(&dirs, &[]).expect("taken back");
        let left = has(&dirs.state) || has(&dirs.state.join("later.json"));
        std::fs::remove_dir_all(machine.join(&name)).expect("removed");
        assert!(all && kept && file && later, "{all} {kept} {file} {later}");
        assert!(!left, "nothing of it is left");
    }

    #[test]
    fn a_file_in_the_way_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a");
        std::fs::write(&path, "").expect("a file");
        let error = create_private(&path).expect_err("a file is there");
        assert!(error.to_string().contains("cannot make"), "{error}");
    }

    #[test]
    fn an_administrators_stack_does_not_trust_just_any_parent() {
        let dir = tempfile::tempdir().expect("a directory");
        let stranger = Account { sid: "S-1-5-21-9-9-9-1".to_owned(), administrator: true };
        let owner = owner_of(dir.path()).expect("an owner");
        if stranger.trusts(&owner) {
            return; // The tests run as an administrator, whom everybody trusts.
        }
        let error = check_parent(dir.path(), &stranger).expect_err("not trusted");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn the_place_is_below_the_users_or_the_machines_directory() {
        let dirs = stack("shop").expect("a place");
        assert!(dirs.state.ends_with(r"Mainstay\shop\state"), "{}", dirs.state.display());
        assert!(dirs.state.is_absolute());
    }
}
