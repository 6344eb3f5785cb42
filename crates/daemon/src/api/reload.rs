//! Changed configurations: applied, gone back to, listed.

use axum::Json;
use axum::extract::{Extension, Request as HttpRequest, State};
use mainstay_api::endpoints::op;
use mainstay_api::types::{Apply, RefusedConfiguration, Reloading, Rollback, SecretsChanged};
use mainstay_core::Plan;

use super::Context;
use super::access::Peer;
use super::handlers::{Answer, MAX_BODY, Shared, accepted, read_body};
use crate::message::{Ask, Refused};
use crate::plan_store::{MAX_PLAN, StoredPlan};
use crate::revisions;
use crate::secrets::without_marks;

/// Who asks, and in which way.
fn who(peer: Peer, how: &str) -> String {
    let how: String = how.chars().filter(|c| !c.is_control()).take(100).collect();
    if how.is_empty() { peer.who } else { format!("{} ({how})", peer.who) }
}

pub(super) async fn apply(
    State(context): Shared,
    Extension(peer): Extension<Peer>,
    body: HttpRequest,
) -> Answer<op::Apply> {
    let Apply { plan, how, dry_run } = read_body::<op::Apply>(body, MAX_PLAN).await?;
    reload(&context, who(peer, &how), plan, dry_run).await
}

pub(super) async fn rollback(
    State(context): Shared,
    Extension(peer): Extension<Peer>,
    body: HttpRequest,
) -> Answer<op::Rollback> {
    let Rollback { to } = read_body::<op::Rollback>(body, MAX_BODY).await?;
    let (list, before) = context.ask(Ask::Revisions).await?;
    let Some(number) = to.or(before) else {
        return Err(Refused::new(404, "there is no earlier configuration to go back to"));
    };
    if !list.iter().any(|revision| revision.revision == number) {
        return Err(Refused::new(404, format!("revision {number} is not kept"))
            .hint("`mainstay history` lists those that are"));
    }
    let state = context.state_dir.clone();
    let plan = tokio::task::spawn_blocking(move || revisions::load(&state, number)).await;
    let plan = match plan {
        Ok(Ok(plan)) => plan,
        Ok(Err(error)) => return Err(Refused::new(500, error.to_string())),
        Err(_) => return Err(Refused::new(503, "the daemon is ending")),
    };
    reload(&context, who(peer, &format!("rollback to {number}")), plan, false).await
}

/// Brings the stack to another plan; told by its status.
///
/// # Errors
/// It cannot be applied: now (409, 503), or as it is (400, 413).
async fn reload(
    context: &Context,
    by: String,
    plan: Plan,
    dry_run: bool,
) -> Result<Json<Reloading>, Refused> {
    let plan = context.vault.marked(plan, None).await;
    reload_marked(context, by, plan, dry_run, None).await
}

/// The same with a plan that has the marks of its secrets' values. With `same_as` it differs from that revision in
/// nothing else.
pub(crate) async fn reload_marked(
    context: &Context,
    by: String,
    mut plan: Plan,
    dry_run: bool,
    same_as: Option<u64>,
) -> Result<Json<Reloading>, Refused> {
    for service in plan.services.values_mut() {
        service.stop.fit(mainstay_sys::IS_WINDOWS);
    }
    let asked = Box::new(plan.clone());
    let (reload, running) = context.ask(|reply| Ask::Diff(asked, reply)).await?;
    if dry_run || reload.is_empty() {
        return Ok(Json(Reloading { revision: running, applying: false, reload }));
    }
    let revision = context.ask(Ask::Number).await?;
    // Before it is applied, so that whatever runs can be gone back to.
    let (state, stored) =
        (context.state_dir.clone(), StoredPlan { plan: without_marks(&plan), ..StoredPlan::default() });
    match tokio::task::spawn_blocking(move || revisions::store(&state, revision, &stored)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(Refused::new(500, format!("the configuration can't be kept: {error}"))),
        Err(_) => return Err(Refused::new(503, "the daemon is ending")),
    }
    let applied =
        context.ask(|reply| Ask::Apply { by, revision, same_as, plan: Box::new(plan), reply }).await;
    if let Err(refused) = applied {
        // Without an answer it may be applied yet.
        if refused.status != 503 {
            let state = context.state_dir.clone();
            drop(tokio::task::spawn_blocking(move || revisions::forget(&state, revision)));
        }
        return Err(refused);
    }
    Ok(Json(Reloading { revision, applying: true, reload }))
}

/// Values of secrets have changed, perhaps: the services that use them get them.
pub(super) async fn secrets_changed(
    State(context): Shared,
    Extension(peer): Extension<Peer>,
    body: HttpRequest,
) -> Answer<op::SecretsChanged> {
    let SecretsChanged { names, how, dry_run } = read_body::<op::SecretsChanged>(body, MAX_BODY).await?;
    let (_, stored, _) = context.ask(Ask::Plan).await?;
    let names = (!names.is_empty()).then(|| names.into_iter().collect());
    let plan = context.vault.marked(stored.plan, names).await;
    let running = context.ask(Ask::Stack).await?.configuration.revision;
    reload_marked(&context, who(peer, &how), plan, dry_run, Some(running)).await
}

pub(super) async fn revisions(State(context): Shared) -> Answer<op::Revisions> {
    let (list, _) = context.ask(Ask::Revisions).await?;
    Ok(Json(list))
}

pub(super) async fn refused(
    State(context): Shared,
    Extension(peer): Extension<Peer>,
    body: HttpRequest,
) -> Answer<op::Refused> {
    let RefusedConfiguration { reason, how } = read_body::<op::Refused>(body, MAX_BODY).await?;
    let by = who(peer, &how);
    context.ask(|reply| Ask::Refused { by, reason, reply }).await.map(accepted)
}
