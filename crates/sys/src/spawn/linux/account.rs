//! The account that a service runs under.

use std::ffi::{CStr, CString};

use crate::linux::users;
use crate::spawn::Settings;

/// Ready for a new process to become.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    /// Whether the groups were asked for, and are not just those that come with the user.
    pub(crate) insist: bool,
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
    Ok(Account { uid, gid, groups, insist: false, text: text.to_owned(), entry })
}

/// The account that user, group and further groups ask for; none if it is just ours. The error is in words.
pub(crate) fn wanted(user: Option<&str>, settings: Option<&Settings>) -> Result<Option<Account>, String> {
    let group = settings.and_then(|settings| settings.group.as_deref());
    let further = settings.and_then(|settings| settings.supplementary_groups.as_deref());
    let mut account = match (user, group) {
        (Some(user), Some(group)) if user.contains(':') => {
            return Err(format!("user {user:?} names a group, and `group` another one, {group:?}"));
        }
        (Some(user), Some(group)) => look_up(&format!("{user}:{group}"))?,
        (Some(user), None) => look_up(user)?,
        (None, None) if further.is_none() => return Ok(None),
        (None, group) => own(group)?,
    };
    if let Some(further) = further {
        account.groups = further.iter().map(|group| group_number(group)).collect::<Result<_, _>>()?;
        account.insist = true;
        account.text = format!("{} with the groups {}", account.text, further.join(", "));
    }
    Ok(Some(account))
}

/// Whose a file is to be; none if it is just ours. The error is in words.
pub(crate) fn of_file(owner: Option<&str>, group: Option<&str>) -> Result<Option<(u32, u32)>, String> {
    let account = match (owner, group) {
        (None, None) => return Ok(None),
        (Some(owner), None) => look_up(owner)?,
        (Some(owner), Some(group)) => {
            look_up(&format!("{}:{group}", owner.split(':').next().unwrap_or(owner)))?
        }
        (None, group) => own(group)?,
    };
    Ok(Some((account.uid, account.gid)))
}

/// Our own user, perhaps in another group.
fn own(group: Option<&str>) -> Result<Account, String> {
    let gid = match group {
        Some(group) => group_number(group)?,
        None => rustix::process::getegid().as_raw(),
    };
    let groups =
        rustix::process::getgroups().map_err(|error| format!("cannot tell our own groups: {error}"))?;
    let uid = rustix::process::geteuid().as_raw();
    let name = users::name_of(uid);
    Ok(Account {
        uid,
        gid,
        groups: groups.into_iter().map(rustix::process::Gid::as_raw).collect(),
        insist: false,
        text: group.map_or(name.clone(), |group| format!("{name}:{group}")),
        entry: None,
    })
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
