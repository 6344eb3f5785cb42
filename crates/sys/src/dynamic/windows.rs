//! Windows has virtual accounts of its own (`NT SERVICE\name`).

use std::io;
use std::path::Path;

use super::Given;

#[derive(Debug)]
pub(super) enum Directories {}

impl Directories {
    pub(super) fn hold(_base: &Path) -> io::Result<Directories> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "Windows has no accounts of a number alone"))
    }

    pub(super) fn owner(&self, _owner: &str) -> io::Result<Option<u32>> {
        match *self {}
    }

    pub(super) fn used(&self) -> io::Result<Vec<u32>> {
        match *self {}
    }

    pub(super) fn give(&self, _owner: &str, _number: u32) -> io::Result<Given> {
        match *self {}
    }

    pub(super) fn remove(self, _stack: &str) -> io::Result<()> {
        match self {}
    }
}

pub(super) fn has_account(_number: u32) -> bool {
    false
}
