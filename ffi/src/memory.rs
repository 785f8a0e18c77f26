//! Memory with special properties, and the tie between a process and its parent.

use crate::error::{Result, check};
use crate::sys;
use std::ffi::c_void;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

/// The page size of this machine, bytes.
pub fn page_size() -> u64 {
    static PAGE: OnceLock<u64> = OnceLock::new();
    // SAFETY: no pointers, no preconditions.
    *PAGE.get_or_init(|| unsafe { sys::shim_page_size() } as u64)
}

/// A buffer that starts at a multiple of 4096, as direct I/O wants it on every device.
#[derive(Debug, Default)]
pub struct Aligned {
    room: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// The alignment in bytes.
    pub const ALIGN: usize = 4096;

    /// The buffer's first `len` bytes, enlarged if they are not there yet. What they hold means nothing.
    pub fn first(&mut self, len: usize) -> &mut [u8] {
        if len > self.len {
            self.room = vec![0; len + Self::ALIGN];
            self.start = self.room.as_ptr().align_offset(Self::ALIGN);
            self.len = len;
        }
        &mut self.room[self.start..self.start + len]
    }
}

/// Memory whose last readable byte is followed by some that nobody can read, the kernel included.
#[derive(Debug)]
pub struct Guarded {
    base: *mut c_void,
    /// Bytes before the guard, a multiple of the page size; as many follow it.
    half: u64,
}

// SAFETY: the memory belongs to this value alone; shared access only reads it.
unsafe impl Send for Guarded {}
// SAFETY: as above.
unsafe impl Sync for Guarded {}

impl Guarded {
    /// Memory with up to `len` readable bytes and as many unreadable ones behind them.
    pub fn new(len: u64) -> Result<Guarded> {
        let half = len.max(1).next_multiple_of(page_size());
        let mut base = null_mut();
        // SAFETY: the pointer is to a local that outlives the call.
        check("mmap", unsafe { sys::shim_guarded(half, half, &mut base) })?;
        Ok(Guarded { base, half })
    }

    /// How many readable bytes there can be.
    pub fn capacity(&self) -> u64 {
        self.half
    }

    /// The last `len` readable bytes.
    ///
    /// # Panics
    /// If `len` is more than the capacity.
    pub fn last(&mut self, len: u64) -> &mut [u8] {
        let from = self.before_guard(len, len);
        // SAFETY: the `len` bytes before the guard are readable and writable, and borrowed from `self` alone.
        unsafe { std::slice::from_raw_parts_mut(from.cast(), len as usize) }
    }

    /// Where `len` bytes start, of which the first `readable` can be read.
    pub(crate) fn before_guard(&self, readable: u64, len: u64) -> *mut c_void {
        assert!(readable <= len && readable <= self.half, "{readable} of {len} readable bytes do not fit");
        assert!(len - readable <= self.half, "{} unreadable bytes do not fit", len - readable);
        // SAFETY: `readable` is at most `half`, so the address lies in the memory.
        unsafe { self.base.byte_add((self.half - readable) as usize) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the memory was mapped with this base and these two halves, and nothing refers to it any more.
        let answer = unsafe { sys::shim_unmap(self.base, 2 * self.half) };
        debug_assert_eq!(answer, 0, "munmap of memory of our own failed");
    }
}

/// A page of counters that several processes see: a parent reads how far its child came while that one hangs, or
/// after it was killed.
#[derive(Debug)]
pub struct SharedPage {
    words: *mut c_void,
    fd: OwnedFd,
}

// SAFETY: the memory is accessed as atomics only.
unsafe impl Send for SharedPage {}
// SAFETY: as above.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    /// How many counters there are.
    pub const WORDS: usize = 512;
    const LEN: u64 = Self::WORDS as u64 * 8;

    /// A new page, all zero.
    pub fn create() -> Result<SharedPage> {
        // SAFETY: no pointers, no preconditions.
        let fd = check("memfd_create", unsafe { sys::shim_shared_create(Self::LEN) })? as i32;
        // SAFETY: the shim has just opened this descriptor, and nobody else has it.
        SharedPage::map(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// The page another process made, from a descriptor that came with the process. The number is not taken
    /// over: it stays open as long as the process lives.
    pub fn inherited(fd: i32) -> Result<SharedPage> {
        const EBADF: i32 = 9;
        let gone = crate::Error { call: "fcntl", errno: EBADF };
        if fd < 0 {
            return Err(gone);
        }
        // SAFETY: no pointers; a number that is not open is refused by the call.
        check("fcntl", unsafe { sys::shim_shared_check(fd, Self::LEN) })?;
        // SAFETY: the check has just shown that the descriptor is open; it is borrowed for this line alone.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned().map_err(|_| gone)?;
        SharedPage::map(fd)
    }

    fn map(fd: OwnedFd) -> Result<SharedPage> {
        let mut words = null_mut();
        // SAFETY: the pointer is to a local that outlives the call.
        check("mmap", unsafe { sys::shim_map_shared(fd.as_raw_fd(), Self::LEN, &mut words) })?;
        Ok(SharedPage { words, fd })
    }

    /// Lets processes started from now on inherit the page, and returns the number to hand to
    /// [`SharedPage::inherited`] there.
    pub fn for_child(&self) -> Result<i32> {
        // SAFETY: no pointers; the descriptor is open.
        check("fcntl", unsafe { sys::shim_keep_across_exec(self.fd.as_raw_fd()) })?;
        Ok(self.fd.as_raw_fd())
    }

    /// The counters.
    pub fn words(&self) -> &[AtomicU64; Self::WORDS] {
        // SAFETY: the mapping is `LEN` bytes long, aligned to a page, and lives as long as `self`; the memory
        // behind it is sealed against shrinking; all who share it use it as atomics.
        unsafe { &*self.words.cast() }
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: the page was mapped with this base and length, and no reference outlives `self`.
        let answer = unsafe { sys::shim_unmap(self.words, Self::LEN) };
        debug_assert_eq!(answer, 0, "munmap of a page of our own failed");
    }
}

/// Makes the kernel kill this process when its parent, `parent`, dies: prctl(2) with `PR_SET_PDEATHSIG`.
/// Fails with ESRCH if the parent is dead already; the caller had better stop then.
///
/// The kernel looks at threads: the tie lasts as long as the thread that calls this (let it be the main one), and
/// the parent is the thread that started this process (let it live as long).
pub fn die_with_parent(parent: u32) -> Result<()> {
    // SAFETY: no pointers, no preconditions.
    check("prctl", unsafe { sys::shim_die_with_parent(parent as i32) }).map(drop)
}
