//! Errors, by the names the kernel gives them.

use std::fmt;

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// EIO: the device failed, or the cache and the device collided.
    Io,
    /// ENXIO: no data or hole at or after the offset.
    NoData,
    /// EFAULT: the user buffer cannot be read.
    BadAddress,
    /// EBUSY: somebody else uses the folio.
    Busy,
    /// EAGAIN: try again.
    Again,
    /// EEXIST: another lane was faster.
    Exists,
    /// ENOSPC: no block is left.
    NoSpace,
    /// SIGBUS: a load or store beyond the page that holds the end of the file.
    Bus,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Io => "EIO",
            Error::NoData => "ENXIO",
            Error::BadAddress => "EFAULT",
            Error::Busy => "EBUSY",
            Error::Again => "EAGAIN",
            Error::Exists => "EEXIST",
            Error::NoSpace => "ENOSPC",
            Error::Bus => "SIGBUS",
        })
    }
}

impl std::error::Error for Error {}

/// Result with the cache's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
