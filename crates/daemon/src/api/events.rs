//! `GET /v1/events`: first what the files hold, then what happens. Nothing waits in memory for a slow reader: one
//! that falls behind is sent back to the files, and told what these no longer have.

use std::sync::Arc;

use axum::body::Bytes;
use axum::response::Response;
use mainstay_api::types::{EventBody, EventRecord, EventsQuery};
use tokio::sync::{broadcast, mpsc};

use super::Context;
use super::stream::{Form, HEARTBEAT, blocking};
use crate::events_log::{Line, Reader, seq_of};

/// The answer.
pub(super) fn answer(context: Arc<Context>, query: EventsQuery, form: Form) -> Response {
    let (sender, response) = form.answer();
    tokio::spawn(feed(context, query, Out { form, sender }));
    response
}

/// Where lines go.
struct Out {
    form: Form,
    sender: mpsc::Sender<Bytes>,
}

impl Out {
    /// Sends whole lines. None: the reader has gone.
    async fn lines(&self, lines: Bytes) -> Option<()> {
        let piece = match self.form {
            Form::Lines => lines,
            Form::Sse => {
                let mut piece = Vec::with_capacity(lines.len() * 2);
                for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    let id = seq_of(line).map(|seq| seq.to_string()).unwrap_or_default();
                    self.form.record(&id, "event", line, &mut piece);
                }
                piece.into()
            }
        };
        self.sender.send(piece).await.ok()
    }
}

/// Ends when the reader has gone, or has everything it asked for.
async fn feed(context: Arc<Context>, query: EventsQuery, out: Out) {
    // Before the files are read, so that nothing can fall between.
    let mut live = context.live.subscribe();
    let Some(mut last) = from_files(&context, query.since, query.limit, &out).await else { return };
    if !query.follow {
        return;
    }
    loop {
        let line = tokio::select! {
            () = out.sender.closed() => return,
            line = live.recv() => line,
            () = tokio::time::sleep(HEARTBEAT), if out.form == Form::Sse => {
                if out.sender.send(Bytes::from_static(b":\n\n")).await.is_err() {
                    return;
                }
                continue;
            }
        };
        match line {
            Ok(Line { seq, json }) if seq > last => {
                last = seq;
                if out.lines(json).await.is_none() {
                    return;
                }
            }
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => match from_files(&context, last, 0, &out).await {
                Some(seq) => last = seq,
                None => return,
            },
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Sends what the files have after `since`; gives the number of the last event. None: the reader has gone.
async fn from_files(context: &Context, since: u64, limit: usize, out: &Out) -> Option<u64> {
    let state = context.state_dir.clone();
    let mut reader = blocking("the events", move || Reader::open(&state, since, limit)).await?;
    let mut expected = (since > 0 && limit == 0).then_some(since + 1);
    loop {
        let piece;
        (reader, piece) =
            blocking("the events", move || reader.next_piece().map(|piece| (reader, piece))).await?;
        let Some((first, bytes)) = piece else { return Some(reader.last()) };
        if let Some(gap) = expected.take().filter(|expected| first > *expected) {
            out.lines(missed(first - gap, first - 1)?).await?;
        }
        out.lines(bytes.into()).await?;
    }
}

fn missed(count: u64, last: u64) -> Option<Bytes> {
    let message = format!("{count} events before this are no longer kept");
    let at = format!("{:.3}", jiff::Timestamp::now());
    let record = EventRecord { seq: last, at, event: EventBody::Own { message, about: None } };
    let mut json = serde_json::to_vec(&record).ok()?;
    json.push(b'\n');
    Some(json.into())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt;

    use super::*;
    use crate::events_log::EventsLog;

    fn tell(log: &mut EventsLog, text: &str) {
        log.stage_own(text);
        log.take_leave();
        log.flush();
    }

    fn body(context: Arc<Context>, query: EventsQuery) -> Body {
        answer(context, query, Form::Lines).into_body()
    }

    /// Reads until the event of this number.
    async fn read_to(body: &mut Body, seq: u64) -> Vec<EventRecord> {
        let mut bytes = Vec::new();
        loop {
            let frame = body.frame().await.unwrap().unwrap();
            bytes.extend_from_slice(frame.data_ref().unwrap());
            let text = std::str::from_utf8(&bytes).unwrap();
            let records: Vec<EventRecord> =
                text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            if records.last().is_some_and(|record| record.seq >= seq) {
                return records;
            }
        }
    }

    fn seqs(records: &[EventRecord]) -> Vec<u64> {
        records.iter().map(|record| record.seq).collect()
    }

    #[tokio::test]
    async fn what_happens_while_somebody_follows_comes_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = EventsLog::open(dir.path(), None, Vec::new());
        (0..3).for_each(|_| tell(&mut log, "old"));
        let context = Context::for_tests(dir.path(), &log);
        let mut body = body(Arc::clone(&context), EventsQuery { since: 1, follow: true, limit: 0 });
        assert_eq!(seqs(&read_to(&mut body, 3).await), [2, 3]);
        (0..20).for_each(|_| tell(&mut log, "new"));
        assert_eq!(seqs(&read_to(&mut body, 23).await), (4..=23).collect::<Vec<_>>());
        // The one who follows has gone: nothing is kept for it.
        assert_eq!(context.live.receiver_count(), 1);
        drop(body);
        while context.live.receiver_count() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_falls_behind_reads_the_files_and_is_told_what_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = EventsLog::open(dir.path(), None, Vec::new());
        tell(&mut log, "first");
        let context = Context::for_tests(dir.path(), &log);
        let mut body = body(context, EventsQuery { since: 0, follow: true, limit: 0 });
        assert_eq!(seqs(&read_to(&mut body, 1).await), [1]);
        // More than the live queue holds, less than the files do.
        (0..1000).for_each(|_| tell(&mut log, "more"));
        assert_eq!(seqs(&read_to(&mut body, 1001).await), (2..=1001).collect::<Vec<_>>());
        // More than the files hold, too.
        let text = "x".repeat(4000);
        (0..4000).for_each(|_| tell(&mut log, &text));
        let records = read_to(&mut body, 5001).await;
        let gap = records
            .iter()
            .position(|record| matches!(&record.event, EventBody::Own { message, .. } if message.contains("no longer kept")))
            .unwrap();
        let (before, after) = records.split_at(gap);
        let missed = &after[0];
        let last = before.last().map_or(1001, |record| record.seq);
        let EventBody::Own { message, .. } = &missed.event else { panic!("{missed:?}") };
        assert_eq!(*message, format!("{} events before this are no longer kept", missed.seq - last));
        assert_eq!(seqs(&after[1..]), (missed.seq + 1..=5001).collect::<Vec<_>>());
        assert!(after.len() > 1000);
    }
}
