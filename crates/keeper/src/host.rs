//! The service manager that started the keeper, if one did: it is told how far the stack is, and may want its end.

use std::fmt;

/// What a service manager is told, and how it asks. Called by the control loop: nothing here may block.
pub trait Host: fmt::Debug + Send + Sync {
    /// The stack is up, as far as it will be.
    fn ready(&self);
    /// The stack goes down.
    fn stopping(&self);
    /// The loop turns; at least once a second.
    fn beat(&self);
    /// Calls `down` with a name for who wants it when the stack is to go down; from any thread, at most once.
    fn on_stop(&self, down: Box<dyn Fn(&'static str) + Send + Sync>);
}
