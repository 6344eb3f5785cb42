//! The command line's shape. What each command takes stands in its own file.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    api, apply, completions, config, continue_, control, debug, doctor, down, edit, events, explain, export,
    forecast, get, history, install, list, logs, man, metrics, notify, pause, plan, restart, rm, rollback,
    run, secret, set, signal, start, status, stop, top, uninstall, up, upgrade, version, wait,
};
use crate::output::style::Choice;

/// Keeps programs up.
#[derive(Debug, Parser)]
#[command(
    name = "mainstay",
    version,
    about = "Keeps programs up: starts them in order, restarts them, keeps their logs, stops them cleanly",
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 no such service or stack, \
                  4 already up, 5 not in time, 6 cannot come true any more"
)]
pub struct Cli {
    /// Print JSON instead of text
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,

    /// No progress and no remarks, only results and errors
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub quiet: bool,

    /// When to use colour
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        help_heading = "Global options"
    )]
    pub color: Choice,

    #[command(subcommand)]
    pub command: Command,
}

/// What is wanted.
#[derive(Debug, Subcommand)]
pub enum Command {
    Up(up::Up),
    Down(down::Down),
    #[command(visible_aliases = ["ps", "ls"])]
    Status(status::Status),
    Top(top::Top),
    Explain(explain::Explain),
    Doctor(doctor::Doctor),
    Start(start::Start),
    Stop(stop::Stop),
    Restart(restart::Restart),
    Pause(pause::Pause),
    #[command(name = "continue")]
    Continue(continue_::Continue),
    Control(control::Control),
    Signal(signal::Signal),
    Wait(wait::Wait),
    #[command(visible_alias = "log")]
    Logs(logs::Logs),
    Events(events::Events),
    #[command(visible_alias = "usage")]
    Metrics(metrics::Metrics),
    Forecast(forecast::Forecast),
    #[command(subcommand)]
    Export(export::Export),
    Run(run::Run),
    #[command(visible_aliases = ["remove", "delete"])]
    Rm(rm::Rm),
    Plan(plan::Plan),
    #[command(visible_alias = "reload")]
    Apply(apply::Apply),
    History(history::History),
    Rollback(rollback::Rollback),
    #[command(subcommand, visible_alias = "secrets")]
    Secret(secret::Secret),
    #[command(subcommand)]
    Config(config::Config),
    #[command(subcommand)]
    Api(api::Api),
    Notify(notify::Notify),
    Upgrade(upgrade::Upgrade),
    Install(Box<install::Install>),
    Uninstall(uninstall::Uninstall),
    Set(set::Set),
    Get(get::Get),
    Edit(edit::Edit),
    List(list::List),
    #[command(subcommand)]
    Debug(debug::Debug),
    Completions(completions::Completions),
    Man(man::Man),
    Version(version::Version),
}

/// Which stack is meant.
#[derive(Args, Clone, Debug, Default)]
pub struct Select {
    /// The stack, by its name
    #[arg(short, long, value_name = "NAME", conflicts_with_all = ["files", "environment"])]
    pub stack: Option<String>,

    /// The stack, by its configuration; further ones go over it, as for `up` [default: ./mainstay.toml]
    #[arg(id = "files", short, long = "file", value_name = "FILE")]
    pub files: Vec<std::path::PathBuf>,

    /// With the overlays of an environment, as for `up`
    #[arg(id = "environment", long = "env", value_name = "NAME")]
    pub env: Option<String>,
}

/// The same for commands whose `-f` means "follow".
#[derive(Args, Clone, Debug, Default)]
pub struct SelectLong {
    /// The stack, by its name
    #[arg(short, long, value_name = "NAME", conflicts_with_all = ["files", "environment"])]
    pub stack: Option<String>,

    /// The stack, by its configuration; further ones go over it, as for `up` [default: ./mainstay.toml]
    #[arg(id = "files", long = "file", value_name = "FILE")]
    pub files: Vec<std::path::PathBuf>,

    /// With the overlays of an environment, as for `up`
    #[arg(id = "environment", long = "env", value_name = "NAME")]
    pub env: Option<String>,
}

impl From<SelectLong> for Select {
    fn from(long: SelectLong) -> Select {
        Select { stack: long.stack, files: long.files, env: long.env }
    }
}

/// What goes over the configuration's files.
#[derive(Args, Clone, Debug, Default)]
pub struct Over {
    /// Read the overlays of an environment, such as mainstay.prod.toml over mainstay.toml [default: $MAINSTAY_ENV]
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,

    /// Set a value over all files, such as service.api.environment.PORT=8080
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,

    /// Also take in the services of a profile [default: $MAINSTAY_PROFILES]
    #[arg(long = "profile", value_name = "NAME")]
    pub profiles: Vec<String>,
}

/// Whether a command stays until what it asked for has come about.
#[derive(Args, Clone, Copy, Debug)]
pub struct Waiting {
    /// Return as soon as the request is taken
    #[arg(long)]
    pub no_wait: bool,

