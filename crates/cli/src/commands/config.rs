//! `mainstay config`

use std::path::PathBuf;

use crate::args::Over;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::{Output, words};
use crate::{plan_file, stack};

/// Check a configuration, or describe what one may contain
#[derive(Debug, clap::Subcommand)]
pub enum Config {
    /// Say what is wrong with a configuration; nothing is started or changed
    Check {
        #[command(flatten)]
        which: Which,
    },
    /// Print the configuration as it counts, as TOML: files merged, variables replaced, defaults filled in
    ///
    /// Values of variables are printed as they are, passwords too; references to secrets (`${secret:NAME}`) stay references.
    Show {
        #[command(flatten)]
        which: Which,

        /// Say behind each value where it came from
        #[arg(long)]
        origin: bool,
    },
    /// Print the JSON schema of mainstay.toml, for editors
    Schema,
}

/// Which configuration.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// The file; a further one goes over it [default: ./mainstay.toml]
    #[arg(value_name = "FILE")]
    named: Vec<PathBuf>,

    /// The same, as for `mainstay up`
    #[arg(short, long = "file", value_name = "FILE", conflicts_with = "named")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    over: Over,
}

impl Which {
    /// Its files, of which there is at least one.
    ///
    /// # Errors
    /// There is none.
    fn files(&self) -> Result<Vec<PathBuf>, Failure> {
        let asked = if self.named.is_empty() { &self.files } else { &self.named };
        let files = stack::config_paths(asked)?;
        if files.is_empty() {
            return Err(Failure::usage(format!("there is no {} here", stack::CONFIG))
                .hint("`mainstay config check FILE` checks another"));
        }
        Ok(files)
    }
}

/// Does it.
///
/// # Errors
/// The configuration is wrong.
pub fn run(args: &Config, output: &mut Output) -> Outcome {
    match args {
        Config::Check { which } => check(which, output),
        Config::Show { which, origin } => show(which, *origin, output),
        Config::Schema => {
            output.text(&mainstay_config::schema_text())?;
            Ok(ExitStatus::Done)
        }
    }
}

fn check(which: &Which, output: &mut Output) -> Outcome {
    let files = which.files()?;
    let loaded = plan_file::load(&files, &which.over)?;
    if output.json {
        output.json(&serde_json::json!({
            "file": files[0],
            "files": files,
            "stack": loaded.plan.stack,
            "services": loaded.plan.services.keys().collect::<Vec<_>>(),
            "diagnostics": loaded.warnings,
        }))?;
        return Ok(ExitStatus::Done);
    }
    plan_file::warn(output, &loaded.warnings);
    let services = words::count(loaded.plan.services.len(), "service");
    let asked = if which.named.is_empty() { &which.files } else { &which.named };
    let shown = if asked.is_empty() {
        files[0].file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    } else {
        asked.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    output.line(&format!("{shown}: no errors; stack {} with {services}", loaded.plan.stack))?;
    Ok(ExitStatus::Done)
}

fn show(which: &Which, origin: bool, output: &mut Output) -> Outcome {
    let loaded = plan_file::load(&which.files()?, &which.over)?;
    if output.json {
        output.json(&serde_json::json!({
            "stack": loaded.plan.stack,
            "values": loaded.effective.values,
            "plan": loaded.plan,
        }))?;
        return Ok(ExitStatus::Done);
    }
    plan_file::warn(output, &loaded.warnings);
    output.text(&loaded.effective.to_toml(origin))?;
    Ok(ExitStatus::Done)
}
