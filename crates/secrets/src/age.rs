//! Files that `age` has encrypted, by the program of that name. Its library would bring 180 crates, several of them in
//! versions that are there already, and a minute and a half of compiling.

use std::time::Duration;

use mainstay_sys::run::{Asked, Ran, run};
use zeroize::Zeroizing;

use crate::MAX_VALUE;

/// So long it may take: an identity with a passphrase of its own would ask for that, and nobody is there to answer.
const LIMIT: Duration = Duration::from_secs(30);
/// An encrypted file has a header besides.
const MAX_FILE: usize = MAX_VALUE + (64 << 10);

pub(crate) fn decrypt(program: &str, identity: &str, path: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    call(program, &["-d", "-i", identity, path], b"")
}

/// For the identity itself.
pub(crate) fn encrypt(program: &str, identity: &str, value: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    call(program, &["-e", "-i", identity], value.as_bytes())
}

fn call(program: &str, arguments: &[&str], input: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
    let command: Vec<String> =
        std::iter::once(program).chain(arguments.iter().copied()).map(str::to_owned).collect();
    match run(&Asked { command: &command, input, limit: LIMIT, most: MAX_FILE }) {
        Ok(Ran { exit: mainstay_sys::Exit::Code(0), output }) => Ok(output),
        Ok(Ran { exit, .. }) => Err(format!("{program} ended with {}", crate::source::exit_words(exit))),
        Err(error) => Err(format!("{program} cannot be run: {error}")),
    }
}
