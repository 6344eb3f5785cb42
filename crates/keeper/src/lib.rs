//! mainstay-keeper
