//! A plot of one figure over time, in 80 columns of plain characters.

use std::time::Duration;

use super::words;

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Processors kept busy, shown in per cent of one.
    Processors,
    /// Bytes.
    Bytes,
    /// Bytes in a second.
    Rate,
    /// Things.
    Count,
}

impl Unit {
    /// A value with its unit.
    pub fn words(self, value: f64) -> String {
        // Values are never negative, and those of bytes fit.
        let bytes = || words::bytes(value.max(0.0).round() as u64);
        match self {
            Unit::Processors => format!("{:.1}%", value * 100.0),
            Unit::Bytes => bytes(),
            Unit::Rate => format!("{}/s", bytes()),
            Unit::Count => format!("{:.0}", value),
        }
    }
}

/// Columns of the plot itself; what is left of 80 is for the scale.
const WIDTH: usize = 66;
const HEIGHT: usize = 8;
/// A column is filled by eighths.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The plot of `points` (a time, a value), over the times of `span`; from zero to the highest value. A column shows the
/// highest value in it, so that no peak is lost; one without values stays empty.
pub fn plot(points: &[(u64, f64)], span: (u64, u64), unit: Unit, since: Duration) -> String {
    let length = (span.1.saturating_sub(span.0)).max(1);
    let mut columns: [Option<f64>; WIDTH] = [None; WIDTH];
    for (at, value) in points {
        let place = u128::from(at.saturating_sub(span.0)) * (WIDTH as u128 - 1) / u128::from(length);
        if let Some(column) = columns.get_mut(usize::try_from(place).unwrap_or(WIDTH)) {
            *column = Some(column.map_or(*value, |known| known.max(*value)));
        }
    }
    // Where there are more columns than values, a value lasts until the next one, over a gap of a few.
    let reach = WIDTH * 2 / points.len().max(1);
    let mut last: Option<(usize, f64)> = None;
    for (nth, column) in columns.iter_mut().enumerate() {
        match column {
            Some(value) => last = Some((nth, *value)),
            None => *column = last.filter(|(at, _)| nth - at <= reach).map(|(_, value)| value),
        }
    }
    let top = columns.iter().flatten().copied().fold(0.0, f64::max);
    let mut text = String::new();
    for row in (0..HEIGHT).rev() {
        let label = match row {
            0 => unit.words(0.0),
            row if row == HEIGHT - 1 => unit.words(top),
            _ => String::new(),
        };
        text.push_str(&format!("{label:>12} │"));
        let line: String = columns
            .iter()
            .map(|column| {
                let Some(value) = column else { return ' ' };
                let height = if top > 0.0 { value / top * (HEIGHT * 8) as f64 } else { 0.0 };
                // What is there is seen, however small.
                let filled = (height.round() as usize).max(1).saturating_sub(row * 8);
                EIGHTHS[filled.min(8)]
            })
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let ago = format!("{} ago", words::duration(since));
    text.push_str(&format!("{:>12} └{}\n", "", "─".repeat(WIDTH)));
    text.push_str(&format!("{:>14}{ago}{:>width$}\n", "", "now", width = WIDTH - ago.len().min(WIDTH)));
    text
}
