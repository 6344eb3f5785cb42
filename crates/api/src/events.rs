//! The events of a stack as a stream that outlives daemons.

use crate::records::{Records, Source};
use crate::types::{EventRecord, EventsQuery};
use crate::{Client, ClientError, routes};

/// Events, oldest first. Made by [`Client::events`].
pub struct Events(Records<EventsQuery>);

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("query", &self.0.source).finish_non_exhaustive()
    }
}

impl Events {
    pub(crate) async fn open(client: Client, query: EventsQuery) -> Result<Events, ClientError> {
        Records::open(client, query).await.map(Events)
    }

    /// The next event. `None` after the last one: all old ones were seen, or (with `follow`) the stack is down.
    /// A future of it that is dropped early loses nothing.
    ///
    /// # Errors
    /// See [`ClientError`]. Nothing comes after an error.
    pub async fn next(&mut self) -> Option<Result<EventRecord, ClientError>> {
        self.0.next().await
    }
}

impl Source for EventsQuery {
    type Record = EventRecord;
    const WHAT: &'static str = "an event";
    const MAX: usize = 1 << 20;

    fn path(&self) -> String {
        routes::events(*self)
    }

    fn follows(&self) -> bool {
        self.follow
    }

    fn read(&mut self, line: &[u8]) -> Result<EventRecord, serde_json::Error> {
        let record: EventRecord = serde_json::from_slice(line)?;
        (self.since, self.limit) = (record.seq, 0);
        Ok(record)
    }
}
