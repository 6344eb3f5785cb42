//! Many changes that follow each other are one.

use crate::Time;
use crate::backoff::scatter;
use crate::reload::ReloadSettings;

/// What was seen of something that may change, by a mark that is another one after each change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Debounce {
    /// The mark of what was taken last; none before the first look.
    taken: Option<u64>,
    /// What is there now, and when it was first and last another one.
    open: Option<Open>,
    /// Which part of the splay is waited for.
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    mark: u64,
    first: Time,
    last: Time,
}

impl Debounce {
    /// What is there at the beginning is a change. Another seed waits for another part of the splay.
    pub fn seeded(seed: u64) -> Debounce {
        Debounce { seed, ..Debounce::default() }
    }

    /// What is there at the beginning is no change.
    pub fn new(mark: u64) -> Debounce {
        Debounce { taken: Some(mark), ..Debounce::default() }
    }

    /// Somebody has looked. True: it is time to read what is there. A change that was undone meanwhile is none.
    pub fn look(&mut self, now: Time, mark: u64, settings: &ReloadSettings) -> bool {
        let open = match self.open {
            _ if self.taken == Some(mark) => {
                self.open = None;
                return false;
            }
            Some(open) if open.mark == mark => open,
            Some(open) => Open { mark, last: now, ..open },
            None => Open { mark, first: now, last: now },
        };
        let rested = open.last.after(settings.quiet).min(open.first.after(settings.longest_wait));
        // In thousandths; it is another part for each change that somebody sees.
        let part = scatter([self.seed, mark].into_iter().flat_map(u64::to_le_bytes)) % 1_000;
        let splay = settings.splay.mul_f64(f64::from(u32::try_from(part).unwrap_or(0)) / 1_000.0);
        let due = rested.after(splay) <= now;
        (self.taken, self.open) = if due { (Some(mark), None) } else { (self.taken, Some(open)) };
        due
    }

    /// What was there last could not be used yet: it counts as a change again.
    pub fn again(&mut self) {
        self.taken = None;
    }

    /// Whether a change waits for its time.
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO.after(Duration::from_millis(millis))
    }

    #[test]
    fn a_burst_is_one_change() {
        let (settings, mut seen) = (ReloadSettings::default(), Debounce::new(1));
        assert!(!seen.look(at(0), 1, &settings) && !seen.is_open());
        for (time, mark) in [(100, 2), (300, 3), (500, 4), (900, 4)] {
            assert!(!seen.look(at(time), mark, &settings), "{time}");
            assert!(seen.is_open());
        }
        assert!(seen.look(at(1_000), 4, &settings));
        assert!(!seen.look(at(1_100), 4, &settings) && !seen.is_open());
    }

    #[test]
    fn what_never_rests_is_read_after_the_longest_wait() {
        let (settings, mut seen) = (ReloadSettings::default(), Debounce::new(0));
        let read = (1..200).find(|turn| seen.look(at(turn * 100), *turn, &settings));
        assert_eq!(read, Some(101), "10 s after the first change");
    }

    #[test]
    fn many_who_see_the_same_change_do_not_read_it_at_once() {
        let settings = ReloadSettings { splay: Duration::from_secs(10), ..ReloadSettings::default() };
        let read = |seed| {
            let mut seen = Debounce::seeded(seed);
            (0..120)
                .find(|turn| seen.look(at(turn * 100), 7, &settings))
                .expect("at the latest after both times")
        };
        let mut times: Vec<u64> = (0..50).map(read).collect();
        times.sort_unstable();
        assert!(times[0] >= 5 && times[0] < 25 && times[49] > 85 && times[49] <= 105, "{times:?}");
        assert_eq!(read(3), read(3));
    }

    #[test]
    fn a_change_that_is_undone_is_none() {
        let (settings, mut seen) = (ReloadSettings::default(), Debounce::new(1));
        assert!(!seen.look(at(0), 2, &settings));
        assert!(!seen.look(at(400), 1, &settings) && !seen.is_open());
        assert!(!seen.look(at(9_000), 1, &settings));
    }

    #[test]
    fn what_could_not_be_used_is_taken_again() {
        let (settings, mut seen) = (ReloadSettings::default(), Debounce::new(1));
        assert!(!seen.look(at(0), 2, &settings) && seen.look(at(500), 2, &settings));
        seen.again();
        assert!(!seen.look(at(600), 2, &settings) && seen.look(at(1_100), 2, &settings));
    }
}
