//! What several of the Linux halves need.

pub(crate) mod fd;
pub(crate) mod proc;
pub(crate) mod users;
