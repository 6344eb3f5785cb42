//! The account that a service runs under.

use std::ffi::{CStr, CString};

use crate::linux::users;

/// Ready for a new process to become.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    /// As the user wrote it.
    pub(crate) text: String,
    entry: Option<users::Account>,
}

impl Account {
    /// What a login would set.
    pub(crate) fn variables(&self) -> Vec<(&'static str, &[u8])> {
        let Some(entry) = &self.entry else { return Vec::new() };
        let name = entry.name.as_bytes();
        let mut all = vec![("HOME", entry.home.as_bytes()), ("USER", name), ("LOGNAME", name)];
        if !entry.shell.is_empty() {
            all.push(("SHELL", entry.shell.as_bytes()));
        }
        all
    }
}

/// `name`, `uid`, `name:group` or `uid:gid`. The error is in words.
pub(crate) fn look_up(text: &str) -> Result<Account, String> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let broken = |error: std::io::Error| format!("cannot look up user {user:?}: {error}");
    let name = CString::new(user).map_err(|_| format!("user {user:?} has a NUL inside"))?;
    let number: Option<u32> = user.parse().ok();
    let mut entry = users::by_name(&name).map_err(broken)?;
    if let (None, Some(uid)) = (&entry, number) {
        entry = users::by_uid(uid).map_err(broken)?;
    }
    let uid = match (&entry, number) {
        (Some(entry), _) => entry.uid,
        (None, Some(uid)) => uid,
        (None, None) => return Err(format!("there is no user {user:?} on this machine")),
    };
    let gid = match (group, &entry) {
        (Some(group), _) => group_number(group)?,
        (None, Some(entry)) => entry.gid,
        (None, None) => {
            return Err(format!(
                "user {uid} has no entry in the user database; write {uid}:GID to say its group"
            ));
        }
    };
    let groups = match &entry {
        Some(entry) => users::groups_of(&entry.name, gid).map_err(broken)?,
        None => vec![gid],
    };
    Ok(Account { uid, gid, groups, text: text.to_owned(), entry })
}

fn group_number(group: &str) -> Result<u32, String> {
    let name = CString::new(group).map_err(|_| format!("group {group:?} has a NUL inside"))?;
    let name: &CStr = &name;
    match users::group_by_name(name) {
        Ok(Some(gid)) => Ok(gid),
        Ok(None) => group.parse().map_err(|_| format!("there is no group {group:?} on this machine")),
        Err(error) => Err(format!("cannot look up group {group:?}: {error}")),
    }
}
