//! What went wrong in the kernel, and in which call.

use std::fmt;

/// A system call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// The call's name, as its manual page has it.
    pub call: &'static str,
    /// The error number of Linux, never zero.
    pub errno: i32,
}

/// The result of a system call.
pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, std::io::Error::from_raw_os_error(self.errno))
    }
}

impl std::error::Error for Error {}

/// Reads the shim's answer: the negative error number, or a value from zero on.
#[inline]
pub(crate) fn check(call: &'static str, answer: i64) -> Result<u64> {
    u64::try_from(answer).map_err(|_| Error { call, errno: -answer as i32 })
}
