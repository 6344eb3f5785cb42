//! Stacks of the machine that an administrator has given to the account that they run under.
//!
//! That account writes where an administrator's commands look later. So nothing is believed that it could have put
//! there: only lists of objects that administrators own count, objects are changed by their handles and only if these
//! really lead below the stack's directory, and links of any kind are left alone.

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};

use windows_sys::Win32::Security::Authorization::SE_FILE_OBJECT;
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION, SetKernelObjectSecurity,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_ALL_ACCESS, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT,
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_GENERIC_READ, FILE_READ_ATTRIBUTES,
    GetFileInformationByHandle, GetFinalPathNameByHandleW, READ_CONTROL, WRITE_DAC,
};

use super::super::{Dirs, Given, Right};
use crate::win::security::{self, Account, Descriptor, Object};
use crate::win::{check, explain, raw};

/// Where the stacks of administrators are.
pub(super) fn of_machine() -> Option<PathBuf> {
    let base = std::env::var_os("ProgramData").filter(|value| !value.is_empty())?;
    Some(PathBuf::from(base).join("Mainstay"))
}

/// To which accounts an administrator has given what is in this directory, beside those who have it anyway. Anybody may make
/// directories in `%ProgramData%`: only what belongs to the system or to administrators says something.
pub(crate) fn given(dir: &Path) -> Vec<Given> {
    let Some(machine) = of_machine() else { return Vec::new() };
    if dir.strip_prefix(&machine).map_or(true, |rest| rest.components().next().is_none()) {
        return Vec::new();
    }
    let granted = || -> io::Result<Vec<(String, u32)>> {
        let object = Opened::at(dir, READ_CONTROL)?;
        let owner = security::owner(raw(&object.0), SE_FILE_OBJECT)?;
        if is_known(&owner) { security::granted(raw(&object.0), SE_FILE_OBJECT) } else { Ok(Vec::new()) }
    };
    chosen(granted().unwrap_or_default())
}

fn is_known(sid: &str) -> bool {
    sid == security::SYSTEM || sid == security::ADMINISTRATORS
}

/// The entries that say that a stack was given to an account.
fn chosen(granted: Vec<(String, u32)>) -> Vec<Given> {
    let right = |mask: u32| {
        let has = |right: u32| mask & right == right;
        if has(FILE_ALL_ACCESS) { Some(Right::All) } else { has(FILE_GENERIC_READ).then_some(Right::Read) }
    };
    let single = granted.into_iter().filter(|(sid, _)| !is_known(sid) && is_of_one(sid));
    single.filter_map(|(sid, mask)| Some(Given { right: right(mask)?, sid })).collect()
}

/// Whether a SID is an account's, and not that of a group of all sorts of people.
fn is_of_one(sid: &str) -> bool {
    let one = ["S-1-5-19", "S-1-5-20"].contains(&sid);
    one || ["S-1-5-21-", "S-1-5-80-"].iter().any(|prefix| sid.starts_with(prefix))
}

/// So deep is looked below a stack's directories: deeper there is nothing of Mainstay's.
const DEEPEST: usize = 4;
/// At so many files it is not a stack's directory any more.
const MOST_FILES: usize = 100_000;

/// Who gets what on a stack's directories, in this order. The one above them holds what an administrator's commands
/// believe, the configuration: whoever runs it reads it. Nobody who may only read gets the logs.
fn lists<'a>(dirs: &'a Dirs, accounts: &[Given]) -> Vec<(&'a Path, Vec<Given>)> {
    let readers: Vec<Given> =
        accounts.iter().map(|account| Given { right: Right::Read, ..account.clone() }).collect();
    let above = dirs.state.parent().into_iter().map(|above| (above, readers.clone()));
    let own = [(&dirs.run, accounts.to_vec()), (&dirs.state, accounts.to_vec()), (&dirs.log, deep(accounts))];
    above.chain(own.map(|(dir, accounts)| (dir.as_path(), accounts))).collect()
}

