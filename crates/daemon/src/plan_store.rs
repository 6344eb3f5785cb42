//! The plan on disk: what `mainstay up` accepted, for every daemon that follows.
//!
//! A daemon reads nothing else. A configuration file that is edited later, even into nonsense, can't hurt what runs.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mainstay_core::Plan;
use serde::{Deserialize, Serialize};

/// The longest plan accepted, in bytes. All spawns of a plan fit into one frame of the link.
pub const MAX_PLAN: usize = 32 << 20;

/// An accepted plan and where it came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StoredPlan {
    /// The plan.
    pub plan: Plan,
    /// The configuration file, absolute; none for a stack of `mainstay run`.
    #[serde(default)]
    pub config: Option<String>,
    /// All that `mainstay up` read, so that it can be read again in the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// What a configuration is read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// The files, absolute, each over the ones before it.
    pub files: Vec<String>,
    /// The environment whose overlays go over them.
    pub environment: Option<String>,
    /// What `MAINSTAY__…` set, name and value.
    pub settings: Vec<(String, String)>,
    /// Values over all files, from the command line.
    pub sets: Vec<String>,
    /// The profiles asked for.
    pub profiles: Vec<String>,
    /// Every file that was read or looked for, absolute: those of variables too.
    pub read: Vec<String>,
}

/// Why the plan can't be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The file can't be read.
    #[error("can't read the plan {}: {error}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is not a plan.
    #[error("the plan {} is damaged ({error}); `mainstay up` writes it anew", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        error: serde_json::Error,
    },
    /// The file can't be written.
    #[error("can't write the plan {}: {error}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The plan is beyond [`MAX_PLAN`].
    #[error("the plan has {bytes} bytes, the most is {MAX_PLAN}; large environments belong into files")]
    TooLong {
        /// Its length as JSON.
        bytes: usize,
    },
}

/// The plan's file in a stack's state directory.
pub fn plan_path(state: &Path) -> PathBuf {
    state.join("plan.json")
}

/// The second copy. Services that run must not lose their brain to one damaged file: a keeper's next daemon could not
/// start without a plan, and `up` refuses while the keeper is there.
fn copy_path(state: &Path) -> PathBuf {
    state.join("plan.copy.json")
}

/// Reads the plan from a stack's state directory; its second copy where the first one cannot be used.
///
/// # Errors
/// See [`PlanError`]; what is wrong with the first one.
pub fn read_plan(state: &Path) -> Result<StoredPlan, PlanError> {
    read_one(plan_path(state)).or_else(|error| match read_one(copy_path(state)) {
        Ok(stored) => {
            tracing::warn!("{error}; its copy is used");
            Ok(stored)
        }
        Err(_) => Err(error),
    })
}

/// Reads a plan from another file.
pub(crate) fn read_plan_from(path: PathBuf) -> Result<StoredPlan, PlanError> {
    read_one(path)
}

fn read_one(path: PathBuf) -> Result<StoredPlan, PlanError> {
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_PLAN as u64 + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(PlanError::Read { path, error });
    }
    if bytes.len() > MAX_PLAN {
        return Err(PlanError::TooLong { bytes: bytes.len() });
    }
    serde_json::from_slice(&bytes).map_err(|error| PlanError::Damaged { path, error })
}

/// Writes the plan into a stack's state directory, twice: each whole or not at all, readable by its owner alone, because
/// environments may hold secrets.
///
/// # Errors
/// See [`PlanError`].
pub fn write_plan(state: &Path, stored: &StoredPlan) -> Result<(), PlanError> {
    let bytes = as_bytes(plan_path(state), stored)?;
    for path in [plan_path(state), copy_path(state)] {
        write_one(path, &bytes)?;
    }
    Ok(())
}

/// The same into one other file, for a keeper that makes it the stack's plan, in both copies.
///
/// # Errors
/// See [`PlanError`].
pub fn write_plan_to(path: PathBuf, stored: &StoredPlan) -> Result<(), PlanError> {
    let bytes = as_bytes(path.clone(), stored)?;
    write_one(path, &bytes)
}

fn as_bytes(path: PathBuf, stored: &StoredPlan) -> Result<Vec<u8>, PlanError> {
    let bytes = serde_json::to_vec(stored).map_err(|error| PlanError::Damaged { path, error })?;
    if bytes.len() > MAX_PLAN {
        return Err(PlanError::TooLong { bytes: bytes.len() });
    }
    Ok(bytes)
}

fn write_one(path: PathBuf, bytes: &[u8]) -> Result<(), PlanError> {
    mainstay_sys::file::write_atomic(&path, bytes, true).map_err(|error| PlanError::Write { path, error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::{ServiceName, ServicePlan};

    fn plan(names: &[&str]) -> StoredPlan {
        let services = names
            .iter()
            .map(|name| {
                let mut service = ServicePlan::default();
                service.launch.command = vec!["prog".into(), "a b".into(), String::new()];
                service.restart.on_exit.insert(-3, mainstay_core::ExitAction::Fail);
                (ServiceName::new(*name).unwrap(), service)
            })
            .collect();
        StoredPlan {
            plan: Plan { stack: "shop".into(), services, ..Plan::default() },
            config: Some("/x/mainstay.toml".into()),
            source: None,
        }
    }

    #[test]
    fn comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        write_plan(dir.path(), &plan(&["a", "b"])).unwrap();
        write_plan(dir.path(), &plan(&["b", "c"])).unwrap();
        assert_eq!(read_plan(dir.path()).unwrap(), plan(&["b", "c"]));
    }

    #[test]
    fn says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read_plan(dir.path()), Err(PlanError::Read { .. })));
        std::fs::write(plan_path(dir.path()), b"{\"plan\": {\"stack\"").unwrap();
        let error = read_plan(dir.path()).unwrap_err().to_string();
        assert!(error.contains("plan.json is damaged"), "{error}");
    }

    #[test]
    fn a_damaged_one_is_replaced_by_its_copy() {
        let dir = tempfile::tempdir().unwrap();
        write_plan(dir.path(), &plan(&["a"])).unwrap();
        for damaged in [&b"{\"plan\": {\"stack\""[..], b"", b"\xff\x00"] {
            std::fs::write(plan_path(dir.path()), damaged).unwrap();
            assert_eq!(read_plan(dir.path()).unwrap(), plan(&["a"]));
        }
        std::fs::remove_file(plan_path(dir.path())).unwrap();
        assert_eq!(read_plan(dir.path()).unwrap(), plan(&["a"]));
        write_plan(dir.path(), &plan(&["b"])).unwrap();
        std::fs::write(copy_path(dir.path()), b"").unwrap();
        assert_eq!(read_plan(dir.path()).unwrap(), plan(&["b"]));
    }

    #[test]
    fn refuses_what_is_too_long_and_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        write_plan(dir.path(), &plan(&["a"])).unwrap();
        let mut long = plan(&["a"]);
        long.config = Some("x".repeat(MAX_PLAN));
        assert!(matches!(write_plan(dir.path(), &long), Err(PlanError::TooLong { .. })));
        assert_eq!(read_plan(dir.path()).unwrap(), plan(&["a"]));
    }
}
