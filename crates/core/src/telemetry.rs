//! What is sent to a collector of OpenTelemetry.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SecretText, names_in};

/// Where and what; nothing is sent without an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OpenTelemetryPlan {
    /// The collector's address over HTTP; `/v1/traces` and `/v1/metrics` are added to it.
    pub endpoint: Option<String>,
    /// Sent with each request, such as a key. Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Headers in whose values secrets stand.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_headers: BTreeMap<String, SecretText>,
    /// A file of authorities to trust in place of the machine's.
    pub ca: Option<String>,
    /// Whether each life of a service becomes a trace.
    pub traces: bool,
    /// Whether the metrics are sent.
    pub metrics: bool,
    /// How often the metrics are.
    pub interval: Duration,
}

impl Default for OpenTelemetryPlan {
    fn default() -> OpenTelemetryPlan {
        OpenTelemetryPlan {
            endpoint: None,
            headers: BTreeMap::new(),
            secret_headers: BTreeMap::new(),
            ca: None,
            traces: true,
            metrics: true,
            interval: Duration::from_secs(60),
        }
    }
}

impl OpenTelemetryPlan {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == OpenTelemetryPlan::default()
    }

    /// The secrets that are sent to the collector.
    pub fn secret_names(&self) -> BTreeSet<String> {
        names_in(self.secret_headers.values())
    }

    /// Whether lives of services become traces.
    pub const fn has_traces(&self) -> bool {
        self.endpoint.is_some() && self.traces
    }
}
