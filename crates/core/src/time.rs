//! Time as the core sees it: a number that comes in with each input.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment on the machine's monotonic clock, in nanoseconds.
///
/// The zero point is the clock's own (on most systems the boot), so that a daemon started later in the same
/// boot reads the deadlines of its predecessor correctly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(u64);

impl Time {
    /// The zero point of the clock.
    pub const ZERO: Time = Time(0);

    /// A moment `nanos` nanoseconds after the zero point.
    pub const fn from_nanos(nanos: u64) -> Self {
        Time(nanos)
    }

    /// Nanoseconds since the zero point.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is the later one.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// `self` moved forward by `by`, at most to the end of the clock.
    #[must_use]
    pub fn after(self, by: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0 / 1_000_000_000, self.0 / 1_000_000 % 1_000)
    }
}
