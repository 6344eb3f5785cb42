//! The configuration, read in the user's environment, with its problems shown to the user.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use mainstay_config::{Asked, Diagnostics, Effective, Layout, Plan, Request};
use mainstay_daemon::Source;

use crate::args::Over;
use crate::failure::{ExitStatus, Failure};
use crate::output::Output;
use crate::output::words;
use crate::stack::Place;

/// A configuration without errors.
#[derive(Debug)]
pub struct LoadedPlan {
    /// The plan.
    pub plan: Plan,
    /// Every value with where it came from.
    pub effective: Effective,
    /// Warnings, if any.
    pub warnings: Diagnostics,
    /// What it was read from.
    pub source: Source,
}

/// What a configuration is made from, beside the variables that it asks for. All that is needed to read it again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inputs {
    /// The files, each over the one before it.
    pub files: Vec<PathBuf>,
    /// Whose overlays are read.
    pub environment: Option<String>,
    /// What `MAINSTAY__…` sets.
    pub settings: Vec<(String, String)>,
    /// What `--set` sets.
    pub sets: Vec<String>,
    /// The profiles taken in.
    pub profiles: Vec<String>,
}

/// Reads a configuration.
///
/// # Errors
/// Everything that is wrong with it, as the failure's details.
pub fn load(files: &[PathBuf], over: &Over) -> Result<LoadedPlan, Failure> {
    load_with(&inputs(files, over), &variable)
}

/// The same with variables from anywhere.
///
/// # Errors
/// Everything that is wrong with it, as the failure's details.
pub fn load_with(inputs: &Inputs, variable: &dyn Fn(&str) -> Option<String>) -> Result<LoadedPlan, Failure> {
    load_unsaved(inputs, Vec::new(), variable)
}

/// The same, with other texts for some of the files.
///
/// # Errors
/// Everything that is wrong with it, as the failure's details.
pub fn load_unsaved(
    inputs: &Inputs,
    unsaved: Vec<(PathBuf, Vec<u8>)>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<LoadedPlan, Failure> {
    let files = inputs.files.as_slice();
    let asked = Asked {
        settings: inputs.settings.clone(),
        sets: inputs.sets.clone(),
        profiles: inputs.profiles.clone(),
        effective: true,
    };
    let request = Request { files: files.to_vec(), environment: inputs.environment.clone(), asked, unsaved };
    let loaded = mainstay_config::load_all(&request, variable);
    match loaded.plan {
        Some(plan) => {
            let effective = loaded.effective.unwrap_or_default();
            let source = source(&request, &loaded.files);
            Ok(LoadedPlan { plan, effective, warnings: loaded.diagnostics, source })
        }
        None => Err(refused(files, &loaded.diagnostics)),
    }
}

fn source(request: &Request, read: &[PathBuf]) -> Source {
    let text = |path: &PathBuf| {
        std::path::absolute(path).unwrap_or_else(|_| path.clone()).to_string_lossy().into_owned()
    };
    Source {
        files: request.files.iter().map(text).collect(),
        environment: request.environment.clone(),
        settings: request.asked.settings.clone(),
        sets: request.asked.sets.clone(),
        profiles: request.asked.profiles.clone(),
        read: read.iter().map(text).collect(),
    }
}

/// What is asked of the configuration: by the command line, and by the environment.
pub fn inputs(files: &[PathBuf], over: &Over) -> Inputs {
    // What is no Unicode cannot be a setting.
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let mut settings: Vec<(String, String)> =
        std::env::vars_os().filter_map(text).filter(|(name, _)| name.starts_with("MAINSTAY__")).collect();
    settings.sort();
    let environment = over.env.clone().or_else(|| variable("MAINSTAY_ENV").filter(|name| !name.is_empty()));
    let mut profiles = over.profiles.clone();
    if profiles.is_empty() {
        let names = variable("MAINSTAY_PROFILES").unwrap_or_default();
        profiles.extend(names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned));
    }
    Inputs { files: files.to_vec(), environment, settings, sets: over.sets.clone(), profiles }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Shows warnings on standard error.
pub fn warn(output: &Output, warnings: &Diagnostics) {
    if !warnings.is_empty() && !output.json {
        output.note(warnings.render(&layout(output)).trim_end());
    }
}

/// Tells what a plan lacks of the system, once it is applied to a stack that is installed.
pub fn warn_of_log_ons(output: &Output, place: &Place, plan: &Plan) {
    for (service, finding) in crate::doctor::log_ons(place, plan) {
        output.warning(&format!("{service}: {}: {}; {}", finding.what, finding.why, finding.mend));
    }
}

/// How diagnostics are laid out on standard error.
pub fn layout(output: &Output) -> Layout {
    Layout { width: output.width.unwrap_or(100), colour: output.paint_err.is_on() }
}

fn refused(files: &[PathBuf], diagnostics: &Diagnostics) -> Failure {
    let mut failure = Failure::new(
        ExitStatus::Usage,
        format!(
            "{} {} {}; nothing was changed",
            files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", "),
            if files.len() == 1 { "has" } else { "have" },
            words::count(diagnostics.errors(), "error")
        ),
    );
    failure.diagnostics = Some(Box::new(diagnostics.clone()));
    failure
}
