//! `%ProgramData%` for administrators, `%LOCALAPPDATA%` for everybody else; and `%ProgramData%` for the account that an
//! administrator has given a stack there to.

mod given;

use std::io;
use std::path::{Path, PathBuf};

use windows_sys::Win32::Foundation::ERROR_ALREADY_EXISTS;
use windows_sys::Win32::Security::Authorization::SE_FILE_OBJECT;
use windows_sys::Win32::Storage::FileSystem::{CreateDirectoryW, READ_CONTROL, WRITE_DAC};

use super::{Dirs, Given, Right};
use crate::win::security::{self, Account, Descriptor, Object};
use crate::win::{check, explain, long_path, raw};

pub(super) use given::give_to;
pub(crate) use given::given;
use given::{Opened, of_machine};

pub(super) fn stack(name: &str) -> io::Result<Dirs> {
    Ok(super::below(&base_of(name)?, name))
}

pub(super) fn config(name: &str) -> io::Result<PathBuf> {
    Ok(base_of(name)?.join(name).join("mainstay.toml"))
}

pub(super) fn stacks() -> Vec<String> {
    base().map(|base| super::names_in(&base, Some("state"))).unwrap_or_default()
}

/// Below what the directories of this stack are.
fn base_of(name: &str) -> io::Result<PathBuf> {
    let account = Account::own()?;
    let given = |machine: &Path| given(&machine.join(name).join("state"));
    match of_machine().filter(|machine| belongs_to_machine(&account, &given(machine))) {
        Some(machine) => Ok(machine),
        None => base(),
    }
}

/// Whether a stack that is in the machine's place, and given to these, is what an account means by its name.
fn belongs_to_machine(account: &Account, given: &[Given]) -> bool {
    account.administrator || given.iter().any(|given| given.sid == account.sid)
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

pub(super) fn give(_path: &Path, _owner: &str) -> io::Result<()> {
    Ok(())
}

pub(super) fn create_private(path: &Path) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let account = Account::own()?;
    let all = |given: &Given| given.sid == account.sid && given.right == Right::All;
    if !account.administrator && given(&path).iter().any(all) {
        // An administrator has made it, and its list.
        return Ok(());
    }
    let there = path.ancestors().find(|dir| dir.is_dir());
    let missing: Vec<&Path> = path.ancestors().take_while(|dir| !dir.is_dir()).collect();
    let accounts = there.map(given).unwrap_or_default();
    let accounts = if missing.is_empty() { accounts } else { given::deep(&accounts) };
    let descriptor = account.shared(Object::Directory, &accounts)?;
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

/// Anybody may make directories in `%ProgramData%`: one that is there already is ours only if we own it. A link may be an
/// administrator's, but not where an account may write that a stack was given to.
fn secure(dir: &Path, account: &Account, descriptor: &Descriptor) -> io::Result<()> {
    let object = Opened::at(dir, READ_CONTROL | WRITE_DAC)?;
    let owner = security::owner(raw(&object.0), SE_FILE_OBJECT)?;
    if !account.trusts(&owner) {
        return Err(belongs_to(owner));
    }
    if !object.is_link()? {
        return object.secure(descriptor);
    }
    if account.administrator && dir.parent().is_some_and(|parent| !given(parent).is_empty()) {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it is a link, which the account of the stack could have made; remove it, or run the stack as LocalSystem",
        ));
    }
    secure(&std::fs::canonicalize(dir)?, account, descriptor)
}

fn belongs_to(owner: String) -> io::Error {
    let name = security::name_of(&owner).unwrap_or(owner);
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("it belongs to {name}; remove it, or choose another place with {}", super::HOME_VARIABLE),
    )
}

/// Of what a link leads to, if it is one.
fn owner_of(dir: &Path) -> io::Result<String> {
    security::owner(raw(&Opened::at(&std::fs::canonicalize(dir)?, READ_CONTROL)?.0), SE_FILE_OBJECT)
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
    fn a_stack_that_was_given_to_an_account_is_what_it_means_by_that_name() {
        let account = |sid: &str, administrator| Account { sid: sid.to_owned(), administrator };
        let given = [("S-1-5-80-1", Right::All), ("S-1-5-80-2", Right::Read)]
            .map(|(sid, right)| Given { sid: sid.to_owned(), right });
        assert!(belongs_to_machine(&account("S-1-5-80-1", false), &given), "the stack's");
        assert!(belongs_to_machine(&account("S-1-5-80-2", false), &given), "an entry's");
        assert!(!belongs_to_machine(&account("S-1-5-21-1-2-3-1000", false), &given), "somebody else's");
        assert!(!belongs_to_machine(&account("S-1-5-80-1", false), &[]), "nothing was given");
        assert!(belongs_to_machine(&account("S-1-5-21-1-2-3-1000", true), &[]), "an administrator");
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
