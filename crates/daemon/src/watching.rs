//! A configuration that is applied by itself when it changes, or when the service manager says so.
//!
//! It is looked at once a second rather than waited for: that sees every way in which a file can change (written over,
//! renamed into its place, a symbolic link that points elsewhere, as Kubernetes does it), in the same way on every file
//! system, those over a network too, where no system tells of changes.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::Plan;
use mainstay_core::reload::Debounce;
use tokio::sync::watch;
use tracing::warn;

use crate::api::Context;
use crate::api::reload::reload_marked;
use crate::driver::now;
use crate::message::{Ask, Refused};
use crate::secrets::leave_refused;

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often while it changes.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// What cannot be applied just now is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// Who asks.
const BY: &str = "mainstay (its files changed)";

/// Where the configuration of a stack comes from, while it is up.
pub trait ConfigSource: Send + std::fmt::Debug {
    /// Looks whether there is anything new: another number after every change, the same if there was none. Cheap.
    fn mark(&mut self) -> u64;

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it, with the place: `mainstay.toml:14:9: unknown key`.
    fn read(&mut self) -> Result<Plan, String>;
}

/// Watches as long as the plan wants that, until the daemon ends.
pub(crate) async fn run(
    context: Arc<Context>,
    mut changes: watch::Receiver<u64>,
    mut wanted: watch::Receiver<Option<String>>,
    mut source: Box<dyn ConfigSource>,
) {
    // What changed while nobody looked counts: it is held against what was tried last.
    let mut seen = Debounce::seeded(RandomState::new().build_hasher().finish());
    loop {
        changes.borrow_and_update();
        if wanted.has_changed().unwrap_or(false) {
            let by = wanted.borrow_and_update().clone().unwrap_or_default();
            let Some((back, read)) = away(source, |source| source.read()).await else { return };
            source = back;
            if let Err(refused) = take_in(&context, by, read, None).await {
                warn!("the configuration cannot be applied now: {}", refused.problem.message);
            }
        }
        let Ok(settings) = context.ask(Ask::Settings).await else {
            tokio::time::sleep(TRY_AGAIN).await;
            continue;
        };
        if !settings.reload.watch {
            seen.again();
            let changed = tokio::select! {
                changed = changes.changed() => changed,
                changed = wanted.changed() => {
                    // Left to be seen above.
                    wanted.mark_changed();
                    changed
                }
            };
            match changed {
                Ok(()) => continue,
                Err(_) => return,
            }
        }
        let vault = context.vault.clone();
        // Files of secrets are looked at like those of the configuration.
        let look = move |source: &mut dyn ConfigSource| source.mark() ^ vault.stamp();
        let (back, mark) = match away(source, look).await {
            Some(done) => done,
            None => return,
        };
        source = back;
        let mut pause = LOOK;
        if seen.look(now(), mark, &settings.reload) {
            let Some((back, read)) = away(source, |source| source.read()).await else { return };
            source = back;
            if let Err(refused) = take_in(&context, BY.to_owned(), read, Some(settings.tried)).await {
                warn!("a changed configuration has to wait: {}", refused.problem.message);
                seen.again();
                pause = TRY_AGAIN;
            }
        } else if seen.is_open() {
            pause = LOOK_AGAIN;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Ok(()) = wanted.changed() => wanted.mark_changed(),
        }
    }
}

/// Files may be slow: this is no work for the I/O thread.
async fn away<T: Send + 'static>(
    mut source: Box<dyn ConfigSource>,
    work: impl FnOnce(&mut dyn ConfigSource) -> T + Send + 'static,
) -> Option<(Box<dyn ConfigSource>, T)> {
    tokio::task::spawn_blocking(move || {
        let done = work(&mut *source);
        (source, done)
    })
    .await
    .ok()
}

/// Applies it, or tells that it is wrong; unless nobody has asked for it, and that was done with the very same before, which
/// has this digest.
///
/// # Errors
/// It cannot be done just now.
async fn take_in(
    context: &Context,
    by: String,
    read: Result<Plan, String>,
    tried: Option<u64>,
) -> Result<(), Refused> {
    let read = match read {
        Ok(plan) => {
            let mut plan = context.vault.marked(plan, None).await;
            if tried.is_some() {
                let (_, running, _) = context.ask(Ask::Plan).await?;
                leave_refused(&mut plan, &running.plan);
            }
            Ok(plan)
        }
        wrong => wrong,
    };
    let digest = digest(&read);
    if Some(digest) == tried {
        return Ok(());
    }
    let wrong = match read {
        Ok(plan) => match reload_marked(context, by.clone(), plan, false, None).await {
            Ok(_) => None,
            Err(refused) if matches!(refused.status, 400 | 413) => Some(refused.problem.message),
            Err(refused) => return Err(refused),
        },
        Err(wrong) => Some(wrong),
    };
    if let Some(reason) = wrong {
        context.ask(|reply| Ask::Refused { by, reason, reply }).await?;
    }
    context.ask(|reply| Ask::Tried(digest, reply)).await.map(drop)
}

/// Two that are the same have the same; never 0.
fn digest(read: &Result<Plan, String>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match read {
        Ok(plan) => serde_json::to_string(plan).unwrap_or_default().hash(&mut hasher),
        Err(wrong) => wrong.hash(&mut hasher),
    }
    hasher.finish().max(1)
}
