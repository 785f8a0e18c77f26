//! Stopping a system call half way: its buffer has a page that is missing, and whoever touches that waits in the
//! kernel until another thread says how it goes on (userfaultfd(2)).
//!
//! [`Pausing::probe`] finds out whether that is possible here. [`Pausing::pair`] makes memory in two halves: a
//! [`PausableBuffer`] for the thread that makes the call, a [`Supervisor`] for the one that watches it.
//!
//! # Where a call stops
//! At page K of the buffer, on Linux 6.18:
//!
//! | call | has done | waits in |
//! |---|---|---|
//! | buffered write, xfs | nothing of the chunk that K is in; its mapping is looked up, no folio is | `iomap_write_iter`, fs/iomap/buffered-io.c |
//! | buffered write, ext4, tmpfs | written K pages, the size included | `generic_perform_write`, mm/filemap.c |
//! | buffered write, btrfs | written K pages, the size included | `btrfs_buffered_write`, fs/btrfs/file.c |
//! | buffered read | delivered K pages; holds a reference to the folio, not its lock | `filemap_read`, mm/filemap.c |
//! | direct read or write | submitted what is before K in units of 256 pages (`BIO_MAX_VECS`) | `bio_iov_iter_get_pages`, block/bio.c |
//!
//! A write asks for source pages (`fault_in_iov_iter_readable`) and copies with page faults off. iomap asks before the
//! first copy, for a whole chunk: the rest of the write up to the next 2 MiB of the file or the end of the extent.
//! Others copy first, and ask where a copy has ended, for the rest of the folio. Linux 6.1 goes page by page on xfs,
//! too. [`WriteOrder::of`] measures it, [`Supervisor::stop_exactly_at`] stops where it is told on all of them. btrfs
//! writes files with checksums through the cache even with `O_DIRECT`.
//!
//! # What waits for a stopped call
//! It holds what it held: in a write the inode lock, on xfs also in a read, shared; never a folio lock. So on xfs,
//! ext4, btrfs and tmpfs these go on: fstat, sync_file_range, syncfs, posix_fadvise, loads and stores of a mapping,
//! writes to another file; fsync except on btrfs. These wait for a stopped write: writes, truncate, fallocate, on xfs
//! reads, direct reads except on tmpfs. Whoever ends a pause must therefore never touch the file with a call that
//! may wait. A signal that does not kill leaves a call stopped; one that kills ends it.

mod exact;
mod order;
mod probe;
mod stopped;
mod supervisor;

pub use order::WriteOrder;
pub use probe::{CannotPause, Pausing, Poison};
pub use stopped::Pause;
pub use supervisor::{Seen, Supervisor};

use crate::aio::Queue;
use crate::error::{Error, Result, check};
use crate::file::File;
use crate::{page_size, sys};
use rustix::event::{EventfdFlags, eventfd};
use std::ffi::c_void;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is known of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    There,
    Missing,
    Poisoned,
}

/// What a buffer holds: `len` bytes from byte `lead` of the first page on.
#[derive(Debug)]
struct Content {
    lead: u64,
    len: u64,
    pages: Vec<State>,
}

/// The memory, and the descriptor that says who waits for it.
#[derive(Debug)]
struct Memory {
    uffd: OwnedFd,
    /// Counts the calls that have ended and were not reported yet.
    ended: OwnedFd,
    base: *mut c_void,
    /// Bytes, a multiple of the page size.
    capacity: u64,
    content: Mutex<Content>,
}

// SAFETY: the memory is accessed by the kernel, and by copying under the lock of `content`.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

fn open() -> Result<OwnedFd> {
    // SAFETY: no pointers, no preconditions.
    let fd = check("userfaultfd", unsafe { sys::shim_uffd_open() })? as i32;
    // SAFETY: the shim has just opened this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn counter() -> Result<OwnedFd> {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE;
    eventfd(0, flags).map_err(|error| Error { call: "eventfd", errno: error.raw_os_error() })
}

impl Memory {
    /// Also says whether pages can be poisoned by the kernel.
    fn new(capacity: u64) -> Result<(Memory, bool)> {
        let capacity = capacity.max(1).next_multiple_of(page_size());
        let (uffd, ended) = (open()?, counter()?);
        let (mut base, mut poison) = (null_mut(), 0);
        // SAFETY: both pointers are to locals that outlive the call.
        let answer = unsafe { sys::shim_uffd_map(uffd.as_raw_fd(), capacity, &mut base, &mut poison) };
        check("UFFDIO_REGISTER", answer)?;
        let content = Mutex::new(Content { lead: 0, len: 0, pages: Vec::new() });
        Ok((Memory { uffd, ended, base, capacity, content }, poison != 0))
    }

    /// A thread that panicked with the lock held has changed one state at most, and whole.
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn page(&self, page: u64) -> *mut c_void {
        assert!(page < self.capacity / page_size(), "page {page} is outside of {} bytes", self.capacity);
        // SAFETY: the page lies in the memory, as the assertion has shown.
        unsafe { self.base.byte_add((page * page_size()) as usize) }
    }

