//! The picture of a model.

use mainstay_api::types::Service;
use mainstay_core::StateName;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style};

use crate::logs::{Lines, printable};
use crate::model::{HISTORY, Model, Order, Screen, Used};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII_BARS: [char; 8] = ['_', '.', ':', '-', '=', '+', '*', '#'];

/// Columns after the name: title, width, and below which width of the screen it is left out.
const COLUMNS: [(&str, u16, u16, Order); 5] = [
    ("STATE", 10, 0, Order::State),
    ("UPTIME", 8, 44, Order::Uptime),
    ("REST", 4, 50, Order::Restarts),
    ("CPU", 6, 0, Order::Cpu),
    // As `mainstay metrics` calls it: what nobody shares.
    ("PRIVATE", 9, 0, Order::Memory),
];

/// Draws the model.
pub fn draw(model: &Model, buffer: &mut Buffer) {
    let area = buffer.area;
    if area.width < 20 || area.height < 4 {
        put(buffer, 0, 0, "too small", Style::new());
        return;
    }
    match &model.screen {
        Screen::Services => services(model, buffer),
        Screen::Logs(lines) => logs(model, lines, buffer),
        Screen::Explanation { name, lines, top } => {
            put(buffer, 0, 0, &format!("{name}: why it is as it is"), bold());
            let body = Rect::new(0, 1, area.width, area.height - 2);
            for (row, line) in lines.iter().skip(*top).take(usize::from(body.height)).enumerate() {
                let line: String = line.chars().map(printable).collect();
                put(buffer, 0, body.y + small(row), &line, Style::new());
            }
            last_line(model, buffer, "up/down scroll  esc back");
        }
    }
}

