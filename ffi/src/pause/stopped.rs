//! A call that has stopped, and how it can go on.

use super::{State, Supervisor, WriteOrder};
use crate::error::Result;
use crate::{page_size, sys};
use std::ops::Range;

/// A call that waits in the kernel for a page. However this value ends, the call goes on; dropping it resumes.
#[derive(Debug)]
pub struct Pause<'a> {
    supervisor: &'a mut Supervisor,
    page: u64,
    thread: u32,
    ended: bool,
}

impl Pause<'_> {
    pub(super) fn new(supervisor: &mut Supervisor, page: u64, thread: u32) -> Pause<'_> {
        Pause { supervisor, page, thread, ended: false }
    }

    /// The page it waits for.
    pub fn page(&self) -> u64 {
        self.page
    }

    /// The thread that waits, as in `/proc/self/task`; for io_uring and other asynchronous calls a worker.
    pub fn thread(&self) -> u32 {
        self.thread
    }

    /// As [`Supervisor::leave_missing`]: where the call is to stop next.
    pub fn leave_missing(&mut self, page: u64) -> Result<()> {
        self.supervisor.leave_missing(page)
    }

    /// As [`Supervisor::stop_exactly_at`], for a write that waits: `page` is behind the one it waits for. A write that
    /// copies first is asking for the rest of a folio now, and nobody knows how large that is: false.
    pub fn stop_exactly_at(&mut self, page: u64, order: WriteOrder) -> Result<bool> {
        match order {
            WriteOrder::AsksAhead => self.supervisor.stop_exactly_at(page, order),
            WriteOrder::CopiesFirst => Ok(false),
        }
    }

    /// The call finds in the page what the buffer was filled with.
    ///
    /// # Errors
    /// ENOMEM above all. The call goes on all the same, with a page of zeros, and nothing stops at this buffer any more:
    /// make another pair.
    pub fn resume(mut self) -> Result<()> {
        self.end(|supervisor, page| supervisor.give(page))
    }

    /// The call finds these bytes in the page, as many as the buffer has there. Errors are those of
    /// [`Pause::resume`].
    ///
    /// # Panics
    /// If they are more or fewer; the call goes on.
    pub fn resume_with(mut self, bytes: &[u8]) -> Result<()> {
        self.image_of_page().copy_from_slice(bytes);
        self.end(|supervisor, page| supervisor.give(page))
    }

    /// The call finds zeros in the page: the zero page itself, which all processes share. Errors are those of
    /// [`Pause::resume`].
    pub fn resume_with_zeros(mut self) -> Result<()> {
        self.image_of_page().fill(0);
        self.end(|supervisor, page| {
            supervisor.settle("UFFDIO_ZEROPAGE", page, State::There, |fd, at| {
                // SAFETY: the page lies in the memory, is missing, and nobody has a reference to it.
                unsafe { sys::shim_uffd_zero(fd, at, page_size()) }
            })
        })
    }

    /// The call finds that the page cannot be read: a buffered call is short, or fails with EFAULT if it has done
    /// nothing yet; a direct one fails with EFAULT. The page stays so until the buffer is filled again. Errors are
    /// those of [`Pause::resume`].
    pub fn poison(mut self) -> Result<()> {
        self.end(Supervisor::make_unreadable)
    }

    fn image_of_page(&mut self) -> &mut [u8] {
        let Range { start, end } = self.supervisor.bytes_in(self.page);
        let lead = self.supervisor.memory.content().lead;
        &mut self.supervisor.image[(lead + start) as usize..(lead + end) as usize]
    }

    fn end(&mut self, how: impl Fn(&Supervisor, u64) -> Result<()>) -> Result<()> {
        self.ended = true;
        how(self.supervisor, self.page).inspect_err(|_| self.supervisor.release())
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.end(|supervisor, page| supervisor.give(page));
        }
    }
}
