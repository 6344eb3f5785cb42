//! The commands, a file each: what they take and what they do.

pub mod api;
pub mod apply;
pub mod completions;
pub mod config;
pub mod continue_;
pub mod control;
pub mod debug;
pub mod doctor;
pub mod down;
pub mod edit;
pub mod events;
pub mod explain;
pub mod export;
pub mod forecast;
pub mod get;
pub mod history;
pub mod install;
pub mod list;
pub mod logs;
pub mod man;
pub mod metrics;
pub mod notify;
pub mod pause;
pub mod plan;
pub mod restart;
pub mod rm;
pub mod rollback;
pub mod run;
pub mod secret;
pub mod set;
pub mod signal;
pub mod start;
pub mod status;
pub mod stop;
pub mod top;
pub mod uninstall;
pub mod up;
pub mod upgrade;
pub mod version;
pub mod wait;

use crate::args::Command;
use crate::failure::Outcome;
use crate::output::Output;

/// Does what `command` says.
///
/// # Errors
/// Why it came to nothing.
pub fn dispatch(command: Command, output: &mut Output) -> Outcome {
    match command {
        Command::Up(args) => up::run(args, output),
        Command::Doctor(args) => doctor::run(&args, output),
        Command::Down(args) => down::run(args, output),
        Command::Status(args) => status::run(&args, output),
        Command::Start(args) => start::run(&args, output),
        Command::Top(args) => top::run(&args, output),
        Command::Stop(args) => stop::run(&args, output),
        Command::Restart(args) => restart::run(&args, output),
        Command::Pause(args) => pause::run(&args, output),
        Command::Continue(args) => continue_::run(&args, output),
        Command::Control(args) => control::run(&args, output),
        Command::Explain(args) => explain::run(&args, output),
        Command::Signal(args) => signal::run(&args, output),
        Command::Wait(args) => wait::run(&args, output),
        Command::Logs(args) => logs::run(args, output),
        Command::Events(args) => events::run(args, output),
        Command::Metrics(args) => metrics::run(&args, output),
        Command::Forecast(args) => forecast::run(&args, output),
        Command::Export(what) => export::run(&what, output),
        Command::Run(args) => run::run(args, output),
        Command::Rm(args) => rm::run(&args, output),
        Command::Api(args) => api::run(&args, output),
        Command::Completions(args) => completions::run(&args, output),
        Command::Man(args) => man::run(&args, output),
        Command::Plan(args) => plan::run(&args, output),
        Command::Apply(args) => apply::run(&args, output),
        Command::History(args) => history::run(&args, output),
        Command::Rollback(args) => rollback::run(&args, output),
        Command::Secret(args) => secret::run(&args, output),
        Command::Config(args) => config::run(&args, output),
        Command::Notify(args) => notify::run(&args, output),
        Command::Install(args) => install::run(&args, output),
        Command::Set(args) => set::run(&args, output),
        Command::Get(args) => get::run(&args, output),
        Command::Edit(args) => edit::run(&args, output),
        Command::Uninstall(args) => uninstall::run(&args, output),
        Command::List(_) => list::run(output),
        Command::Upgrade(args) => upgrade::run(&args, output),
        Command::Debug(args) => debug::run(args, output),
        Command::Version(_) => version::run(output),
    }
}
