//! A stretch of each day, such as the hours in which maintenance is allowed.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// From one time of the day to another, on the machine's wall clock; over midnight if the end is before the begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DailyWindow {
    /// The first minute since midnight that belongs to it.
    pub from: u16,
    /// The first that does not any more.
    pub to: u16,
}

impl DailyWindow {
    /// Whether this minute since midnight belongs to it.
    pub const fn contains(self, minute: u16) -> bool {
        if self.from <= self.to {
            self.from <= minute && minute < self.to
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

impl fmt::Display for DailyWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

/// What was written is no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoWindow;

impl FromStr for DailyWindow {
    type Err = NoWindow;

    /// `02:00-04:30`
    fn from_str(text: &str) -> Result<DailyWindow, NoWindow> {
        let (from, to) = text.split_once('-').ok_or(NoWindow)?;
        let window = DailyWindow { from: minute(from)?, to: minute(to)? };
        // The end of the day is the begin of the next.
        let window = DailyWindow { to: window.to % DAY, ..window };
        if window.from == window.to || window.from == DAY { Err(NoWindow) } else { Ok(window) }
    }
}

fn minute(text: &str) -> Result<u16, NoWindow> {
    let (hours, minutes) = text.trim().split_once(':').ok_or(NoWindow)?;
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        let sound = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        sound.then(|| text.parse::<u16>().ok()).flatten().ok_or(NoWindow)
    };
    let (hours, minutes) = (number(hours, 1..=2)?, number(minutes, 2..=2)?);
    let minute = hours * 60 + minutes;
    if minutes < 60 && minute <= DAY { Ok(minute) } else { Err(NoWindow) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_as_people_write_them() {
        let window = |text: &str| text.parse::<DailyWindow>();
        assert_eq!(window("02:00-04:30"), Ok(DailyWindow { from: 120, to: 270 }));
        assert_eq!(window("2:00 - 4:30").map(|window| window.to_string()).as_deref(), Ok("02:00-04:30"));
        assert_eq!(window("22:00-24:00"), Ok(DailyWindow { from: 1320, to: 0 }));
        for wrong in ["", "02:00", "2-4", "02:00-02:00", "24:00-01:00", "00:00-24:00", "25:00-26:00"] {
            assert_eq!(window(wrong), Err(NoWindow), "{wrong}");
        }
        for wrong in ["02:60-03:00", "02:0-03:00", "-1:00-03:00", "+2:00-03:00", "02:00-03:00-04:00"] {
            assert_eq!(window(wrong), Err(NoWindow), "{wrong}");
        }
    }

    #[test]
    fn a_window_may_go_over_midnight() {
        let inside = |text: &str, minute| text.parse::<DailyWindow>().is_ok_and(|w| w.contains(minute));
        let hours = |text: &str| (0..24).filter(|hour| inside(text, hour * 60)).collect::<Vec<u16>>();
        assert_eq!(hours("02:00-04:00"), [2, 3]);
        assert_eq!(hours("23:00-02:00"), [0, 1, 23]);
        assert_eq!(hours("22:00-24:00"), [22, 23]);
        assert!(inside("02:00-04:00", 120) && inside("02:00-04:00", 239) && !inside("02:00-04:00", 240));
    }
}