/// Those who get the directories below the stack's own, too: secrets are there, and histories. An entry of a single
/// service reads the files beside them.
pub(super) fn deep(accounts: &[Given]) -> Vec<Given> {
    accounts.iter().filter(|account| account.right == Right::All).cloned().collect()
}

pub(in super::super) fn give_to(dirs: &Dirs, accounts: &[Given]) -> io::Result<()> {
    let lists = lists(dirs, accounts);
    for (dir, _) in &lists {
        super::create_private(dir)?;
    }
    let Some(above) = dirs.state.parent() else { return Ok(()) };
    let mut giver =
        Giver { account: Account::own()?, below: Opened::at(above, READ_CONTROL)?.path()?, left: MOST_FILES };
    for (dir, accounts) in &lists {
        giver.give(dir, accounts)?;
        let deep = if *dir == above { None } else { Some(DEEPEST) };
        giver.give_inside(dir, accounts, deep)?;
    }
    Ok(())
}

/// Goes through what is there, which has access lists of its own.
struct Giver {
    account: Account,
    /// Where all of it really is.
    below: PathBuf,
    left: usize,
}

impl Giver {
    fn give(&self, path: &Path, accounts: &[Given]) -> io::Result<()> {
        let told =
            |e: io::Error| explain(format_args!("cannot give {} to another account", path.display()), &e);
        let object = match Opened::at(path, READ_CONTROL | WRITE_DAC) {
            // Somebody has removed it meanwhile: logs are rotated, files are replaced.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.map_err(told)?,
        };
        let kind = object.kind().map_err(told)?;
        if !object.path().map_err(told)?.starts_with(&self.below) {
            return Err(told(io::Error::other(format!("it is not below {}", self.below.display()))));
        }
        let Some(kind) = kind else { return Ok(()) };
        self.account.shared(kind, accounts).and_then(|descriptor| object.secure(&descriptor)).map_err(told)
    }

    /// Files alone without a depth: what else is above the stack's directories is not Mainstay's.
    fn give_inside(&mut self, dir: &Path, accounts: &[Given], deep: Option<usize>) -> io::Result<()> {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            self.left = self.left.checked_sub(1).ok_or_else(|| {
                io::Error::other(format!(
                    "there are more than {MOST_FILES} files in {}",
                    self.below.display()
                ))
            })?;
            let kind = entry.file_type()?;
            if kind.is_file() {
                self.give(&entry.path(), accounts)?;
            } else if kind.is_dir()
                && let Some(deep) = deep
            {
                let accounts = self::deep(accounts);
                self.give(&entry.path(), &accounts)?;
                if deep > 0 {
                    self.give_inside(&entry.path(), &accounts, Some(deep - 1))?;
                }
            }
        }
        Ok(())
    }
}

/// An object itself, and not what a link leads to.
pub(super) struct Opened(pub(super) OwnedHandle);

impl Opened {
    pub(super) fn at(path: &Path, access: u32) -> io::Result<Opened> {
        let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;
        let file = std::fs::OpenOptions::new()
            .access_mode(access | FILE_READ_ATTRIBUTES)
            .custom_flags(flags)
            .open(path)?;
        Ok(Opened(file.into()))
    }

    fn information(&self) -> io::Result<BY_HANDLE_FILE_INFORMATION> {
        // SAFETY: numbers alone, for which zero is a value.
        let mut information: BY_HANDLE_FILE_INFORMATION = unsafe { std::mem::zeroed() };
        // SAFETY: the handle is open, and the result outlives the call.
        check(unsafe { GetFileInformationByHandle(self.0.as_raw_handle(), &mut information) })?;
        Ok(information)
    }

    pub(super) fn is_link(&self) -> io::Result<bool> {
        Ok(self.information()?.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT != 0)
    }

