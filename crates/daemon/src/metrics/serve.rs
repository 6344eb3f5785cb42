//! `/metrics` over TCP, for Prometheus and its like. Off unless the configuration names an address.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use mainstay_metrics::text::Form;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tracing::{debug, info, warn};

use super::page::page_now;
use crate::api::Context;
use crate::message::{Ask, ToDriver};

/// More connections are closed at once.
const MAX_CONNECTIONS: usize = 32;
/// A request's head has to be there in this time.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// A connection is closed after this time, whatever it does.
const LONGEST: Duration = Duration::from_secs(300);

/// Serves where the plan says, until the daemon ends.
pub(crate) async fn follow(context: Arc<Context>, mut changes: watch::Receiver<u64>) {
    let mut serving: Option<(String, tokio::task::JoinHandle<()>)> = None;
    loop {
        changes.borrow_and_update();
        let Ok(settings) = context.ask(Ask::Settings).await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        if serving.as_ref().map(|(listen, _)| listen) != settings.listen.as_ref() {
            if let Some((_, task)) = serving.take() {
                task.abort();
            }
            serving = settings
                .listen
                .map(|listen| (listen.clone(), tokio::spawn(serve(listen, Arc::clone(&context)))));
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Serves for ever. An address that can't be had is told, and tried for again.
async fn serve(listen: String, context: Arc<Context>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let listener = bind(&listen, &context).await;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!("can't take a connection on {listen}: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            debug!("more than {MAX_CONNECTIONS} connections; one is closed");
            continue;
        };
        let context = Arc::clone(&context);
        tokio::spawn(async move {
            let _ = tokio::time::timeout(LONGEST, connection(stream, context)).await;
            drop(place);
        });
    }
}

async fn bind(listen: &str, context: &Context) -> TcpListener {
    let mut told = false;
    let mut pause = Duration::from_millis(50);
    loop {
        match TcpListener::bind(listen).await {
            Ok(listener) => {
                info!("metrics are served on http://{listen}/metrics");
                return listener;
            }
            // A daemon that is just going may still hold it.
            Err(error) if pause > Duration::from_secs(2) && !told => {
                told = true;
                warn!("metrics can't be served on {listen}: {error}");
                let note = format!("metrics can't be served on {listen}: {error}; it is tried again");
                context.driver.send(ToDriver::Note(note));
            }
            Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}

async fn connection(stream: TcpStream, context: Arc<Context>) {
    let service = service_fn(move |request| {
        let context = Arc::clone(&context);
        async move { Ok::<_, Infallible>(answer(&request, &context).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        debug!("a connection for metrics broke: {error}");
    }
}

async fn answer(request: &Request<Incoming>, context: &Context) -> Response<Full<Bytes>> {
    let plain = |status, text: &'static str| {
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        response
    };
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "metrics are at /metrics\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let Some(page) = page_now(context).await else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "the daemon is too busy to answer\n");
    };
    let form = Form::of_accept(request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()));
    let text = page.render(form);
    let mut response = Response::new(Full::from(text));
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(form.content_type()));
    response
}
