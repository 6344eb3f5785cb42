//! A stream of records, a JSON line each, that outlives daemons: what events and logs have in common.

use bytes::{Buf, BytesMut};
use http_body_util::BodyExt;

use crate::http::{Answer, in_words};
use crate::{Client, ClientError};

/// What is asked for, and how far it was read.
pub(crate) trait Source {
    /// What a line is.
    type Record;
    /// A record in words, for errors.
    const WHAT: &'static str;
    /// The longest line accepted, in bytes.
    const MAX: usize;

    /// Path and query of the request for what was not read yet.
    fn path(&self) -> String;
    /// Whether more is waited for after the last record.
    fn follows(&self) -> bool;
    /// Reads a line, and takes from it what a new connection has to begin with.
    fn read(&mut self, line: &[u8]) -> Result<Self::Record, serde_json::Error>;
}

pub(crate) struct Records<S> {
    client: Client,
    pub(crate) source: S,
    /// None while there is no connection.
    answer: Option<Answer>,
    buffer: BytesMut,
    /// How much of the buffer is known to have no line end.
    scanned: usize,
    done: bool,
}

impl<S: Source> Records<S> {
    pub(crate) async fn open(client: Client, source: S) -> Result<Records<S>, ClientError> {
        let answer = Some(client.open(source.path()).await?);
        Ok(Records { client, source, answer, buffer: BytesMut::new(), scanned: 0, done: false })
    }

    /// The next record; `None` after the last one. A future of it that is dropped early loses nothing. Nothing comes
    /// after an error.
    pub(crate) async fn next(&mut self) -> Option<Result<S::Record, ClientError>> {
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

    async fn advance(&mut self) -> Option<Result<S::Record, ClientError>> {
        loop {
            if let Some(line) = self.line() {
                let record = self.source.read(&line);
                return Some(record.map_err(|error| ClientError::Garbled(format!("{}: {error}", S::WHAT))));
            }
            if self.buffer.len() > S::MAX {
                let error = format!("{} of more than {} bytes", S::WHAT, S::MAX);
                return Some(Err(ClientError::Garbled(error)));
            }
            let Some(answer) = &mut self.answer else {
                match self.client.open(self.source.path()).await {
                    Ok(answer) => self.answer = Some(answer),
                    Err(ClientError::NotUp) if self.source.follows() => return None,
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
                None if !self.source.follows() => return None,
                Some(Err(error)) if !self.client.keeper_is_there() => {
                    return (!self.source.follows()).then(|| Err(ClientError::Lost(in_words(&error))));
                }
                // The daemon is gone. What it said of a line that it did not end, the next one says again.
                None | Some(Err(_)) => self.cut(),
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
}
