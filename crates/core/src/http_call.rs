//! A request over HTTP that tells a program something.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::HttpCheck;

/// A request over HTTP/1.1 that a program is told something by. An answer other than 200 to 399 is a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpCall {
    /// Where to.
    pub url: String,
    /// GET, POST and the like.
    pub method: String,
    /// Connect here instead: the path of a Unix socket, or a named pipe's name on Windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
}

/// Without what follows the path: it may hold what is not for everybody's eyes.
impl fmt::Display for HttpCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url.split(['?', '#']).next().unwrap_or(&self.url))
    }
}

impl From<HttpCall> for HttpCheck {
    fn from(HttpCall { url, method, socket }: HttpCall) -> HttpCheck {
        HttpCheck { url, method: Some(method), socket, ..HttpCheck::default() }
    }
}
