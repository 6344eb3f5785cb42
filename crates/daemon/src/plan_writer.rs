//! Brings the plan's file up to date after it was changed, and the list of configurations. Until it is, the keeper holds the change.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::warn;

use crate::api::Context;
use crate::message::{Ask, ToDriver};
use crate::plan_store::write_plan;

/// Writes the plan each time that `changes` rises, until the driver is gone. One that can't be written is tried
/// again.
pub(crate) async fn run(
    context: Arc<Context>,
    mut changes: watch::Receiver<u64>,
    written: watch::Sender<u64>,
) {
    let mut pause = Duration::from_millis(100);
    loop {
        if *changes.borrow_and_update() <= *written.borrow() && changes.changed().await.is_err() {
            return;
        }
        let Ok((count, stored, revisions)) = context.ask(Ask::Plan).await else {
            tokio::time::sleep(pause).await;
            continue;
        };
        let state = context.state_dir.clone();
        match tokio::task::spawn_blocking(move || {
            write_plan(&state, &stored).map_err(|error| error.to_string())?;
            revisions
                .write(&state)
                .map_err(|error| format!("can't write the list of configurations: {error}"))
        })
        .await
        {
            Ok(Ok(())) => {
                pause = Duration::from_millis(100);
                written.send_replace(count);
                context.driver.send(ToDriver::PlanWritten(count));
            }
            Ok(Err(error)) => {
                warn!("a change of the plan would be forgotten if the keeper ended: {error}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(60));
            }
            Err(_) => return,
        }
    }
}
