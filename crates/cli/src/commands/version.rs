//! `mainstay version`

use crate::failure::{ExitStatus, Outcome};
use crate::output::Output;

/// Show which version this is
#[derive(Debug, clap::Args)]
pub struct Version {}

/// Shows it.
///
/// # Errors
/// Only those of the output.
pub fn run(output: &mut Output) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    if output.json {
        let system = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        output.json(&serde_json::json!({ "version": version, "system": system }))?;
    } else {
        output.line(&format!("mainstay {version}"))?;
    }
    Ok(ExitStatus::Done)
}