    /// What it is; none if it is a link, or a file that has another name elsewhere.
    fn kind(&self) -> io::Result<Option<Object>> {
        let information = self.information()?;
        let is = |attribute: u32| information.dwFileAttributes & attribute != 0;
        Ok(match is(FILE_ATTRIBUTE_DIRECTORY) {
            _ if is(FILE_ATTRIBUTE_REPARSE_POINT) => None,
            true => Some(Object::Directory),
            false => (information.nNumberOfLinks <= 1).then_some(Object::File),
        })
    }

    /// Where it really is, whatever links lead there.
    fn path(&self) -> io::Result<PathBuf> {
        // The longest path that Windows has.
        let mut units = vec![0_u16; 32_768];
        let room = u32::try_from(units.len()).unwrap_or(0);
        // SAFETY: the handle is open, and the place is as long as said.
        let length = unsafe { GetFinalPathNameByHandleW(raw(&self.0), units.as_mut_ptr(), room, 0) };
        match length {
            0 => Err(io::Error::last_os_error()),
            _ if length >= room => Err(io::Error::other("a path that is too long")),
            _ => Ok(PathBuf::from(OsString::from_wide(&units[..length as usize]))),
        }
    }

    /// Gives it this access list, and no other from above. What is in it keeps its own.
    pub(super) fn secure(&self, descriptor: &Descriptor) -> io::Result<()> {
        let what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
        // SAFETY: the handle is open with the right to change its list; the descriptor is valid.
        check(unsafe { SetKernelObjectSecurity(raw(&self.0), what, descriptor.pointer()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(sid: &str) -> Given {
        Given { sid: sid.to_owned(), right: Right::All }
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
        assert_eq!(given(dir.path()), [], "not among the machine's stacks");
    }

    #[test]
    fn what_an_entry_of_a_list_grants_says_what_the_account_may() {
        let list = [
            ("S-1-5-18", FILE_ALL_ACCESS),
            ("S-1-5-80-1", FILE_ALL_ACCESS),
            ("S-1-5-80-2", FILE_GENERIC_READ | 0x20),
            ("S-1-5-80-3", 0x20),
            ("S-1-1-0", FILE_ALL_ACCESS),
        ];
        let list = list.map(|(sid, mask)| (sid.to_owned(), mask)).into();
        let reader = Given { sid: "S-1-5-80-2".to_owned(), right: Right::Read };
        assert_eq!(chosen(list), [all("S-1-5-80-1"), reader]);
    }

    #[test]
    fn an_account_may_write_into_the_directories_but_not_beside_them_and_an_entry_reads_no_log() {
        let dirs = super::super::super::below(Path::new(r"C:\ProgramData\Mainstay"), "shop");
        let entry = Given { right: Right::Read, ..all("S-1-5-80-2") };
        let lists = lists(&dirs, &[all("S-1-5-80-1"), entry]);
        let shown: Vec<String> = lists
            .iter()
            .map(|(dir, accounts)| {
                let name = dir.file_name().unwrap_or_default().to_string_lossy();
                format!("{name} {:?}", accounts.iter().map(|account| account.right).collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(shown, ["shop [Read, Read]", "run [All, Read]", "state [All, Read]", "log [All]"]);
    }

    /// Wine keeps of an access list what the mode of a Unix file can say: entries of accounts that are not the owner, a
    /// group of Windows' own or everybody are gone when it is read.
    fn keeps_entries_of_others(dir: &Path) -> bool {
        let path = dir.join("probe");
        std::fs::write(&path, "").expect("a file");
        let object = Opened::at(&path, READ_CONTROL | WRITE_DAC).expect("ours");
        let descriptor = Descriptor::parse("D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;S-1-5-80-1-2-3-4-5)");
        object.secure(&descriptor.expect("a descriptor")).expect("set");
        let list = security::granted(raw(&object.0), SE_FILE_OBJECT).expect("a list");
        list.iter().any(|(sid, _)| sid == "S-1-5-80-1-2-3-4-5")
    }

    #[test]
    fn a_stack_is_given_to_an_account_with_all_that_is_in_it() {
        let Some(machine) = of_machine().filter(|_| Account::own().is_ok_and(|own| own.administrator)) else {
            println!("skipped: only an administrator gives");
            return;
        };
        let name = format!("given-{}", std::process::id());
        let dirs = super::super::super::below(&machine, &name);
        super::super::create_private(&dirs.state).expect("made");
        let write = |name: &str| {
            let path = dirs.state.join(name);
            crate::file::write_atomic(&path, b"{}", true).expect("written");
            path
        };
        let (plan, service) = (write("plan.json"), all("S-1-5-80-1-2-3-4-5"));
        let entry = Given { right: Right::Read, ..all("S-1-5-80-6-7-8-9-10") };
        super::super::create_private(&dirs.state.join("secrets")).expect("made");
        let secret = write(r"secrets\old");
        give_to(&dirs, &[service.clone(), entry.clone()]).expect("given");
        // What an administrator writes there later is given, too, and a look at the directory takes nothing away.
        super::super::create_private(&dirs.state).expect("private still");
        let later = write("later.json");
        super::super::create_private(&dirs.state.join("later")).expect("made");
        let deeper = [secret, write(r"secrets\new"), dirs.state.join("later"), write(r"later\file")];
        let has = |path: &Path| {
            let object = Opened::at(path, READ_CONTROL).expect("opened");
            let mut all = chosen(security::granted(raw(&object.0), SE_FILE_OBJECT).expect("a list"));
            // Wine names the owner, too.
            all.retain(|given| [&service.sid, &entry.sid].contains(&&given.sid));
            all
        };
        let seen = [has(&dirs.state), has(&plan), has(&later)];
        let seen_deeper = deeper.each_ref().map(|path| has(path));
        let above = has(dirs.state.parent().expect("one above"));
        give_to(&dirs, &[]).expect("taken back");
        let left = [has(&dirs.state), has(&plan), has(&later)];
        let keeps = keeps_entries_of_others(&dirs.state);
        std::fs::remove_dir_all(machine.join(&name)).expect("removed");
        assert!(left.iter().all(Vec::is_empty), "nothing of it is left: {left:?}");
        if !keeps {
            println!("skipped reading back: this system (Wine) keeps no entries of other accounts");
            return;
        }
        assert_eq!(seen, [(); 3].map(|()| vec![service.clone(), entry.clone()]));
        assert_eq!(seen_deeper, [(); 4].map(|()| vec![service.clone()]), "an entry reads no secrets");
        assert_eq!(above, [Given { right: Right::Read, sid: service.sid.clone() }, entry]);
    }

    #[test]
    fn a_file_with_a_second_name_is_not_given_away() {
        let dir = tempfile::tempdir().expect("a directory");
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        std::fs::write(&one, "x").expect("a file");
        let kind =
            |path: &Path| Opened::at(path, READ_CONTROL).and_then(|object| object.kind()).expect("seen");
        assert_eq!((kind(&one), kind(dir.path())), (Some(Object::File), Some(Object::Directory)));
        std::fs::hard_link(&one, &other).expect("a second name");
        assert_eq!((kind(&one), kind(&other)), (None, None));
    }

    #[test]
    fn what_is_elsewhere_is_not_given_away() {
        let (dir, elsewhere) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("another"));
        let below = Opened::at(dir.path(), READ_CONTROL).and_then(|dir| dir.path()).expect("a path");
        let giver = Giver { account: Account::own().expect("ours"), below, left: 1 };
        std::fs::create_dir(dir.path().join("in")).expect("made");
        giver.give(&dir.path().join("in"), &[]).expect("given");
        let error = giver.give(elsewhere.path(), &[]).expect_err("not ours");
        assert!(error.to_string().contains("is not below"), "{error}");
    }
}
