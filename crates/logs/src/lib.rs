//! mainstay-logs
