//! A named pipe for its owner, the system and administrators.
//!
//! Pipe names belong to the whole machine, and anybody may take one first. So the server refuses to share a name with
//! a stranger, the descriptor is explicit, other machines are kept out, and the client looks who owns the pipe
//! before it says a word.

use std::io;
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::windows::named_pipe::{ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions};
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_NO_DATA, ERROR_PIPE_BUSY, HANDLE};
use windows_sys::Win32::Security::Authorization::SE_KERNEL_OBJECT;
use windows_sys::Win32::System::Pipes::GetNamedPipeServerProcessId;

use super::Peer;
use crate::dirs::windows::given;
use crate::dirs::{Dirs, Given, Right};
use crate::win::security::{self, Account, Object};
use crate::win::{check, explain};

mod client;

/// A server that is there takes a connection within this time, or it hangs.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries while every instance of the pipe is taken.
const PAUSE: Duration = Duration::from_millis(5);
/// What Windows keeps of each way.
const BUFFER: u32 = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    name: String,
    /// Accounts beside the owner that the stack was given to.
    given: Vec<Given>,
}

impl Address {
    /// Whether this account may be the daemon's: one that may only look at the stack may not answer for it.
    fn may_serve(&self, own: &Account, other: &str) -> bool {
        own.trusts(other) || self.given.iter().any(|given| given.sid == other && given.right == Right::All)
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

pub(super) fn address(dirs: &Dirs, stack: &str) -> Address {
    let machine = std::env::var_os("ProgramData").map(|dir| Path::new(&dir).join("Mainstay").join(stack));
    if machine.is_some_and(|machine| dirs.run.parent() == Some(&machine)) {
        return Address { name: format!(r"\\.\pipe\mainstay\{stack}"), given: given(&dirs.state) };
    }
    // Two people can have a stack of the same name, and one person two, in two places.
    Address { name: format!(r"\\.\pipe\mainstay\{stack}-{:016x}", hash(&dirs.run)), given: Vec::new() }
}

/// FNV-1a of the path as Windows compares paths: without regard to case.
fn hash(path: &Path) -> u64 {
    let text = path.to_string_lossy().to_lowercase().replace('/', r"\");
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

#[derive(Debug)]
pub(super) struct Listener {
    address: Address,
    account: Account,
    /// The instance that the next client gets.
    waiting: NamedPipeServer,
}

impl Listener {
    pub(super) fn bind(address: &Address) -> io::Result<Self> {
        let account = Account::own()?;
        let told = |e: io::Error| explain(format_args!("cannot listen at {address}"), &e);
        let waiting = match instance(address, &account, true) {
            // The name is taken. A client of an earlier daemon that has not let go of it keeps it alive.
            Err(e) if e.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed()) => {
                let waiting = instance(address, &account, false).map_err(told)?;
                check_owner(waiting.as_raw_handle(), address, &account)?;
                waiting
            }
            result => result.map_err(told)?,
        };
        Ok(Self { address: address.clone(), account, waiting })
    }

    pub(super) async fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        loop {
            match self.waiting.connect().await {
                Ok(()) => {}
                // It came and went before we looked.
                Err(e) if e.raw_os_error() == Some(ERROR_NO_DATA.cast_signed()) => {
                    self.waiting.disconnect()?;
                    continue;
                }
                Err(e) => return Err(e),
            }
            // The next one first: as long as there is an instance, nobody else can take the name.
            let next = instance(&self.address, &self.account, false)?;
            let connected = std::mem::replace(&mut self.waiting, next);
            // The descriptor has kept strangers out already.
            let peer = client::look(connected.as_raw_handle(), &self.address, &self.account);
            if let Some(peer) = peer {
                return Ok((Stream::Server(connected), peer));
            }
        }
    }
}

fn instance(address: &Address, account: &Account, first: bool) -> io::Result<NamedPipeServer> {
    let descriptor = account.shared(Object::Kernel, &address.given)?;
    let mut attributes = descriptor.attributes(false);
    let mut options = ServerOptions::new();
    options
        .first_pipe_instance(first)
        .reject_remote_clients(true)
        .in_buffer_size(BUFFER)
        .out_buffer_size(BUFFER);
    // SAFETY: the attributes are valid, and outlive the call with the descriptor that they point at.
    unsafe {
        options.create_with_security_attributes_raw(&address.name, std::ptr::from_mut(&mut attributes).cast())
    }
}

/// The owner's name, if it is one to be trusted.
fn check_owner(pipe: HANDLE, address: &Address, account: &Account) -> io::Result<String> {
    let owner = security::owner(pipe, SE_KERNEL_OBJECT)
        .map_err(|e| explain(format_args!("cannot find out who owns {address}"), &e))?;
    let name = security::name_of(&owner).unwrap_or_else(|_| owner.clone());
    if address.may_serve(account, &owner) {
        return Ok(name);
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{address} belongs to {name}")))
}

pub(super) async fn connect(address: &Address) -> io::Result<(Stream, Peer)> {
    let account = Account::own()?;
    let start = Instant::now();
    loop {
        // By default a server may only find out who we are, not act as us.
        match ClientOptions::new().open(&address.name) {
            Ok(client) => {
                let owner = check_owner(client.as_raw_handle(), address, &account)?;
                // The owner may be a group; the process tells the person.
                let server = server(&client).unwrap_or(owner);
                return Ok((Stream::Client(client), Peer::owner(server)));
            }
            Err(e) if e.raw_os_error() == Some(ERROR_PIPE_BUSY.cast_signed()) => {
                if start.elapsed() >= PATIENCE {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("the daemon at {address} does not take connections"),
                    ));
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(e) => return Err(explain(format_args!("cannot connect to {address}"), &e)),
        }
    }
}

/// The account of the process at the other end.
fn server(client: &NamedPipeClient) -> Option<String> {
    let mut pid = 0;
    // SAFETY: the handle is open, and `pid` outlives the call.
    check(unsafe { GetNamedPipeServerProcessId(client.as_raw_handle(), &mut pid) }).ok()?;
    Account::of_pid(pid).ok().map(|account| account.name())
}

/// Either end of a connection.
#[derive(Debug)]
pub(super) enum Stream {
    Server(NamedPipeServer),
    Client(NamedPipeClient),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_read(cx, buf),
            Self::Client(pipe) => Pin::new(pipe).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_write(cx, bytes),
            Self::Client(pipe) => Pin::new(pipe).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_flush(cx),
            Self::Client(pipe) => Pin::new(pipe).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_shutdown(cx),
            Self::Client(pipe) => Pin::new(pipe).poll_shutdown(cx),
        }
    }
}
