//! Stopping a write that asks ahead when exactly the pages before one are written.
//!
//! Such a write asks for all source pages of a chunk, copies one folio with page faults off, asks again for what is
//! left, and so on (`iomap_write_iter`, fs/iomap/buffered-io.c, Linux 6.18). A stop means only that it asks; what it
//! has copied by then depends on folios, which nobody outside sees. So the page in question, J, is there whenever the
//! write asks for it and missing whenever it copies:
//!
//! 1. J + 1 is missing. The write stops there when it has asked for J.
//! 2. J is taken away and J + 1 is given. The write copies as far as a folio or J, asks again, and stops at J.
//! 3. Has it come as far as J? Once more, 1 and 2, but J - 1 is taken away with J. A write that has not copied J - 1
//!    yet asks for that first, gets it, and has to go on with 1. One that has stops at J: there it is.

use super::Supervisor;
use super::WriteOrder;
use crate::error::Result;

/// What the next stop means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// At J + 1: it has asked for J.
    Asks { test: bool },
    /// At J: it has copied what it could.
    Copied,
    /// At J: that is it; at J - 1: it is not.
    Tested,
    /// At J: it asks, and is known to have something left to copy.
    Behind,
}

/// A write on its way to a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim {
    page: u64,
    next: Step,
}

impl Supervisor {
    /// Makes the next buffered write of this buffer stop when exactly the pages before `page` are written, whichever
    /// `order` the file system has. Whether that can be: a write that asks ahead cannot be stopped so before the last
    /// page of its buffer.
    ///
    /// A write that asks ahead is brought there by [`Supervisor::wait`] in several stops, five and more, that nobody
    /// is told of; until it is there, `page` and its neighbours are not to be left missing otherwise. It needs both
    /// `page` and the one behind it in one chunk: what is written up to the next 2 MiB of the file or the end of the
    /// extent, and half as much after each copy that ended in a new folio. If they are not, the write stops behind
    /// `page`, or not at all, and [`Seen::Ended`](super::Seen::Ended) says so.
    ///
    /// # Panics
    /// If the buffer has no such page.
    pub fn stop_exactly_at(&mut self, page: u64, order: WriteOrder) -> Result<bool> {
        self.aim = None;
        if page == 0 || order == WriteOrder::CopiesFirst {
            return self.leave_missing(page).map(|()| true);
        }
        if page + 1 >= self.pages() {
            return Ok(false);
        }
        self.leave_missing(page + 1)?;
        self.aim = Some(Aim { page, next: Step::Asks { test: false } });
        Ok(true)
    }

    /// A write has stopped at `at`. Whether that is to be told; otherwise it has gone on.
    pub(super) fn is_there(&mut self, at: u64) -> Result<bool> {
        let Some(Aim { page, next }) = self.aim else { return Ok(true) };
        let next = match next {
            Step::Asks { test } if at == page + 1 => {
                self.leave_missing(page)?;
                if test {
                    self.leave_missing(page - 1)?;
                }
                if test { Step::Tested } else { Step::Copied }
            }
            Step::Copied if at == page => self.asks_again(page, true)?,
            Step::Behind if at == page => self.asks_again(page, false)?,
            Step::Tested if at + 1 == page => Step::Behind,
            Step::Tested if at == page => {
                self.aim = None;
                return self.give(page - 1).map(|()| true);
            }
            _ => return Ok(true),
        };
        self.aim = Some(Aim { page, next });
        self.give(at).map(|()| false)
    }

    fn asks_again(&mut self, page: u64, test: bool) -> Result<Step> {
        self.leave_missing(page + 1).map(|()| Step::Asks { test })
    }
}
