//! `mainstay notify`

use mainstay_api::types::Notify as Message;
use mainstay_core::ServiceName;
use mainstay_sys::dirs;
use mainstay_sys::spawn::MARKER_VARIABLE;

use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::Output;
use crate::runtime::block_on;
use crate::stack::Place;

/// Tell Mainstay, from inside a service, that it is ready
///
/// Speaks systemd's notify protocol; `mainstay notify` alone says READY=1.
#[derive(Debug, clap::Args)]
pub struct Notify {
    /// What to say, as NAME=VALUE [default: READY=1]
    #[arg(value_name = "TEXT")]
    text: Vec<String>,
}

/// Says it.
///
/// # Errors
/// There is nobody to tell.
pub fn run(args: &Notify, _output: &mut Output) -> Outcome {
    let text = if args.text.is_empty() { "READY=1".to_owned() } else { args.text.join("\n") };
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) {
        mainstay_sys::notify::send(&socket, &text)
            .map_err(|e| Failure::io("send to NOTIFY_SOCKET", socket.to_string_lossy(), &e))?;
        return Ok(ExitStatus::Done);
    }
    let marker = std::env::var(MARKER_VARIABLE).map_err(|_| {
        Failure::usage(format!("neither NOTIFY_SOCKET nor {MARKER_VARIABLE} is set"))
            .hint("`mainstay notify` is for programs that run as services")
    })?;
    let (stack, service, run) = parse(&marker)?;
    let place = by_id(&stack)?;
    block_on(async {
        let message = Message { run, text };
        place.client().notify(&service, &message).await.map_err(|e| Failure::api(e, &place.name))
    })?;
    Ok(ExitStatus::Done)
}

/// `<stack id>/<service>/<run>`
fn parse(marker: &str) -> Result<(String, ServiceName, u64), Failure> {
    let mut parts = marker.rsplitn(3, '/');
    let (run, service, stack) = (parts.next(), parts.next(), parts.next());
    let run = run.and_then(|run| run.parse().ok());
    let service = service.and_then(|name| ServiceName::new(name).ok());
    match (stack, service, run) {
        (Some(stack), Some(service), Some(run)) => Ok((stack.to_owned(), service, run)),
        _ => Err(Failure::usage(format!("{MARKER_VARIABLE} is `{marker}`, which names no run"))),
    }
}

/// The stack with this id: its name may have been given to another one since.
fn by_id(id: &str) -> Result<Place, Failure> {
    dirs::stacks()
        .iter()
        .filter_map(|name| Place::of(name).ok())
        .find(|place| {
            std::fs::read_to_string(place.dirs.state.join("id")).is_ok_and(|text| text.trim() == id)
        })
        .ok_or_else(|| {
            Failure::not_there("the stack that this process is part of cannot be found")
                .hint(format!("a service with another {} or account cannot see it", dirs::HOME_VARIABLE))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_names_stack_service_and_run() {
        let (stack, service, run) = parse("a1b2c3/api/17").expect("a marker");
        assert_eq!((stack.as_str(), service.as_str(), run), ("a1b2c3", "api", 17));
        for bad in ["", "api/17", "a1/api/x", "a1//3", "a1/a b/3"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
