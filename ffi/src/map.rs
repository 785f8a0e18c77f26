//! A shared mapping whose loads and stores survive SIGBUS.

use crate::error::{Result, check};
use crate::file::File;
use crate::sys;
use std::ffi::c_void;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::null_mut;

/// A shared, writable mapping of a file from its first byte on, unmapped when dropped.
///
/// It may reach beyond the end of the file: an access there comes back with the number of bytes accessed before
/// the kernel raised SIGBUS. No reference into the mapping is ever handed out.
#[derive(Debug)]
pub struct Mapping {
    base: *mut c_void,
    len: u64,
}

// SAFETY: the memory is accessed through the shim alone, by copying; what threads that race find there is for the
// kernel and the caller to settle, as with pread and pwrite.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of `file`, of which there may be fewer: mmap(2). The first call in a process
    /// also installs the handler for SIGBUS; faults elsewhere go on to the handler that was there before.
    pub fn shared(file: &File, len: u64) -> Result<Mapping> {
        let mut base = null_mut();
        // SAFETY: the pointer is to a local that outlives the call.
        check("mmap", unsafe { sys::shim_map_shared(file.as_fd().as_raw_fd(), len, &mut base) })?;
        Ok(Mapping { base, len })
    }

    /// Its length in bytes.
    #[allow(clippy::len_without_is_empty, reason = "mmap(2) refuses an empty mapping")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The address of `off`, after checking that `len` bytes follow it.
    fn at(&self, off: u64, len: usize) -> *mut c_void {
        let end = off.checked_add(len as u64);
        assert!(end.is_some_and(|end| end <= self.len), "{len} bytes at {off} leave a mapping of {} bytes", self.len);
        // SAFETY: `off` is not beyond the mapping's end, as the assertion has shown.
        unsafe { self.base.byte_add(off as usize) }
    }

    /// Loads from `off` on into `buf`. Returns how many bytes there were before SIGBUS; all, if there was none.
    ///
    /// # Panics
    /// If the range leaves the mapping.
    pub fn load(&self, off: u64, buf: &mut [u8]) -> u64 {
        let from = self.at(off, buf.len());
        // SAFETY: both sides are valid for `buf.len()` bytes, except for faults, which the shim survives.
        unsafe { sys::shim_load(buf.as_mut_ptr().cast(), from, buf.len() as u64) }
    }

    /// Stores `buf` from `off` on. Returns how many bytes were stored before SIGBUS; all, if there was none.
    ///
    /// # Panics
    /// If the range leaves the mapping.
    pub fn store(&self, off: u64, buf: &[u8]) -> u64 {
        let to = self.at(off, buf.len());
        // SAFETY: both sides are valid for `buf.len()` bytes, except for faults, which the shim survives.
        unsafe { sys::shim_store(to, buf.as_ptr().cast(), buf.len() as u64) }
    }

    /// Writes the `len` bytes of the mapping at `off` to the file, at the same place: pwrite(2) with a buffer that is
    /// the file's own memory. Returns how many bytes were written.
    ///
    /// # Panics
    /// If the range leaves the mapping.
    pub fn pwrite_to(&self, file: &File, off: u64, len: u64) -> Result<u64> {
        let from = self.at(off, len as usize);
        let fd = file.as_fd().as_raw_fd();
        // SAFETY: the range lies in this mapping; where the kernel cannot read it, it says so.
        check("pwrite", unsafe { sys::shim_pwrite(fd, from, len, off) })
    }

    /// Takes the pages out of the mapping; the file keeps them, and what was stored. They come back when they are
    /// touched. madvise(2) with `MADV_DONTNEED`, which for a shared mapping of a file loses nothing.
    pub fn let_go(&self) -> Result<()> {
        // SAFETY: this is all of the mapping, and nobody has a reference into it.
        check("madvise", unsafe { sys::shim_discard(self.base, self.len) }).map(drop)
    }

    /// Writes the pages that hold `[off, off + len)` to the device and waits: msync(2) with `MS_SYNC`.
    ///
    /// # Panics
    /// If the range leaves the mapping.
    pub fn msync(&self, off: u64, len: u64) -> Result<()> {
        // msync(2) wants a start at a page; the kernel rounds the end up by itself.
        let start = off - off % crate::page_size();
        let base = self.at(start, (off - start + len) as usize);
        // SAFETY: the range lies in this mapping, whose memory stays as it is.
        check("msync", unsafe { sys::shim_msync(base, off - start + len) }).map(drop)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this base and length, and nothing refers to it any more.
        let answer = unsafe { sys::shim_unmap(self.base, self.len) };
        debug_assert_eq!(answer, 0, "munmap of a mapping of our own failed");
    }
}
