//! The wish to stop, for as many threads and tasks as want to know.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Tells whether the service is to stop. Cheap to clone.
///
/// It can be asked ([`is_stopped`](StopToken::is_stopped)), waited for ([`wait`](StopToken::wait)) and awaited, in any
/// runtime: `tokio::select! { _ = token.clone() => …, … }`.
#[derive(Clone, Debug, Default)]
pub struct StopToken(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    /// One for each task that waits; a task that polls again does not get a second one.
    wakers: Vec<Waker>,
}

impl StopToken {
    /// One that nobody has stopped.
    pub fn new() -> StopToken {
        StopToken::default()
    }

    /// Whether the service is to stop.
    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Waits until the service is to stop.
    pub fn wait(&self) {
        let mut state = self.lock();
        while !state.stopped {
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the service is to stop, at most so long; whether it is to.
    pub fn wait_timeout(&self, most: Duration) -> bool {
        let until = Instant::now().checked_add(most);
        let mut state = self.lock();
        while !state.stopped {
            let Some(until) = until else {
                state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Makes it so. A service may do this to itself.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.0.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Future for StopToken {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.stopped {
            return Poll::Ready(());
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn threads_and_tasks_learn_of_it() {
        let token = StopToken::new();
        assert!(!token.wait_timeout(Duration::from_millis(1)));
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut task = token.clone();
        for _ in 0..3 {
            assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        let other = token.clone();
        let thread = std::thread::spawn(move || other.wait());
        token.stop();
        token.stop();
        thread.join().expect("it ends");
        assert_eq!(count.0.load(Ordering::SeqCst), 1, "one wake for one task");
        assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_ready());
        assert!(token.is_stopped() && token.wait_timeout(Duration::MAX));
    }
}
