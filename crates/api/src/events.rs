//! The events of a stack as a stream that outlives daemons.

use bytes::{Buf, BytesMut};
use http_body_util::BodyExt;

use crate::http::{Answer, in_words};
use crate::types::{EventRecord, EventsQuery};
use crate::{Client, ClientError, routes};

/// The longest line accepted, in bytes.
const MAX_LINE: usize = 1 << 20;

/// Events, oldest first. Made by [`Client::events`].
pub struct Events {
    client: Client,
    query: EventsQuery,
    /// None while there is no connection.
    answer: Option<Answer>,
    buffer: BytesMut,
    /// How much of the buffer is known to have no line end.
    scanned: usize,
    done: bool,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("query", &self.query).finish_non_exhaustive()
    }
}

impl Events {
    pub(crate) async fn open(client: Client, query: EventsQuery) -> Result<Events, ClientError> {
        let answer = Some(client.open(routes::events(query)).await?);
        Ok(Events { client, query, answer, buffer: BytesMut::new(), scanned: 0, done: false })
    }

    /// The next event. `None` after the last one: all old ones were seen, or (with `follow`) the stack is down.
    /// A future of it that is dropped early loses nothing.
    ///
    /// # Errors
    /// See [`ClientError`]. Nothing comes after an error.
    pub async fn next(&mut self) -> Option<Result<EventRecord, ClientError>> {
        if self.done {
            return None;
        }
        let next = self.advance().await;
        if !matches!(next, Some(Ok(_))) {
            self.done = true;
            self.answer = None;
        }
        next
    }

    async fn advance(&mut self) -> Option<Result<EventRecord, ClientError>> {
        loop {
            if let Some(line) = self.line() {
                return Some(self.record(&line));
            }
            if self.buffer.len() > MAX_LINE {
                let error = format!("an event of more than {MAX_LINE} bytes");
                return Some(Err(ClientError::Garbled(error)));
            }
            let Some(answer) = &mut self.answer else {
                match self.client.open(routes::events(self.query)).await {
                    Ok(answer) => self.answer = Some(answer),
                    Err(ClientError::NotUp) if self.query.follow => return None,
                    Err(error) => return Some(Err(error)),
                }
                continue;
            };
            match answer.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                None if !self.query.follow => return None,
                // The daemon is gone. What it said of a line that it did not end, the next one says again.
                None => self.cut(),
                Some(Err(error)) if !self.client.keeper_is_there() => {
                    return (!self.query.follow).then(|| Err(ClientError::Lost(in_words(&error))));
                }
                Some(Err(_)) => self.cut(),
            }
        }
    }

    fn cut(&mut self) {
        self.answer = None;
        self.buffer.clear();
        self.scanned = 0;
    }

    fn line(&mut self) -> Option<BytesMut> {
        match self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                let line = self.buffer.split_to(self.scanned + at);
                self.buffer.advance(1);
                self.scanned = 0;
                Some(line)
            }
            None => {
                self.scanned = self.buffer.len();
                None
            }
        }
    }

    fn record(&mut self, line: &[u8]) -> Result<EventRecord, ClientError> {
        let record: EventRecord = serde_json::from_slice(line)
            .map_err(|error| ClientError::Garbled(format!("an event: {error}")))?;
        // What a new connection has to begin with.
        self.query.since = record.seq;
        self.query.limit = 0;
        Ok(record)
    }
}
