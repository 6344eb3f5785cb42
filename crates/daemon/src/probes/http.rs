//! A request, and a status from 200 to 399 (or what is expected) is a yes. Kubernetes' rules: the answer has to end in
//! time, too, but only the beginning of it is read; redirects are not followed.

use std::fmt::Write as _;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, Uri, header};
use hyper_util::rt::TokioIo;
use mainstay_core::{HttpCheck, ProbeOutcome, Tls};
use mainstay_sys::local::{self, Duplex};
use regex::bytes::RegexBuilder;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{MAX_PATTERN, bare, io_in_words, no, outcome, tls, yes};

/// So much of a body is read.
const MAX_BODY: usize = 10 << 10;
/// So much of a body is read if something is looked for in it.
const MAX_SEARCHED: usize = 64 << 10;
/// The longest head accepted.
const MAX_HEAD: usize = 16 << 10;

/// Asks once. The caller limits the time.
pub(super) async fn ask(check: &HttpCheck) -> ProbeOutcome {
    match answer(check).await {
        Ok(outcome) => outcome,
        Err(failed) => no(failed.detail),
    }
}

/// Asks once for the end of whoever answers: one that closes the connection instead of answering has heard it, and
/// ends. The caller limits the time.
pub(super) async fn ask_to_end(check: &HttpCheck) -> ProbeOutcome {
    match answer(check).await {
        Ok(outcome) => outcome,
        Err(Failed { closed: true, detail }) => yes(detail),
        Err(failed) => no(failed.detail),
    }
}

/// Why there is no answer.
struct Failed {
    detail: String,
    /// The request was taken, and the connection closed before the head of an answer.
    closed: bool,
}

impl From<String> for Failed {
    fn from(detail: String) -> Failed {
        Failed { detail, closed: false }
    }
}

/// The request was not answered.
fn unanswered(error: &hyper::Error) -> Failed {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    let cut = |io: &std::io::Error| matches!(io.kind(), ConnectionReset | ConnectionAborted | BrokenPipe);
    let closed = error.is_incomplete_message() || io_of(error).is_some_and(cut);
    Failed { detail: in_words(error), closed }
}

/// A server over whose connection one request can be sent.
pub(crate) struct Connection<B> {
    pub sender: http1::SendRequest<B>,
    /// What is asked for there.
    pub path: String,
    /// The server's name, as it wants to be called.
    pub authority: String,
    secure: bool,
    /// Moves the bytes. The request sees its failure, too.
    _task: JoinSet<()>,
}

/// Connects to whom a URL names, or to `socket` in its place.
pub(crate) async fn open<B>(url: &str, socket: Option<&str>, tls: &Tls) -> Result<Connection<B>, String>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let uri: Uri = url.parse().map_err(|error| format!("{url} is not a URL: {error}"))?;
    let secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(format!("{url}: only http:// and https:// can be asked")),
    };
    let host = uri.host().ok_or_else(|| format!("{url} has no host"))?;
    let usual = if secure { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(usual);
    let name = bare(host);
    let mut stream: Box<dyn Duplex> = match socket {
        Some(socket) => local::connect(socket).await.map_err(|error| io_in_words(&error))?,
        None => Box::new(TcpStream::connect((name, port)).await.map_err(|error| io_in_words(&error))?),
    };
    if secure {
        stream = tls::connect(stream, name, tls, b"http/1.1").await?;
    }
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| in_words(&error))?;
    let mut task = JoinSet::new();
    task.spawn(async move { drop(connection.await) });
    let mut authority = host.to_owned();
    if port != usual {
        let _ = write!(authority, ":{port}");
    }
    // `http://host?query` has no path of its own.
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok(Connection { sender, path, authority, secure, _task: task })
}

async fn answer(check: &HttpCheck) -> Result<ProbeOutcome, Failed> {
    let mut connection = open(&check.url, check.socket.as_deref(), &check.tls).await?;
    let request = request(check, &connection)?;
    let response = connection.sender.send_request(request).await.map_err(|error| unanswered(&error))?;

    let status = response.status();
    let expected = check.expects(status.as_u16());
    let unchecked = if connection.secure && check.tls.insecure { tls::UNCHECKED } else { "" };
    // Of a body after a status that is not wanted nobody wants to know whether it matches.
    let pattern = check.body.as_deref().filter(|_| expected);
    let most = if pattern.is_some() { MAX_SEARCHED } else { MAX_BODY };
    let body = beginning(response.into_body(), most)
        .await
        .map_err(|error| format!("{status}, but its body broke off: {error}"))?;
    let Some(pattern) = pattern else { return Ok(outcome(expected, format!("{status}{unchecked}"))) };
    let regex = RegexBuilder::new(pattern)
        .size_limit(MAX_PATTERN)
        .build()
        .map_err(|error| format!("not a pattern that can be used: {error}"))?;
    if regex.is_match(&body) {
        return Ok(outcome(true, format!("{status}, the body matches{unchecked}")));
    }
    // What was in it instead is not told: it may be anything, also what nobody else may see.
    let much = if body.len() >= MAX_SEARCHED { "the beginning of its body" } else { "its body" };
    Ok(no(format!("{status}, but {much} ({} bytes) does not match{unchecked}", body.len())))
}

fn request(check: &HttpCheck, to: &Connection<Empty<Bytes>>) -> Result<Request<Empty<Bytes>>, String> {
    let method = match &check.method {
        None => Method::GET,
        Some(method) => method.parse().map_err(|_| format!("{method} is no method of HTTP"))?,
    };
    let mut request = Request::builder()
        .method(method)
        .uri(to.path.as_str())
        .header(header::HOST, to.authority.as_str())
        .header(header::USER_AGENT, concat!("mainstay-probe/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    for (name, value) in &check.headers {
        let name: HeaderName = name.parse().map_err(|_| format!("{name} is no name of a header"))?;
        let mut value =
            HeaderValue::from_str(value).map_err(|_| format!("the value of {name} is no header"))?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

/// At most so much of a body; what is behind it is left unread.
pub(crate) async fn beginning(mut body: Incoming, most: usize) -> Result<Vec<u8>, String> {
    let mut read = Vec::new();
    while read.len() < most {
        match body.frame().await {
            None => break,
            Some(Ok(frame)) => {
                let data = frame.data_ref().map_or(&[][..], |data| data.as_ref());
                read.extend_from_slice(&data[..data.len().min(most - read.len())]);
            }
            Some(Err(error)) => return Err(in_words(&error)),
        }
    }
    Ok(read)
}

/// What went wrong in HTTP, of either version.
pub(super) fn in_words(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "connection closed before an answer".to_owned();
    }
    if error.is_parse_too_large() {
        return format!("an answer with a head of more than {} KiB", MAX_HEAD >> 10);
    }
    if error.is_parse() {
        return "the answer is not HTTP".to_owned();
    }
    if let Some(io) = io_of(error) {
        return io_in_words(io);
    }
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

/// The system's part in it.
fn io_of(error: &hyper::Error) -> Option<&std::io::Error> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn causes(error: &hyper::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |cause| cause.source())
}
