//! Who has connected to a pipe, and what that account may ask.
//!
//! The connection itself says it (`ImpersonateNamedPipeClient`): a process's number could be another's by the time that it
//! is looked up, and a daemon under a service's account may not look at processes of other accounts.

use std::io;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Security::{RevertToSelf, TOKEN_DUPLICATE, TOKEN_QUERY};
use windows_sys::Win32::System::Pipes::{GetNamedPipeClientProcessId, ImpersonateNamedPipeClient};
use windows_sys::Win32::System::Threading::{GetCurrentThread, OpenThreadToken};

use super::Address;
use crate::dirs::Right;
use crate::endpoint::{Caller, Peer, who};
use crate::process::windows as process;
use crate::win::security::Account;
use crate::win::{check, owned};

/// Who it is; `None` if it is not to be let in.
pub(super) fn look(pipe: HANDLE, address: &Address, own: &Account) -> Option<Peer> {
    let mut pid = 0;
    // SAFETY: the handle is open, and `pid` outlives the call.
    check(unsafe { GetNamedPipeClientProcessId(pipe, &mut pid) }).ok()?;
    let (name, caller) = match account(pipe) {
        Ok(account) => (account.name(), address.caller(own, &account)?),
        // A client may keep to itself who it is. Its process does not say it for certain.
        Err(_) => match Account::of_pid(pid) {
            Ok(account) => {
                address.caller(own, &account)?;
                (account.name(), address.unknown())
            }
            // One that we may not look at is an entry or has more rights than we: it passed the descriptor.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => match address.unknown() {
                Caller::Owner => ("an administrator".to_owned(), Caller::Owner),
                entry @ Caller::Entry(_) => ("an unknown account".to_owned(), entry),
            },
            // It is gone.
            Err(_) => return None,
        },
    };
    Some(Peer { who: who(&name, pid, process::program(pid)), caller })
}

impl Address {
    /// What this account may ask; nothing at all without an answer.
    fn caller(&self, own: &Account, peer: &Account) -> Option<Caller> {
        if own.trusts(&peer.sid) || peer.administrator {
            return Some(Caller::Owner);
        }
        let given = self.given.iter().find(|given| given.sid == peer.sid)?;
        Some(match given.right {
            Right::All => Caller::Owner,
            Right::Read => Caller::Entry(Some(given.sid.clone())),
        })
    }

    /// What somebody may ask whom the descriptor lets in, and of whom no more is known.
    fn unknown(&self) -> Caller {
        let entries = self.given.iter().any(|given| given.right == Right::Read);
        if entries { Caller::Entry(None) } else { Caller::Owner }
    }
}

/// The account that the client had when it connected.
fn account(pipe: HANDLE) -> io::Result<Account> {
    // SAFETY: the handle is an open pipe of ours.
    check(unsafe { ImpersonateNamedPipeClient(pipe) })?;
    let mut token: HANDLE = std::ptr::null_mut();
    // SAFETY: the pseudo handle of this thread needs no closing, and `token` outlives the call. It is opened with the rights of
    // this process: as the client the thread may open nothing.
    let opened =
        check(unsafe { OpenThreadToken(GetCurrentThread(), TOKEN_QUERY | TOKEN_DUPLICATE, 1, &mut token) });
    // SAFETY: it takes nothing.
    if unsafe { RevertToSelf() } == 0 {
        // Nothing may go on in somebody else's name. The keeper starts another daemon.
        std::process::abort();
    }
    opened?;
    Account::of_token(&owned(token)?)
}

#[cfg(test)]
mod tests {
    use std::os::windows::io::AsRawHandle;

    use tokio::net::windows::named_pipe::{ClientOptions, ServerOptions};

    use super::*;
    use crate::dirs::Given;

    const STACK: &str = "S-1-5-80-1-2-3-4-5";
    const ENTRY: &str = "S-1-5-80-6-7-8-9-10";

    fn address(given: &[(&str, Right)]) -> Address {
        let given = given.iter().map(|(sid, right)| Given { sid: (*sid).to_owned(), right: *right });
        Address { name: r"\\.\pipe\mainstay\shop".to_owned(), given: given.collect() }
    }

    fn account(sid: &str, administrator: bool) -> Account {
        Account { sid: sid.to_owned(), administrator }
    }

    #[test]
    fn the_account_of_an_entry_may_not_ask_what_the_stacks_may() {
        let address = address(&[(STACK, Right::All), (ENTRY, Right::Read)]);
        let of = |own: &str, peer: Account| address.caller(&account(own, false), &peer);
        assert_eq!(of(STACK, account(STACK, false)), Some(Caller::Owner));
        assert_eq!(of(STACK, account("S-1-5-18", false)), Some(Caller::Owner));
        assert_eq!(of(STACK, account("S-1-5-21-1-2-3-500", true)), Some(Caller::Owner));
        // The daemon of a stack that was given to another account since.
        assert_eq!(of("S-1-5-18", account(STACK, false)), Some(Caller::Owner));
        assert_eq!(of(STACK, account(ENTRY, false)), Some(Caller::Entry(Some(ENTRY.to_owned()))));
        assert_eq!(of(STACK, account("S-1-5-21-1-2-3-1000", false)), None, "a stranger");
    }

    #[test]
    fn who_does_not_say_who_it_is_may_be_an_entry_where_there_are_entries() {
        assert_eq!(address(&[(STACK, Right::All), (ENTRY, Right::Read)]).unknown(), Caller::Entry(None));
        assert_eq!(address(&[(STACK, Right::All)]).unknown(), Caller::Owner);
    }

    #[test]
    fn the_connection_says_whose_it_is_before_anything_was_sent() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let name = format!(r"\\.\pipe\mainstay\client-{}", std::process::id());
            let server = ServerOptions::new().create(&name).expect("a pipe");
            let _client = ClientOptions::new().open(&name).expect("connected");
            server.connect().await.expect("a client");
            let account = super::account(server.as_raw_handle()).expect("an account");
            assert_eq!(account, Account::own().expect("ours"));
        });
    }
}
