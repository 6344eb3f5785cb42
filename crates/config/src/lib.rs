//! mainstay-config
