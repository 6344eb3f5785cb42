//! The output of a service as a stream that outlives daemons.

use mainstay_core::ServiceName;

use crate::records::{Records, Source};
use crate::types::{LogRecord, LogsQuery};
use crate::{Client, ClientError, routes};

/// Lines of a service's output, oldest first. Made by [`Client::logs`].
pub struct Logs(Records<Log>);

/// Whose output, and which part of it.
#[derive(Debug)]
struct Log {
    name: ServiceName,
    query: LogsQuery,
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Log { name, query } = &self.0.source;
        f.debug_struct("Logs").field("name", name).field("query", query).finish_non_exhaustive()
    }
}

impl Logs {
    pub(crate) async fn open(
        client: Client,
        name: ServiceName,
        query: LogsQuery,
    ) -> Result<Logs, ClientError> {
        Records::open(client, Log { name, query }).await.map(Logs)
    }

    /// The next line. `None` after the last one: all old ones were seen, or (with `follow`) the stack is down. A future
    /// of it that is dropped early loses nothing.
    ///
    /// # Errors
    /// See [`ClientError`]. Nothing comes after an error.
    pub async fn next(&mut self) -> Option<Result<LogRecord, ClientError>> {
        self.0.next().await
    }
}

impl Source for Log {
    type Record = LogRecord;
    const WHAT: &'static str = "a line of a log";
    /// A line of 256 KiB, each byte of it escaped.
    const MAX: usize = 2 << 20;

    fn path(&self) -> String {
        routes::logs(&self.name, &self.query)
    }

    fn follows(&self) -> bool {
        self.query.follow
    }

    fn read(&mut self, line: &[u8]) -> Result<LogRecord, serde_json::Error> {
        let record: LogRecord = serde_json::from_slice(line)?;
        self.query.from = Some(record.next.clone());
        Ok(record)
    }
}
