//! The parts of the file, one a module: the table of its keys, its reader, its tests.

pub(crate) mod check;
pub(crate) mod command;
pub(crate) mod depends_on;
pub(crate) mod duration;
pub(crate) mod env_file;
pub(crate) mod environment;
pub(crate) mod hooks;
pub(crate) mod http_status;
pub(crate) mod http_url;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod log_pattern;
pub(crate) mod metrics;
pub(crate) mod on_exit;
pub(crate) mod path;
pub(crate) mod probe;
pub(crate) mod process;
pub(crate) mod reload;
pub(crate) mod restart;
pub(crate) mod rlimits;
pub(crate) mod service;
pub(crate) mod size;
pub(crate) mod stack;
pub(crate) mod stop;
pub(crate) mod tcp_address;
pub(crate) mod user;
