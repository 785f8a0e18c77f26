//! The half that learns of stopped calls and ends their pauses.

use super::exact::Aim;
use super::{Memory, Pause, Poison, State};
use crate::error::{Error, Result, check};
use crate::{page_size, sys};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The half that says what the buffer holds, which of its pages are missing, and how a call goes on that stopped at
/// one. Pages are counted from 0.
///
/// Pages are missing only as long as this value lives. When it is dropped, in a panic, too, all that are missing get
/// their bytes, and whoever waits goes on: a thread that makes calls cannot be left behind.
#[derive(Debug)]
pub struct Supervisor {
    pub(super) memory: Arc<Memory>,
    poison: Poison,
    /// The bytes of all pages, missing ones included.
    pub(super) image: Vec<u8>,
    /// Where a write is on its way to.
    pub(super) aim: Option<Aim>,
}

/// What there was to be seen.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A call waits.
    Paused(Pause<'a>),
    /// A call in [`during`](super::PausableBuffer::during) has ended; each is told once.
    Ended,
    /// Neither, in the time that was given: the call waits for something else, or takes longer.
    TimedOut,
}

enum Event {
    Fault { page: u64, thread: u32 },
    Ended,
    TimedOut,
}

impl Supervisor {
    pub(super) fn new(memory: Arc<Memory>, poison: Poison) -> Supervisor {
        Supervisor { memory, poison, image: Vec::new(), aim: None }
    }

    /// Gives the buffer new bytes; all of its pages are there then, and none is poisoned. The first byte is byte
    /// `lead` of page 0: with `lead` = offset in the file modulo the page size, pages of the buffer are pages of the
    /// file; other values stop a call at other bytes. What waited goes on with the new bytes.
    ///
    /// # Panics
    /// If `lead` is not less than the page size, or both together are more than the capacity.
    pub fn fill(&mut self, lead: u64, bytes: &[u8]) -> Result<()> {
        let reach = lead + bytes.len() as u64;
        assert!(lead < page_size(), "the first byte is in the first page, not {lead} bytes behind its start");
        assert!(reach <= self.memory.capacity, "{reach} bytes do not fit into {}", self.memory.capacity);
        self.aim = None;
        self.image.clear();
        self.image.resize(lead as usize, 0);
        self.image.extend_from_slice(bytes);
        self.image.resize(reach.next_multiple_of(page_size()) as usize, 0);
        let pages = self.image.len() / page_size() as usize;
        let memory = &self.memory;
        let mut content = memory.content();
        if content.pages.contains(&State::Poisoned) && self.poison == Poison::Protection {
            // SAFETY: this is all of the memory.
            check("mprotect", unsafe { sys::shim_allow(memory.base, memory.capacity, 1) })?;
        }
        (content.lead, content.len) = (lead, bytes.len() as u64);
        content.pages.clear();
        content.pages.resize(pages, State::Missing);
        // SAFETY: this is all of the memory, and nobody has a reference to it.
        check("madvise", unsafe { sys::shim_discard(memory.base, memory.capacity) })?;
        let (from, len) = (self.image.as_ptr().cast(), self.image.len() as u64);
        // SAFETY: the image is `len` bytes long, and the memory at least as long.
        check("UFFDIO_COPY", unsafe { sys::shim_uffd_copy(memory.uffd.as_raw_fd(), memory.base, from, len) })?;
        content.pages.fill(State::There);
        Ok(())
    }

    /// How many pages the buffer has.
    pub fn pages(&self) -> u64 {
        self.image.len() as u64 / page_size()
    }

    /// The bytes of the buffer that are in this page.
    pub fn bytes_in(&self, page: u64) -> Range<u64> {
        let content = self.memory.content();
        let bounded = |at: u64| at.saturating_sub(content.lead).min(content.len);
        bounded(page * page_size())..bounded((page + 1) * page_size())
    }

    /// Takes a page away: the next call that touches it waits for it. A direct call that has it already keeps it.
    ///
    /// # Panics
    /// If the buffer has no such page.
    pub fn leave_missing(&mut self, page: u64) -> Result<()> {
        let mut content = self.memory.content();
        let state = &mut content.pages[page as usize];
        if *state == State::There {
            // SAFETY: the page lies in the memory, and nobody has a reference to it.
            check("madvise", unsafe { sys::shim_discard(self.memory.page(page), page_size()) })?;
            *state = State::Missing;
        }
        Ok(())
    }

