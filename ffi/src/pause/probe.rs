//! Whether system calls can be paused here.

use super::{Memory, PausableBuffer, Supervisor};
use crate::error::{Error, Result};
use std::fmt;
use std::sync::Arc;

/// System calls can be paused here; and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pausing {
    /// How a page is made unreadable.
    pub poison: Poison,
}

/// How a page is made unreadable while a call waits for it. To that call it is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poison {
    /// `UFFDIO_POISON`, since Linux 6.6.
    Marker,
    /// mprotect(2) with `PROT_NONE`, anywhere.
    Protection,
}

/// Why system calls cannot be paused here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CannotPause {
    /// The kernel was built without userfaultfd.
    Absent,
    /// It is there, and not for this user.
    Forbidden,
    /// It does not say which thread waits.
    TooOld,
    /// Something else, such as no memory or too many open files.
    Failed(Error),
}

impl From<Error> for CannotPause {
    fn from(error: Error) -> CannotPause {
        const EPERM: i32 = 1;
        const EACCES: i32 = 13;
        const EINVAL: i32 = 22;
        const ENOSYS: i32 = 38;
        match (error.call, error.errno) {
            ("userfaultfd", ENOSYS) => CannotPause::Absent,
            ("userfaultfd", EPERM | EACCES) => CannotPause::Forbidden,
            ("userfaultfd", EINVAL) => CannotPause::TooOld,
            _ => CannotPause::Failed(error),
        }
    }
}

impl fmt::Display for CannotPause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CannotPause::Absent => {
                f.write_str("system calls cannot be paused: this kernel was built without CONFIG_USERFAULTFD")
            }
            CannotPause::Forbidden => f.write_str(
                "system calls cannot be paused: userfaultfd needs root here, or sysctl vm.unprivileged_userfaultfd=1, \
                 or access to /dev/userfaultfd",
            ),
            CannotPause::TooOld => f.write_str("system calls cannot be paused: that takes Linux 4.14"),
            CannotPause::Failed(error) => write!(f, "system calls cannot be paused: {error}"),
        }
    }
}

impl std::error::Error for CannotPause {}

impl Pausing {
    /// Tries it out, on memory that is given back at once.
    pub fn probe() -> std::result::Result<Pausing, CannotPause> {
        let (_, marker) = Memory::new(1)?;
        Ok(Pausing { poison: if marker { Poison::Marker } else { Poison::Protection } })
    }

    /// Memory for up to `capacity` bytes, counted from the start of a page, in its two halves.
    pub fn pair(&self, capacity: u64) -> Result<(PausableBuffer, Supervisor)> {
        let memory = Arc::new(Memory::new(capacity)?.0);
        Ok((PausableBuffer { memory: memory.clone() }, Supervisor::new(memory, self.poison)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_a_sentence() {
        let sentence = |call, errno| CannotPause::from(Error { call, errno }).to_string();
        assert!(sentence("userfaultfd", 38).ends_with("this kernel was built without CONFIG_USERFAULTFD"));
        assert!(sentence("userfaultfd", 1).contains("needs root here, or sysctl vm.unprivileged_userfaultfd=1"));
        assert!(sentence("userfaultfd", 22).ends_with("that takes Linux 4.14"));
        assert_eq!(
            sentence("eventfd", 24),
            "system calls cannot be paused: eventfd: Too many open files (os error 24)"
        );
        // Not every EPERM is about userfaultfd.
        assert_eq!(
            CannotPause::from(Error { call: "mmap", errno: 1 }),
            CannotPause::Failed(Error { call: "mmap", errno: 1 })
        );
    }
}
