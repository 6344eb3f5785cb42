//! mainstay-sys
