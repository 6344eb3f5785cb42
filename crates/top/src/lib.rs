//! The terminal view, `mainstay top`: all services of a stack at a glance, with their logs and explanations a key away.
//!
//! Three parts: the [`Model`] and what changes it ([`Model::update`], pure: messages in, commands out), its picture
//! ([`draw`], pure), and the loop that feeds them from the terminal and the API ([`run`]).
#![forbid(unsafe_code)]

mod logs;
mod model;
mod run;
#[cfg(test)]
mod tests;
mod view;

pub use model::{Command, Key, Look, Message, Model};
pub use run::{Explain, run};
pub use view::draw;
