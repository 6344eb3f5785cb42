//! A handler for each route.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Path, Query, Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http_body_util::{BodyExt, Limited};
use mainstay_api::endpoints::{Endpoint, Table, op};
use mainstay_api::types::{
    Accepted, Action, AddService, Changes, DownQuery, EventRecord, EventsQuery, HistoryQuery, LogRecord,
    LogsQuery, Notify, Record, Signal, Signalled, TakeOver, Upgrade, UsageQuery, Version,
};
use mainstay_core::{Request, RunId, ServiceName, StopAction};
use mainstay_link::Whom;
use serde::de::DeserializeOwned;

use super::access::{self, Peer};
use super::serve::{Streamed, serve};
use super::stream::{self, Form};
use super::{Context, events, logs, reload, view};
use crate::driver::now;
use crate::message::{Ask, Refused, Taken};
use crate::plan_store::read_plan_from;

/// The longest plan of a service, in bytes.
const MAX_ADD: usize = 1 << 20;
/// The longest other body.
pub(super) const MAX_BODY: usize = 64 << 10;
/// The longest wait for changes.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// A new service is answered for when it is on disk, or after this time.
const DISK_TIME: Duration = Duration::from_secs(2);

pub(super) type Shared = State<Arc<Context>>;
pub(super) type Answer<E> = Result<Json<<E as Endpoint>::Answer>, Refused>;

/// All routes.
pub(super) fn router(context: Arc<Context>) -> Router {
    let table = Table {
        version: serve(version),
        openapi: serve(openapi),
        stack: serve(stack),
        changes: serve(changes),
        usage: serve(usage),
        forecast: serve(forecast),
        down: serve(down),
        take_over: serve(take_over),
        add: serve(add),
        service: serve(service),
        action: serve(action),
        notify: serve(notify),
        signal: serve(signal),
        service_logs: serve(service_logs),
        history: serve(history),
        events: serve(all_events),
        apply: serve(reload::apply),
        rollback: serve(reload::rollback),
        secrets_changed: serve(reload::secrets_changed),
        revisions: serve(reload::revisions),
        refused: serve(reload::refused),
        upgrade: serve(upgrade),
        record: serve(record),
    };
    let mut router = Router::new();
    for (path, access, handler) in table.into_routes() {
        let guard = from_fn_with_state((Arc::clone(&context), access), access::guard);
        router = router.route(path, handler.route_layer(guard));
    }
    router
        .fallback(no_such_path)
        .method_not_allowed_fallback(async || Refused::new(405, "this path takes another method"))
        .with_state(context)
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.problem)).into_response()
    }
}

/// Says so if it is another version that is asked for.
async fn no_such_path(uri: axum::http::Uri) -> Refused {
    let first = uri.path().split('/').nth(1).unwrap_or_default();
    let number = first.strip_prefix('v').unwrap_or_default();
    if first != "v1" && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Refused::new(404, format!("this daemon does not speak version {number} of the API"))
            .hint("it speaks v1; GET /v1/version says who it is");
    }
    Refused::new(404, "there is no such path")
}

async fn version(State(context): Shared) -> Answer<op::Version> {
    Ok(Json(Version {
        api: vec!["v1".to_owned()],
        mainstay: context.facts.daemon.version.clone(),
        stack: context.facts.stack.clone(),
    }))
}

async fn openapi(State(_): Shared) -> Answer<op::Openapi> {
    Ok(Json(mainstay_api::document()))
}

async fn service_logs(
    State(context): Shared,
    Path(name): Path<String>,
    headers: HeaderMap,
    query: Result<Query<LogsQuery>, QueryRejection>,
) -> Result<Streamed<LogRecord>, Refused> {
    let (query, name) = (read_query(query)?, read_name(name)?);
    let from = stream::last_event_id(&headers).or(query.from.as_deref());
    let from = from.map(|text| {
        logs::place(text).ok_or_else(|| {
            Refused::new(400, format!("'{text}' is no place in a log")).hint("take it from `next` of a line")
        })
    });
    let from = from.transpose()?;
    context.ask(|reply| Ask::Service(name.clone(), reply)).await?;
    let answer =
        logs::answer(context.log_dir.clone(), name.to_string(), from, &query, Form::of(&headers)).await;
    answer.map(Streamed::new).ok_or_else(|| {
        Refused::new(500, format!("the log of {name} can't be read")).hint("daemon.log says why")
    })
}

async fn stack(State(context): Shared) -> Answer<op::Stack> {
    let seen = context.ask(Ask::Stack).await?;
    Ok(Json(view::stack(&context.facts, seen, now())))
}

