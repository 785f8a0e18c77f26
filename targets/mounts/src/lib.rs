//! File systems made for a test: in memory behind a loop device, on zram, on a block device; mounted where nobody
//! else sees them, and gone afterwards, whatever ended the test.
//!
//! [`Mount::make`] starts a process, the keeper ([`keeper::serve`]). It has mounts of its own, makes the file system,
//! mounts it there, and waits for the end of a socket whose other end is with the process that tests. However that
//! process ends, the socket ends with it, and the keeper gives everything back. Most goes even without it: the mount
//! ends with the last process that has the namespace, the loop device detaches itself, and the image is memory that
//! never had a name. Only a zram device needs somebody who removes it.
//!
//! The crate knows nothing of operations, targets or oracles. Who tests calls [`Mount::enter`] or [`enter`] in a
//! thread and finds the file system at [`Mount::dir`].

mod device;
pub mod keeper;
mod mkfs;
mod mount;
mod named;
mod recipe;
mod restart;
mod zram;

pub use mount::{Mount, enter};
pub use recipe::{FileSystem, Medium, Mkfs, Recipe};
pub use restart::Restart;

use std::fmt;
use std::thread::sleep;
use std::time::Duration;

/// Why a file system could not be made: a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble(String);

impl Trouble {
    fn new(sentence: impl Into<String>) -> Trouble {
        Trouble(sentence.into())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}

/// What `error` means for `what` we wanted: missing rights are the most frequent trouble.
fn trouble(what: impl fmt::Display, error: impl Into<std::io::Error>) -> Trouble {
    let error = error.into();
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => Trouble::new(NEEDS_ROOT),
        _ => Trouble::new(format!("{what}: {error}")),
    }
}

const NEEDS_ROOT: &str = "making and mounting a file system needs root: run this as root, or mount one yourself and \
                          name a directory on it with --dir";

fn system(error: ffi::Error) -> std::io::Error {
    std::io::Error::from_raw_os_error(error.errno)
}

/// Waits in turns of 10 ms until `done`, so many turns at most. Whether it was.
fn wait_for(turns: u32, mut done: impl FnMut() -> bool) -> bool {
    (0..turns).any(|_| {
        let over = done();
        if !over {
            sleep(Duration::from_millis(10));
        }
        over
    })
}
