//! What an account may not do with files, though it has to (Windows).

use schemars::JsonSchema;
use serde::Serialize;

use super::{Finding, Fix};
use crate::windows_account;

/// Something that an account may not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Denied {
    /// Its name.
    pub account: String,
    /// The file or directory.
    pub path: String,
    /// What it has to do there.
    pub need: Need,
}

/// What an account has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Start the program.
    Run,
    /// Have it as working directory.
    Enter,
    /// Read the configuration.
    Configuration,
    /// Keep the stack's files there.
    Keep,
}

impl Denied {
    /// The command that mends it, and whether that is all.
    fn icacls(&self, rights: &str) -> String {
        format!("icacls \"{}\" /grant \"{}:{rights}\"", self.path, self.account)
    }

    pub(super) fn finding(&self) -> Finding {
        let Denied { account, path, need } = self;
        let (what, why, mend) = match need {
            Need::Run => (
                format!("{account} may not read and execute {path}"),
                "the program cannot be started under that account",
                format!("`{}`; libraries beside it need the same", self.icacls("(RX)")),
            ),
            Need::Enter => (
                format!("{account} may not enter {path}"),
                "the program cannot have it as its working directory",
                format!(
                    "`{}`; with `(OI)(CI)M` in place of `(RX)` it may write there, too",
                    self.icacls("(RX)")
                ),
            ),
            Need::Configuration => (
                format!("{account} may not read {path}"),
                "the stack does not come up at the next boot: its account reads its configuration then",
                format!("`{}`", self.icacls("(R)")),
            ),
            Need::Keep => (
                format!("{account} may not write to {path}"),
                "the stack does not come up without its files",
                "`mainstay install` again, with the same options, gives it to the account".to_owned(),
            ),
        };
        let finding = Finding::problem("access", what, why, mend);
        // What `install` gives has a list that is made whole.
        if *need == Need::Keep { finding } else { finding.fixed_by(Fix::GrantAccess(self.clone())) }
    }
}

/// An account that may not log on as a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOn {
    /// Its name.
    pub account: String,
    /// Why it may not.
    pub fault: LogOnFault,
}

/// Why an account may not log on as a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOnFault {
    /// It has no right of its own to; whether a group of it has is not known.
    NoneOfItsOwn,
    /// Neither it nor any of its groups has the right to.
    None,
    /// It is denied to this account or group, which it is or is in.
    Denied(String),
}

impl LogOn {
    /// What that means, and what mends it.
    pub fn finding(&self) -> Finding {
        let LogOn { account, fault } = self;
        let policy = "secpol.msc, Local Policies, User Rights Assignment";
        let grant = if windows_account::is_virtual(account) {
            format!(
                "{policy}, \"Log on as a service\": add `NT SERVICE\\ALL SERVICES`, as Windows has it by itself"
            )
        } else {
            format!(
                "`mainstay install` again, with the same options, grants it; or {policy}, \"Log on as a service\""
            )
        };
        let fails = "its logon fails, and the process cannot be made";
        match fault {
            LogOnFault::NoneOfItsOwn => Finding::risk(
                "logon_right",
                format!("{account} has no right of its own to log on as a service"),
                "its logon fails, unless a group that it is in has the right, and the process cannot be made",
                grant,
            ),
            LogOnFault::None => Finding::problem(
                "logon_right",
                format!("neither {account} nor a group that it is in may log on as a service"),
                fails,
                grant,
            ),
            LogOnFault::Denied(to) => {
                let who = if to.eq_ignore_ascii_case(account) {
                    account.clone()
                } else {
                    format!("{to}, which {account} is in,")
                };
                Finding::problem(
                    "logon_right",
                    format!("{who} is denied to log on as a service"),
                    "its logon fails whatever else it is granted, and the process cannot be made",
                    format!("{policy}, \"Deny log on as a service\": take {to} out; or another account"),
                )
            }
        }
    }
}

pub(super) fn no_session(account: &str) -> Finding {
    Finding::problem(
        "session",
        format!("{account} may not start programs in the session of who is signed in"),
        "Windows gives the token of who is signed in to LocalSystem alone, so that the process cannot be made",
        "`mainstay install` again, with the same options and `--account LocalSystem`; the program itself runs with \
         the rights of who is signed in"
            .to_owned(),
    )
}

pub(super) fn in_a_session() -> Finding {
    Finding::risk(
        "not_examined",
        "its start on the desktop of who is signed in was not tried".to_owned(),
        "whether that person may execute the program and enter its directory is not known",
        "start the program by hand on that desktop, in its working directory".to_owned(),
    )
}

pub(super) fn unknown(account: &str, why: &str) -> Finding {
    Finding::risk(
        "not_examined",
        format!("what {account} may do cannot be found out: {why}"),
        "whether it may start programs, enter directories and write logs is not known",
        "correct the account's name, or run `mainstay doctor` where its domain can be asked".to_owned(),
    )
}