    /// Waits until a call stops at a missing page or has ended, but not longer than `limit`. If both have happened,
    /// the stop is told first.
    pub fn wait(&mut self, limit: Duration) -> Result<Seen<'_>> {
        let deadline = Instant::now().checked_add(limit);
        loop {
            match self.next(deadline)? {
                Event::Ended => return Ok(Seen::Ended),
                Event::TimedOut => return Ok(Seen::TimedOut),
                Event::Fault { page, thread } => {
                    if self.is_there(page)? {
                        return Ok(Seen::Paused(Pause::new(self, page, thread)));
                    }
                }
            }
        }
    }

    fn next(&self, deadline: Option<Instant>) -> Result<Event> {
        let failed = |call| move |error: Errno| Error { call, errno: error.raw_os_error() };
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let memory = &*self.memory;
            let mut descriptors = [PollFd::new(&memory.uffd, PollFlags::IN), PollFd::new(&memory.ended, PollFlags::IN)];
            match poll(&mut descriptors, left.as_ref()) {
                Ok(0) => return Ok(Event::TimedOut),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(failed("poll")(error)),
            }
            let [fault, ended] = descriptors.map(|descriptor| descriptor.revents());
            if (fault | ended).intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) {
                return Err(failed("poll")(Errno::IO));
            }
            if let Some(event) = fault.contains(PollFlags::IN).then(|| self.next_fault()).transpose()?.flatten() {
                return Ok(event);
            }
            if ended.contains(PollFlags::IN) {
                match rustix::io::read(&memory.ended, &mut [0; 8]) {
                    Ok(_) => return Ok(Event::Ended),
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(error) => return Err(failed("read")(error)),
                }
            }
        }
    }

    /// None if whoever waited does not any more, because a signal killed it.
    fn next_fault(&self) -> Result<Option<Event>> {
        const GONE: [i32; 2] = [11, 4]; // EAGAIN, EINTR
        let (mut address, mut thread) = (0, 0);
        // SAFETY: both pointers are to locals that outlive the call.
        let answer = unsafe { sys::shim_uffd_next(self.memory.uffd.as_raw_fd(), &mut address, &mut thread) };
        match check("read", answer) {
            Ok(0) => Ok(None),
            Err(error) if GONE.contains(&error.errno) => Ok(None),
            Ok(_) => Ok(Some(Event::Fault { page: (address - self.memory.base as u64) / page_size(), thread })),
            Err(error) => Err(error),
        }
    }

    /// Gives a missing page its bytes and lets go on who waits for it.
    pub(super) fn give(&self, page: u64) -> Result<()> {
        let from = page as usize * page_size() as usize;
        let bytes = &self.image[from..from + page_size() as usize];
        self.settle("UFFDIO_COPY", page, State::There, |fd, at| {
            // SAFETY: both sides are one page long.
            unsafe { sys::shim_uffd_copy(fd, at, bytes.as_ptr().cast(), page_size()) }
        })
    }

    /// Makes something of a missing page. If it is there already, who waits for it is woken.
    pub(super) fn settle(
        &self,
        call: &'static str,
        page: u64,
        state: State,
        ask: impl Fn(i32, *mut std::ffi::c_void) -> i64,
    ) -> Result<()> {
        const EEXIST: i32 = 17;
        let (fd, at) = (self.memory.uffd.as_raw_fd(), self.memory.page(page));
        let mut content = self.memory.content();
        match check(call, ask(fd, at)) {
            Err(error) if error.errno == EEXIST => {
                // SAFETY: the page lies in the memory; waking changes no bytes.
                check("UFFDIO_WAKE", unsafe { sys::shim_uffd_wake(fd, at, page_size()) })?;
                content.pages[page as usize] = State::There;
            }
            answer => {
                answer?;
                content.pages[page as usize] = state;
            }
        }
        Ok(())
    }

    /// Makes a missing page one that cannot be read, and lets go on who waits for it.
    pub(super) fn make_unreadable(&self, page: u64) -> Result<()> {
        let len = page_size();
        match self.poison {
            Poison::Marker => self.settle("UFFDIO_POISON", page, State::Poisoned, |fd, at| {
                // SAFETY: the page lies in the memory, is missing, and nobody has a reference to it.
                unsafe { sys::shim_uffd_poison(fd, at, len) }
            }),
            Poison::Protection => self.settle("mprotect", page, State::Poisoned, |fd, at| {
                // SAFETY: as above.
                match unsafe { sys::shim_allow(at, len, 0) } {
                    // SAFETY: as above.
                    0 => unsafe { sys::shim_uffd_wake(fd, at, len) },
                    error => error,
                }
            }),
        }
    }

    /// Lets everybody go on, whatever fails.
    pub(super) fn release(&mut self) {
        for page in 0..self.pages() {
            let missing = self.memory.content().pages[page as usize] == State::Missing;
            if missing && self.give(page).is_err() {
                // There is no memory for its bytes. It will be zero.
                self.memory.content().pages[page as usize] = State::There;
            }
        }
        let memory = &self.memory;
        // SAFETY: this is all of the memory.
        let answer = unsafe { sys::shim_uffd_unregister(memory.uffd.as_raw_fd(), memory.base, memory.capacity) };
        debug_assert_eq!(answer, 0, "UFFDIO_UNREGISTER of memory of our own failed");
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.release();
    }
}
