//! The headers that a collector knows its clients by. Secrets in them are looked up for each request, so that a new value
//! is sent with the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use mainstay_core::OpenTelemetryPlan;
use mainstay_secrets::{Value, fill};

use crate::secrets::{Vault, in_words};

/// A value that is a command's, of which nothing shows whether it says something else by now, is kept no longer.
const KEPT: Duration = Duration::from_secs(60);

/// The headers of a plan.
pub(super) struct Credentials {
    vault: Vault,
    names: BTreeSet<String>,
    read: Option<Read>,
}

/// Values, as they were at some time.
#[derive(Clone)]
struct Read {
    values: BTreeMap<String, Value>,
    stamp: u64,
    at: Instant,
}

impl Credentials {
    pub fn new(vault: Vault, plan: &OpenTelemetryPlan) -> Credentials {
        Credentials { vault, names: plan.secret_names(), read: None }
    }

    /// The collector does not take them: the values are read again for the next request. Whether that may help.
    pub fn refused(&mut self) -> bool {
        self.read = None;
        !self.names.is_empty()
    }

    /// The headers for the next request.
    ///
    /// # Errors
    /// A secret has no value, or one that no header can have; in words, without it.
    pub async fn headers(&mut self, plan: &OpenTelemetryPlan) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &plan.headers {
            add(&mut headers, name, value)?;
        }
        if self.names.is_empty() {
            return Ok(headers);
        }
        let values = self.values().await?;
        for (name, text) in &plan.secret_headers {
            let value =
                |secret: &str| values.get(secret).cloned().ok_or_else(|| format!("{secret} was not read"));
            add(&mut headers, name, &fill(text, value)?)?;
        }
        Ok(headers)
    }

    async fn values(&mut self) -> Result<&BTreeMap<String, Value>, String> {
        let (vault, names, before) = (self.vault.clone(), self.names.clone(), self.read.take());
        let look = move || {
            // Before the values: a file that changes meanwhile is read again the next time.
            let stamp = vault.stamp_of(&names);
            match before {
                Some(read) if read.stamp == stamp && read.at.elapsed() < KEPT => Ok(read),
                _ => vault.read_apart(&names).map(|values| Read { values, stamp, at: Instant::now() }),
            }
        };
        let read = tokio::task::spawn_blocking(look).await.map_err(|_| "the daemon is ending".to_owned())?;
        Ok(&self.read.insert(read.map_err(|error| in_words(&error))?).values)
    }
}

fn add(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let known: HeaderName = name.parse().map_err(|_| format!("{name} is no name of a header"))?;
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| format!("the value of {name} has characters that a header cannot have"))?;
    value.set_sensitive(true);
    headers.insert(known, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use mainstay_core::{Piece, Plan, SecretText};

    use super::*;

    async fn authorization(credentials: &mut Credentials, plan: &Plan) -> Result<String, String> {
        let headers = credentials.headers(&plan.opentelemetry).await?;
        assert_eq!(headers["x-key"], "open");
        let value = &headers["authorization"];
        assert!(value.is_sensitive());
        Ok(value.to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn another_value_is_sent_with_the_next_request() {
        let state = tempfile::tempdir().unwrap();
        let text = SecretText::of([Piece::Text("Bearer ".into()), Piece::Secret("token", Vec::new())]);
        let plan = Plan {
            opentelemetry: OpenTelemetryPlan {
                headers: BTreeMap::from([("x-key".to_owned(), "open".to_owned())]),
                secret_headers: BTreeMap::from([("authorization".to_owned(), text)]),
                ..OpenTelemetryPlan::default()
            },
            ..Plan::default()
        };
        let vault = Vault::for_tests(state.path());
        vault.follow(&plan);
        let mut credentials = Credentials::new(vault, &plan.opentelemetry);
        let none = authorization(&mut credentials, &plan).await.unwrap_err();
        assert!(none.contains("token") && none.contains("mainstay secret set"), "{none}");

        let store = mainstay_secrets::Secrets::new(state.path(), &plan.secrets);
        for value in ["first", "the second", "third"] {
            store.set("token", value).unwrap();
            assert_eq!(authorization(&mut credentials, &plan).await.unwrap(), format!("Bearer {value}"));
        }
        store.set("token", "s3cret\nline").unwrap();
        let wrong = authorization(&mut credentials, &plan).await.unwrap_err();
        assert!(wrong.contains("authorization") && !wrong.contains("s3cret"), "{wrong}");
        assert!(credentials.refused());
    }

    #[tokio::test]
    async fn a_refusal_is_final_without_secrets() {
        let state = tempfile::tempdir().unwrap();
        let plan = OpenTelemetryPlan::default();
        assert!(!Credentials::new(Vault::for_tests(state.path()), &plan).refused());
    }
}
