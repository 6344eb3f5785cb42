//! The environment of a new process, exactly: empty values, line ends, quotation marks and the hidden `=C:` entries
//! (cmd.exe's current directory on each drive) included.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use windows_sys::Win32::Globalization::{CSTR_EQUAL, CSTR_LESS_THAN, CompareStringOrdinal};
use windows_sys::Win32::System::Environment::{FreeEnvironmentStringsW, GetEnvironmentStringsW};
use zeroize::{Zeroize, Zeroizing};

const EQUALS: u16 = b'=' as u16;

/// What says something of an account, and is wrong for another one that has no such variable.
const OF_ACCOUNT: [&str; 13] = [
    "APPDATA",
    "HOMEDRIVE",
    "HOMEPATH",
    "HOMESHARE",
    "LOCALAPPDATA",
    "LOGONSERVER",
    "TEMP",
    "TMP",
    "USERDNSDOMAIN",
    "USERDOMAIN",
    "USERDOMAIN_ROAMINGPROFILE",
    "USERNAME",
    "USERPROFILE",
];

/// Names and values, sorted as Windows wants them: without regard to case.
#[derive(Debug, Default)]
pub(super) struct Environment(Vec<(Vec<u16>, Vec<u16>)>);

impl Environment {
    /// Our own.
    pub(super) fn own() -> Self {
        // SAFETY: the block is a run of NUL-terminated texts that ends with an empty one; it is read before it is freed.
        unsafe {
            let block = GetEnvironmentStringsW();
            let mut environment = Self::default();
            if block.is_null() {
                return environment;
            }
            let mut at = block.cast_const();
            while *at != 0 {
                let mut length = 0;
                while *at.add(length) != 0 {
                    length += 1;
                }
                environment.add(std::slice::from_raw_parts(at, length));
                at = at.add(length + 1);
            }
            FreeEnvironmentStringsW(block);
            environment
        }
    }

    /// That of another account, with what else we have under it: what was set for Mainstay counts for its services.
    pub(super) fn of_account(variables: &[Vec<u16>]) -> Self {
        let mut environment = Self::own();
        OF_ACCOUNT.iter().for_each(|name| environment.remove(name));
        variables.iter().for_each(|entry| environment.add(entry));
        environment
    }

    /// Nothing but these.
    pub(super) fn only(variables: &[Vec<u16>]) -> Self {
        let mut environment = Self::default();
        variables.iter().for_each(|entry| environment.add(entry));
        environment
    }

    /// `NAME=value` as it stands in a block. A name may begin with the sign: `=C:`.
    fn add(&mut self, entry: &[u16]) {
        if let Some(end) = entry.iter().skip(1).position(|unit| *unit == EQUALS) {
            self.set_wide(entry[..=end].to_vec(), entry[end + 2..].to_vec());
        }
    }

    fn find(&self, name: &[u16]) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| compare(other, name))
    }

    fn set_wide(&mut self, name: Vec<u16>, value: Vec<u16>) {
        match self.find(&name) {
            // The new spelling of the name counts too.
            Ok(at) => self.0[at] = (name, value),
            Err(at) => self.0.insert(at, (name, value)),
        }
    }

    /// Takes one out, however it is spelled.
    pub(super) fn remove(&mut self, name: &str) {
        let name: Vec<u16> = name.encode_utf16().collect();
        if let Ok(at) = self.find(&name) {
            self.0.remove(at);
        }
    }

    /// Sets one, however it was spelled before. Refuses, in words, what a block cannot hold.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        if name.is_empty() {
            return Err("an environment variable without a name".to_owned());
        }
        // An equals sign can only come first.
        if name.chars().skip(1).any(|c| c == '=') {
            return Err(format!("the environment variable {name:?} has an equals sign in its name"));
        }
        if name.contains('\0') || value.contains('\0') {
            return Err(format!("the environment variable {name:?} has a NUL character in it"));
        }
        self.set_wide(name.encode_utf16().collect(), value.encode_utf16().collect());
        Ok(())
    }

    /// Sets all of these.
    pub(super) fn set_all(&mut self, variables: &BTreeMap<String, String>) -> Result<(), String> {
        variables.iter().try_for_each(|(name, value)| self.set(name, value))
    }

    /// A variable's value.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let name: Vec<u16> = name.encode_utf16().collect();
        self.find(&name).ok().map(|at| String::from_utf16_lossy(&self.0[at].1))
    }

    /// The block for `CreateProcessW`; zeroed when it is let go.
    pub(super) fn block(&self) -> Zeroizing<Vec<u16>> {
        // As long as it will be: one that grew would leave copies.
        let length: usize = self.0.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        let mut block = Zeroizing::new(Vec::with_capacity(length + 2));
        for (name, value) in &self.0 {
            block.extend_from_slice(name);
            block.push(EQUALS);
            block.extend_from_slice(value);
            block.push(0);
        }
        if block.is_empty() {
            block.push(0);
        }
        block.push(0);
        block
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        // Some may be secret.
        self.0.iter_mut().for_each(|(_, value)| value.zeroize());
    }
}

