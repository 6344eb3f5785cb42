//! A Unix socket in the stack's private directory.

use std::fs::Permissions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tokio::net::{UnixListener, UnixStream};

use super::Peer;
use crate::dirs::Dirs;
use crate::linux::{proc, users};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    dir: PathBuf,
}

const NAME: &str = "api.sock";

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.dir.join(NAME).display().fmt(f)
    }
}

pub(super) fn address(dirs: &Dirs, _stack: &str) -> Address {
    Address { dir: dirs.run.clone() }
}

pub(super) type Stream = UnixStream;

#[derive(Debug)]
pub(super) struct Listener {
    inner: UnixListener,
}

impl Listener {
    pub(super) fn bind(address: &Address) -> io::Result<Listener> {
        let told =
            |error: io::Error| io::Error::new(error.kind(), format!("cannot listen at {address}: {error}"));
        let dir = Directory::open(&address.dir).map_err(told)?;
        // Made under another name first: whoever connects finds the old socket or the finished new one.
        let new = format!("{NAME}.{}", std::process::id());
        let path = dir.path(&new);
        let _ = std::fs::remove_file(&path);
        let inner = UnixListener::bind(&path).map_err(told)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(told)?;
        std::fs::rename(&path, dir.path(NAME)).map_err(told)?;
        Ok(Listener { inner })
    }

    pub(super) async fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        loop {
            let (stream, _) = self.inner.accept().await?;
            // The directory keeps strangers out already; this holds where somebody has opened it up.
            if let Ok((uid, pid)) = peer(&stream)
                && (uid == own() || uid == 0)
            {
                let who = super::who(&users::name_of(uid), pid, proc::command(pid));
                return Ok((stream, Peer::owner(who)));
            }
        }
    }
}

pub(super) async fn connect(address: &Address) -> io::Result<(Stream, Peer)> {
    let told =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot connect to {address}: {error}"));
    let dir = Directory::open(&address.dir).map_err(told)?;
    let stream = UnixStream::connect(dir.path(NAME)).await.map_err(told)?;
    let (uid, _) = peer(&stream).map_err(told)?;
    if uid != own() && uid != 0 && own() != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("the process that listens at {address} belongs to {}", users::name_of(uid)),
        ));
    }
    Ok((stream, Peer::owner(users::name_of(uid))))
}

fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The account and the process that connected.
fn peer(stream: &UnixStream) -> io::Result<(u32, u32)> {
    let who = rustix::net::sockopt::socket_peercred(stream)?;
    Ok((who.uid.as_raw(), who.pid.as_raw_nonzero().get().cast_unsigned()))
}

/// A directory by descriptor: a socket's path may have no more than 107 bytes, and a directory's may.
struct Directory {
    fd: OwnedFd,
}

impl Directory {
    fn open(path: &Path) -> io::Result<Directory> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Directory { fd: rustix::fs::open(path, flags, Mode::empty())? })
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd())).join(name)
    }
}
