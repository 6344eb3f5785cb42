//! What `mainstay up` says of limits: of the services', and of its own number of open files.

use std::time::{Duration, Instant};

use mainstay_api::Client;
use mainstay_api::types::Stack;
use mainstay_core::{Plan, StartMode, StateName};

use crate::output::Output;

/// So long `up --detach` waits to hear which limits do not hold: a service has to be started for that.
const WITHIN: Duration = Duration::from_secs(3);

/// Says so if the services need more open files than Mainstay may have.
pub fn warn_of_files(plan: &Plan, output: &mut Output) {
    let Some(most) = mainstay_sys::own::most_open_files() else { return };
    let needed = plan.open_files_needed();
    if needed > most {
        output.warning(&format!(
            "the stack needs about {needed} open files, and Mainstay may have {most} at the most; raise the limit \
             (`ulimit -Hn`, limits.conf, LimitNOFILE= of a systemd unit), or some services will not start"
        ));
    }
}

/// The stack, once those services with limits have been started that can be at once.
pub async fn told(client: &Client, plan: &Plan, mut stack: Stack) -> Stack {
    let begin = Instant::now();
    let is_open = |stack: &Stack| {
        stack.services.iter().any(|service| {
            let limited = plan
                .services
                .get(&service.name)
                .is_some_and(|plan| plan.start == StartMode::Auto && !plan.launch.limits.is_default());
            let coming = service.state == StateName::Starting
                || (service.state == StateName::Stopped && service.last_exit.is_none());
            limited && coming && service.pid.is_none() && service.waiting_for.is_empty()
        })
    };
    while is_open(&stack) && begin.elapsed() < WITHIN {
        match client.changes(stack.revision, Duration::from_millis(500)).await {
            Ok(newer) => stack = newer,
            Err(_) => break,
        }
    }
    stack
}
