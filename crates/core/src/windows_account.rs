//! What the name of an account of Windows says about it.

/// Windows' own for services.
const OWN: [&str; 4] = ["localsystem", "system", "localservice", "networkservice"];

/// Those by the names that people use, and their full names.
const FULL: [(&str, &str); 5] = [
    ("localsystem", "LocalSystem"),
    ("system", "LocalSystem"),
    (r"ntauthority\system", "LocalSystem"),
    ("localservice", r"NT AUTHORITY\LocalService"),
    ("networkservice", r"NT AUTHORITY\NetworkService"),
];

/// The account by its full name, if it is one of Windows' own.
pub fn full_name(account: &str) -> String {
    let bare = account.to_ascii_lowercase().replace(' ', "");
    match FULL.iter().find(|(name, _)| bare == *name) {
        Some((_, full)) => (*full).to_owned(),
        None => account.to_owned(),
    }
}

/// Whether an account has a password that somebody could be asked for: Windows' own, those of services (`NT SERVICE\name`) and
/// managed ones, whose names end with a dollar sign, have none.
pub fn has_password(account: &str) -> bool {
    !is_own(account) && !is_virtual(account) && !is_managed(account)
}

/// Whether it is one of Windows' own for services.
pub fn is_own(account: &str) -> bool {
    let lower = account.to_ascii_lowercase().replace(' ', "");
    let own = lower.strip_prefix(r"ntauthority\").or_else(|| lower.strip_prefix(r".\")).unwrap_or(&lower);
    OWN.contains(&own)
}

/// Whether it is that of a service alone, `NT SERVICE\name`.
pub fn is_virtual(account: &str) -> bool {
    account.to_ascii_lowercase().replace(' ', "").starts_with(r"ntservice\")
}

/// Whether its password is the domain's affair (gMSA).
pub fn is_managed(account: &str) -> bool {
    account.split('@').next().is_some_and(|name| name.ends_with('$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_accounts_of_people_have_passwords() {
        for account in [
            "LocalSystem",
            r".\LocalSystem",
            r"NT AUTHORITY\LocalService",
            r"nt authority\network service",
            "local service",
            r"NT SERVICE\shop@web",
            r"CORP\web$",
            "web$@corp.example",
        ] {
            assert!(!has_password(account), "{account}");
        }
        for account in [r".\bob", r"CORP\Bob Smith", "bob@corp.example", "bob", r"CORP\localservices"] {
            assert!(has_password(account), "{account}");
        }
    }
}
