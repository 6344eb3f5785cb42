//! `GET /v1/services/{name}/logs`: the last lines of a log, and those that follow. The log is read from its files as
//! fast as the reader takes it; the keeper, which writes it, knows nothing of that.

use std::path::PathBuf;
use std::time::Duration;

use axum::body::Bytes;
use axum::response::Response;
use mainstay_api::types::{LogRecord, LogsQuery};
use mainstay_logs::{Follower, Lines, LogPos, tail_start};
use tokio::sync::mpsc;

use super::stream::{Form, HEARTBEAT, blocking};

/// An idle log is looked at so often.
const PAUSE: Duration = Duration::from_millis(200);
/// So many bytes are put together for one piece.
const PIECE: usize = 64 << 10;

/// `1:234`, a place in a log.
pub(super) fn place(text: &str) -> Option<LogPos> {
    let (segment, offset) = text.split_once(':')?;
    Some(LogPos { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
}

/// The answer. Where it begins is found out before its head is sent: what is written after that follows. None: the log
/// can't be read, which is in the daemon's own log.
pub(super) async fn answer(
    dir: PathBuf,
    name: String,
    from: Option<LogPos>,
    query: &LogsQuery,
    form: Form,
) -> Option<Response> {
    let (lines, follow) = (query.lines, query.follow);
    let start = move || {
        let from = match from {
            Some(from) => from,
            None => tail_start(&dir, &name, lines)?,
        };
        Ok(Lines::new(Follower::new(&dir, &name, from)))
    };
    let lines = blocking("a log", start).await?;
    let (sender, response) = form.answer();
    tokio::spawn(feed(lines, follow, form, sender));
    Some(response)
}

/// Ends when the reader has gone, or has everything it asked for.
async fn feed(mut lines: Lines, follow: bool, form: Form, sender: mpsc::Sender<Bytes>) {
    let mut quiet = Duration::ZERO;
    loop {
        let piece;
        let Some(read) = blocking("a log", move || {
            let piece = piece_of(&mut lines, follow, form)?;
            Ok((lines, piece))
        })
        .await
        else {
            return;
        };
        (lines, piece) = read;
        if !piece.is_empty() {
            quiet = Duration::ZERO;
            if sender.send(piece.into()).await.is_err() {
                return;
            }
            continue;
        }
        if !follow {
            return;
        }
        tokio::select! {
            () = sender.closed() => return,
            () = tokio::time::sleep(PAUSE) => quiet += PAUSE,
        }
        if form == Form::Sse && quiet >= HEARTBEAT {
            quiet = Duration::ZERO;
            if sender.send(Bytes::from_static(b":\n\n")).await.is_err() {
                return;
            }
        }
    }
}

/// What there is now, up to a piece; empty: nothing.
fn piece_of(lines: &mut Lines, follow: bool, form: Form) -> std::io::Result<Vec<u8>> {
    let mut piece = Vec::new();
    while piece.len() < PIECE {
        let (text, ended) = match lines.next_line()? {
            Some(line) => (String::from_utf8_lossy(line.text).into_owned(), line.ended),
            // A last line without its end: whoever follows waits for the rest.
            None if follow => break,
            None => match lines.take_rest() {
                Some(line) => (String::from_utf8_lossy(line.text).into_owned(), false),
                None => break,
            },
        };
        let (missed_bytes, next) = (lines.take_missed(), lines.position());
        let next = format!("{}:{}", next.segment, next.offset);
        let record = LogRecord { next, text, ended, missed_bytes };
        let json = serde_json::to_vec(&record)?;
        form.record(&record.next, "line", &json, &mut piece);
    }
    Ok(piece)
}
