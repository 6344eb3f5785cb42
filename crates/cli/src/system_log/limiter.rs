//! At most one event a minute for one cause; the others are counted, and the count is told when the minute is over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What is told once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    /// The number.
    pub number: u16,
    /// Of which service.
    pub service: Option<String>,
    /// What else tells it apart: which probe, who asks for what.
    pub of: String,
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is told.
    Told,
    /// It is counted.
    Counted,
    /// There are too many causes: it is neither.
    NoRoom,
}

/// For so long a cause is quiet once it was told.
pub const QUIET: Duration = Duration::from_secs(60);

/// So many causes are known at once.
pub const MOST: usize = 8192;

/// What is quiet at the moment, and what came meanwhile.
#[derive(Debug, Default)]
pub struct Limiter {
    quiet: BTreeMap<Cause, (Instant, u64)>,
    /// When the first of them is no longer quiet. A new one is always the last.
    next: Option<Instant>,
}

impl Limiter {
    /// Something of this cause happened.
    pub fn take(&mut self, cause: &Cause, now: Instant) -> Verdict {
        if let Some((_, count)) = self.quiet.get_mut(cause) {
            *count += 1;
            return Verdict::Counted;
        }
        if self.quiet.len() >= MOST {
            return Verdict::NoRoom;
        }
        let until = now + QUIET;
        self.quiet.insert(cause.clone(), (until, 0));
        self.next.get_or_insert(until);
        Verdict::Told
    }

    /// When the next cause is no longer quiet.
    pub fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Those whose minute is over by now and that came again in it, with how often. They are quiet for another one, from
    /// the end of that minute on: the same whenever it is asked.
    pub fn over(&mut self, now: Instant) -> Vec<(Cause, u64)> {
        let mut over = Vec::new();
        if self.next.is_none_or(|next| next > now) {
            return over;
        }
        self.quiet.retain(|cause, (until, count)| {
            while *until <= now {
                let came = std::mem::take(count);
                if came == 0 {
                    return false;
                }
                *until += QUIET;
                over.push((cause.clone(), came));
            }
            true
        });
        self.next = self.quiet.values().map(|(until, _)| *until).min();
        over
    }

    /// What was counted and not told yet, at the end.
    pub fn rest(&mut self) -> Vec<(Cause, u64)> {
        let counted = |(cause, (_, count)): (&Cause, &mut (Instant, u64))| {
            let came = std::mem::take(count);
            (came > 0).then(|| (cause.clone(), came))
        };
        self.quiet.iter_mut().filter_map(counted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(number: u16, service: &str) -> Cause {
        Cause { number, service: Some(service.to_owned()), of: String::new() }
    }

    #[test]
    fn one_a_minute_and_the_rest_counted() {
        let mut limiter = Limiter::default();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let crash = cause(110, "api");
        assert_eq!(limiter.take(&crash, at(0)), Verdict::Told);
        for second in 1..=30 {
            assert_eq!(limiter.take(&crash, at(second)), Verdict::Counted);
        }
        assert_eq!(
            limiter.take(&cause(110, "web"), at(1)),
            Verdict::Told,
            "another service is another cause"
        );
        assert_eq!(limiter.take(&cause(111, "api"), at(1)), Verdict::Told, "and so is another number");
        let ready = Cause { of: "ready".to_owned(), ..cause(120, "api") };
        assert_eq!(limiter.take(&cause(120, "api"), at(1)), Verdict::Told);
        assert_eq!(limiter.take(&ready, at(1)), Verdict::Told, "and so is another probe");
        assert_eq!(limiter.deadline(), Some(at(60)));
        assert_eq!(limiter.over(at(59)), []);
        assert_eq!(limiter.over(at(61)), [(crash.clone(), 30)]);
        // It was told again, as a count: quiet for another minute from the end of the first, and then forgotten.
        assert_eq!(limiter.take(&crash, at(62)), Verdict::Counted);
        assert_eq!(limiter.deadline(), Some(at(120)));
        assert_eq!(limiter.over(at(121)), [(crash.clone(), 1)]);
        assert_eq!(limiter.over(at(182)), []);
        assert_eq!(limiter.deadline(), None);
        assert_eq!(limiter.take(&crash, at(183)), Verdict::Told);
        assert_eq!(limiter.take(&crash, at(184)), Verdict::Counted);
        assert_eq!(limiter.rest(), [(crash.clone(), 1)]);
        assert_eq!(limiter.take(&crash, at(185)), Verdict::Counted, "it stays quiet");
    }

    #[test]
    fn more_causes_than_there_is_room_for_are_not_told() {
        let mut limiter = Limiter::default();
        let now = Instant::now();
        for n in 0..MOST {
            assert_eq!(limiter.take(&cause(100, &n.to_string()), now), Verdict::Told);
        }
        assert_eq!(limiter.take(&cause(100, "one more"), now), Verdict::NoRoom);
        assert_eq!(limiter.take(&cause(100, "0"), now), Verdict::Counted);
        assert_eq!(limiter.over(now + QUIET).len(), 1);
        assert_eq!(limiter.take(&cause(100, "one more"), now + QUIET), Verdict::Told);
    }
}
