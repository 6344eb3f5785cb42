//! The password of an account: asked for, or given in a way that no process list shows.

use std::io::{BufRead, Read};

use mainstay_core::windows_account;
use mainstay_service::Secret;

use crate::failure::Failure;

/// Where it may be.
const VARIABLE: &str = "MAINSTAY_PASSWORD";

/// A longer one is none.
const MOST: u64 = 4096;

/// The account as the SCM wants it: one of this machine has `.\` before it.
///
/// # Errors
/// It is a managed account without its domain: no machine has one of its own.
pub fn for_scm(account: &str) -> Result<String, Failure> {
    let canonical = windows_account::full_name(account);
    let has_domain = canonical.contains(['\\', '@']);
    if has_domain || canonical == "LocalSystem" {
        return Ok(canonical);
    }
    if windows_account::is_managed(&canonical) {
        return Err(Failure::usage(format!("the managed account {canonical} belongs to a domain"))
            .hint(format!("write it with the domain's name: --account 'DOMAIN\\{canonical}'")));
    }
    Ok(format!(r".\{canonical}"))
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
    fn windows_own_accounts_have_full_names() {
        for (name, full) in [
            ("LocalService", r"NT AUTHORITY\LocalService"),
            ("network service", r"NT AUTHORITY\NetworkService"),
            ("localsystem", "LocalSystem"),
            (r"NT SERVICE\api", r"NT SERVICE\api"),
            (r"CORP\web$", r"CORP\web$"),
            ("web$@corp.example", "web$@corp.example"),
        ] {
            assert_eq!(windows_account::full_name(name), full);
        }
        for name in [r".\bob", r"CORP\bob", "bob@corp.example"] {
            assert_eq!(for_scm(name).expect("an account"), name);
        }
        assert_eq!(for_scm("bob").expect("an account"), r".\bob");
        assert_eq!(for_scm("system").expect("an account"), "LocalSystem");
        for name in [r"CORP\web$", "web$@corp.example"] {
            assert_eq!(for_scm(name).expect("an account"), name);
        }
        let error = format!("{:?}", for_scm("web$").expect_err("no machine has one"));
        assert!(error.contains("belongs to a domain"), "{error}");
        assert_eq!(windows_account::full_name("Users"), "Users", "a group has no machine");
    }
}