async fn usage(
    State(context): Shared,
    query: Result<Query<UsageQuery>, QueryRejection>,
) -> Answer<op::Usage> {
    let query = read_query(query)?;
    let age = Duration::from_millis(query.max_age_ms);
    match tokio::time::timeout(super::DRIVER_TIME, context.metrics.usage(age)).await {
        Ok(usage) => Ok(Json(usage)),
        Err(_) => Err(Refused::new(503, "the daemon is too busy to look").hint("try again in a moment")),
    }
}

async fn history(
    State(context): Shared,
    Path(name): Path<String>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Answer<op::History> {
    let (query, name) = (read_query(query)?, read_name(name)?);
    context.ask(|reply| Ask::Service(name.clone(), reply)).await?;
    let metrics = context.metrics.clone();
    match tokio::task::spawn_blocking(move || metrics.history(&name, query)).await {
        Ok(Ok(history)) => {
            if let Some(note) = &history.note {
                context.driver.send(crate::message::ToDriver::Note(note.clone()));
            }
            Ok(Json(history))
        }
        Ok(Err(error)) => Err(Refused::new(500, format!("the history can't be read: {error}"))),
        Err(_) => Err(Refused::new(503, "the daemon is ending")),
    }
}

async fn forecast(State(context): Shared) -> Answer<op::Forecast> {
    let running = context.ask(Ask::Running).await?;
    let limits = running.into_iter().map(|service| (service.name, service.limits)).collect::<Vec<_>>();
    let metrics = context.metrics.clone();
    match tokio::task::spawn_blocking(move || metrics.forecast(&limits)).await {
        Ok(forecasts) => Ok(Json(forecasts)),
        Err(_) => Err(Refused::new(503, "the daemon is ending")),
    }
}

async fn changes(
    State(context): Shared,
    query: Result<Query<Changes>, QueryRejection>,
) -> Answer<op::Changes> {
    let Changes { since, timeout_ms } = read_query(query)?;
    let wait = Duration::from_millis(timeout_ms).min(MAX_WAIT);
    let mut revision = context.revision.clone();
    // Both ends of the wait mean the same: answer now.
    let _ = tokio::time::timeout(wait, revision.wait_for(|revision| *revision != since)).await;
    stack(State(context)).await
}

async fn service(State(context): Shared, Path(name): Path<String>) -> Answer<op::Service> {
    let name = read_name(name)?;
    let seen = context.ask(|reply| Ask::Service(name, reply)).await?;
    Ok(Json(view::service(seen, now())))
}

async fn down(
    State(context): Shared,
    Extension(peer): Extension<Peer>,
    query: Result<Query<DownQuery>, QueryRejection>,
) -> Answer<op::Down> {
    let wanted = if read_query(query)?.all { Request::DownAll } else { Request::Down };
    request(&context, peer, wanted).await.map(accepted)
}

async fn take_over(
    State(context): Shared,
    Extension(peer): Extension<Peer>,
    body: HttpRequest,
) -> Answer<op::TakeOver> {
    let TakeOver { offer, exe, leash } = read_body::<op::TakeOver>(body, MAX_BODY).await?;
    let (offer, program) = (std::path::PathBuf::from(offer), std::path::Path::new(&exe));
    if offer.parent() != Some(context.state_dir.as_path()) || !program.is_absolute() {
        return Err(Refused::new(
            400,
            "the plan has to be in the stack's state directory, the program absolute",
        ));
    }
    let plan = tokio::task::spawn_blocking(move || read_plan_from(offer)).await;
    let plan = match plan {
        Ok(Ok(plan)) => Box::new(plan),
        Ok(Err(error)) => return Err(Refused::new(400, error.to_string())),
        Err(_) => return Err(Refused::new(503, "the daemon is ending")),
    };
    context.ask(|reply| Ask::TakeOver { by: peer.who, plan, exe, leash, reply }).await.map(accepted)
}

async fn action(
    State(context): Shared,
    Extension(peer): Extension<Peer>,
    Path((name, action)): Path<(String, String)>,
) -> Answer<op::Act> {
    let name = read_name(name)?;
    let make = match read_action(&action)? {
        Action::Start => Request::Start,
        Action::Stop => Request::Stop,
        Action::Restart => Request::Restart,
        Action::Pause => Request::Pause,
        Action::Continue => Request::Continue,
        Action::Remove => Request::Remove,
    };
    request(&context, peer, make(name)).await.map(accepted)
}

async fn add(State(context): Shared, Extension(peer): Extension<Peer>, body: HttpRequest) -> Answer<op::Add> {
    let AddService { name, plan } = read_body::<op::Add>(body, MAX_ADD).await?;
    let taken = request(&context, peer, Request::Add(name, Box::new(plan))).await?;
    let mut written = context.plan_written.clone();
    // Late is not lost: the keeper has it, and the file follows.
    let _ = tokio::time::timeout(DISK_TIME, written.wait_for(|count| *count >= taken.plan)).await;
    Ok(accepted(taken))
}

async fn notify(State(context): Shared, Path(name): Path<String>, body: HttpRequest) -> Answer<op::Notify> {
    let service = read_name(name)?;
    let Notify { run, text } = read_body::<op::Notify>(body, MAX_BODY).await?;
    let run = RunId(run);
    context.ask(|reply| Ask::Notify { service, run, text, reply }).await.map(accepted)
}

async fn signal(
    State(context): Shared,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: HttpRequest,
) -> Answer<op::Signal> {
    let service = read_name(name)?;
    let Signal { signal, pid, all } = read_body::<op::Signal>(body, MAX_BODY).await?;
    let action = StopAction::by_hand(&signal, mainstay_sys::IS_WINDOWS)
        .map_err(|(message, hint)| Refused::new(400, message).hint(hint))?;
    let whom = match (pid, all) {
        (None, false) => Whom::Main,
        (Some(pid), false) => Whom::One(pid),
        (None, true) => Whom::All,
        (Some(_), true) => return Err(Refused::new(400, "either one process or all, not both")),
    };
    let count = context.ask(|reply| Ask::Send { by: peer.who, service, action, whom, reply }).await?;
    Ok(Json(Signalled { processes: count }))
}

async fn all_events(
    State(context): Shared,
    headers: HeaderMap,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Streamed<EventRecord>, Refused> {
    let mut query = read_query(query)?;
    if let Some(id) = stream::last_event_id(&headers) {
        query.since =
            id.parse().map_err(|_| Refused::new(400, format!("'{id}' is no number of an event")))?;
        query.limit = 0;
    }
    Ok(Streamed::new(events::answer(context, query, Form::of(&headers))))
}

async fn upgrade(
    State(context): Shared,
    Extension(peer): Extension<Peer>,
    body: HttpRequest,
) -> Answer<op::Upgrade> {
    let Upgrade { exe } = read_body::<op::Upgrade>(body, MAX_BODY).await?;
    let path = std::path::Path::new(&exe);
    if !path.is_absolute() || !path.is_file() {
        return Err(Refused::new(400, format!("{exe} is not the absolute path of a program")));
    }
    context.ask(|reply| Ask::Upgrade { by: peer.who, exe, reply }).await.map(accepted)
}

async fn record(State(context): Shared, body: HttpRequest) -> Answer<op::Record> {
    let Record { on } = read_body::<op::Record>(body, MAX_BODY).await?;
    context.ask(|reply| Ask::Record { on, reply }).await.map(Json)
}

async fn request(context: &Context, peer: Peer, request: Request) -> Result<Taken, Refused> {
    context.ask(|reply| Ask::Request { by: peer.who, request, reply }).await
}

pub(super) fn accepted(taken: Taken) -> Json<Accepted> {
    Json(Accepted { revision: taken.revision })
}

fn read_name(name: String) -> Result<ServiceName, Refused> {
    ServiceName::new(name.as_str())
        .map_err(|rule| Refused::new(404, format!("there is no service '{name}': a name {rule}")))
}

fn read_action(word: &str) -> Result<Action, Refused> {
    let all = [Action::Start, Action::Stop, Action::Restart, Action::Pause, Action::Continue, Action::Remove];
    all.into_iter().find(|action| action.as_str() == word).ok_or_else(|| {
        let words: Vec<&str> = all.iter().map(|action| action.as_str()).collect();
        Refused::new(404, format!("nothing can be done that is called '{word}'"))
            .hint(format!("one of {}", words.join(", ")))
    })
}

fn read_query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Refused> {
    query.map(|Query(query)| query).map_err(|error| Refused::new(400, error.body_text()))
}

pub(super) async fn read_body<E: Endpoint<Body: DeserializeOwned>>(
    request: HttpRequest,
    most: usize,
) -> Result<E::Body, Refused> {
    let body: Body = request.into_body();
    let whole = tokio::time::timeout(super::HEAD_TIME, Limited::new(body, most).collect()).await;
    let bytes: Bytes = match whole {
        Ok(Ok(whole)) => whole.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(Refused::new(413, format!("the request is longer than {} KiB", most >> 10)));
        }
        Ok(Err(error)) => return Err(Refused::new(400, format!("the request broke off: {error}"))),
        Err(_) => return Err(Refused::new(408, "the request did not end in time")),
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| Refused::new(400, format!("the request is not what this path takes: {error}")))
}
