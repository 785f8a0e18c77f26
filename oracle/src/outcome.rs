//! What an operation answered, and what is wrong with it.

use crate::op::OpId;
use std::fmt;

macro_rules! errnos {
    ($($name:ident $value:literal)*) => {
        /// An error number of Linux, by its name.
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct Errno(pub i32);

        #[allow(missing_docs)]
        impl Errno { $(pub const $name: Errno = Errno($value);)* }

        impl fmt::Display for Errno {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {
                    $($value => f.pad(stringify!($name)),)*
                    other => write!(f, "errno {other}"),
                }
            }
        }
    };
}

errnos! {
    EPERM 1 ENOENT 2 EINTR 4 EIO 5 ENXIO 6 EBADF 9 EAGAIN 11 ENOMEM 12 EACCES 13 EFAULT 14 EBUSY 16 EEXIST 17
    ENODEV 19 ENOTDIR 20 EISDIR 21 EINVAL 22 ETXTBSY 26 EFBIG 27 ENOSPC 28 ESPIPE 29 EROFS 30 ENOSYS 38
    EOVERFLOW 75 EOPNOTSUPP 95 ESTALE 116 EDQUOT 122
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a target answered to one operation. Content that was read stands in the buffer handed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Succeeded, nothing to report.
    Done,
    /// Transferred so many bytes.
    Bytes(u64),
    /// The position `seek_data` or `seek_hole` found, or the size `stat` found.
    Position(u64),
    /// A load or store met SIGBUS after so many bytes.
    Sigbus(u64),
    /// Failed.
    Errno(Errno),
    /// The target does not have this operation; it changed nothing. Not a failure and not an execution.
    Unsupported(Errno),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Done => f.write_str("ok"),
            Outcome::Bytes(n) => write!(f, "{n} bytes"),
            Outcome::Position(at) => write!(f, "position {at}"),
            Outcome::Sigbus(n) => write!(f, "SIGBUS after {n} bytes"),
            Outcome::Errno(errno) => write!(f, "{errno}"),
            Outcome::Unsupported(errno) => write!(f, "unsupported ({errno})"),
        }
    }
}

/// What kind of wrong a divergence is. The minimizer never leaves the class it started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A read or a mapping showed bytes the file cannot contain.
    Content,
    /// The size is wrong, or a transfer had the wrong length.
    Size,
    /// An operation failed that must succeed, succeeded that must fail, or failed with the wrong error.
    Errno,
    /// The bytes on the device are wrong though the cache looks right.
    Disk,
    /// A structural invariant of the cache or the file system does not hold.
    Invariant,
    /// A counter does not equal what it counts.
    Accounting,
    /// Lanes wait for each other.
    Deadlock,
    /// Lanes run and run without getting on.
    Livelock,
    /// A lane sleeps and nobody is left to wake it, or a call of a real file system did not return in time.
    Hang,
    /// A lane or the process under test died.
    Panic,
    /// The kernel complained in its log.
    KernelLog,
}

impl Class {
    /// All classes with the names reproducers use.
    pub const ALL: [(Class, &'static str); 11] = [
        (Class::Content, "content"),
        (Class::Size, "size"),
        (Class::Errno, "errno"),
        (Class::Disk, "disk"),
        (Class::Invariant, "invariant"),
        (Class::Accounting, "accounting"),
        (Class::Deadlock, "deadlock"),
        (Class::Livelock, "livelock"),
        (Class::Hang, "hang"),
        (Class::Panic, "panic"),
        (Class::KernelLog, "kernel-log"),
    ];

    /// The name used in reproducers and reports.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(class, _)| *class == self).map_or("?", |(_, name)| name)
    }

    /// The class of this name.
    pub fn from_name(name: &str) -> Option<Class> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(class, _)| *class)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A proof that a target is wrong. A value, not an error: finding one is the program's purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Its class.
    pub class: Class,
    /// The operation whose answer showed it; none if it was found at rest, after the last operation.
    pub op: Option<OpId>,
    /// The first wrong byte of the file, where there is one.
    pub offset: Option<u64>,
    /// One or more lines for a person: what was expected, what was found, whose bytes they are.
    pub detail: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.class)?;
        match self.op {
            Some(op) => write!(f, " at operation {op}")?,
            None => write!(f, " at rest")?,
        }
        write!(f, ": {}", self.detail)
    }
}
