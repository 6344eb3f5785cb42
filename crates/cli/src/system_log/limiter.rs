//! At most one event a minute for one cause; the others are counted, and the count is told when the minute is over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A number, and of which service.
pub type Cause = (u16, Option<String>);

/// For so long a cause is quiet once it was told.
pub const QUIET: Duration = Duration::from_secs(60);

/// So many causes are known at once; one more is told without being counted.
const MOST: usize = 4096;

/// What is quiet at the moment, and what came meanwhile.
#[derive(Debug, Default)]
pub struct Limiter {
    quiet: BTreeMap<Cause, (Instant, u64)>,
}

impl Limiter {
    /// Whether this one is to be told; otherwise it is counted.
    pub fn take(&mut self, cause: &Cause, now: Instant) -> bool {
        if let Some((_, count)) = self.quiet.get_mut(cause) {
            *count += 1;
            return false;
        }
        if self.quiet.len() < MOST {
            self.quiet.insert(cause.clone(), (now + QUIET, 0));
        }
        true
    }

    /// When the next cause is no longer quiet.
    pub fn deadline(&self) -> Option<Instant> {
        self.quiet.values().map(|(until, _)| *until).min()
    }

    /// Those whose minute is over by now and that came again in it, with how often. They are quiet for another one.
    pub fn over(&mut self, now: Instant) -> Vec<(Cause, u64)> {
        let mut over = Vec::new();
        self.quiet.retain(|cause, (until, count)| {
            if *until > now {
                return true;
            }
            let came = std::mem::take(count);
            *until = now + QUIET;
            if came > 0 {
                over.push((cause.clone(), came));
            }
            came > 0
        });
        over
    }

    /// What was counted and not told yet, at the end.
    pub fn rest(&mut self) -> Vec<(Cause, u64)> {
        let quiet = std::mem::take(&mut self.quiet);
        quiet
            .into_iter()
            .filter(|(_, (_, count))| *count > 0)
            .map(|(cause, (_, count))| (cause, count))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_minute_and_the_rest_counted() {
        let mut limiter = Limiter::default();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let crash = (110, Some("api".to_owned()));
        assert!(limiter.take(&crash, at(0)));
        for second in 1..=30 {
            assert!(!limiter.take(&crash, at(second)));
        }
        assert!(limiter.take(&(110, Some("web".to_owned())), at(1)), "another service is another cause");
        assert!(limiter.take(&(111, Some("api".to_owned())), at(1)), "and so is another number");
        assert_eq!(limiter.deadline(), Some(at(60)));
        assert_eq!(limiter.over(at(59)), []);
        assert_eq!(limiter.over(at(61)), [(crash.clone(), 30)]);
        // It was told again, as a count: quiet for another minute, and then forgotten.
        assert!(!limiter.take(&crash, at(62)));
        assert_eq!(limiter.over(at(121)), [(crash.clone(), 1)]);
        assert_eq!(limiter.over(at(182)), []);
        assert_eq!(limiter.deadline(), None);
        assert!(limiter.take(&crash, at(183)));
        assert!(!limiter.take(&crash, at(184)));
        assert_eq!(limiter.rest(), [(crash, 1)]);
    }
}
