//! Real daemons, with the test as their keeper.
//!
//! The test's own program is the daemon: it starts itself with `daemon`. That is why this has a `main` of its own;
//! the usual one would write to standard output, which is the link on Windows.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test says what it does"
)]

mod api;
mod basics;
mod end;
mod fake;
mod probes;
mod reload;
mod replaced;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use mainstay_daemon::Args;
use mainstay_sys::dirs::Dirs;

const TESTS: &[(&str, fn())] = &[
    ("the_first_transaction_has_everything", basics::the_first_transaction_has_everything),
    ("an_exit_is_answered_in_one_transaction", basics::an_exit_is_answered_in_one_transaction),
    ("a_ping_is_answered", basics::a_ping_is_answered),
    ("down_is_wanted_by_the_keeper", basics::down_is_wanted_by_the_keeper),
    ("what_the_keeper_tells_becomes_events", basics::what_the_keeper_tells_becomes_events),
    ("runs_of_nobody_are_ended", replaced::runs_of_nobody_are_ended),
    ("a_daemon_may_die_after_each_frame", replaced::a_daemon_may_die_after_each_frame),
    ("a_frame_may_be_lost_with_its_daemon", replaced::a_frame_may_be_lost_with_its_daemon),
    ("added_and_removed_services_are_kept", replaced::added_and_removed_services_are_kept),
    (
        "an_added_service_survives_before_it_is_on_disk",
        replaced::an_added_service_survives_before_it_is_on_disk,
    ),
    ("a_recording_over_two_daemons_replays", replaced::a_recording_over_two_daemons_replays),
    ("requests_and_refusals", api::requests_and_refusals),
    ("changes_are_waited_for", api::changes_are_waited_for),
    ("events_are_followed_over_daemons", api::events_are_followed_over_daemons),
    ("events_and_logs_are_server_sent_events_too", api::events_and_logs_are_server_sent_events_too),
    ("bad_requests_are_told_so", api::bad_requests_are_told_so),
    ("a_service_says_it_is_ready", api::a_service_says_it_is_ready),
    ("a_thousand_services_are_shown", api::a_thousand_services_are_shown),
    ("what_services_use_is_seen", api::what_services_use_is_seen),
    ("an_upgrade_is_the_keepers_work", api::an_upgrade_is_the_keepers_work),
    ("a_command_is_asked_through_the_keeper", probes::a_command_is_asked_through_the_keeper),
    ("a_log_probe_that_has_seen_its_line_remembers", probes::a_log_probe_that_has_seen_its_line_remembers),
    ("http_and_tcp_make_ready", probes::http_and_tcp_make_ready),
    (
        "what_changes_while_it_runs_is_told_to_the_keeper",
        reload::what_changes_while_it_runs_is_told_to_the_keeper,
    ),
    ("a_dead_keeper_takes_everything_with_it", end::a_dead_keeper_takes_everything_with_it),
    ("a_keeper_that_lives_is_left_alone", end::a_keeper_that_lives_is_left_alone),
    ("a_missing_plan_is_no_daemon", end::a_missing_plan_is_no_daemon),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("daemon") => daemon(&arguments),
        Some("sleep") => {
            std::thread::sleep(Duration::from_secs(600));
            ExitCode::SUCCESS
        }
        Some("exit") => ExitCode::SUCCESS,
        _ => tests(&arguments),
    }
}

fn daemon(arguments: &[String]) -> ExitCode {
    let [_, stack, base, _, guard] = arguments else { panic!("{arguments:?}") };
    let args = Args {
        stack: stack.clone(),
        dirs: dirs(base.into()),
        guard: guard.clone(),
        source: None,
        observers: Vec::new(),
    };
    match mainstay_daemon::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn dirs(base: PathBuf) -> Dirs {
    Dirs { run: base.join("run"), state: base.join("state"), log: base.join("log") }
}

/// One after the other: a keeper's children belong to its thread.
fn tests(arguments: &[String]) -> ExitCode {
    let words: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let exact = arguments.iter().any(|word| word == "--exact");
    if arguments.iter().any(|word| word == "--ignored") {
        return ExitCode::SUCCESS;
    }
    let chosen = |name: &str| {
        words.is_empty() || words.iter().any(|word| if exact { *word == name } else { name.contains(*word) })
    };
    if arguments.iter().any(|word| word == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let mut failed = Vec::new();
    for (name, test) in TESTS.iter().filter(|(name, _)| chosen(name)) {
        let ok = catch_unwind(AssertUnwindSafe(test)).is_ok();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        if !ok {
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {}", failed.join(", "));
    ExitCode::FAILURE
}
