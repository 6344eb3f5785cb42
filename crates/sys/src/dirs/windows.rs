//! `%ProgramData%` for administrators, `%LOCALAPPDATA%` for everybody else.

use std::io;
use std::path::{Path, PathBuf};

use windows_sys::Win32::Foundation::ERROR_ALREADY_EXISTS;
use windows_sys::Win32::Security::Authorization::{SE_FILE_OBJECT, SetNamedSecurityInfoW};
use windows_sys::Win32::Security::{
    ACL, DACL_SECURITY_INFORMATION, GetSecurityDescriptorDacl, PROTECTED_DACL_SECURITY_INFORMATION,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateDirectoryW, CreateFileW, FILE_FLAG_BACKUP_SEMANTICS, FILE_SHARE_DELETE, FILE_SHARE_READ,
    FILE_SHARE_WRITE, OPEN_EXISTING, READ_CONTROL,
};

use super::Dirs;
use crate::win::security::{self, Account, Descriptor, Object};
use crate::win::{check, code, explain, long_path, owned, raw};

pub(super) fn stack(name: &str) -> io::Result<Dirs> {
    Ok(super::below(&base()?, name))
}

pub(super) fn config(name: &str) -> io::Result<PathBuf> {
    Ok(base()?.join(name).join("mainstay.toml"))
}

pub(super) fn stacks() -> Vec<String> {
    base().map(|base| super::names_in(&base, Some("state"))).unwrap_or_default()
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
    let descriptor = account.private(Object::Directory)?;
    let missing: Vec<&Path> = path.ancestors().take_while(|dir| !dir.is_dir()).collect();
    if let (true, Some(parent)) = (account.administrator, missing.last().and_then(|dir| dir.parent())) {
        check_parent(parent, &account)
            .map_err(|e| explain(format_args!("{} is not safe", parent.display()), &e))?;
    }
    for dir in missing.iter().rev() {
        make(dir, &descriptor).map_err(|e| explain(format_args!("cannot make {}", dir.display()), &e))?;
    }
    if missing.is_empty() {
        secure(&path, &account, &descriptor)
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
fn secure(dir: &Path, account: &Account, descriptor: &Descriptor) -> io::Result<()> {
    let owner = owner_of(dir)?;
    if !account.trusts(&owner) {
        return Err(belongs_to(owner));
    }
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
    let name = long_path(dir)?;
    // SAFETY: the name ends with a NUL and outlives the call.
    let handle = owned(unsafe {
        CreateFileW(
            name.as_ptr(),
            READ_CONTROL,
            FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
            std::ptr::null(),
            OPEN_EXISTING,
            FILE_FLAG_BACKUP_SEMANTICS,
            std::ptr::null_mut(),
        )
    })?;
    security::owner(raw(&handle), SE_FILE_OBJECT)
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
