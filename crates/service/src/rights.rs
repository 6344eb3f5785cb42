//! Who may do what with a service, and what it may do itself: settings of the SCM.

/// What somebody who is no administrator may do with a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See its configuration, its state and what depends on it.
    Look,
    /// That, and start it.
    Start,
    /// That, and stop, pause and continue it, and send it controls.
    Operate,
}

/// Whether a service has a SID of its own, `NT SERVICE\name`, in its token, so that files can be given to it by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceSid {
    /// Unless its account is that.
    #[default]
    None,
    /// Access lists may grant to it.
    Unrestricted,
    /// It may write only where an access list grants that to this SID, too.
    Restricted,
}

#[cfg(any(windows, test))]
impl Role {
    /// The rights, as SDDL has them for services: query configuration (CC), query status (LC), enumerate dependents (SW),
    /// interrogate (LO), read the list (RC); start (RP), stop (WP), pause and continue (DT), own controls (CR).
    pub(crate) fn sddl(self) -> &'static str {
        match self {
            Role::Look => "CCLCSWLORC",
            Role::Start => "CCLCSWRPLORC",
            Role::Operate => "CCLCSWRPWPDTLOCRRC",
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Role::Look => "look",
            Role::Start => "start",
            Role::Operate => "operate",
        }
    }
}

/// What Windows gives every new service: all to administrators; what it needs to the system; and a look, with own
/// controls, to whoever is signed in at the machine (IU) or is a service (SU).
#[cfg(any(windows, test))]
const DEFAULT: &str = "D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)\
                       (A;;CCLCSWLOCRRC;;;IU)(A;;CCLCSWLOCRRC;;;SU)";

/// The access list of a service, as text, that gives these roles to these SIDs.
#[cfg(any(windows, test))]
pub(crate) fn access_list(roles: &[(String, Role)]) -> String {
    let entry = |(sid, role): &(String, Role)| format!("(A;;{};;;{sid})", role.sddl());
    DEFAULT.to_owned() + &roles.iter().map(entry).collect::<String>()
}

/// The rights of a service's access list, as SDDL writes them, in words.
#[cfg(any(windows, test))]
const RIGHTS: [(&str, &str); 14] = [
    ("CC", "see its configuration"),
    ("DC", "change its configuration"),
    ("LC", "see its state"),
    ("SW", "see what depends on it"),
    ("RP", "start"),
    ("WP", "stop"),
    ("DT", "pause and continue"),
    ("LO", "interrogate"),
    ("CR", "send controls of its own"),
    ("SD", "delete"),
    ("RC", "see this list"),
    ("WD", "change this list"),
    ("WO", "take it over"),
    ("GA", "everything"),
];

/// Whom SDDL has letters for.
#[cfg(any(windows, test))]
const WHO: [(&str, &str); 7] = [
    ("SY", "the system"),
    ("BA", "administrators"),
    ("IU", "whoever is signed in at the machine"),
    ("SU", "services"),
    ("AU", "whoever is signed in"),
    ("WD", "everybody"),
    ("BU", "users"),
];

/// What an access list of a service says, an entry each. What has no words stays as it is.
#[cfg(any(windows, test))]
pub(crate) fn access_words(sddl: &str) -> Vec<String> {
    let list = sddl.split_once("D:").map_or("", |(_, list)| list);
    let list = list.split("S:").next().unwrap_or_default();
    let entries = list.split('(').skip(1).filter_map(|entry| entry.split(')').next());
    entries.map(|entry| entry_words(entry).unwrap_or_else(|| entry.to_owned())).collect()
}

#[cfg(any(windows, test))]
fn entry_words(entry: &str) -> Option<String> {
    let fields: Vec<&str> = entry.split(';').collect();
    let [kind, _, rights, _, _, who] = fields.as_slice() else { return None };
    let who = WHO.iter().find(|(letters, _)| letters == who).map_or(*who, |(_, words)| words);
    let rights: Vec<&str> =
        rights.as_bytes().chunks(2).map(|right| std::str::from_utf8(right).unwrap_or("")).collect();
    let word = |right: &&str| Some(RIGHTS.iter().find(|(letters, _)| letters == right)?.1);
    let words = rights.iter().map(word).collect::<Option<Vec<&str>>>()?;
    let has =
        |all: &str| all.as_bytes().chunks(2).all(|right| rights.iter().any(|own| own.as_bytes() == right));
    let (full, role) = (Role::Operate.sddl().to_owned() + "DCSDWDWO", |role: Role| {
        has(role.sddl()) && words.len() * 2 == role.sddl().len()
    });
    let what = match () {
        () if has(&full) => "everything".to_owned(),
        () if role(Role::Operate) => Role::Operate.word().to_owned(),
        () if role(Role::Start) => Role::Start.word().to_owned(),
        () if role(Role::Look) => Role::Look.word().to_owned(),
        () => words.join(", "),
    };
    match *kind {
        "A" => Some(format!("{who}: {what}")),
        "D" => Some(format!("{who}: never {what}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_added_to_what_windows_gives() {
        assert_eq!(access_list(&[]), DEFAULT);
        let roles =
            [("S-1-5-21-1-2-3-1000".to_owned(), Role::Operate), ("S-1-5-80-1".to_owned(), Role::Start)];
        assert_eq!(
            access_list(&roles).strip_prefix(DEFAULT),
            Some("(A;;CCLCSWRPWPDTLOCRRC;;;S-1-5-21-1-2-3-1000)(A;;CCLCSWRPLORC;;;S-1-5-80-1)")
        );
    }

    #[test]
    fn lists_are_told_in_words() {
        let list = access_list(&[("S-1-5-80-1".to_owned(), Role::Start)])
            + "(D;;RPWP;;;WD)(A;;0x3;;;BA)(OA;;CC;;;SY)";
        assert_eq!(
            access_words(&format!("O:BAG:SY{list}S:(AU;FA;GA;;;WD)")),
            [
                "the system: operate",
                "administrators: everything",
                "whoever is signed in at the machine: see its configuration, see its state, see what depends on it, \
                 interrogate, send controls of its own, see this list",
                "services: see its configuration, see its state, see what depends on it, interrogate, send controls \
                 of its own, see this list",
                "S-1-5-80-1: start",
                "everybody: never start, stop",
                "A;;0x3;;;BA",
                "OA;;CC;;;SY",
            ]
        );
        assert_eq!(access_words("D:"), Vec::<String>::new());
    }

    #[test]
    fn no_role_may_change_the_service_itself() {
        for role in [Role::Look, Role::Start, Role::Operate] {
            let rights =
                role.sddl().as_bytes().chunks(2).map(|right| std::str::from_utf8(right).unwrap_or("?"));
            for right in rights {
                // Change the configuration, delete, change the list, take it over.
                assert!(!["DC", "SD", "WD", "WO", "GA", "GW"].contains(&right), "{role:?} {right}");
            }
        }
    }
}
