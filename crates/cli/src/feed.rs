//! The events of a stack for as long as its keeper lives, whatever becomes of its daemons.

use std::time::Duration;

use mainstay_api::types::{EventRecord, EventsQuery};
use mainstay_api::{Client, ClientError};
use tokio::sync::mpsc;

use crate::stack::Place;

/// What a reader of events gets.
pub enum News {
    /// Something happened.
    Event(Box<EventRecord>),
    /// No daemon can be reached for now; asking goes on.
    Silence(ClientError),
}

/// So many may wait for a reader that is slow; then the daemon waits.
const ROOM: usize = 256;
/// Old events that may be of interest: those of a start that went by before we could ask.
const OLD: usize = 1000;
const PAUSE: Duration = Duration::from_secs(1);

/// Follows the events of a stack. The channel ends when its keeper does.
pub fn follow(client: Client, place: Place) -> mpsc::Receiver<News> {
    let (sender, receiver) = mpsc::channel(ROOM);
    tokio::spawn(async move {
        let mut query = EventsQuery { since: 0, follow: true, limit: OLD };
        let mut silent = false;
        loop {
            let before = query.since;
            let Err(error) = read(&client, &mut query, &sender).await else { return };
            if sender.is_closed() || !place.is_up() {
                return;
            }
            silent &= query.since == before;
            if !std::mem::replace(&mut silent, true) {
                // A reader that is gone is seen above.
                let _ = sender.send(News::Silence(error)).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
    receiver
}

/// Passes events on until the stack is down or the reader gone; the query goes on where that was.
async fn read(
    client: &Client,
    query: &mut EventsQuery,
    sender: &mpsc::Sender<News>,
) -> Result<(), ClientError> {
    let mut events = client.events(*query).await?;
    while let Some(event) = events.next().await {
        let event = event?;
        (query.since, query.limit) = (event.seq, 0);
        if sender.send(News::Event(Box::new(event))).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
