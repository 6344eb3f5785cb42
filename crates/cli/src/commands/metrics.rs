//! `mainstay metrics`

use std::time::Duration;

use mainstay_api::types::{History, HistoryQuery, StackUsage, Usage, UsageQuery};

use crate::act::resolve;
use crate::args::{self, Select};
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::names;
use crate::output::Output;
use crate::output::plot::{self, Unit};
use crate::output::table::{Cell, Column, Table};
use crate::output::words;
use crate::runtime::block_on;

/// Show what services use
///
/// Without a service: what all of them and Mainstay itself use now. With services: what each used since some time
/// ago, as a table and plots.
#[derive(Debug, clap::Args)]
pub struct Metrics {
    #[command(flatten)]
    select: Select,

    /// From so long ago, `10m`, `6h` or `30d`, at most 400 days [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = args::duration, requires = "services")]
    since: Option<Duration>,

    /// These services
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

const HOUR: Duration = Duration::from_secs(3_600);

/// The figures of a history, how they are called here, and in what they are counted.
const ROWS: [(&str, &str, Unit); 8] = [
    ("cpu", "cpu", Unit::Processors),
    ("memory", "memory", Unit::Bytes),
    ("private", "private memory", Unit::Bytes),
    ("processes", "processes", Unit::Count),
    ("threads", "threads", Unit::Count),
    ("handles", "handles", Unit::Count),
    ("read", "read", Unit::Rate),
    ("written", "written", Unit::Rate),
];

/// Shows it.
///
/// # Errors
/// No such stack or service.
pub fn run(args: &Metrics, output: &mut Output) -> Outcome {
    let meant = names::meant_in_one(&args.select, &args.services)?;
    let place = &meant.place;
    let client = place.client();
    let api = |error| Failure::api(error, &place.name);
    if meant.services.is_empty() {
        let usage = block_on(async { client.usage(UsageQuery::default()).await.map_err(api) })?;
        if output.json {
            output.json(&usage)?;
        } else {
            output.text(&now(&usage, output))?;
        }
        return Ok(ExitStatus::Done);
    }
    let stack = block_on(async { client.stack().await.map_err(api) })?;
    let names = resolve(place, &stack, &meant.services)?;
    let since = args.since.unwrap_or(HOUR);
    let query = HistoryQuery { since_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX) };
    let mut all = serde_json::Map::new();
    for name in &names {
        let history = block_on(async { client.history(name, query).await.map_err(api) })?;
        if let Some(note) = &history.note {
            output.warning(note);
        }
        if output.json {
            let json = serde_json::to_value(&history)
                .map_err(|error| Failure::new(ExitStatus::Failed, error.to_string()))?;
            all.insert(name.to_string(), json);
        } else {
            output.text(&past(name.as_str(), &history, since))?;
        }
    }
    if output.json {
        output.json(&serde_json::json!({ "services": all }))?;
    }
    Ok(ExitStatus::Done)
}

/// What everything uses now.
fn now(usage: &StackUsage, output: &Output) -> String {
    let mut table = Table::new([
        Column::left("SERVICE"),
        Column::right("CPU"),
        Column::right("MEMORY"),
        Column::right("PRIVATE"),
        Column::right("PROCS"),
        Column::right("THREADS"),
        Column::right("HANDLES"),
        Column::right("CPU TIME"),
    ]);
    let services = usage.services.iter().map(|service| (service.name.as_str(), service.usage.as_ref()));
    let own = [("(keeper)", usage.keeper.as_ref()), ("(daemon)", usage.daemon.as_ref())];
    for (name, found) in services.chain(own) {
        let mut cells = vec![Cell::new(name)];
        match found {
            Some(found) => cells.extend(figures(found).map(Cell::new)),
            None => cells.extend((0..7).map(|_| Cell::new("-"))),
        }
        table.row(cells);
    }
    table.render(output.paint, output.width)
}

fn figures(found: &Usage) -> [String; 7] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        or_dash(found.cpu.map(|cpu| Unit::Processors.words(cpu))),
        words::bytes(found.memory_bytes),
        words::bytes(found.private_bytes),
        found.processes.to_string(),
        found.threads.to_string(),
        or_dash(found.handles.map(|handles| handles.to_string())),
        words::duration(Duration::from_secs_f64(found.cpu_seconds.clamp(0.0, 1e12))),
    ]
}

/// What one used: a table, and plots of the two figures that matter most.
fn past(name: &str, history: &History, since: Duration) -> String {
    let title = format!("{name}, the last {}", words::duration(since));
    let Some(last) = history.records.last() else {
        return format!("{title}: nothing was seen\n");
    };
    let first = last.at.saturating_sub(since.as_secs());
    let mut text = format!("{title}, a value for each {} s\n\n", history.interval_s);
    text.push_str(&format!("{:<16}{:>14}{:>14}{:>14}{:>14}\n", "", "last", "mean", "lowest", "highest"));
    for (key, label, unit) in ROWS {
        let spans = || history.records.iter().filter_map(move |record| record.figures.get(key));
        let count = spans().count();
        let Some(latest) = spans().next_back() else { continue };
        let mean = spans().map(|span| span.mean).sum::<f64>() / count as f64;
        let min = spans().map(|span| span.min).fold(f64::INFINITY, f64::min);
        let max = spans().map(|span| span.max).fold(0.0, f64::max);
        let cells = [latest.mean, mean, min, max].map(|value| format!("{:>14}", unit.words(value)));
        text.push_str(&format!("{label:<16}{}\n", cells.concat()));
    }
    for (key, label, unit) in &ROWS[..2] {
        let points: Vec<(u64, f64)> = history
            .records
            .iter()
            .filter_map(|record| Some((record.at, record.figures.get(*key)?.mean)))
            .collect();
        text.push_str(&format!("\n{label}\n"));
        text.push_str(&plot::plot(&points, (first, last.at), *unit, since));
    }
    text
}

#[cfg(test)]
mod tests {
    use mainstay_api::types::{HistoryRecord, Span};

    use super::*;

    #[test]
    fn a_past_fits_the_screen() {
        let records = (0..360_u64).filter(|nth| !(100..140).contains(nth)).map(|nth| {
            let cpu = (nth as f64 / 30.0).sin().abs();
            let span = |mean| Span { mean, min: mean, max: mean };
            let figures =
                [("cpu", cpu), ("memory", 2e8 + nth as f64 * 1e5), ("threads", 12.0), ("read", 5e6)];
            HistoryRecord {
                at: 1_700_000_000 + nth * 10,
                figures: figures.map(|(key, value)| (key.to_owned(), span(value))).into(),
            }
        });
        let history = History { interval_s: 10, records: records.collect(), note: None };
        let text = past("api", &history, HOUR);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text);
        assert_eq!(past("api", &History::default(), HOUR), "api, the last 1h: nothing was seen\n");
    }
}
