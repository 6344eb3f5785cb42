//! `GET /v1/events`: first what the files hold, then what happens. Nothing waits in memory for a slow reader: one
//! that falls behind is sent back to the files, and told what these no longer have.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Waker, Poll};

use axum::body::{Body, Bytes};
use hyper::body::Frame;
use mainstay_api::types::{EventBody, EventRecord, EventsQuery};
use tokio::sync::{broadcast, mpsc};
use tracing::warn;

use super::Context;
use crate::events_log::{Line, Reader};

/// Pieces of lines on their way to the reader; each of 64 KiB at the most.
const PIECES: usize = 2;

/// A body that ends when the sender is gone.
struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        waker: &mut Waker<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(waker).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// The answer's body.
pub(super) fn body(context: Arc<Context>, query: EventsQuery) -> Body {
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::spawn(feed(context, query, sender));
    Body::new(Pieces(receiver))
}

/// Ends when the reader has gone, or has everything it asked for.
async fn feed(context: Arc<Context>, query: EventsQuery, sender: mpsc::Sender<Bytes>) {
    // Before the files are read, so that nothing can fall between.
    let mut live = context.live.subscribe();
    let Some(mut last) = from_files(&context, query.since, query.limit, &sender).await else { return };
    if !query.follow {
        return;
    }
    loop {
        let line = tokio::select! {
            () = sender.closed() => return,
            line = live.recv() => line,
        };
        match line {
            Ok(Line { seq, json }) if seq > last => {
                last = seq;
                if sender.send(json).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => {
                match from_files(&context, last, 0, &sender).await {
                    Some(seq) => last = seq,
                    None => return,
                }
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Sends what the files have after `since`; gives the number of the last event. None: the reader has gone.
async fn from_files(
    context: &Context,
    since: u64,
    limit: usize,
    sender: &mpsc::Sender<Bytes>,
) -> Option<u64> {
    let state = context.state_dir.clone();
    let mut reader = blocking(move || Reader::open(&state, since, limit)).await?;
    let mut expected = (since > 0 && limit == 0).then_some(since + 1);
    loop {
        let piece;
        (reader, piece) = blocking(move || reader.next_piece().map(|piece| (reader, piece))).await?;
        let Some((first, bytes)) = piece else { return Some(reader.last()) };
        if let Some(gap) = expected.take().filter(|expected| first > *expected) {
            sender.send(missed(first - gap, first - 1)?).await.ok()?;
        }
        sender.send(bytes.into()).await.ok()?;
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) => {
            warn!("the events can't be read: {error}");
            None
        }
        Err(_) => None,
    }
}

fn missed(count: u64, last: u64) -> Option<Bytes> {
    let message = format!("{count} events before this are no longer kept");
    let at = format!("{:.3}", jiff::Timestamp::now());
    let record = EventRecord { seq: last, at, event: EventBody::Own { message } };
    let mut json = serde_json::to_vec(&record).ok()?;
    json.push(b'\n');
    Some(json.into())
}
