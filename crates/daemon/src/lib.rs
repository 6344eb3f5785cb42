//! mainstay-daemon
