//! `mainstay export`

use mainstay_metrics::export;

use crate::failure::{ExitStatus, Outcome};
use crate::output::Output;

/// Write what other tools want to have, ready to load
#[derive(Debug, clap::Subcommand)]
pub enum Export {
    /// A dashboard for Grafana, as JSON for its import
    Grafana,
    /// Alert rules for Prometheus, for its `rule_files`
    PrometheusRules,
}

/// Writes it.
///
/// # Errors
/// Only those of the output.
pub fn run(what: &Export, output: &mut Output) -> Outcome {
    match what {
        Export::Grafana => output.text(&format!("{:#}\n", export::grafana()))?,
        Export::PrometheusRules => output.text(&export::prometheus_rules())?,
    }
    Ok(ExitStatus::Done)
}
