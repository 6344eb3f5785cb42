//! How long the capture thread sleeps between two looks at the pipes, so that many small writes cost few reads.
//! Pure: time comes in.

use std::time::Duration;

/// The longest nap while few write. It is how late a line may come into its log.
const LONGEST: Duration = Duration::from_millis(10);

/// While many write, it is so long for each of them: a limit to how many small reads there are in a second …
const FOR_EACH: Duration = Duration::from_micros(200);

/// … up to this.
const LONGEST_OF_ALL: Duration = Duration::from_millis(40);

/// The first nap after a time without; each later one is at most twice as long.
const FIRST: Duration = Duration::from_micros(50);

/// Shares of what a pipe holds are counted in these.
const WHOLE: usize = 1024;

/// While we sleep, no pipe should get more than this share of what it holds.
const FILL: usize = WHOLE * 3 / 8;

/// A read of more than this share may have left something, and the pipe's writer may be waiting.
const FULL: usize = WHOLE * 7 / 16;

/// Decides about naps from how fast the fastest pipe fills.
#[derive(Debug, Default)]
pub(crate) struct Nap {
    /// The largest share read from a pipe in this round, at least 1 if anything was; and how many reads there were.
    largest: usize,
    reads: u32,
    last: Duration,
    /// By how much naps take longer than asked for on this system.
    overshoot: Duration,
}

impl Nap {
    /// So much was read from a pipe that has room for so much.
    pub(crate) fn read(&mut self, bytes: usize, room: usize) {
        let share = bytes.saturating_mul(WHOLE).div_ceil(room.max(1));
        self.largest = self.largest.max(share);
        self.reads = self.reads.saturating_add(1);
    }

    /// How many reads there were in this round.
    pub(crate) fn reads(&self) -> u32 {
        self.reads
    }

    /// The round is over that began so long after the one before. Tells how long to sleep; zero is not at all.
    pub(crate) fn after_round(&mut self, since_last_round: Duration) -> Duration {
        let (largest, reads) = (std::mem::take(&mut self.largest), std::mem::take(&mut self.reads));
        if largest == 0 || largest >= FULL {
            self.last = if largest == 0 { self.last } else { Duration::ZERO };
            return Duration::ZERO;
        }
        // At the pace of this round the fastest pipe is filled up to FILL in this time.
        let nanos = since_last_round.as_nanos().saturating_mul(FILL as u128) / largest as u128;
        let room = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let longest = FOR_EACH.saturating_mul(reads).clamp(LONGEST, LONGEST_OF_ALL);
        let wanted =
            longest.min(self.last.saturating_mul(2).max(FIRST)).min(room.saturating_sub(self.overshoot));
        self.last = wanted;
        if wanted < FIRST { Duration::ZERO } else { wanted }
    }

    /// A nap that was not cut short took so long.
    pub(crate) fn slept(&mut self, asked: Duration, took: Duration) {
        let over = took.saturating_sub(asked).min(Duration::from_millis(50));
        // A single late wake on a busy machine is soon forgotten.
        self.overshoot = (self.overshoot * 7 + over) / 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICRO: Duration = Duration::from_micros(1);

    /// A writer at a steady pace against a reader that sleeps as it is told, `late` longer each time. Gives the
    /// writer's real pace and the rounds a second, in the last of three seconds.
    fn simulate(bytes_per_second: f64, pipe: f64, late: Duration) -> (f64, f64) {
        let mut nap = Nap::default();
        let (mut now, mut held) = (0.0, 0.0);
        let (mut written, mut rounds) = (0.0, 0.0);
        let mut last_round = 0.0;
        while now < 3.0 {
            // It wakes at once when something is there.
            if held < 1.0 {
                now += 1.0 / bytes_per_second.max(1.0);
                held = 1.0;
            }
            let read = (held as usize).max(1);
            nap.read(read, pipe as usize);
            if now >= 2.0 {
                written += read as f64;
                rounds += 1.0;
            }
            // The reading itself: a little, and a little for each byte.
            let work = 3e-6 + held * 2e-10;
            held = (work * bytes_per_second).min(pipe);
            let asked = nap.after_round(Duration::from_secs_f64(now - last_round));
            last_round = now;
            now += work;
            if asked > Duration::ZERO {
                nap.slept(asked, asked + late);
                let slept = (asked + late).as_secs_f64();
                now += slept;
                held = (held + slept * bytes_per_second).min(pipe);
            }
        }
        (written / (now - 2.0), rounds / (now - 2.0))
    }

    #[test]
    fn slow_writers_are_read_a_hundred_times_a_second() {
        for late in [60 * MICRO, 15_000 * MICRO] {
            let (pace, rounds) = simulate(10_000.0, 65_536.0, late);
            assert!((9_500.0..10_500.0).contains(&pace), "{pace}");
            assert!(rounds < 110.0, "{rounds} rounds");
        }
    }

    #[test]
    fn fast_writers_are_not_held_up() {
        for wanted in [1e6, 1e7, 2e8, 1e9] {
            for late in [Duration::ZERO, 60 * MICRO, 15_000 * MICRO] {
                let (pace, rounds) = simulate(wanted, 65_536.0, late);
                assert!(pace > wanted * 0.93, "{pace} instead of {wanted}, naps {late:?} late");
                let _ = rounds;
            }
        }
    }

    #[test]
    fn a_burst_after_a_quiet_time_ends_the_naps() {
        let mut nap = Nap::default();
        for _ in 0..20 {
            nap.read(100, 65_536);
            nap.after_round(Duration::from_millis(12));
        }
        assert_eq!(nap.last, LONGEST);
        nap.read(65_536, 65_536);
        assert_eq!(nap.after_round(Duration::from_millis(12)), Duration::ZERO);
        nap.read(8_000, 65_536);
        let next = nap.after_round(40 * MICRO);
        assert!(next <= 200 * MICRO, "{next:?}");
    }
}
