//! The receiving end of the `sd_notify` protocol.

use std::ffi::CString;
use std::fs::Permissions;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};

use crate::spawn::linux::account;

/// The longest path of a socket, without the final NUL.
const MAX_PATH: usize = 107;

#[derive(Debug)]
pub(crate) struct NotifySocket {
    fd: OwnedFd,
    address: String,
    /// Taken away with the socket.
    path: Option<PathBuf>,
    /// Whose messages are taken beside root's and ours.
    uid: u32,
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Gone already is as good.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl NotifySocket {
    pub(crate) fn bind(path: &Path, user: Option<&str>) -> io::Result<NotifySocket> {
        let own = rustix::process::geteuid().as_raw();
        let uid = match user {
            Some(user) => account::look_up(user).map_err(io::Error::other)?.uid,
            None => own,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        rustix::net::sockopt::set_socket_passcred(&fd, true)?;
        let text = path.to_str().filter(|text| text.len() <= MAX_PATH);
        let (address, path) = match text {
            Some(text) if uid == own => {
                let _ = std::fs::remove_file(path);
                let name = CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)?;
                rustix::net::bind(&fd, &SocketAddrUnix::new(name)?)?;
                std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
                (text.to_owned(), Some(path.to_owned()))
            }
            _ => {
                let mut random = [0_u8; 16];
                rustix::rand::getrandom(&mut random[..], rustix::rand::GetRandomFlags::empty())?;
                let name = format!("mainstay-notify-{:032x}", u128::from_ne_bytes(random));
                rustix::net::bind(&fd, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
                (format!("@{name}"), None)
            }
        };
        Ok(NotifySocket { fd, address, path, uid })
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// One message; `None`: there is none. A stranger's is thrown away.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        // Room for the sender's credentials and nothing else: descriptors that come along are closed by the kernel.
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        // Bounded: strangers' messages must not keep us here. The rest is there at the next call.
        for _ in 0..64 {
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [IoSliceMut::new(buffer)];
            let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
            let received = match rustix::net::recvmsg(&self.fd, &mut parts, &mut control, flags) {
                Ok(received) => received,
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let own = rustix::process::geteuid().as_raw();
            let known = control.drain().any(|message| match message {
                RecvAncillaryMessage::ScmCredentials(sender) => {
                    let sender = sender.uid.as_raw();
                    sender == 0 || sender == own || sender == self.uid
                }
                _ => false,
            });
            if known {
                return Ok(Some(received.bytes));
            }
        }
        Ok(None)
    }
}
