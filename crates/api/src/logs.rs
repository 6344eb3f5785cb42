//! The output of a service as a stream that outlives daemons.

use bytes::{Buf, BytesMut};
use http_body_util::BodyExt;
use mainstay_core::ServiceName;

use crate::http::{Answer, in_words};
use crate::types::{LogRecord, LogsQuery};
use crate::{Client, ClientError, routes};

/// The longest record accepted, in bytes: a line of 256 KiB, each byte of it escaped.
const MAX_RECORD: usize = 2 << 20;

/// Lines of a service's output, oldest first. Made by [`Client::logs`].
pub struct Logs {
    client: Client,
    name: ServiceName,
    query: LogsQuery,
    /// None while there is no connection.
    answer: Option<Answer>,
    buffer: BytesMut,
    done: bool,
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logs").field("name", &self.name).field("query", &self.query).finish_non_exhaustive()
    }
}

impl Logs {
    pub(crate) async fn open(
        client: Client,
        name: ServiceName,
        query: LogsQuery,
    ) -> Result<Logs, ClientError> {
        let answer = Some(client.open(routes::logs(&name, &query)).await?);
        Ok(Logs { client, name, query, answer, buffer: BytesMut::new(), done: false })
    }

    /// The next line. `None` after the last one: all old ones were seen, or (with `follow`) the stack is down. A future
    /// of it that is dropped early loses nothing.
    ///
    /// # Errors
    /// See [`ClientError`]. Nothing comes after an error.
    pub async fn next(&mut self) -> Option<Result<LogRecord, ClientError>> {
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

    async fn advance(&mut self) -> Option<Result<LogRecord, ClientError>> {
        loop {
            if let Some(at) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(at);
                self.buffer.advance(1);
                let record = serde_json::from_slice::<LogRecord>(&line);
                if let Ok(record) = &record {
                    // What a new connection has to begin with.
                    self.query.from = Some(record.next.clone());
                }
                return Some(
                    record.map_err(|error| ClientError::Garbled(format!("a line of a log: {error}"))),
                );
            }
            if self.buffer.len() > MAX_RECORD {
                let error = format!("a line of a log of more than {MAX_RECORD} bytes");
                return Some(Err(ClientError::Garbled(error)));
            }
            let Some(answer) = &mut self.answer else {
                match self.client.open(routes::logs(&self.name, &self.query)).await {
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
                Some(Err(error)) if !self.client.keeper_is_there() => {
                    return (!self.query.follow).then(|| Err(ClientError::Lost(in_words(&error))));
                }
                // The daemon is gone. What it said of a line that it did not end, the next one says again.
                None | Some(Err(_)) => {
                    self.answer = None;
                    self.buffer.clear();
                }
            }
        }
    }
}
