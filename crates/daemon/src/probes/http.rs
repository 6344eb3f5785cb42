//! GET, and a status from 200 to 399 is a yes. Kubernetes' rules: the answer has to end in time, too, but only the
//! first 10 KiB of it are read; redirects are not followed.

use std::fmt::Write as _;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use mainstay_core::ProbeOutcome;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{io_in_words, no, yes};

/// So much of a body is read.
const MAX_BODY: usize = 10 << 10;
/// The longest head accepted.
const MAX_HEAD: usize = 16 << 10;

/// Asks once. The caller limits the time.
pub(super) async fn ask(url: &str) -> ProbeOutcome {
    match answer(url).await {
        Ok(outcome) => outcome,
        Err(detail) => no(detail),
    }
}

async fn answer(url: &str) -> Result<ProbeOutcome, String> {
    let uri: Uri = url.parse().map_err(|error| format!("{url} is not a URL: {error}"))?;
    if uri.scheme_str() != Some("http") {
        return Err(format!("{url}: only http:// can be asked"));
    }
    let host = uri.host().ok_or_else(|| format!("{url} has no host"))?;
    let port = uri.port_u16().unwrap_or(80);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port)).await.map_err(|error| io_in_words(&error))?;

    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| in_words(&error))?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // The request sees its failure, too.
        let _ = connection.await;
    });
    let mut authority = host.to_owned();
    if port != 80 {
        let _ = write!(authority, ":{port}");
    }
    // `http://host?query` has no path of its own.
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::USER_AGENT, concat!("mainstay-probe/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| in_words(&error))?;

    let status = response.status();
    let mut body = response.into_body();
    let mut read = 0;
    while read < MAX_BODY {
        match body.frame().await {
            None => break,
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(error)) => {
                return Err(format!("{status}, but its body broke off: {}", in_words(&error)));
            }
        }
    }
    let detail = status.to_string();
    Ok(if (200..400).contains(&status.as_u16()) { yes(detail) } else { no(detail) })
}

fn in_words(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "connection closed before an answer".to_owned();
    }
    if error.is_parse_too_large() {
        return format!("an answer with a head of more than {} KiB", MAX_HEAD >> 10);
    }
    if error.is_parse() {
        return "the answer is not HTTP".to_owned();
    }
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(this) = cause {
        if let Some(io) = this.downcast_ref::<std::io::Error>() {
            return io_in_words(io);
        }
        cause = this.source();
    }
    error.to_string()
}
