//! What a service is given less of than its account has, on Windows: privileges and the integrity level.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which of its account's privileges a service goes without. It never has one that its account has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Privileges {
    /// Without these, by Windows' names.
    Remove(Vec<String>),
    /// Without all others than these and `SeChangeNotifyPrivilege` ("bypass traverse checking"): every account has that,
    /// and without it hardly any program finds its files. It goes only if it is removed by name.
    Keep(Vec<String>),
}

/// How far Windows trusts a process: it changes nothing that is marked for a higher level than its own, whatever access
/// lists grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    /// What a browser gives to pages: nearly nothing can be written.
    Low,
    /// An ordinary user's programs.
    Medium,
    /// An administrator's.
    High,
    /// Services.
    System,
}

impl Integrity {
    /// All of them, the lowest first.
    pub const ALL: [Integrity; 4] = [Integrity::Low, Integrity::Medium, Integrity::High, Integrity::System];

    /// Its name in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Integrity::Low => "low",
            Integrity::Medium => "medium",
            Integrity::High => "high",
            Integrity::System => "system",
        }
    }
}

/// Windows' privileges by their names ("Privilege Constants" in Microsoft's documentation).
pub const PRIVILEGES: [&str; 36] = [
    "SeAssignPrimaryTokenPrivilege",
    "SeAuditPrivilege",
    "SeBackupPrivilege",
    "SeChangeNotifyPrivilege",
    "SeCreateGlobalPrivilege",
    "SeCreatePagefilePrivilege",
    "SeCreatePermanentPrivilege",
    "SeCreateSymbolicLinkPrivilege",
    "SeCreateTokenPrivilege",
    "SeDebugPrivilege",
    "SeDelegateSessionUserImpersonatePrivilege",
    "SeEnableDelegationPrivilege",
    "SeImpersonatePrivilege",
    "SeIncreaseBasePriorityPrivilege",
    "SeIncreaseQuotaPrivilege",
    "SeIncreaseWorkingSetPrivilege",
    "SeLoadDriverPrivilege",
    "SeLockMemoryPrivilege",
    "SeMachineAccountPrivilege",
    "SeManageVolumePrivilege",
    "SeProfileSingleProcessPrivilege",
    "SeRelabelPrivilege",
    "SeRemoteShutdownPrivilege",
    "SeRestorePrivilege",
    "SeSecurityPrivilege",
    "SeShutdownPrivilege",
    "SeSyncAgentPrivilege",
    "SeSystemEnvironmentPrivilege",
    "SeSystemProfilePrivilege",
    "SeSystemtimePrivilege",
    "SeTakeOwnershipPrivilege",
    "SeTcbPrivilege",
    "SeTimeZonePrivilege",
    "SeTrustedCredManAccessPrivilege",
    "SeUndockPrivilege",
    "SeUnsolicitedInputPrivilege",
];