/// As Windows compares names: by code unit, in upper case.
fn compare(one: &[u16], other: &[u16]) -> Ordering {
    let length = |text: &[u16]| i32::try_from(text.len()).unwrap_or(i32::MAX);
    // SAFETY: both pointers are valid for the lengths passed.
    let result = unsafe { CompareStringOrdinal(one.as_ptr(), length(one), other.as_ptr(), length(other), 1) };
    match result {
        CSTR_LESS_THAN => Ordering::Less,
        CSTR_EQUAL => Ordering::Equal,
        _ => Ordering::Greater,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(environment: &Environment) -> Vec<String> {
        let block = environment.block();
        assert!(block.ends_with(&[0, 0]));
        let text = String::from_utf16(&block).expect("UTF-16");
        text.trim_end_matches('\0').split('\0').map(str::to_owned).collect()
    }

    #[test]
    fn names_are_sorted_and_replaced_without_regard_to_case() {
        let mut environment = Environment::default();
        for (name, value) in
            [("b", "1"), ("Path", "x"), ("_a", "2"), ("A", "3"), ("PATH", "y"), ("=C:", r"C:\t")]
        {
            environment.set(name, value).expect("valid");
        }
        assert_eq!(entries(&environment), [r"=C:=C:\t", "A=3", "b=1", "PATH=y", "_a=2"]);
        environment.remove("path");
        assert_eq!(environment.get("Path"), None);
    }

    #[test]
    fn values_are_kept_exactly() {
        let mut environment = Environment::default();
        for (name, value) in
            [("A", ""), ("B", "a\r\nb"), ("C", "\"q\""), ("D", r"x\"), ("E", "a=b"), ("Ä", "ü")]
        {
            environment.set(name, value).expect("valid");
        }
        assert_eq!(entries(&environment), ["A=", "B=a\r\nb", "C=\"q\"", r"D=x\", "E=a=b", "Ä=ü"]);
        assert_eq!(environment.get("ä").as_deref(), Some("ü"));
    }

    #[test]
    fn what_a_block_cannot_hold_is_refused() {
        let mut environment = Environment::default();
        assert!(environment.set("", "x").is_err());
        assert!(environment.set("A=B", "x").is_err());
        assert!(environment.set("A\0", "x").is_err());
        assert!(environment.set("A", "x\0y").is_err());
        assert_eq!(environment.block().as_slice(), [0, 0]);
    }

    #[test]
    fn another_account_has_its_own_over_ours_and_nothing_of_our_account() {
        let entry = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
        let block = [entry("Path=C:\\theirs"), entry(r"USERPROFILE=C:\Users\bob"), entry("=C:=C:\\")];
        let environment = Environment::of_account(&block);
        assert_eq!(environment.get("PATH").as_deref(), Some("C:\\theirs"));
        assert_eq!(environment.get("userprofile").as_deref(), Some(r"C:\Users\bob"));
        assert_eq!(environment.get("LOCALAPPDATA"), None);
        assert_eq!(environment.get("SystemRoot"), std::env::var("SystemRoot").ok());
    }

    #[test]
    fn our_own_is_read() {
        let environment = Environment::own();
        assert_eq!(environment.get("path"), std::env::var("PATH").ok());
        assert!(!environment.0.is_empty());
    }
}
