//! One request to a collector, and what its answer means.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header;
use hyper::{HeaderMap, Request, StatusCode};
use mainstay_core::{OpenTelemetryPlan, Tls};

use super::{Credentials, protobuf};
use crate::probes::{beginning, open};

/// A request that takes longer has failed.
const LONGEST: Duration = Duration::from_secs(10);
/// So much of an answer is read.
const MAX_ANSWER: usize = 64 << 10;

/// Why nothing was taken.
#[derive(Debug)]
pub(super) struct Failed {
    /// In words, without what was sent.
    pub why: String,
    /// Whether the same may be taken later.
    pub again: bool,
    /// Whether the collector does not know, or want, whoever sent it.
    pub unknown: bool,
    /// When, if the collector said so.
    pub after: Option<Duration>,
}

/// Sends `body` to `<endpoint><path>`; how many of the items in it the collector refused.
pub(super) async fn send(
    plan: &OpenTelemetryPlan,
    credentials: &mut Credentials,
    path: &str,
    body: Vec<u8>,
) -> Result<u64, Failed> {
    // Not within the time of the request: a command that says a secret has one of its own.
    let headers = credentials.headers(plan).await.map_err(later)?;
    match tokio::time::timeout(LONGEST, post(plan, headers, path, body)).await {
        Ok(Err(mut failed)) => {
            // A secret may have another value by now.
            failed.again |= failed.unknown && credentials.refused();
            Err(failed)
        }
        Ok(answer) => answer,
        Err(_) => Err(later(format!("no answer in {} s", LONGEST.as_secs()))),
    }
}

fn later(why: String) -> Failed {
    Failed { why, again: true, unknown: false, after: None }
}

async fn post(
    plan: &OpenTelemetryPlan,
    headers: HeaderMap,
    path: &str,
    body: Vec<u8>,
) -> Result<u64, Failed> {
    let url = format!("{}{path}", plan.endpoint.as_deref().unwrap_or_default());
    let tls = Tls { ca: plan.ca.clone(), ..Tls::default() };
    let mut connection = open::<Full<Bytes>>(&url, None, &tls).await.map_err(later)?;
    let never = |why: String| Failed { why, again: false, unknown: false, after: None };
    let mut request = Request::post(connection.path.as_str())
        .header(header::HOST, connection.authority.as_str())
        .header(header::USER_AGENT, concat!("mainstay/", env!("CARGO_PKG_VERSION")))
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .header(header::CONNECTION, "close")
        .body(Full::from(body))
        .map_err(|error| never(error.to_string()))?;
    request.headers_mut().extend(headers);
    let response = connection.sender.send_request(request).await.map_err(|error| later(error.to_string()))?;
    let status = response.status();
    if status.is_success() {
        let answer = beginning(response.into_body(), MAX_ANSWER).await.unwrap_or_default();
        return Ok(protobuf::refused(&answer));
    }
    // As the protocol has it; and a server that is about to start may answer with anything of its own.
    let again = matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    let unknown = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    Err(Failed { why: status.to_string(), again, unknown, after: after(response.headers()) })
}

/// `Retry-After` in seconds; a date is not worth a calendar.
fn after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
