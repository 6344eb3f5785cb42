//! What this crate keeps in the registry of Windows.
#![expect(unsafe_code, reason = "calls of Windows that windows-service does not have")]

use std::io;

use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_SUCCESS};
use windows_sys::Win32::System::Registry::{
    HKEY, KEY_ENUMERATE_SUB_KEYS, KEY_QUERY_VALUE, KEY_SET_VALUE, REG_OPTION_NON_VOLATILE, RegCloseKey,
    RegCreateKeyExW, RegDeleteTreeW, RegDeleteValueW, RegEnumKeyExW, RegOpenKeyExW, RegQueryValueExW,
    RegSetValueExW,
};

/// With the NUL at its end; one inside ends it.
pub(crate) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().take_while(|unit| *unit != 0).chain([0]).collect()
}

/// An open key.
#[derive(Debug)]
pub(crate) struct Key(HKEY);

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: it is open, and closed once.
        unsafe { RegCloseKey(self.0) };
    }
}

/// Opens a key to write, and makes it if it is not there.
pub(crate) fn create(root: HKEY, path: &str) -> io::Result<Key> {
    let path = wide(path);
    let mut key = std::ptr::null_mut();
    // SAFETY: the path ends with a NUL; it and the result outlive the call.
    let status = unsafe {
        RegCreateKeyExW(
            root,
            path.as_ptr(),
            0,
            std::ptr::null(),
            REG_OPTION_NON_VOLATILE,
            KEY_SET_VALUE,
            std::ptr::null(),
            &mut key,
            std::ptr::null_mut(),
        )
    };
    check(status).map(|()| Key(key))
}

/// Opens a key to read.
pub(crate) fn open(root: HKEY, path: &str) -> io::Result<Key> {
    let path = wide(path);
    let mut key = std::ptr::null_mut();
    // SAFETY: the path ends with a NUL; it and the result outlive the call.
    check(unsafe {
        RegOpenKeyExW(root, path.as_ptr(), 0, KEY_QUERY_VALUE | KEY_ENUMERATE_SUB_KEYS, &mut key)
    })
    .map(|()| Key(key))
}

/// A value is at most so long.
const MOST: u32 = 1 << 20;

impl Key {
    fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let name = wide(name);
        let mut size = 0;
        let (none, kind) = (std::ptr::null(), std::ptr::null_mut());
        // SAFETY: the key is open; the name ends with a NUL; without a place for it only the size is told.
        let told =
            unsafe { RegQueryValueExW(self.0, name.as_ptr(), none, kind, std::ptr::null_mut(), &mut size) };
        check(told).ok()?;
        let mut bytes = vec![0_u8; usize::try_from(size.min(MOST)).ok()?];
        size = size.min(MOST);
        // SAFETY: the key is open; the name ends with a NUL; the place is as large as said. All outlive the call.
        let told =
            unsafe { RegQueryValueExW(self.0, name.as_ptr(), none, kind, bytes.as_mut_ptr(), &mut size) };
        check(told).ok()?;
        bytes.truncate(usize::try_from(size).ok()?);
        Some(bytes)
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes(name)?.try_into().ok()?))
    }

    /// One text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.texts(name).map(|texts| texts.concat())
    }

    /// One text or several.
    pub(crate) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let bytes = self.bytes(name)?;
        let units: Vec<u16> =
            bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        let texts = units.split(|unit| *unit == 0).filter(|text| !text.is_empty());
        Some(texts.map(String::from_utf16_lossy).collect())
    }

    /// The names of the keys below it; at most a hundred thousand.
    pub(crate) fn keys(&self) -> Vec<String> {
        const MOST_KEYS: u32 = 100_000;
        let mut names = Vec::new();
        for index in 0..MOST_KEYS {
            // A key's name has at most 255 characters.
            let (mut name, mut length) = ([0_u16; 256], 256);
            let none = std::ptr::null_mut();
            // SAFETY: the key is open; the place is as long as said; the rest is not asked for.
            let status = unsafe {
                RegEnumKeyExW(
                    self.0,
                    index,
                    name.as_mut_ptr(),
                    &mut length,
                    std::ptr::null(),
                    none,
                    none.cast(),
                    none.cast(),
                )
            };
            if status != ERROR_SUCCESS {
                break;
            }
            names.push(String::from_utf16_lossy(&name[..(length as usize).min(name.len())]));
        }
        names
    }

    /// Sets a value.
    pub(crate) fn set(&self, name: &str, kind: u32, bytes: &[u8]) -> io::Result<()> {
        let name = wide(name);
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        // SAFETY: the key is open; the name ends with a NUL; the bytes are as many as said; all outlive the call.
        check(unsafe { RegSetValueExW(self.0, name.as_ptr(), 0, kind, bytes.as_ptr(), length) })
    }

    /// Sets a value to a text, of kind `REG_SZ` or `REG_EXPAND_SZ`.
    pub(crate) fn set_text(&self, name: &str, kind: u32, text: &str) -> io::Result<()> {
        let bytes: Vec<u8> = wide(text).into_iter().flat_map(u16::to_le_bytes).collect();
        self.set(name, kind, &bytes)
    }

    /// Removes a value, if it is there.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        let name = wide(name);
        // SAFETY: the key is open; the name ends with a NUL and outlives the call.
        gone(unsafe { RegDeleteValueW(self.0, name.as_ptr()) })
    }
}

/// Removes a key and what is below it, if it is there.
pub(crate) fn delete(root: HKEY, path: &str) -> io::Result<()> {
    let path = wide(path);
    // SAFETY: the path ends with a NUL and outlives the call.
    gone(unsafe { RegDeleteTreeW(root, path.as_ptr()) })
}

fn gone(status: u32) -> io::Result<()> {
    if status == ERROR_FILE_NOT_FOUND { Ok(()) } else { check(status) }
}

fn check(status: u32) -> io::Result<()> {
    if status == ERROR_SUCCESS { Ok(()) } else { Err(io::Error::from_raw_os_error(status.cast_signed())) }
}
