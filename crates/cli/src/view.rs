//! How stacks and services look: the table of `mainstay status`, and one service in full.

use anstyle::Style;
use mainstay_api::types::{Configuration, Probe, Service, Stack};
use mainstay_core::{StateName, WhenMainstayStops};

use crate::event_text::growth_text;
use crate::output::style::{self, Paint};
use crate::output::table::{Cell, Column, Table, wrap};
use crate::output::words;
use crate::wait;

/// The colour of a state.
pub fn state_style(service: &Service) -> Style {
    match service.state {
        StateName::Failed => style::BAD,
        _ if service.crash_loop => style::BAD,
        StateName::Ready | StateName::Completed => style::GOOD,
        StateName::Running if !wait::is_troubled(service) => style::GOOD,
        StateName::Stopped => style::DIM,
        _ => style::UNSURE,
    }
}

/// Whether nothing about it needs an explanation.
pub fn is_well(service: &Service) -> bool {
    let state_is_fine = match service.state {
        StateName::Ready | StateName::Running => !wait::is_troubled(service),
        StateName::Completed => true,
        // One that nobody has started yet.
        StateName::Stopped => service.reason.is_empty() || service.last_exit.is_none(),
        _ => false,
    };
    state_is_fine && !service.left && !service.crash_loop && service.log_dropped_bytes == 0
}

/// A stack: a line about itself, a table of its services, and below each that is not well the reason.
pub fn stack(stack: &Stack, paint: Paint, width: Option<usize>) -> String {
    let mut text = headline(stack, paint, width);
    if let Some(line) = configuration(&stack.configuration) {
        push_wrapped(&mut text, &words::printable(&line), style::UNSURE, paint, width);
    }
    if stack.services.is_empty() {
        text.push_str("no services\n");
        return text;
    }
    let mut table = Table::new([
        Column::left("NAME"),
        Column::left("STATE"),
        Column::right("PID"),
        Column::right("UPTIME"),
        Column::right("RESTARTS"),
    ]);
    let or_dash = |value: Option<String>| Cell::new(value.unwrap_or_else(|| "-".to_owned()));
    for service in &stack.services {
        table.row([
            Cell::new(service.name.as_str()),
            Cell::styled(service.state.as_str(), state_style(service)),
            or_dash(service.pid.map(|pid| pid.to_string())),
            or_dash(service.uptime_ms.map(words::uptime)),
            Cell::new(service.restarts.to_string()),
        ]);
        for (reason, style) in reasons(service) {
            table.note(&reason, style);
        }
    }
    text.push_str(&table.render(paint, width));
    text
}

/// What there is to say about the configuration, if it is not simply the newest one that runs.
fn configuration(of: &Configuration) -> Option<String> {
    let running = format!("running revision {}", of.revision);
    if let Some(applying) = &of.applying {
        let names: Vec<&str> = applying.waits_for.iter().map(|name| name.as_str()).collect();
        let waits =
            if names.is_empty() { String::new() } else { format!(", waits for {}", words::list(&names)) };
        return Some(match &applying.going_back {
            None => format!("{running}; revision {} is being applied{waits}", applying.revision),
            Some(why) => format!("revision {} is being taken back{waits}: {why}", applying.revision),
        });
    }
    of.trouble.as_ref().map(|trouble| format!("{running}; {trouble}"))
}

fn headline(stack: &Stack, paint: Paint, width: Option<usize>) -> String {
    let state = match (stack.resting, stack.going_down) {
        (true, _) => "down but for what was left running, kept",
        (false, true) => "going down",
        (false, false) => "up",
    };
    let mut line =
        format!(": {state} {}, keeper {}", words::uptime(stack.keeper.uptime_ms), stack.keeper.pid);
    if let Some(config) = &stack.config {
        let room = width.map_or(usize::MAX, |w| w.saturating_sub(stack.name.len() + line.len()));
        if config.chars().count() + 2 <= room {
            line.push_str(&format!(", {config}"));
        }
    }
    let mut text = format!("{}{line}\n", paint.apply(style::STRONG, &stack.name));
    if stack.daemons_before > 0 {
        let times = words::count(stack.daemons_before as usize, "time");
        let mut note = format!("daemon replaced {times}");
        if !stack.daemon_reason.is_empty() {
            note.push_str(&format!(", the last time because: {}", words::printable(&stack.daemon_reason)));
        }
        push_wrapped(&mut text, &note, style::DIM, paint, width);
    }
    text
}

