//! The configuration, read in the user's environment, with its problems shown to the user.

use std::path::Path;

use mainstay_config::{Diagnostics, Layout, Plan};

use crate::failure::{ExitStatus, Failure};
use crate::output::Output;
use crate::output::words;

/// A configuration without errors.
#[derive(Debug)]
pub struct LoadedPlan {
    /// The plan.
    pub plan: Plan,
    /// Warnings, if any.
    pub warnings: Diagnostics,
}

/// Reads a configuration.
///
/// # Errors
/// Everything that is wrong with it, as the failure's details.
pub fn load(path: &Path) -> Result<LoadedPlan, Failure> {
    let loaded = mainstay_config::load(path, &|name| std::env::var(name).ok());
    match loaded.plan {
        Some(plan) => Ok(LoadedPlan { plan, warnings: loaded.diagnostics }),
        None => Err(refused(path, &loaded.diagnostics)),
    }
}

/// Shows warnings on standard error.
pub fn warn(output: &Output, warnings: &Diagnostics) {
    if !warnings.is_empty() && !output.json {
        output.note(warnings.render(&layout(output)).trim_end());
    }
}

/// How diagnostics are laid out on standard error.
pub fn layout(output: &Output) -> Layout {
    Layout { width: output.width.unwrap_or(100), colour: output.paint_err.is_on() }
}

fn refused(path: &Path, diagnostics: &Diagnostics) -> Failure {
    let mut failure = Failure::new(
        ExitStatus::Usage,
        format!(
            "{} has {}; nothing was changed",
            path.display(),
            words::count(diagnostics.errors(), "error")
        ),
    );
    failure.diagnostics = Some(Box::new(diagnostics.clone()));
    failure
}
