//! The service manager that started the keeper, if one did: it is told how far the stack is, and may want its end.

use std::fmt;

use mainstay_core::Control;

/// What a service manager wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The stack's end. A name for who wants it.
    Down(&'static str),
    /// Something of the stack while it is up.
    Control(Control),
    /// To take its configuration anew.
    Reload,
}

/// What a service manager is told, and how it asks. Called by the control loop: nothing here may block.
pub trait Host: fmt::Debug + Send + Sync {
    /// The stack is up, as far as it will be.
    fn ready(&self);
    /// The stack goes down.
    fn stopping(&self);
    /// The loop turns; at least once a second.
    fn beat(&self);
    /// All that can be frozen is.
    fn paused(&self);
    /// Something runs, or goes on after a pause.
    fn continued(&self);
    /// Calls `ask` with whatever the service manager wants; from any thread. `false`: the loop is too far behind to take
    /// it; it is lost.
    fn on_ask(&self, ask: Box<dyn Fn(Ask) -> bool + Send + Sync>);
}
