//! Events that the daemon has not acknowledged.

use std::collections::VecDeque;

use mainstay_link::Event;

/// Numbered events, in order. Each is sent to every daemon that is attached until one acknowledges it.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Not acknowledged; the numbers follow each other without a gap, from `acked + 1` on.
    events: VecDeque<Event>,
    acked: u64,
    /// The highest number sent to the daemon that is attached now.
    sent: u64,
}

/// An acknowledgement of something that was never sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NeverSent {
    pub(crate) acked: u64,
    pub(crate) sent: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is something that the attached daemon has not been sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.sent - self.acked < self.events.len() as u64
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    /// Another daemon: everything not acknowledged is to be sent again.
    pub(crate) fn rewind(&mut self) {
        self.sent = self.acked;
    }

    /// The next events to send, at most so many, and so many bytes of text in them (but always one).
    pub(crate) fn take_unsent(&mut self, most: usize, most_text: usize) -> Vec<(u64, Event)> {
        let from = usize::try_from(self.sent - self.acked).unwrap_or(usize::MAX);
        let mut text = 0;
        let mut taken = Vec::new();
        for event in self.events.iter().skip(from).take(most) {
            text += text_length(event);
            if text > most_text && !taken.is_empty() {
                break;
            }
            self.sent += 1;
            taken.push((self.sent, event.clone()));
        }
        taken
    }

    /// Drops all events up to `number`, and gives each to `gone`. A number that was acknowledged before drops none.
    pub(crate) fn ack(&mut self, number: u64, mut gone: impl FnMut(Event)) -> Result<(), NeverSent> {
        if number > self.sent {
            return Err(NeverSent { acked: number, sent: self.sent });
        }
        while self.acked < number {
            let Some(event) = self.events.pop_front() else { break };
            self.acked += 1;
            gone(event);
        }
        Ok(())
    }
}

fn text_length(event: &Event) -> usize {
    match event {
        Event::Notify { text, .. } => text.len(),
        Event::SpawnFailed { error, .. }
        | Event::FreezeFailed { error, .. }
        | Event::LogDropped { error, .. }
        | Event::ReplaceFailed { error } => error.len(),
        Event::LimitsSet { not_enforced, .. } => {
            not_enforced.iter().map(|told| told.why.len() + told.to_do.as_ref().map_or(0, String::len)).sum()
        }
        Event::Sent { error, .. } => error.as_ref().map_or(0, String::len),
        Event::DownWanted { by, .. } | Event::Control { by, .. } | Event::ReloadWanted { by } => by.len(),
        Event::LogNote { text, .. } => text.len(),
        Event::Rotated(rotation) => rotation.log.len(),
        Event::ConfigRefused { reason } => reason.len(),
        Event::Spawned { .. }
        | Event::Exited { .. }
        | Event::LimitHit { .. }
        | Event::TreeEmpty { .. }
        | Event::Drained { .. }
        | Event::Frozen { .. }
        | Event::Thawed { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use mainstay_core::RunId;
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Happens,
        /// The daemon is sent so many, and handles so many of what it got.
        Sends(usize),
        Handles(usize),
        Acks,
        /// It dies: what it has handled but not acknowledged is undone, as its state is too.
        Dies,
    }

    fn event(n: u64) -> Event {
        Event::TreeEmpty { run: RunId(n) }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn every_event_comes_at_least_once_in_order_and_never_after_its_ack(
            steps in prop::collection::vec(prop_oneof![
                3 => Just(Step::Happens),
                2 => (1_usize..5).prop_map(Step::Sends),
                2 => (1_usize..5).prop_map(Step::Handles),
                2 => Just(Step::Acks),
                1 => Just(Step::Dies),
            ], 0..200),
        ) {
            let mut queue = Queue::default();
            let mut happened = 0;
            // The daemon: what it was sent and has not looked at; the number it has handled, and has acknowledged.
            let mut inbox: VecDeque<(u64, Event)> = VecDeque::new();
            let (mut handled, mut acked) = (0, 0);
            // After all that, one daemon that lives.
            let last = [Step::Dies, Step::Sends(usize::MAX), Step::Handles(usize::MAX), Step::Acks];
            for step in steps.into_iter().chain(last) {
                match step {
                    Step::Happens => {
                        happened += 1;
                        queue.push(event(happened));
                    }
                    Step::Sends(most) => inbox.extend(queue.take_unsent(most, usize::MAX)),
                    Step::Handles(most) => {
                        for _ in 0..most {
                            let Some((number, sent)) = inbox.pop_front() else { break };
                            prop_assert!(number > acked, "{} came after its acknowledgement", number);
                            prop_assert_eq!(number, handled + 1, "in order, none left out, none twice");
                            prop_assert_eq!(sent, event(number));
                            handled = number;
                        }
                    }
                    Step::Acks => {
                        let mut gone = Vec::new();
                        queue.ack(handled, |event| gone.push(event)).unwrap();
                        prop_assert_eq!(gone, (acked + 1..=handled).map(event).collect::<Vec<_>>());
                        acked = handled;
                    }
                    Step::Dies => {
                        inbox.clear();
                        handled = acked;
                        queue.rewind();
                    }
                }
                prop_assert_eq!(queue.len() as u64, happened - acked);
            }
            prop_assert_eq!(acked, happened);
            prop_assert!(!queue.has_unsent());
        }
    }

    #[test]
    fn an_ack_of_what_was_never_sent_is_refused() {
        let mut queue = Queue::default();
        queue.push(event(1));
        queue.push(event(2));
        queue.take_unsent(1, 0);
        assert_eq!(queue.ack(2, |_| ()), Err(NeverSent { acked: 2, sent: 1 }));
        assert_eq!(queue.len(), 2);
        queue.ack(1, |_| ()).unwrap();
        queue.ack(0, |_| unreachable!()).unwrap();
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn much_text_goes_in_several_frames() {
        let mut queue = Queue::default();
        for n in 0..3 {
            queue.push(Event::Notify { run: RunId(n), text: "x".repeat(100) });
        }
        assert_eq!(queue.take_unsent(10, 150).len(), 1);
        assert_eq!(queue.take_unsent(10, 50).len(), 1, "one at least");
        assert_eq!(queue.take_unsent(10, 150).len(), 1);
        assert!(!queue.has_unsent());
    }
}
