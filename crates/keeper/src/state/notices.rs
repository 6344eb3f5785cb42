//! What may come without end from a service: its notifications, and losses and rotations of its log. Bounded by merging.

use std::collections::BTreeMap;

use mainstay_core::Rotation;

/// So many notifications of a run wait in the queue one by one; later ones are merged until some are acknowledged.
const SINGLE: u8 = 8;

/// The longest merged notification, in bytes; a datagram is never longer than this either.
pub(crate) const MAX_NOTICE: usize = 4 << 10;

/// Notifications of one run.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    queued: u8,
    waiting: String,
    /// Lines thrown away because the merged text became too long.
    pub(crate) dropped: u64,
}

impl Notices {
    /// A new one: given back if it goes into the queue now, otherwise merged with those that wait.
    ///
    /// Merging keeps the newest value of each variable, in the order in which they were set last: it is how things
    /// are that counts (`READY=1`, `STATUS=…`), not how often they were said.
    pub(crate) fn offer(&mut self, text: String) -> Option<String> {
        if self.queued < SINGLE && self.waiting.is_empty() {
            self.queued += 1;
            return Some(text);
        }
        for line in text.lines() {
            self.merge(line);
        }
        None
    }

    /// One was acknowledged: gives the next for the queue.
    pub(crate) fn acked(&mut self) -> Option<String> {
        self.queued = self.queued.saturating_sub(1);
        if self.waiting.is_empty() {
            return None;
        }
        self.queued += 1;
        Some(std::mem::take(&mut self.waiting))
    }

    fn merge(&mut self, line: &str) {
        let key = |line: &str| line.split_once('=').map(|(key, _)| key.to_owned());
        if let Some(new) = key(line) {
            let kept: Vec<&str> =
                self.waiting.lines().filter(|old| key(old).as_deref() != Some(&new)).collect();
            self.waiting = kept.join("\n");
        }
        if line.len() > MAX_NOTICE {
            self.dropped += 1;
            return;
        }
        // The oldest give way.
        while !self.waiting.is_empty() && self.waiting.len() + 1 + line.len() > MAX_NOTICE {
            self.dropped += 1;
            let first = self.waiting.find('\n').map_or(self.waiting.len(), |end| end + 1);
            self.waiting.drain(..first);
        }
        if !self.waiting.is_empty() {
            self.waiting.push('\n');
        }
        self.waiting.push_str(line);
    }
}

/// Losses of logs, by log: at most one of each in the queue, and the newest count after it.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    logs: BTreeMap<String, Option<(u64, String)>>,
}

impl Losses {
    /// A new count: true if it goes into the queue now.
    pub(crate) fn offer(&mut self, name: &str, bytes: u64, error: &str) -> bool {
        match self.logs.get_mut(name) {
            Some(waiting) => {
                *waiting = Some((bytes, error.to_owned()));
                false
            }
            None => {
                self.logs.insert(name.to_owned(), None);
                true
            }
        }
    }

    /// One was acknowledged: gives the next for the queue.
    pub(crate) fn acked(&mut self, name: &str) -> Option<(u64, String)> {
        let next = self.logs.get_mut(name)?.take();
        if next.is_none() {
            self.logs.remove(name);
        }
        next
    }
}

/// Rotations of logs, by log: at most one of each in the queue, and all that came after it as one.
#[derive(Debug, Default)]
pub(crate) struct Rotations {
    logs: BTreeMap<String, Option<Rotation>>,
}

impl Rotations {
    /// A new one: given back if it goes into the queue now, otherwise merged with what waits.
    pub(crate) fn offer(&mut self, rotation: Rotation) -> Option<Rotation> {
        let Some(waiting) = self.logs.get_mut(&rotation.log) else {
            self.logs.insert(rotation.log.clone(), None);
            return Some(rotation);
        };
        match waiting {
            Some(earlier) => drop(earlier.absorb(&rotation)),
            None => *waiting = Some(rotation),
        }
        None
    }

    /// One was acknowledged: gives the next for the queue.
    pub(crate) fn acked(&mut self, log: &str) -> Option<Rotation> {
        let next = self.logs.get_mut(log)?.take();
        if next.is_none() {
            self.logs.remove(log);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_merged_into_how_things_are() {
        let mut notices = Notices::default();
        for n in 0..8 {
            assert_eq!(notices.offer(format!("STATUS={n}")), Some(format!("STATUS={n}")));
        }
        for text in ["READY=1\nSTATUS=up", "STATUS=busy", "RELOADING=1", "READY=1"] {
            assert_eq!(notices.offer(text.to_owned()), None);
        }
        assert_eq!(notices.acked().as_deref(), Some("STATUS=busy\nRELOADING=1\nREADY=1"));
        assert_eq!(notices.acked(), None);
        assert_eq!(notices.offer("a".into()).as_deref(), Some("a"));
    }

    #[test]
    fn a_flood_of_different_variables_is_bounded_and_counted() {
        let mut notices = Notices::default();
        for n in 0..5_000 {
            notices.offer(format!("X{n}={n}"));
        }
        assert!(notices.dropped > 4_000);
        notices.offer("READY=1".into());
        notices.offer("Y".repeat(2 * MAX_NOTICE));
        let merged = notices.acked().unwrap();
        assert!(merged.len() <= MAX_NOTICE && merged.ends_with("\nREADY=1"), "the newest is there");
    }

    #[test]
    fn one_loss_of_a_log_is_told_at_a_time() {
        let mut losses = Losses::default();
        assert!(losses.offer("web", 1, "full"));
        assert!(losses.offer("db", 7, "full"));
        assert!(!losses.offer("web", 2, "full"));
        assert!(!losses.offer("web", 3, "still full"));
        assert_eq!(losses.acked("web"), Some((3, "still full".to_owned())));
        assert_eq!(losses.acked("web"), None);
        assert!(losses.offer("web", 4, "full"));
        assert_eq!(losses.acked("nobody"), None);
    }

    #[test]
    fn one_rotation_of_a_log_is_told_at_a_time() {
        let rotation = |log: &str, number| Rotation {
            log: log.to_owned(),
            first: number,
            last: number,
            why: mainstay_core::RotationCause::Size,
        };
        let mut rotations = Rotations::default();
        assert_eq!(rotations.offer(rotation("web", 1)), Some(rotation("web", 1)));
        assert_eq!(rotations.offer(rotation("db", 7)), Some(rotation("db", 7)));
        for number in 2..5 {
            assert_eq!(rotations.offer(rotation("web", number)), None);
        }
        assert_eq!(rotations.acked("web"), Some(Rotation { first: 2, ..rotation("web", 4) }));
        assert_eq!(rotations.acked("web"), None);
        assert_eq!(rotations.offer(rotation("web", 5)), Some(rotation("web", 5)));
        assert_eq!(rotations.acked("nobody"), None);
    }
}
