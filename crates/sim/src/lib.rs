//! mainstay-sim
