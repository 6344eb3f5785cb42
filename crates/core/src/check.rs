//! What a probe asks.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SecretText;

/// What a probe asks. The core passes it on; only [`Check::Notify`] it answers itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// A request over HTTP gives the status, and perhaps the body, that is expected.
    Http(Box<HttpCheck>),
    /// The standard health service of gRPC says `SERVING`.
    Grpc(Box<GrpcCheck>),
    /// A connection to `host:port` succeeds.
    Tcp(String),
    /// This command exits with 0.
    Exec(Vec<String>),
    /// This regular expression matches a line of the run's output.
    Log(String),
    /// The service says it itself (sd_notify's protocol, or `mainstay notify`): `READY=1` answers a startup and a
    /// readiness probe, `READY=0` takes readiness back, `WATCHDOG=1` answers a liveness probe. One word decides,
    /// whatever the thresholds. For startup and liveness each interval of silence is a failure.
    Notify,
}

/// A request over HTTP/1.1. In JSON just the address where nothing else is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Form", into = "Form")]
pub struct HttpCheck {
    /// `http://` or `https://`.
    pub url: String,
    /// Connect here instead of to the address's host: the path of a Unix socket, or a named pipe's name on Windows.
    pub socket: Option<String>,
    /// `GET` if absent.
    pub method: Option<String>,
    /// Sent besides, or instead of, the usual ones.
    pub headers: BTreeMap<String, String>,
    /// Headers in whose values secrets stand.
    pub secret_headers: BTreeMap<String, SecretText>,
    /// Statuses that are a success, from and to; 200 to 399 if empty.
    pub expect: Vec<(u16, u16)>,
    /// The beginning of the body has to match this regular expression.
    pub body: Option<String>,
    /// For `https://`.
    pub tls: Tls,
}

/// A call of `grpc.health.v1.Health/Check`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GrpcCheck {
    /// `host:port`.
    pub address: String,
    /// Which of its services; empty for the server as a whole.
    pub service: String,
    /// Over TLS; without it in the clear.
    pub tls: Option<Tls>,
}

/// How a server's certificate is checked. Files are absolute, in PEM, and read anew for each question, so that renewed
/// certificates count at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Tls {
    /// Authorities that are trusted, instead of the machine's.
    pub ca: Option<String>,
    /// The certificate that is shown to the server, with its chain.
    pub cert: Option<String>,
    /// That certificate's private key.
    pub key: Option<String>,
    /// Any certificate will do.
    pub insecure: bool,
}

/// A request over HTTP/1.1; just its address where nothing else is given.
//
// [`HttpCheck`] in JSON.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "HttpCheck")]
enum Form {
    Url(String),
    Full(Box<Full>),
}

#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "HttpRequest")]
struct Full {
    url: String,
    socket: Option<String>,
    method: Option<String>,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    secret_headers: BTreeMap<String, SecretText>,
    #[schemars(with = "Vec<Vec<u16>>")]
    expect: Vec<(u16, u16)>,
    body: Option<String>,
    tls: Tls,
}

impl From<Form> for HttpCheck {
    fn from(form: Form) -> HttpCheck {
        match form {
            Form::Url(url) => HttpCheck { url, ..HttpCheck::default() },
            Form::Full(full) => {
                let Full { url, socket, method, headers, secret_headers, expect, body, tls } = *full;
                HttpCheck { url, socket, method, headers, secret_headers, expect, body, tls }
            }
        }
    }
}

impl From<HttpCheck> for Form {
    fn from(check: HttpCheck) -> Form {
        if check == HttpCheck::from(Form::Url(check.url.clone())) {
            return Form::Url(check.url);
        }
        let HttpCheck { url, socket, method, headers, secret_headers, expect, body, tls } = check;
        Form::Full(Box::new(Full { url, socket, method, headers, secret_headers, expect, body, tls }))
    }
}

impl From<String> for Box<HttpCheck> {
    fn from(url: String) -> Box<HttpCheck> {
        Box::new(HttpCheck { url, ..HttpCheck::default() })
    }
}

impl From<&str> for Box<HttpCheck> {
    fn from(url: &str) -> Box<HttpCheck> {
        url.to_owned().into()
    }
}

impl HttpCheck {
    /// Whether a status is a success.
    pub fn expects(&self, status: u16) -> bool {
        match self.expect.as_slice() {
            [] => (200..400).contains(&status),
            ranges => ranges.iter().any(|(from, to)| (*from..=*to).contains(&status)),
        }
    }
}

/// In words, for people: what is asked. Without header values, which may be secret.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let insecure = |tls: &Tls| if tls.insecure { " (certificate not checked)" } else { "" };
        match self {
            Check::Http(http) => {
                f.write_str("http ")?;
                if let Some(method) = &http.method {
                    write!(f, "{method} ")?;
                }
                f.write_str(&http.url)?;
                if let Some(socket) = &http.socket {
                    write!(f, " at {socket}")?;
                }
                f.write_str(insecure(&http.tls))
            }
            Check::Grpc(grpc) => {
                write!(f, "grpc {}", grpc.address)?;
                if !grpc.service.is_empty() {
                    write!(f, " {}", grpc.service)?;
                }
                f.write_str(grpc.tls.as_ref().map_or("", insecure))
            }
            Check::Tcp(address) => write!(f, "tcp {address}"),
            Check::Exec(command) => write!(f, "exec {}", command.join(" ")),
            Check::Log(pattern) => write!(f, "log {pattern}"),
            Check::Notify => f.write_str("notify"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_alone_is_a_string_in_json_as_it_always_was() {
        let plain = Check::Http("http://h/".into());
        assert_eq!(serde_json::to_string(&plain).unwrap(), r#"{"http":"http://h/"}"#);
        assert_eq!(serde_json::from_str::<Check>(r#"{"http":"http://h/"}"#).unwrap(), plain);
        let tls = Tls { insecure: true, ..Tls::default() };
        let full =
            HttpCheck { url: "https://h/".into(), expect: vec![(200, 299)], tls, ..HttpCheck::default() };
        let full = Check::Http(Box::new(full));
        let text = serde_json::to_string(&full).unwrap();
        assert_eq!(serde_json::from_str::<Check>(&text).unwrap(), full);
        assert_eq!(full.to_string(), "http https://h/ (certificate not checked)");
    }

    #[test]
    fn words_have_no_header_values() {
        let headers = [("authorization".to_owned(), "Bearer secret".to_owned())].into();
        let check = HttpCheck { url: "http://h/".into(), headers, ..HttpCheck::default() };
        assert_eq!(Check::Http(Box::new(check)).to_string(), "http http://h/");
    }
}
