//! Tells values apart without showing them: a digest with a key that only the stack has.

use std::io;
use std::path::Path;

use mainstay_sys::{dirs, file};
use ring::hmac::{HMAC_SHA256, Key, sign};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::store::directory;

const KEY_FILE: &str = "marks.key";
const KEY_LENGTH: usize = 32;
/// So many bytes of the digest are kept.
const MARK_LENGTH: usize = 16;

/// Makes marks. Whoever has no key can tell nothing of a value from its mark, not even by trying.
pub struct Marker(Key);

impl std::fmt::Debug for Marker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Marker")
    }
}

impl Marker {
    /// The one of the stack with this state directory. The first time its key is made.
    ///
    /// # Errors
    /// The key cannot be kept.
    pub fn of(state: &Path) -> io::Result<Marker> {
        let directory = directory(state);
        let path = directory.join(KEY_FILE);
        match std::fs::read(&path).map(Zeroizing::new) {
            Ok(key) if key.len() == KEY_LENGTH => return Ok(Marker(Key::new(HMAC_SHA256, &key))),
            // One that is damaged only makes every value look like a new one, once.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        dirs::create_private(&directory)?;
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        SystemRandom::new()
            .fill(&mut *key)
            .map_err(|_| io::Error::other("the system has no random numbers"))?;
        file::write_atomic(&path, &*key, true)?;
        Ok(Marker(Key::new(HMAC_SHA256, &*key)))
    }

    /// The mark of a value, or of a file that has some. The same one has another mark under another name.
    pub fn mark(&self, name: &str, value: impl AsRef<[u8]>) -> String {
        let value = value.as_ref();
        let mut both = Zeroizing::new(Vec::with_capacity(name.len() + 1 + value.len()));
        both.extend_from_slice(name.as_bytes());
        both.push(0);
        both.extend_from_slice(value);
        sign(&self.0, &both).as_ref().iter().take(MARK_LENGTH).map(|byte| format!("{byte:02x}")).collect()
    }
}