    /// Give up waiting after this time, `30s` or `2m` (the request stands)
    #[arg(long, value_name = "TIME", conflicts_with = "no_wait", value_parser = duration)]
    pub timeout: Option<Duration>,
}

/// Of which services something is asked.
#[derive(Args, Clone, Debug)]
pub struct OnServices {
    #[command(flatten)]
    pub select: Select,

    #[command(flatten)]
    pub waiting: Waiting,

    /// Which services, or whole stacks
    #[arg(required = true, value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// A time as in the configuration; a bare number is seconds.
///
/// # Errors
/// What is wrong with it.
pub fn duration(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => mainstay_config::parse_duration(text),
    }
}

/// A time ago, or a time of the reader's clock.
///
/// # Errors
/// It is neither.
pub fn time(text: &str) -> Result<jiff::Timestamp, String> {
    let now = jiff::Zoned::now();
    if let Ok(ago) = duration(text) {
        return now.timestamp().checked_sub(ago).map_err(|e| e.to_string());
    }
    let local = |time: jiff::civil::DateTime| {
        time.to_zoned(now.time_zone().clone()).map(|time| time.timestamp()).map_err(|e| e.to_string())
    };
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time);
    }
    // A date alone is its midnight.
    if let Ok(time) = text.parse::<jiff::civil::DateTime>() {
        return local(time);
    }
    match text.parse::<jiff::civil::Time>() {
        Ok(time) => local(now.date().to_datetime(time)),
        Err(_) => Err("it is no time; write 10m, 19:00, 2026-11-22 or 2026-11-22 19:00".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(duration("soon").is_err());
        assert!(duration("-1").is_err());
    }

    #[test]
    fn times_as_people_write_them() {
        let now = jiff::Timestamp::now();
        let ago = now.duration_since(time("10m").expect("a time")).as_secs();
        assert!((590..=700).contains(&ago), "{ago}");
        assert_eq!(time("2026-11-22T19:00:00Z"), Ok("2026-11-22T19:00:00Z".parse().expect("a time")));
        for text in ["2026-11-22", "2026-11-22 19:00", "2026-11-22T19:00:03", "19:00"] {
            assert!(time(text).is_ok(), "{text}");
        }
        assert!(time("yesterday-ish").is_err());
    }

    #[test]
    fn the_overview_fits_the_screen() {
        let text = Cli::command().term_width(80).render_help().to_string();
        insta::assert_snapshot!("help", text);
        assert!(text.lines().all(|line| line.len() <= 80));
    }

    #[test]
    fn every_command_explains_itself() {
        let mut all = String::new();
        let mut cli = Cli::command().term_width(80);
        cli.build();
        for command in cli.get_subcommands_mut().filter(|c| !c.is_hide_set()) {
            let name = command.get_name().to_owned();
            all.push_str(&format!("=== {name}\n{}\n", command.render_help()));
        }
        insta::assert_snapshot!("help_of_each", all);
    }

    /// Every command's help, as a page shows it.
    fn commands_page() -> String {
        let mut page = String::new();
        let mut cli = Cli::command().term_width(80);
        cli.build();
        for command in cli.get_subcommands_mut().filter(|c| !c.is_hide_set()) {
            let name = command.get_name().to_owned();
            let help = command.render_long_help().to_string();
            let help: String = help.lines().map(|line| format!("{}\n", line.trim_end())).collect();
            page.push_str(&format!("### {name}\n```text\n{}\n```\n\n", help.trim_end()));
            for nested in command.get_subcommands_mut().filter(|c| !c.is_hide_set() && c.get_name() != "help")
            {
                let help = nested.render_long_help().to_string();
                let help: String = help.lines().map(|line| format!("{}\n", line.trim_end())).collect();
                let nested = nested.get_name();
                page.push_str(&format!("### {name} {nested}\n```text\n{}\n```\n\n", help.trim_end()));
            }
        }
        page
    }

    #[test]
    fn the_documentation_has_every_command_as_it_is() {
        const BEGIN: &str = "<!-- commands: begin -->\n";
        const END: &str = "<!-- commands: end -->\n";
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
        let text = std::fs::read_to_string(file).expect("docs/cli.md can be read").replace("\r\n", "\n");
        let (before, rest) = text.split_once(BEGIN).expect("the begin mark");
        let (written, after) = rest.split_once(END).expect("the end mark");
        let page = commands_page();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(file, format!("{before}{BEGIN}{page}{END}{after}"))
                .expect("docs/cli.md can be written");
            return;
        }
        // The program's name has an ending on Windows.
        let is_true = written == page.replace("mainstay.exe", "mainstay");
        assert!(
            is_true,
            "write it anew: UPDATE_DOCS=1 cargo test -p mainstay-cli --bin mainstay documentation"
        );
    }
}
