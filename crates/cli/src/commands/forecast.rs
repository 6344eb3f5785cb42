//! `mainstay forecast`

use jiff::Timestamp;
use mainstay_api::types::{Forecasts, ResourceForecast, Scarce};
use mainstay_core::forecast::{Forecast as Outlook, Rate};

use crate::args::Select;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::Output;
use crate::output::plot::Unit;
use crate::output::style;
use crate::output::table::{Cell, Column, Table};
use crate::runtime::block_on;
use crate::stack;

/// Say when memory, processors or the disk will be short
///
/// From the history: of the machine, and of the services that have limits. Each day counts by its busiest hour. What
/// rises is told with the interval of the estimate, for at most three months ahead.
#[derive(Debug, clap::Args)]
pub struct Forecast {
    #[command(flatten)]
    select: Select,
}

/// Says it.
///
/// # Errors
/// No such stack, or it is not up.
pub fn run(args: &Forecast, output: &mut Output) -> Outcome {
    let place = stack::select(&args.select)?;
    let client = place.client();
    let found =
        block_on(async { client.forecast().await.map_err(|error| Failure::api(error, &place.name)) })?;
    if output.json {
        output.json(&found)?;
        return Ok(ExitStatus::Done);
    }
    let now = u64::try_from(Timestamp::now().as_second()).unwrap_or(0);
    output.text(&table(&found, now).render(output.paint, output.width))?;
    Ok(ExitStatus::Done)
}

fn table(found: &Forecasts, now: u64) -> Table {
    let mut table = Table::new([
        Column::left("OF"),
        Column::left("WHAT"),
        Column::right("USED"),
        Column::right("THERE IS"),
        Column::right("A DAY"),
        Column::left("SHORT"),
    ]);
    for resource in &found.resources {
        table.row(row(resource, now));
    }
    table
}

fn row(resource: &ResourceForecast, now: u64) -> [Cell; 6] {
    let (what, unit) = match resource.what {
        Scarce::Memory => ("memory", Unit::Bytes),
        Scarce::Cpu => ("cpu", Unit::Processors),
        Scarce::Disk => ("disk", Unit::Bytes),
    };
    let dash = || "-".to_owned();
    let a_day = |rate: &Rate| {
        let sign = if rate.per_day < 0.0 { "-" } else { "+" };
        format!("{sign}{}", unit.words(rate.per_day.abs()))
    };
    let (used, per_day, short, style) = match &resource.forecast {
        Outlook::Unknown { days, needed } => {
            (dash(), dash(), format!("known for {days} of {needed} days"), style::DIM)
        }
        Outlook::Now { level } => (unit.words(*level), dash(), "now".to_owned(), style::BAD),
        Outlook::Enough(rate) => {
            (unit.words(rate.level), a_day(rate), "not in sight".to_owned(), style::GOOD)
        }
        Outlook::Short { rate, at, earliest, latest } => {
            let days = |at: u64| at.saturating_sub(now) / 86_400;
            let latest = latest.map_or("or more".to_owned(), |at| format!("to {}", days(at)));
            let when = format!("in {} days ({} {latest})", days(*at), days(*earliest));
            (unit.words(rate.level), a_day(rate), when, style::BAD)
        }
    };
    let of = resource.service.as_ref().map_or("(machine)", |service| service.as_str());
    [
        Cell::new(of),
        Cell::new(what),
        Cell::new(used),
        Cell::new(unit.words(resource.capacity)),
        Cell::new(per_day),
        Cell::styled(short, style),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Paint;

    #[test]
    fn it_fits_a_screen() {
        let noon = |day: u64| (20_454 + day) * 86_400 + 43_200;
        let rate = Rate { level: 5.4e9, per_day: 21.3e6, low: 18e6, high: 25e6, days: 62 };
        let of = |service: Option<&str>, what, capacity, forecast| ResourceForecast {
            service: service.map(|name| mainstay_core::ServiceName::new(name).expect("a name")),
            what,
            capacity,
            forecast,
        };
        let falls = Rate { level: 0.6, per_day: -0.01, low: -0.02, high: 0.001, days: 120 };
        let short = Outlook::Short { rate, at: noon(60), earliest: noon(50), latest: Some(noon(75)) };
        let found = Forecasts {
            resources: vec![
                of(None, Scarce::Memory, 8e9, short),
                of(None, Scarce::Cpu, 4.0, Outlook::Enough(falls)),
                of(None, Scarce::Disk, 250e9, Outlook::Unknown { days: 3, needed: 8 }),
                of(Some("api"), Scarce::Memory, 512e6, Outlook::Now { level: 530e6 }),
                of(
                    Some("worker"),
                    Scarce::Memory,
                    6e9,
                    Outlook::Short { rate, at: noon(30), earliest: noon(9), latest: None },
                ),
            ],
        };
        let text = table(&found, noon(0)).render(Paint::plain(), Some(80));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }
}
