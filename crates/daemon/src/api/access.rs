//! Who may ask what. [`Access`] of each endpoint says it; here it is compared with who asks.

use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{Extension, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use mainstay_api::endpoints::Access;
use mainstay_api::entry_name;
use mainstay_api::types::Action;
use mainstay_sys::endpoint::Caller;

use super::Context;
use crate::message::Refused;

/// Whoever asks.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// In words, for "asked by".
    pub who: String,
    pub caller: Caller,
}

/// Before every handler: lets through what may be asked.
pub(super) async fn guard(
    State((context, access)): State<(Arc<Context>, Access)>,
    Extension(peer): Extension<Peer>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    let stack = context.facts.stack.as_str();
    let of_path = |wanted: &str| {
        let mut all = path.iter().flatten();
        all.find(|(name, _)| *name == wanted).map(|(_, value)| value).unwrap_or_default()
    };
    if may(access, &peer.caller, stack, of_path("name"), of_path("action")) {
        return Ok(next.run(request).await);
    }
    let what = format!("{} {}", request.method(), request.uri().path());
    Err(Refused::new(403, format!("{} may not ask for {what}", peer.who)).hint(format!(
        "the account of an entry in services.msc watches {stack}, and starts, stops, pauses and continues its own \
         service; an administrator may do the rest"
    )))
}

/// Whether something may be asked of a stack; `service` and `action` if it has them.
fn may(access: Access, caller: &Caller, stack: &str, service: &str, action: &str) -> bool {
    match (caller, access) {
        (Caller::Owner, _) | (Caller::Entry(_), Access::Entry) => true,
        (Caller::Entry(_), Access::Owner) => false,
        (Caller::Entry(_), Access::OwnEntry) => {
            let asked = [Action::Start, Action::Stop, Action::Pause, Action::Continue];
            asked.iter().any(|of| of.as_str() == action) && caller.is_service(&entry_name(stack, service))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt;
    use tower_service::Service;

    use super::*;
    use crate::events_log::EventsLog;

    /// `NT SERVICE\shop@web`, as `sc showsid shop@web` says.
    const WEB: &str = "S-1-5-80-883358348-1287816795-25969329-3665496580-37776217";

    #[test]
    fn an_entry_steers_its_own_service_and_watches_the_rest() {
        let entry = Caller::Entry(Some(WEB.to_owned()));
        let steer = |service: &str, action: &str| may(Access::OwnEntry, &entry, "shop", service, action);
        for action in ["start", "stop", "pause", "continue"] {
            assert!(steer("web", action), "{action}");
            assert!(!steer("db", action), "{action} of its neighbour");
            assert!(!may(Access::OwnEntry, &entry, "store", "web", action), "{action} in another stack");
            assert!(
                !may(Access::OwnEntry, &Caller::Entry(None), "shop", "web", action),
                "whose, nobody knows"
            );
        }
        for action in ["restart", "remove", "", "stop/../remove"] {
            assert!(!steer("web", action), "{action:?}");
        }
        assert!(may(Access::Entry, &entry, "shop", "", ""));
        assert!(may(Access::Entry, &Caller::Entry(None), "shop", "", ""));
        assert!(!may(Access::Owner, &entry, "shop", "web", ""), "signals, logs and the like");
    }

    #[test]
    fn the_owner_may_do_everything() {
        for access in [Access::Owner, Access::Entry, Access::OwnEntry] {
            assert!(may(access, &Caller::Owner, "shop", "web", "remove"));
        }
    }

    /// What a request comes to: the status, and what is said.
    async fn ask(router: &mut axum::Router, method: &str, path: &str, caller: Caller) -> (u16, String) {
        let peer = Peer { who: r"NT SERVICE\shop@web (pid 12)".to_owned(), caller };
        let request = Request::builder().method(method).uri(path).extension(peer).body(Body::empty());
        let answer = router.call(request.unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn every_path_is_guarded() {
        let dir = tempfile::tempdir().unwrap();
        let log = EventsLog::open(dir.path(), None, Vec::new());
        let mut router = super::super::handlers::router(Context::for_tests(dir.path(), &log));
        let web = || Caller::Entry(Some(WEB.to_owned()));
        let mut refused = 0;
        for (path, methods) in mainstay_api::document()["paths"].as_object().unwrap() {
            let path = path.replace("{name}", "db").replace("{action}", "stop");
            for (method, endpoint) in methods.as_object().unwrap() {
                let open = endpoint["description"].as_str().is_some_and(|note| !note.contains("its own"));
                if !open {
                    let (status, text) = ask(&mut router, &method.to_uppercase(), &path, web()).await;
                    assert_eq!(status, 403, "{method} {path}: {text}");
                    assert!(
                        text.contains("shop@web (pid 12) may not ask for") && text.contains(&path),
                        "{text}"
                    );
                    refused += 1;
                }
            }
        }
        assert!(refused >= 18, "{refused}");
        assert_eq!(ask(&mut router, "GET", "/v1/version", web()).await.0, 200);
        // Let through, and refused for its empty body.
        let (status, text) = ask(&mut router, "POST", mainstay_api::routes::RECORD, Caller::Owner).await;
        assert_eq!(status, 400, "{text}");
    }
}
