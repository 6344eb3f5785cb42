//! What Windows has allocated for us and wants back by `LocalFree`.
#![expect(unsafe_code, reason = "calls of Windows that windows-service does not have")]

use std::ffi::c_void;

use windows_sys::Win32::Foundation::LocalFree;

/// Freed at its end.
pub(crate) struct Local(*mut c_void);

impl Local {
    /// # Safety
    /// It came from a call that says to free it by `LocalFree`, and nobody else does.
    pub(crate) unsafe fn owned<T>(pointer: *mut T) -> Local {
        Local(pointer.cast())
    }

    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.0
    }

    /// # Safety
    /// It is a text of 16-bit units that ends with a NUL.
    pub(crate) unsafe fn text(&self) -> String {
        let units: *const u16 = self.0.cast();
        // SAFETY: the caller's promise.
        unsafe {
            let length = (0..).take_while(|at| *units.add(*at) != 0).count();
            String::from_utf16_lossy(std::slice::from_raw_parts(units, length))
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: the promise of whoever made it.
        unsafe { LocalFree(self.0) };
    }
}