fn services(model: &Model, buffer: &mut Buffer) {
    let area = buffer.area;
    let Some(stack) = &model.stack else {
        put(buffer, 0, 0, "asking the daemon...", Style::new());
        return last_line(model, buffer, "q quit");
    };
    let troubled = stack.services.iter().filter(|service| is_troubled(service)).count();
    let state = if stack.going_down { "going down" } else { "up" };
    let uptime = span(stack.keeper.uptime_ms + model.since_told);
    let mut headline = format!("{}: {state} {uptime}, {} services", stack.name, stack.services.len());
    if troubled > 0 {
        headline += &format!(", {troubled} in trouble");
    }
    if model.shown.len() != stack.services.len() || !model.filter.is_empty() {
        headline += &format!(", {} shown by `{}`", model.shown.len(), model.filter);
    }
    put(buffer, 0, 0, &headline, bold());

    let columns: Vec<_> = COLUMNS.iter().filter(|column| area.width >= column.2).collect();
    let history = if area.width >= 72 { small(HISTORY) + 1 } else { 0 };
    let taken: u16 = columns.iter().map(|column| column.1 + 1).sum::<u16>() + history;
    let name_width = area.width.saturating_sub(taken).clamp(4, 40);
    let title = Style::new().add_modifier(Modifier::REVERSED);
    put(buffer, 0, 1, &" ".repeat(usize::from(area.width)), title);
    put(buffer, 0, 1, &titled("NAME", Order::Name, model), title);
    let mut x = name_width + 1;
    for (name, width, _, order) in &columns {
        let text = titled(name, *order, model);
        let text = if *name == "STATE" { text } else { format!("{text:>0$}", usize::from(*width)) };
        put(buffer, x, 1, &text, title);
        x += width + 1;
    }
    if history > 0 {
        put(buffer, x, 1, "CPU SO FAR", title);
    }
    for (row, service) in model.rows().skip(model.top).take(usize::from(area.height) - 3).enumerate() {
        let y = small(row) + 2;
        let used = model.used.get(&service.name);
        let is_selected = model.selected.as_ref() == Some(&service.name);
        let base = if is_selected { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        if is_selected {
            put(buffer, 0, y, &" ".repeat(usize::from(area.width)), base);
        }
        put(buffer, 0, y, &cut(service.name.as_str(), usize::from(name_width)), base);
        let mut x = name_width + 1;
        for (name, width, ..) in &columns {
            let (text, style) = cell(name, service, used, model, base);
            let text = if *name == "STATE" { text } else { format!("{text:>0$}", usize::from(*width)) };
            put(buffer, x, y, &cut(&text, usize::from(*width)), style);
            x += width + 1;
        }
        if history > 0 {
            put(buffer, x, y, &bars(used, model.look.ascii), base);
        }
    }
    let help = if area.width >= 80 {
        "l logs  e explain  s start  x stop  r restart  p pause  / filter  o sort  q quit"
    } else {
        "l)ogs e)xplain s)tart x:stop r)estart p)ause / o)rder q"
    };
    last_line(model, buffer, help);
}

/// A column's title; a mark shows by which the services are in order.
fn titled(name: &str, order: Order, model: &Model) -> String {
    match (model.order == order, model.backwards) {
        (false, _) => name.to_owned(),
        (true, false) => format!("{name}>"),
        (true, true) => format!("{name}<"),
    }
}

fn cell(name: &str, service: &Service, used: Option<&Used>, model: &Model, base: Style) -> (String, Style) {
    let dash = || "-".to_owned();
    // The last look may have been before it ended.
    let used = used.filter(|_| service.uptime_ms.is_some());
    let text = match name {
        "STATE" => {
            let colour = match service.state {
                StateName::Failed => Color::Red,
                _ if service.crash_loop => Color::Red,
                StateName::Ready | StateName::Running | StateName::Completed => Color::Green,
                StateName::Stopped => Color::Reset,
                _ => Color::Yellow,
            };
            let style = if model.look.colour { base.fg(colour) } else { base };
            // Without colours the word has to say it.
            let mark = if is_troubled(service) { "!" } else { "" };
            return (format!("{}{mark}", service.state), style);
        }
        "UPTIME" => service.uptime_ms.map_or_else(dash, |uptime| span(uptime + model.since_told)),
        "REST" => service.restarts.to_string(),
        "CPU" => used.and_then(|used| used.cpu).map_or_else(dash, |cpu| format!("{:.1}%", cpu * 100.0)),
        _ => used.and_then(|used| used.memory).map_or_else(dash, bytes),
    };
    (text, base)
}

fn logs(model: &Model, lines: &Lines, buffer: &mut Buffer) {
    let area = buffer.area;
    let how = if lines.follows { "following" } else { "standing still" };
    let shown = format!("{}: {how}, {} lines", lines.name, lines.lines.len());
    put(buffer, 0, 0, &shown, bold());
    for (row, line) in lines.lines.iter().skip(lines.top).take(usize::from(area.height) - 2).enumerate() {
        let style = if lines.fits(line) { bold() } else { Style::new() };
        put(buffer, 0, small(row) + 1, line, style);
    }
    let help = match lines.word.as_str() {
        "" => "up/down scroll  f follow  / search  esc back".to_owned(),
        word => format!("n next  N before with `{word}`  f follow  / search  esc back"),
    };
    last_line(model, buffer, &help);
}

/// What is typed, what was said, or the keys.
fn last_line(model: &Model, buffer: &mut Buffer, help: &str) {
    let y = buffer.area.height - 1;
    let (text, style) = match &model.screen {
        Screen::Logs(lines) if model.typing => (format!("search: {}_", lines.word), bold()),
        _ if model.typing => {
            (format!("filter: {}_  (return keeps it, esc takes it away)", model.filter), bold())
        }
        _ if !model.said.is_empty() => (model.said.chars().map(printable).collect(), bold()),
        _ => (help.to_owned(), Style::new().add_modifier(Modifier::DIM)),
    };
    put(buffer, 0, y, &text, style);
}

fn is_troubled(service: &Service) -> bool {
    service.crash_loop || matches!(service.state, StateName::Failed | StateName::Backoff)
}

/// A bar for each look, the highest one full.
fn bars(used: Option<&Used>, ascii: bool) -> String {
    let bars = if ascii { ASCII_BARS } else { BARS };
    let Some(used) = used else { return String::new() };
    // Less than a hundredth of a processor is nothing.
    let most = used.history.iter().copied().fold(0.01, f32::max);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
    let bar = |cpu: &f32| bars[((cpu / most * 7.0).round() as usize).min(7)];
    used.history.iter().map(bar).collect()
}

fn put(buffer: &mut Buffer, x: u16, y: u16, text: &str, style: Style) {
    if x < buffer.area.width && y < buffer.area.height {
        let room = usize::from(buffer.area.width - x);
        buffer.set_stringn(x, y, text, room, style);
    }
}

/// A longer text ends with a tilde.
fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width.saturating_sub(1)).chain(['~']).collect(),
        false => text.to_owned(),
    }
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn small(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// `12s`, `5m 3s`, `2h 5m`, `3d 4h`.
fn span(millis: u64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[expect(clippy::cast_precision_loss, reason = "one decimal")]
fn bytes(count: u64) -> String {
    let scaled = count as f64;
    match count {
        0..1_000_000 => format!("{:.1} kB", scaled / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", scaled / 1e6),
        _ => format!("{:.1} GB", scaled / 1e9),
    }
}
