//! Errors of the place the test runs in, told apart from answers of the file system under test.

use oracle::{Errno, Op, Outcome, TargetError};
use std::path::Path;

/// With less free space than this, bytes, a file system is called full.
pub(super) const LOW_SPACE: u64 = 4 << 20;

/// Errors that say nothing about the file system's correctness: what is wrong, and what to do.
const OURS: [(Errno, &str, &str); 3] = [
    (Errno::ENOSPC, "is full", "free some space there or name another directory"),
    (Errno::EDQUOT, "leaves you no space within your quota", "free some or name another directory"),
    (Errno::ENOMEM, "had no memory for the operation", "free some memory or raise the limit of this process"),
];

/// Errors that creating the file meets.
const REFUSED: [(Errno, &str, &str); 6] = [
    (Errno::ENOENT, "does not exist", "create it or name another one"),
    (Errno::ENOTDIR, "is not a directory", "name the directory that is to hold the file"),
    (Errno::EACCES, "does not let you create files", "change its permissions or name another directory"),
    (Errno::EPERM, "does not let you create files", "remove its immutable flag or name another directory"),
    (Errno::EROFS, "is on a file system mounted read-only", "mount it for writing or name another directory"),
    (Errno::EIO, "is on a file system or a device that fails", "look at the kernel log, then unmount and repair it"),
];

/// Whether an error is due to the place and not to the file system under test.
pub(super) fn is_ours(errno: Errno) -> bool {
    OURS.iter().any(|(ours, _, _)| *ours == errno)
}

/// What to tell when the file cannot be set up in `dir`.
pub(super) fn at_start(dir: &Path, error: ffi::Error) -> TargetError {
    let dir = dir.display();
    let known = REFUSED.iter().chain(&OURS).find(|(errno, _, _)| errno.0 == error.errno);
    TargetError::new(match known {
        Some((_, what, todo)) => format!("the directory {dir} {what}: {todo}"),
        None => format!("the directory {dir} cannot be used ({error}): name another one"),
    })
}

/// The outcome of an operation that failed, or the reason why the run cannot go on.
#[cold]
pub(super) fn in_operation(dir: &Path, op: &Op, error: ffi::Error) -> Result<Outcome, TargetError> {
    let errno = Errno(error.errno);
    match OURS.iter().find(|(ours, _, _)| *ours == errno) {
        Some((_, what, todo)) => {
            let dir = dir.display();
            Err(TargetError::new(format!("the file system of {dir} {what} ({op}, {}): {todo}", error.call)))
        }
        None if errno == Errno::EOPNOTSUPP => Ok(Outcome::Unsupported(errno)),
        None => Ok(Outcome::Errno(errno)),
    }
}
