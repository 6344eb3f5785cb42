//! Each kind of source: read, written, removed.

use std::io;
use std::path::{Path, PathBuf};

use mainstay_core::SecretSource;
use mainstay_sys::private::{self, PrivateError};
use mainstay_sys::run::{Asked, Ran, run};
use mainstay_sys::{Exit, file, protect};
use zeroize::Zeroizing;

use crate::{MAX_VALUE, SecretError, Secrets, age, store};

/// With its line end.
const MAX_FILE: usize = MAX_VALUE + 2;
/// Encrypted, and written in hexadecimal digits.
const MAX_PROTECTED: usize = 2 * (2 * MAX_VALUE + 4096);
/// Where systemd puts a unit's credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The file of a secret, if it is in one.
pub(crate) fn file(secrets: &Secrets, name: &str) -> Option<PathBuf> {
    match secrets.source(name) {
        SecretSource::Store => Some(store::path(secrets.store(), name)),
        SecretSource::File { path } | SecretSource::Dpapi { path } | SecretSource::Age { path, .. } => {
            Some(PathBuf::from(path))
        }
        SecretSource::Credential { name } => Some(Path::new(&std::env::var_os(CREDENTIALS)?).join(name)),
        SecretSource::Command { .. } => None,
    }
}

pub(crate) fn read(secrets: &Secrets, name: &str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let wrong = |why: String| SecretError::new(name, why);
    match secrets.source(name) {
        SecretSource::Store => store::read(secrets.store(), name).map_err(|error| match error {
            PrivateError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                wrong("it is not set".to_owned())
                    .hint(format!("`mainstay secret set {name}` gives it a value"))
            }
            error => unread(name, &store::path(secrets.store(), name), error),
        }),
        SecretSource::File { path } => {
            let path = Path::new(path);
            private::read(path, MAX_FILE).map_err(|error| unread(name, path, error))
        }
        SecretSource::Credential { name: credential } => {
            let Some(directory) = std::env::var_os(CREDENTIALS) else {
                return Err(wrong(format!(
                    "systemd has given Mainstay no credentials, {CREDENTIALS} is not set"
                ))
                .hint(format!("LoadCredential={credential}:… belongs into the stack's unit")));
            };
            let path = Path::new(&directory).join(credential);
            // systemd sees to who can read it.
            read_file(&path).map_err(|error| unread(name, &path, error.into()))
        }
        SecretSource::Dpapi { path } => {
            let path = Path::new(path);
            let bytes = private::read(path, MAX_PROTECTED).map_err(|error| unread(name, path, error))?;
            unprotect(&bytes).map_err(|error| {
                wrong(format!("{} cannot be decrypted: {error}", path.display()))
                    .hint("it can be by the account, and on the machine, that has encrypted it")
            })
        }
        SecretSource::Age { path, identity, program } => {
            // Whoever has the key has the secret.
            private::read(Path::new(identity), MAX_FILE)
                .map_err(|error| unread(name, Path::new(identity), error))?;
            age::decrypt(program, identity, path).map_err(|why| {
                wrong(why).hint(format!("try `{program} -d -i {identity} {path}` as Mainstay's account"))
            })
        }
        SecretSource::Command { command, timeout } => {
            let program = command.first().map_or("", String::as_str);
            match run(&Asked { command, input: b"", limit: *timeout, most: MAX_FILE }) {
                Ok(Ran { exit: Exit::Code(0), output }) => Ok(output),
                Ok(Ran { exit, .. }) => Err(wrong(format!("{program} ended with {}", exit_words(exit)))
                    .hint("what it wrote is not kept; try it by hand, as Mainstay's account")),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    Err(wrong(format!("{program} did not end in {timeout:?}")))
                }
                Err(error) => Err(wrong(format!("{program} cannot be run: {error}"))),
            }
        }
    }
}

pub(crate) fn write(secrets: &Secrets, name: &str, value: &str) -> Result<(), SecretError> {
    let unwritten = |error: io::Error| SecretError::new(name, format!("it cannot be written: {error}"));
    match secrets.source(name) {
        SecretSource::Store => store::write(secrets.store(), name, value).map_err(unwritten),
        SecretSource::File { path } => write_private(Path::new(path), value.as_bytes()).map_err(unwritten),
        SecretSource::Dpapi { path } => protect::protect(value.as_bytes())
            .and_then(|protected| write_private(Path::new(path), &protected))
            .map_err(unwritten),
        SecretSource::Age { path, identity, program } => {
            let bytes = age::encrypt(program, identity, value).map_err(|why| SecretError::new(name, why))?;
            write_private(Path::new(path), &bytes).map_err(unwritten)
        }
        source @ (SecretSource::Credential { .. } | SecretSource::Command { .. }) => {
            Err(elsewhere(name, source))
        }
    }
}

pub(crate) fn remove(secrets: &Secrets, name: &str) -> Result<bool, SecretError> {
    match (secrets.source(name), file(secrets, name)) {
        (SecretSource::Credential { .. } | SecretSource::Command { .. }, _) | (_, None) => {
            Err(elsewhere(name, secrets.source(name)))
        }
        (_, Some(path)) => store::remove(&path)
            .map_err(|error| SecretError::new(name, format!("it cannot be removed: {error}"))),
    }
}

fn elsewhere(name: &str, source: &SecretSource) -> SecretError {
    let why = format!("it is kept where Mainstay only reads: {source}");
    SecretError::new(name, why).hint("change it there, then call `mainstay secret rotate`")
}

/// A new file is private; one that is there keeps its owner and its rights.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match path.exists() {
        true => file::rewrite(path, bytes),
        false => file::write_atomic(path, bytes, true),
    }
}

fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    if std::fs::metadata(path)?.len() > MAX_FILE as u64 {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is longer than {MAX_FILE} bytes"),
        ));
    }
    std::fs::read(path).map(Zeroizing::new)
}

fn unread(name: &str, path: &Path, error: PrivateError) -> SecretError {
    let path = path.display();
    match error {
        PrivateError::Exposed(exposed) => {
            SecretError::new(name, format!("{path} is not for us alone: {}", exposed.who)).hint(exposed.mend)
        }
        PrivateError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
            SecretError::new(name, format!("there is no {path}"))
                .hint(format!("`mainstay secret set {name}` makes it, or put it there"))
        }
        PrivateError::Io(error) => SecretError::new(name, format!("{path} cannot be read: {error}")),
    }
}

/// As `protect` wrote it, or as PowerShell's `ConvertFrom-SecureString` does: hexadecimal digits, of UTF-16.
fn unprotect(bytes: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    let Some(binary) = from_hex(bytes) else { return protect::unprotect(bytes) };
    let wide = protect::unprotect(&binary)?;
    let units: Zeroizing<Vec<u16>> =
        wide.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect::<Vec<u16>>().into();
    let mut text = Zeroizing::new(Vec::with_capacity(3 * units.len()));
    for c in char::decode_utf16(units.iter().copied()) {
        let c = c.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no text"))?;
        text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(text)
}

/// None if it is nothing but digits.
fn from_hex(bytes: &[u8]) -> Option<Vec<u8>> {
    let digits = bytes.trim_ascii();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

pub(crate) fn exit_words(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(signal) => format!("signal {signal}"),
        Exit::Unknown => "an unknown exit".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_are_told_from_what_is_encrypted() {
        assert_eq!(from_hex(b"01ffAb\r\n"), Some(vec![1, 255, 0xab]));
        for other in [&b""[..], b"012", b"zz", b"\x01\x00", b"01 2"] {
            assert_eq!(from_hex(other), None);
        }
    }
}
