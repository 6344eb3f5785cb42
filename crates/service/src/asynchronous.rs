//! The same for async code, in any runtime: the library has none.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::event::Event;
use crate::service::{Failure, Running, Service, Shared};

/// An async `main`, as a runtime's `block_on` takes it.
pub type Task = Pin<Box<dyn Future<Output = Result<(), Failure>>>>;

impl Service {
    /// [`Service::run`] for an async `main`. `block_on` is the runtime's:
    ///
    /// ```ignore
    /// Service::new("worker").run_async(
    ///     |task| tokio::runtime::Runtime::new()?.block_on(task),
    ///     |running| async move {
    ///         running.ready();
    ///         while !matches!(running.event().await, Event::Stop(_)) {}
    ///         Ok(())
    ///     },
    /// )
    /// ```
    pub fn run_async<M, F>(
        self,
        block_on: impl FnOnce(Task) -> Result<(), Failure> + Send + 'static,
        main: M,
    ) -> ExitCode
    where
        M: FnOnce(Running) -> F + Send + 'static,
        F: Future<Output = Result<(), Failure>> + 'static,
    {
        self.run(move |running| block_on(Box::pin(main(running))))
    }
}

/// What [`Running::event`] gives.
#[derive(Debug)]
#[must_use = "a future does nothing until it is awaited"]
pub struct NextEvent(Arc<Shared>);

impl Running {
    /// The next thing that it is asked for. A stop comes first, and again each time. Nothing is lost when it is dropped
    /// before it is ready. It is no sign of life: with [`Service::manual_beats`] call [`Running::beat`] beside it.
    pub fn event(&self) -> NextEvent {
        NextEvent(self.shared())
    }
}

impl Future for NextEvent {
    type Output = Event;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Event> {
        self.0.poll_event(context.waker())
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Wake, Waker};
    use std::thread::Thread;

    use super::*;
    use crate::Reason;
    use crate::host::Channel;
    use crate::service::Host;

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// The smallest of all runtimes.
    fn block_on<T>(mut task: Pin<Box<dyn Future<Output = T>>>) -> T {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            if let Poll::Ready(value) = task.as_mut().poll(&mut Context::from_waker(&waker)) {
                return value;
            }
            std::thread::park();
        }
    }

    #[test]
    fn events_wake_the_task_that_waits_for_them() {
        let shared = Service::new("x").custom_controls().shared(Channel::new(Host::Terminal, None));
        let running = Running::new(&shared);
        running.ready();
        let asker = std::thread::spawn(move || {
            shared.ask(Event::Custom(200));
            shared.ask(Event::Stop(Reason::Asked));
        });
        let seen = block_on(Box::pin(async move {
            let mut seen = vec![running.event().await];
            while !matches!(seen.last(), Some(Event::Stop(_))) {
                seen.push(running.event().await);
            }
            // Again, as long as anybody asks.
            seen.push(running.event().await);
            seen
        }));
        asker.join().expect("it ends");
        assert_eq!(seen.iter().rev().take(2).collect::<Vec<_>>(), [&Event::Stop(Reason::Asked); 2]);
    }
}
