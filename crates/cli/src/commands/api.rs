//! `mainstay api`

use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::Output;

/// For programs that talk to Mainstay: its local API
#[derive(Debug, clap::Subcommand)]
pub enum Api {
    /// Print the OpenAPI document, from which clients in any language can be generated
    Openapi,
}

/// Does it.
///
/// # Errors
/// The output can't be written.
pub fn run(args: &Api, output: &mut Output) -> Outcome {
    match args {
        Api::Openapi => {
            let text = serde_json::to_string_pretty(&mainstay_api::document())
                .map_err(|e| Failure::failed(e.to_string()))?;
            output.line(&text)?;
            Ok(ExitStatus::Done)
        }
    }
}
