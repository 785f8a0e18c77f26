//! Asynchronous writes.

use crate::error::{Result, check};
use crate::file::File;
use crate::sys;
use std::os::fd::{AsFd, AsRawFd};

/// A context of asynchronous I/O, io_setup(2), for one write at a time; destroyed when dropped.
#[derive(Debug)]
pub struct Queue {
    pub(crate) context: u64,
}

impl Queue {
    /// A context. ENOSYS if the kernel was built without them; EAGAIN if the machine has too many.
    pub fn new() -> Result<Queue> {
        let mut context = 0;
        // SAFETY: the pointer is to a local that outlives the call.
        check("io_setup", unsafe { sys::shim_aio_setup(&mut context) })?;
        Ok(Queue { context })
    }

    /// Submits a write of `buf` at `off`, io_submit(2), and waits for its completion, io_getevents(2). Returns how many
    /// bytes were written. With a file that was not opened with `O_DIRECT` the submission does all of it.
    pub fn write(&mut self, file: &File, buf: &[u8], off: u64) -> Result<u64> {
        let (fd, len) = (file.as_fd().as_raw_fd(), buf.len() as u64);
        // SAFETY: the kernel reads at most `buf.len()` bytes, all inside `buf`, and is done with it when the call
        // returns; the context belongs to this value, which is borrowed exclusively: the only request is this one.
        check("io_submit", unsafe { sys::shim_aio_pwrite(self.context, fd, buf.as_ptr().cast(), len, off) })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: no pointers; the context was made by io_setup, and nothing refers to it any more.
        let answer = unsafe { sys::shim_aio_destroy(self.context) };
        debug_assert_eq!(answer, 0, "io_destroy of a context of our own failed");
    }
}
