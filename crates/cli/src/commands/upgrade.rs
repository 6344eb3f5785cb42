//! `mainstay upgrade`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mainstay_api::ClientError;
use mainstay_api::types::{Stack, Upgrade as Request};

use crate::args::Select;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::Output;
use crate::output::progress::Progress;
use crate::runtime::block_on;
use crate::stack;

/// How long the keeper may take to try the new program and, at worst, to go back to the old one.
const PATIENCE: Duration = Duration::from_secs(60);

/// Replace the daemon by a new version while the services run
#[derive(Debug, clap::Args)]
pub struct Upgrade {
    #[command(flatten)]
    select: Select,

    /// The new program [default: this one]
    binary: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// The new program is none, or does not answer; the old one is in charge again then.
pub fn run(args: &Upgrade, output: &mut Output) -> Outcome {
    let place = stack::select(&args.select)?;
    let exe = match &args.binary {
        Some(path) if path.is_file() => std::path::absolute(path),
        Some(path) => return Err(Failure::usage(format!("there is no program {}", path.display()))),
        None => std::env::current_exe(),
    }
    .map_err(|e| Failure::failed(format!("cannot find the new program: {e}")))?;
    let exe = exe
        .into_os_string()
        .into_string()
        .map_err(|path| Failure::usage(format!("the path {} is not Unicode", path.to_string_lossy())))?;
    let (before, after) = block_on(async {
        let client = place.client();
        let refused = |e| Failure::api(e, &place.name);
        let before = client.stack().await.map_err(refused)?;
        match client.upgrade(&Request { exe: exe.clone() }).await {
            // The daemon that would have answered may be gone already: that is what was asked for.
            Ok(_) | Err(ClientError::Lost(_)) => {}
            Err(error) => return Err(refused(error)),
        }
        let mut progress = Progress::new(output.json || output.quiet);
        let begin = Instant::now();
        loop {
            progress.show(&format!("{}: the new daemon takes over", place.name));
            let now = client.changes(before.revision, Duration::from_millis(500)).await.map_err(refused)?;
            if now.daemon.pid != before.daemon.pid {
                return Ok((before, now));
            }
            if begin.elapsed() > PATIENCE {
                return Err(Failure::failed(format!("the daemon of {} was not replaced", place.name))
                    .hint("`mainstay events -n 20` may tell why; the services run on"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })?;
    tell(&exe, &before, &after, output)
}

/// The keeper goes back to the old program if the new one does not come up; that is a new daemon, too.
fn tell(exe: &str, before: &Stack, after: &Stack, output: &mut Output) -> Outcome {
    if output.json {
        output.json(&serde_json::json!({ "before": before.daemon, "after": after.daemon, "reason": after.daemon_reason }))?;
    } else {
        output.line(&format!(
            "{}: daemon {} ({}) took over from {} ({})",
            after.name, after.daemon.pid, after.daemon.version, before.daemon.pid, before.daemon.version
        ))?;
    }
    output.flush()?;
    if after.daemons_before > before.daemons_before + 1 {
        return Err(Failure::failed(format!("{exe} did not come up as a daemon: {}", after.daemon_reason))
            .hint("the program from before is in charge again, and the services run on"));
    }
    Ok(ExitStatus::Done)
}
