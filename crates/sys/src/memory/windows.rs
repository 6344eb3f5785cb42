//! Windows does not end processes when memory runs out.

use super::Killed;

pub(super) fn killed(_pid: u32) -> Option<Killed> {
    None
}
