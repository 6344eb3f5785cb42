mod hooks;
mod pausing;
mod probing;
mod restarting;
mod starting;
mod stopping;