fn push_wrapped(text: &mut String, note: &str, style: Style, paint: Paint, width: Option<usize>) {
    for line in wrap(note, width) {
        text.push_str(&paint.apply(style, line));
        text.push('\n');
    }
}

/// What there is to say about a service that is not well.
fn reasons(service: &Service) -> Vec<(String, Style)> {
    let mut reasons: Vec<(String, Style)> =
        service.not_enforced.iter().map(|limit| (limit.words(), style::UNSURE)).collect();
    reasons.extend(service.leaks.iter().map(|growth| (growth_text(growth), style::UNSURE)));
    if is_well(service) {
        return reasons;
    }
    let why = wait::why(service);
    if !why.is_empty() {
        reasons.push((why, style::DIM));
    }
    // After a restart the reason speaks of the start; the end before it is what a person asks for.
    if service.crash_loop
        && let Some(exit) = &service.last_exit_text
        && !service.reason.contains(exit.as_str())
    {
        reasons.push((format!("last run: {exit}"), style::DIM));
    }
    if service.log_dropped_bytes > 0 {
        let lost = words::bytes(service.log_dropped_bytes);
        reasons
            .push((format!("{lost} of its output could not be written since the stack came up"), style::BAD));
    }
    reasons
}

/// What there is to say of one service: a name before the first line, and the word of it that has a colour.
struct Line {
    name: &'static str,
    value: String,
    accent: Option<(&'static str, Style)>,
}

impl Line {
    fn new(name: &'static str, value: impl Into<String>) -> Line {
        Line { name, value: value.into(), accent: None }
    }

