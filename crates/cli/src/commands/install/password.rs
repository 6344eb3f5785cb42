//! The password of an account: asked for, or given in a way that no process list shows.

use std::io::{BufRead, Read};

use mainstay_service::Secret;

use crate::failure::Failure;

/// Where it may be.
const VARIABLE: &str = "MAINSTAY_PASSWORD";

/// A longer one is none.
const MOST: u64 = 4096;

/// Windows' own accounts, by the names that people use.
const KNOWN: [(&str, &str); 5] = [
    ("localsystem", "LocalSystem"),
    ("system", "LocalSystem"),
    ("localservice", r"NT AUTHORITY\LocalService"),
    ("networkservice", r"NT AUTHORITY\NetworkService"),
    (r"nt authority\system", "LocalSystem"),
];

/// The account by its full name, if it is one of Windows' own.
pub fn canonical(account: &str) -> String {
    let bare = account.to_ascii_lowercase().replace(' ', "");
    let spaced = account.to_ascii_lowercase();
    match KNOWN.iter().find(|(name, _)| bare == *name || spaced == *name) {
        Some((_, full)) => (*full).to_owned(),
        None => account.to_owned(),
    }
}

/// The account as the SCM wants it: one of this machine has `.\` before it.
pub fn for_scm(account: &str) -> String {
    let canonical = canonical(account);
    let has_domain = canonical.contains(['\\', '@']);
    if has_domain || canonical == "LocalSystem" { canonical } else { format!(r".\{canonical}") }
}

/// Whether an account has a password. Windows' own, virtual ones, and managed ones (with a `$`) have none.
pub fn needs_one(account: &str) -> bool {
    let lower = account.to_ascii_lowercase();
    let own =
        lower == "localsystem" || lower.starts_with(r"nt authority\") || lower.starts_with(r"nt service\");
    !own && !lower.ends_with('$')
}

/// Gets it: from standard input if that is said, from the variable, or from whoever sits there.
///
/// # Errors
/// There is none.
pub fn ask(account: &str, from_stdin: bool) -> Result<Secret, Failure> {
    if from_stdin {
        let mut line = String::new();
        std::io::stdin().lock().take(MOST).read_line(&mut line).map_err(|error| {
            Failure::failed(format!("cannot read the password from standard input: {error}"))
        })?;
        return Ok(Secret::new(line.trim_end_matches(['\r', '\n'])));
    }
    if let Ok(password) = std::env::var(VARIABLE) {
        return Ok(Secret::new(password));
    }
    match mainstay_sys::console::read_hidden(&format!("Password of {account}: ")) {
        Ok(password) => Ok(Secret::new(password)),
        Err(_) => Err(Failure::usage(format!("the account {account} needs its password"))
            .hint(format!("put it into {VARIABLE}, or pipe it in with --password-stdin"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_own_accounts_have_full_names_and_no_passwords() {
        for (name, full) in [
            ("LocalService", r"NT AUTHORITY\LocalService"),
            ("network service", r"NT AUTHORITY\NetworkService"),
            ("localsystem", "LocalSystem"),
            (r"NT SERVICE\api", r"NT SERVICE\api"),
            (r"CORP\web$", r"CORP\web$"),
        ] {
            assert_eq!(canonical(name), full);
            assert!(!needs_one(full), "{full}");
        }
        for name in [r".\bob", r"CORP\bob", "bob@corp.example"] {
            assert_eq!(for_scm(name), name);
            assert!(needs_one(name), "{name}");
        }
        assert_eq!(for_scm("bob"), r".\bob");
        assert_eq!(for_scm("system"), "LocalSystem");
        assert_eq!(canonical("Users"), "Users", "a group has no machine");
    }
}
