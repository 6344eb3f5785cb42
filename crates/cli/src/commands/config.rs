//! `mainstay config`

use std::path::PathBuf;

use crate::args::Select;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::{Output, words};
use crate::{plan_file, stack};

/// Check a configuration, or describe what one may contain
#[derive(Debug, clap::Subcommand)]
pub enum Config {
    /// Say what is wrong with a configuration; nothing is started or changed
    Check {
        /// The file [default: ./mainstay.toml]
        file: Option<PathBuf>,
    },
    /// Print the JSON schema of mainstay.toml, for editors
    Schema,
}

/// Does it.
///
/// # Errors
/// The configuration is wrong.
pub fn run(args: &Config, output: &mut Output) -> Outcome {
    match args {
        Config::Check { file } => check(file.clone(), output),
        Config::Schema => {
            output.text(&mainstay_config::schema_text())?;
            Ok(ExitStatus::Done)
        }
    }
}

fn check(file: Option<PathBuf>, output: &mut Output) -> Outcome {
    let shown = file.clone().unwrap_or_else(|| PathBuf::from(stack::CONFIG));
    let path = stack::config_path(&Select { stack: None, file })?.ok_or_else(|| {
        Failure::usage(format!("there is no {} here", stack::CONFIG))
            .hint("`mainstay config check FILE` checks another")
    })?;
    let loaded = plan_file::load(&path)?;
    if output.json {
        output.json(&serde_json::json!({
            "file": path,
            "stack": loaded.plan.stack,
            "services": loaded.plan.services.keys().collect::<Vec<_>>(),
            "diagnostics": loaded.warnings,
        }))?;
        return Ok(ExitStatus::Done);
    }
    plan_file::warn(output, &loaded.warnings);
    let services = words::count(loaded.plan.services.len(), "service");
    output.line(&format!("{}: no errors; stack {} with {services}", shown.display(), loaded.plan.stack))?;
    Ok(ExitStatus::Done)
}
