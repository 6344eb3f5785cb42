//! `mainstay signal`

use mainstay_api::types::Signal as Wanted;

use crate::act::resolve_or_all;
use crate::args::Select;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::names;
use crate::output::{Output, words};
use crate::runtime::block_on;

/// Send a signal to processes of a service, such as HUP
///
/// To its main process, unless told otherwise; never to one that is not the service's. On Windows, where there are no
/// signals: ctrl_c, ctrl_break, close_window or kill. Ctrl+C and Ctrl+Break are heard by all on the same console. A
/// service that ends of it is restarted as its policy says.
#[derive(Debug, clap::Args)]
pub struct Signal {
    #[command(flatten)]
    select: Select,

    /// Send it to this process of the service's tree
    #[arg(long, value_name = "PID", conflicts_with = "all")]
    pid: Option<u32>,

    /// Send it to all processes of the service's tree
    #[arg(long)]
    all: bool,

    /// Which service
    #[arg(value_name = "SERVICE")]
    service: String,

    /// HUP, SIGUSR1, 1, …; on Windows ctrl_c, ctrl_break, close_window or kill
    #[arg(value_name = "SIGNAL")]
    signal: String,
}

/// Sends it.
///
/// # Errors
/// An unknown service, a signal that the platform does not have, a process that is not the service's.
pub fn run(args: &Signal, output: &mut Output) -> Outcome {
    let meant = names::meant_in_one(&args.select, std::slice::from_ref(&args.service))?;
    let place = &meant.place;
    block_on(async {
        let client = place.client();
        let stack = client.stack().await.map_err(|e| Failure::api(e, &place.name))?;
        let services = resolve_or_all(place, &stack, &meant.services)?;
        if services.len() > 1 && args.pid.is_some() {
            let names: Vec<&str> = services.iter().map(|name| name.as_str()).collect();
            return Err(Failure::usage(format!("--pid needs one service; {} has several", args.service))
                .hint(format!("one of {}", names.join(", "))));
        }
        let wanted = Wanted { signal: args.signal.clone(), pid: args.pid, all: args.all };
        let mut sent = Vec::new();
        for name in &services {
            let count =
                client.signal(name, &wanted).await.map_err(|e| Failure::api(e, &place.name))?.processes;
            if output.json {
                sent.push(serde_json::json!({ "name": name, "processes": count }));
            } else {
                let count = words::count(usize::try_from(count).unwrap_or(usize::MAX), "process");
                output.line(&format!("{name}: {} sent to {count}", args.signal))?;
            }
        }
        if output.json {
            output.json(&serde_json::json!({ "signal": args.signal, "services": sent }))?;
        }
        Ok(ExitStatus::Done)
    })
}
