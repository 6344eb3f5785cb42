mod hooks;
mod kubernetes;
mod pausing;
mod probing;
mod restarting;
mod starting;
mod stopping;
