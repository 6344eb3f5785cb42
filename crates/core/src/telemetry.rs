//! What is sent to a collector of OpenTelemetry.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where and what; nothing is sent without an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OpenTelemetryPlan {
    /// The collector's address over HTTP; `/v1/traces` and `/v1/metrics` are added to it.
    pub endpoint: Option<String>,
    /// Sent with each request, such as a key. Names in lower case.
    pub headers: BTreeMap<String, String>,
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

    /// Whether lives of services become traces.
    pub const fn has_traces(&self) -> bool {
        self.endpoint.is_some() && self.traces
    }
}
