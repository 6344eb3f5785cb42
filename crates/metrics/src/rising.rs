//! A figure of a system that may fall becomes a counter that doesn't.

use serde::{Deserialize, Serialize};

/// Adds up how much a figure rose, over runs, processes that come and go, and daemons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rising {
    /// The sum; it never falls.
    pub total: f64,
    /// What was seen last.
    last: f64,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// Everything that ever was in its container. A fall means that the container was made anew.
    All,
    /// The processes that live, of the same run as when it was seen last. A fall means that one of them went.
    Same,
    /// The processes that live, of a new run.
    New,
}

impl Rising {
    /// Whether this is what was seen last.
    pub fn is_at(&self, now: f64) -> bool {
        self.last == now
    }

    /// Takes in what is seen now.
    pub fn see(&mut self, now: f64, counts: Counts) {
        if !now.is_finite() || now < 0.0 {
            return;
        }
        self.total += match counts {
            Counts::New => now,
            Counts::All if now < self.last => now,
            Counts::All | Counts::Same => (now - self.last).max(0.0),
        };
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(steps: &[(f64, Counts)]) -> f64 {
        let mut rising = Rising::default();
        let mut before = 0.0;
        for (now, counts) in steps {
            rising.see(*now, *counts);
            assert!(rising.total >= before, "it never falls");
            before = rising.total;
        }
        rising.total
    }

    #[test]
    fn runs_add_up() {
        use Counts::{New, Same};
        assert_eq!(total(&[(3.0, New), (5.0, Same), (2.0, New), (4.0, Same)]), 9.0);
        // The next run has used more than the last one when it is seen first.
        assert_eq!(total(&[(3.0, New), (5.0, New)]), 8.0);
    }

    #[test]
    fn a_process_that_goes_takes_nothing_away() {
        use Counts::{New, Same};
        assert_eq!(total(&[(3.0, New), (1.0, Same), (2.0, Same)]), 4.0);
    }

    #[test]
    fn a_container_made_anew_counts_from_zero() {
        use Counts::All;
        assert_eq!(total(&[(3.0, All), (5.0, All), (1.0, All)]), 6.0);
    }

    #[test]
    fn nonsense_is_left_out() {
        assert_eq!(total(&[(3.0, Counts::New), (f64::NAN, Counts::Same), (-1.0, Counts::New)]), 3.0);
    }
}