    /// Where byte `at` of the content is, after checking that `len` bytes follow it.
    fn at(&self, content: &Content, at: u64, len: u64) -> *mut c_void {
        let fits = at.checked_add(len).is_some_and(|end| end <= content.len);
        assert!(fits, "{len} bytes at {at} leave a buffer of {} bytes", content.len);
        // SAFETY: lead and len together are at most the capacity.
        unsafe { self.base.byte_add((content.lead + at) as usize) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the memory was mapped with this base and length, and both halves that refer to it are gone.
        let answer = unsafe { sys::shim_unmap(self.base, self.capacity) };
        debug_assert_eq!(answer, 0, "munmap of memory of our own failed");
    }
}

/// The half of the thread that makes system calls: a buffer for them. Its bytes come from the other half, the
/// [`Supervisor`]; as long as that has not filled it, it has none.
#[derive(Debug)]
pub struct PausableBuffer {
    memory: Arc<Memory>,
}

impl PausableBuffer {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.memory.content().len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes a call, of whatever kind, and tells the supervisor when it has ended, a panic included: see
    /// [`Seen::Ended`].
    pub fn during<R>(&self, call: impl FnOnce() -> R) -> R {
        struct Tell<'a>(&'a OwnedFd);
        impl Drop for Tell<'_> {
            fn drop(&mut self) {
                // It can fail only if 2^64 - 1 calls have ended that nobody was told of.
                let _ = rustix::io::write(self.0, &1u64.to_ne_bytes());
            }
        }
        let _tell = Tell(&self.memory.ended);
        call()
    }

    /// Writes `len` bytes of the buffer from `at` on to the file at `off`: pwrite(2), which stops at missing pages.
    /// A poisoned page ends it: short, or with EFAULT if nothing was written, or if it is a direct write.
    ///
    /// # Panics
    /// If the range leaves the buffer.
    pub fn pwrite_to(&self, file: &File, at: u64, len: u64, off: u64) -> Result<u64> {
        let from = self.memory.at(&self.memory.content(), at, len);
        // SAFETY: the range lies in memory that stays mapped as long as `self`.
        check("pwrite", unsafe { sys::shim_pwrite(file.as_fd().as_raw_fd(), from, len, off) })
    }

    /// As [`PausableBuffer::pwrite_to`], and waits until what was written is on the device: pwritev2(2) with
    /// `RWF_DSYNC`.
    ///
    /// # Panics
    /// If the range leaves the buffer.
    pub fn pwrite_dsync_to(&self, file: &File, at: u64, len: u64, off: u64) -> Result<u64> {
        let from = self.memory.at(&self.memory.content(), at, len);
        // SAFETY: the range lies in memory that stays mapped as long as `self`.
        check("pwritev2", unsafe { sys::shim_pwrite_dsync(file.as_fd().as_raw_fd(), from, len, off) })
    }

    /// As [`Queue::write`], from this buffer: io_submit(2). It stops in the submission, as that looks at the memory.
    ///
    /// # Panics
    /// If the range leaves the buffer.
    pub fn submit_to(&self, queue: &mut Queue, file: &File, at: u64, len: u64, off: u64) -> Result<u64> {
        let from = self.memory.at(&self.memory.content(), at, len);
        let fd = file.as_fd().as_raw_fd();
        // SAFETY: the range lies in memory that stays mapped as long as `self`; the kernel is done with it when the
        // call returns; the queue is borrowed exclusively: the only request is this one.
        check("io_submit", unsafe { sys::shim_aio_pwrite(queue.context, fd, from, len, off) })
    }

    /// Reads up to `len` bytes at `off` into the buffer at `at`: pread(2), otherwise as [`PausableBuffer::pwrite_to`].
    ///
    /// # Panics
    /// If the range leaves the buffer.
    pub fn pread_from(&self, file: &File, at: u64, len: u64, off: u64) -> Result<u64> {
        let to = self.memory.at(&self.memory.content(), at, len);
        // SAFETY: the range lies in memory that stays mapped as long as `self`, and to which nobody has a reference.
        check("pread", unsafe { sys::shim_pread(file.as_fd().as_raw_fd(), to, len, off) })
    }

    /// Copies the buffer's bytes from `at` on into `to`, up to the first page that is missing or poisoned. Returns how
    /// many these were. Never waits.
    ///
    /// # Panics
    /// If the range leaves the buffer.
    pub fn load(&self, at: u64, to: &mut [u8]) -> u64 {
        // Held while copying: nobody takes a page away meanwhile.
        let content = self.memory.content();
        let from = self.memory.at(&content, at, to.len() as u64);
        let begin = content.lead + at;
        let first = begin / page_size();
        let there = content.pages[first as usize..].iter().take_while(|page| **page == State::There).count() as u64;
        let len = ((first + there) * page_size()).saturating_sub(begin).min(to.len() as u64);
        // SAFETY: these bytes lie in the memory, their pages are there, and nobody has a reference to them.
        unsafe { std::ptr::copy_nonoverlapping(from.cast::<u8>(), to.as_mut_ptr(), len as usize) };
        len
    }
}
