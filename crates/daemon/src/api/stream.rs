//! Answers without an end: a JSON object per line, or server-sent events for whoever asks for these.
//!
//! A reader that is slow costs no memory: it has two pieces of 64 KiB or a few lines in a queue, and what follows
//! waits in the files. What these no longer hold by then it is told to have missed.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::mpsc;
use tracing::warn;

/// Pieces on their way to the reader; each of 64 KiB at the most, or one line that is longer.
const PIECES: usize = 2;
/// A reader of server-sent events hears something at least so often, so that both sides notice a dead connection.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// How an endless answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `application/x-ndjson`.
    Lines,
    /// `text/event-stream`.
    Sse,
}

impl Form {
    /// What a request wants.
    pub fn of(headers: &HeaderMap) -> Form {
        let accepts = headers.get_all(header::ACCEPT);
        let sse =
            accepts.iter().any(|value| value.to_str().is_ok_and(|text| text.contains("text/event-stream")));
        if sse { Form::Sse } else { Form::Lines }
    }

    /// One record, whose JSON has no line end in it.
    pub fn record(self, id: &str, name: &str, json: &[u8], out: &mut Vec<u8>) {
        match self {
            Form::Lines => out.extend_from_slice(json),
            Form::Sse => {
                out.extend_from_slice(format!("id: {id}\nevent: {name}\ndata: ").as_bytes());
                out.extend_from_slice(json);
                out.push(b'\n');
            }
        }
        out.push(b'\n');
    }

    /// The answer, and where its pieces go.
    pub fn answer(self) -> (mpsc::Sender<Bytes>, Response) {
        let (sender, receiver) = mpsc::channel(PIECES);
        let kind = match self {
            Form::Lines => "application/x-ndjson",
            Form::Sse => "text/event-stream",
        };
        let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")];
        (sender, (headers, Body::new(Pieces(receiver))).into_response())
    }
}

/// The number of the last record that a reader has, as it says itself when it comes back.
pub(super) fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        .map(str::trim)
        .filter(|id| !id.is_empty())
}

/// Does what may wait for a disk beside the runtime. None: `what` can't be read, which is in the daemon's own log.
pub(super) async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) => {
            warn!("{what} can't be read: {error}");
            None
        }
        Err(_) => None,
    }
}

/// A body that ends when the sender is gone.
struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        waker: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(waker).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}