    /// In `width` columns, if there is a limit.
    fn push(&self, text: &mut String, paint: Paint, width: Option<usize>) {
        const INDENT: usize = 13;
        let mut name = format!("  {}  ", paint.apply(style::DIM, &format!("{:9}", self.name)));
        let mut accent = self.accent;
        for line in wrap(&self.value, width.map(|width| width.saturating_sub(INDENT))) {
            text.push_str(&name);
            match accent.filter(|(word, _)| line.contains(word)) {
                Some((word, style)) => {
                    text.push_str(&line.replacen(word, &paint.apply(style, word), 1));
                    accent = None;
                }
                None => text.push_str(line),
            }
            text.push('\n');
            name = " ".repeat(INDENT);
        }
    }
}

/// One service in full, in `width` columns if there is a limit. `log` is its active log file.
pub fn service(stack: &str, service: &Service, log: &str, paint: Paint, width: Option<usize>) -> String {
    let mut text = format!("{} of stack {stack}\n", paint.apply(style::STRONG, service.name.as_str()));
    let mut lines = about(service);
    lines.extend(service.probes.iter().flat_map(probe));
    if service.log_dropped_bytes > 0 {
        let lost = words::bytes(service.log_dropped_bytes);
        lines.push(Line::new("log lost", format!("{lost} since the stack came up")));
    }
    for line in lines {
        line.push(&mut text, paint, width);
    }
    // To be copied: whole, however long it is.
    Line::new("log", log).push(&mut text, paint, None);
    text
}

fn about(service: &Service) -> Vec<Line> {
    let mut state = format!("{} for {}", service.state, words::uptime(service.since_ms));
    let why = wait::why(service);
    if !why.is_empty() {
        state.push_str(&format!(": {}", words::printable(&why)));
    }
    let accent = Some((service.state.as_str(), state_style(service)));
    let mut lines = vec![Line { accent, ..Line::new("state", state) }];
    if let Some(description) = &service.description {
        lines.push(Line::new("about", words::printable(description)));
    }
    if let Some(pid) = service.pid {
        let uptime = service.uptime_ms.map(|ms| format!(", up {}", words::uptime(ms))).unwrap_or_default();
        let run = service.run.map(|run| format!(", run {run}")).unwrap_or_default();
        lines.push(Line::new("pid", format!("{pid}{uptime}{run}")));
    }
    lines.push(Line::new("restarts", service.restarts.to_string()));
    if let Some(exit) = &service.last_exit_text {
        lines.push(Line::new("last exit", words::printable(exit)));
    }
    if service.when_mainstay_stops == WhenMainstayStops::Leave {
        lines.push(Line::new("on down", "left running"));
    }
    for limit in &service.not_enforced {
        lines.push(Line::new("limits", words::printable(&limit.words())));
    }
    for growth in &service.leaks {
        lines.push(Line::new("leak", growth_text(growth)));
    }
    if let Some(says) = &service.says {
        lines.push(Line::new("says", words::printable(says)));
    }
    lines
}

fn probe(probe: &Probe) -> Vec<Line> {
    let (verdict, style) = match probe.ok {
        Some(true) => ("ok", style::GOOD),
        Some(false) => ("failing", style::BAD),
        None => ("no verdict yet", Style::new()),
    };
    let ago = probe.ago_ms.map(|ms| format!(", {} ago", words::millis(ms))).unwrap_or_default();
    let row = match probe.failures {
        0 | 1 => String::new(),
        n => format!(", {n} times in a row"),
    };
    let detail =
        if probe.detail.is_empty() { "no answer so far".into() } else { words::printable(&probe.detail) };
    let took = probe.took_ms.map(|ms| format!(" in {}", words::millis(ms))).unwrap_or_default();
    let value = format!("{}, {verdict}: {detail}{took}{row}{ago}", probe.probe);
    let mut lines = vec![Line { accent: Some((verdict, style)), ..Line::new("probe", value) }];
    if !probe.check.is_empty() {
        lines.push(Line::new("", format!("asks {}", words::printable(&probe.check))));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use mainstay_core::{Exit, ProbeKind};

    fn shop() -> Stack {
        let mut api = testing::service("api", StateName::Ready);
        api.probes = vec![testing::probe(ProbeKind::Ready, Some(true), "200 OK", 0)];
        let mut db = testing::service("db", StateName::Backoff);
        db.reason = "exit code 1".to_owned();
        db.restarts = 7;
        db.crash_loop = true;
        db.next_start_ms = Some(12_300);
        db.last_exit = Some(Exit::Code(1));
        db.last_exit_text = Some("exit code 1".to_owned());
        let mut worker = testing::service("worker", StateName::Starting);
        (worker.pid, worker.uptime_ms, worker.run) = (None, None, None);
        worker.waiting_for = vec!["db is not ready yet".to_owned()];
        let mut web = testing::service("web", StateName::Running);
        web.probes = vec![testing::probe(ProbeKind::Ready, Some(false), "503 Service Unavailable", 4)];
        let mut mail = testing::service("mail", StateName::Failed);
        mail.reason = "program not found: /opt/mail/mailer (looked in PATH: /usr/bin:/bin); its start was \
                       given up"
            .to_owned();
        let mut old = testing::service("old", StateName::Stopped);
        old.reason = "asked by root".to_owned();
        old.last_exit = Some(Exit::Code(0));
        let mut import = testing::service("import", StateName::Completed);
        import.reason = "exit code 0".to_owned();
        testing::stack("shop", vec![api, db, import, mail, old, web, worker])
    }

    #[test]
    fn the_table_names_the_reason_of_each_that_is_not_well() {
        let text = stack(&shop(), Paint::plain(), Some(80));
        insta::assert_snapshot!("status_80", text);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_stack_in_trouble_says_so_itself() {
        let mut shop = shop();
        shop.going_down = true;
        shop.daemons_before = 2;
        shop.daemon_reason = "signal SIGKILL".to_owned();
        shop.services.truncate(1);
        insta::assert_snapshot!(stack(&shop, Paint::plain(), None), @r"
        shop: going down 2h 6m, keeper 1200, /home/me/shop/mainstay.toml
        daemon replaced 2 times, the last time because: signal SIGKILL
        NAME  STATE   PID  UPTIME  RESTARTS
        api   ready  1250   2h 5m         0
        ");
        shop.services.clear();
        assert!(stack(&shop, Paint::plain(), None).ends_with("no services\n"));
    }

    #[test]
    fn one_service_in_full() {
        let shop = shop();
        let mut text = String::new();
        for it in &shop.services {
            let log = format!("/var/log/mainstay/shop/{}.log", it.name);
            text.push_str(&service("shop", it, &log, Paint::plain(), Some(80)));
        }
        insta::assert_snapshot!("service_in_full", text);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_thousand_rows_are_quick_and_narrow() {
        let services =
            (0..1000).map(|n| testing::service(&format!("service-{n}"), StateName::Running)).collect();
        let text = stack(&testing::stack("big", services), Paint::plain(), Some(80));
        assert_eq!(text.lines().count(), 1002);
    }
}
