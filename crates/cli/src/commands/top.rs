//! `mainstay top`

use mainstay_core::explain as words;
use mainstay_top::{Explain, Look};

use crate::args::Select;
use crate::commands::explain::text;
use crate::explain::Files;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::Output;
use crate::output::style::Paint;
use crate::runtime::block_on;
use crate::stack;

/// Watch all services in the terminal
///
/// State, uptime, restarts, processor and memory of each, as they change; a key away from its log (followed, searched),
/// its explanation, and from starting, stopping, restarting and pausing it. The last line names the keys.
#[derive(Debug, clap::Args)]
pub struct Top {
    #[command(flatten)]
    select: Select,

    /// Draw with letters and signs that every terminal has [default: if the locale is not UTF-8]
    #[arg(long)]
    ascii: bool,
}

/// Shows them until the user has had enough.
///
/// # Errors
/// No such stack, it is not up, or there is no terminal.
pub fn run(args: &Top, output: &mut Output) -> Outcome {
    let place = stack::select(&args.select)?;
    if output.json || terminal_size::terminal_size().is_none() {
        return Err(Failure::usage("top needs a terminal")
            .hint("mainstay status and mainstay metrics print once, with --json for programs"));
    }
    let client = place.client();
    let (name, api) = (place.name.clone(), |error| Failure::api(error, &place.name));
    // What is wrong is said before the screen is taken.
    block_on(async { client.stack().await.map_err(api) })?;
    let look = Look { colour: output.paint.is_on(), ascii: args.ascii || !speaks_utf8() };
    let shown = place.clone();
    let explain: Explain =
        Box::new(move |stack, service| match Files::read(&shown, &[service.name.as_str()]) {
            Ok(files) => {
                // As wide as the terminal is by now.
                let width = terminal_size::terminal_size().map(|size| usize::from(size.0.0));
                let text = text(&words::explain(&files.live(stack, service)), Paint::plain(), width);
                text.lines().map(str::to_owned).collect()
            }
            Err(failure) => vec![failure.message],
        });
    let shown = async { mainstay_top::run(client, look, explain).await };
    block_on(async { shown.await.map_err(|error| Failure::io("show", &name, &error)) })?;
    Ok(ExitStatus::Done)
}

/// Whether the locale has more letters than English needs. Windows' consoles are written to in Unicode.
fn speaks_utf8() -> bool {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
    mainstay_sys::IS_WINDOWS || locale.to_lowercase().replace('-', "").contains("utf8")
}
