//! One HTTP exchange over one connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

/// The longest answer read, in bytes. A stack of 10,000 services needs a tenth of it.
const MAX_ANSWER: usize = 64 << 20;

/// A connection to the daemon.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// Makes connections.
pub(crate) type Connector = Arc<dyn Fn() -> Connecting + Send + Sync>;

/// What is sent.
pub(crate) struct Outgoing {
    pub method: Method,
    pub path: String,
    pub body: Bytes,
    /// Whether doing it twice is the same as doing it once.
    pub repeatable: bool,
}

/// Why an exchange came to nothing.
pub(crate) enum Failure {
    /// No connection: the request was not sent.
    Connect(io::Error),
    /// The connection broke; whether the request was handled is unknown.
    Broken(String),
}

/// An answer whose body may still be on its way.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub body: Incoming,
    /// Moves the connection's bytes; ends with this value.
    _connection: JoinSet<()>,
}

/// Sends `request` over a new connection and waits for the head of the answer.
pub(crate) async fn exchange(connect: &Connector, request: &Outgoing) -> Result<Answer, Failure> {
    let stream = connect().await.map_err(Failure::Connect)?;
    let broken = |error: hyper::Error| Failure::Broken(in_words(&error));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // Its failure is seen by the request, too.
        let _ = connection.await;
    });
    let message = Request::builder()
        .method(request.method.clone())
        .uri(&request.path)
        .header(header::HOST, "mainstay")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(request.body.clone()))
        .map_err(|error| Failure::Broken(error.to_string()))?;
    let response = sender.send_request(message).await.map_err(broken)?;
    let (head, body) = response.into_parts();
    // A daemon that is ending, or about to be replaced: the next one answers.
    if head.status == StatusCode::SERVICE_UNAVAILABLE {
        return Err(Failure::Broken("the daemon is too busy, or ending".to_owned()));
    }
    Ok(Answer { status: head.status, body, _connection: tasks })
}

impl Answer {
    /// The whole body.
    pub async fn whole(self) -> Result<(StatusCode, Bytes), Failure> {
        match Limited::new(self.body, MAX_ANSWER).collect().await {
            Ok(body) => Ok((self.status, body.to_bytes())),
            Err(error) => Err(Failure::Broken(error.to_string())),
        }
    }
}

/// An error with its causes, which hyper keeps out of its message.
pub(crate) fn in_words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
