//! Readahead: filling more than was asked for, without waiting for it.
//!
//! An open file remembers the last window it has read ahead. A miss begins a window; one folio of it carries a mark,
//! and whoever meets the mark begins the next window before the first is used up. The folios of a window go into the
//! cache locked, and the end of their reads unlocks them. It is done as well as it goes: what is not filled in the
//! end is filled by whoever needs it.

use crate::filemap::FileOps;
use crate::folio::{Folio, Locked};
use crate::invariants::Broken;
use crate::mapping::Mapping;
use faults::Fault;
use lanes::{LaneId, Task, Y};
use parking_lot::Mutex;
use std::collections::VecDeque;

/// What an open file remembers of its reads: the kernel calls it `file_ra_state`. In pages.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    start: u64,
    size: u64,
    /// So much of it, at its end, nobody has asked for yet. The mark is where that begins.
    async_size: u64,
    /// Where the last read ended.
    prev: u64,
}

impl Window {
    fn end(&self) -> u64 {
        self.start + self.size
    }

    /// The page that is to carry the mark.
    fn mark(&self) -> Option<u64> {
        // A window that was given up may have less left than that.
        (1..=self.size).contains(&self.async_size).then(|| self.end() - self.async_size)
    }

    /// The window for a read of `want` pages from page `index` on, which is not cached. Nothing is read ahead if the
    /// read does not go on where the last one ended.
    fn restart(&mut self, index: u64, want: u64, most: u64) -> Window {
        let sequential = index == 0 || want > most || index.wrapping_sub(self.prev) <= 1;
        if !sequential {
            return Window { start: index, size: want, async_size: 0, ..*self };
        }
        let size = (want.next_power_of_two() * 2).min(most);
        let async_size = if size > want { size - want } else { size / 2 };
        *self = Window { start: index, size, async_size, ..*self };
        *self
    }

    /// The window around a fault at page `index`, the same size before and behind it.
    fn around(&mut self, index: u64, most: u64) -> Window {
        *self = Window { start: index.saturating_sub(most / 2), size: most, async_size: most / 4, ..*self };
        *self
    }

    /// The window that follows when the marked `folio` is met. `first_missing` is the first page behind it that is
    /// not cached, for a mark that is not the last window's; if that is far away there is nothing to do.
    fn advance(&mut self, folio: &Folio, first_missing: impl FnOnce() -> u64, want: u64, most: u64) -> Option<Window> {
        let next_size = |size: u64| (2 * size).min(most);
        let expected = self.mark().map(|mark| mark / folio.pages() * folio.pages());
        *self = if expected == Some(folio.index()) {
            let size = next_size(self.size);
            Window { start: self.end(), size, async_size: size, ..*self }
        } else {
            let start = first_missing();
            if start - folio.index() > most {
                return None;
            }
            let size = next_size(start - folio.index() + want);
            Window { start, size, async_size: size, ..*self }
        };
        Some(*self)
    }

    /// `pages` of it were left unfilled; whether they were ones that nobody has asked for.
    fn gives_up(&mut self, pages: u64) -> bool {
        self.size = self.size.saturating_sub(pages);
        let unasked = self.async_size >= pages;
        if unasked {
            self.async_size -= pages;
        }
        unasked
    }
}

/// The windows of a file, one for each lane: a lane has opened the file once.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    /// Most pages of a window; 0 is no readahead.
    pub most: u64,
    of: [Mutex<Window>; LaneId::COUNT],
}

impl Windows {
    fn mine(&self, task: &Task) -> &Mutex<Window> {
        &self.of[task.lane().0 as usize]
    }
}

impl Mapping {
    /// The lane has closed the file and opened it again.
    pub fn forget_reads(&self, task: &Task) {
        *self.windows.mine(task).lock() = Window::default();
    }

    /// A read has ended at page `index`.
    pub(crate) fn note_read(&self, task: &Task, index: u64) {
        self.windows.mine(task).lock().prev = index;
    }

    /// A read of `want` pages has found nothing at page `index`.
    pub(crate) async fn read_ahead<F: FileOps>(&self, fs: &F, task: &Task, index: u64, want: u64) {
        if self.windows.most > 0 {
            let window = self.windows.mine(task).lock().restart(index, want, self.windows.most);
            self.read_window(fs, task, window).await;
        }
    }

    /// A fault has found nothing at page `index`.
    pub(crate) async fn read_around<F: FileOps>(&self, fs: &F, task: &Task, index: u64) {
        if self.windows.most > 0 {
            let window = self.windows.mine(task).lock().around(index, self.windows.most);
            self.read_window(fs, task, window).await;
        }
    }

    /// A read of `want` pages, or a fault, has met a marked folio.
    pub(crate) async fn read_further<F: FileOps>(&self, fs: &F, task: &Task, folio: &Folio, want: u64) {
        if folio.is_writeback() || !folio.take_mark() {
            return;
        }
        let most = self.windows.most;
        let first_missing = || {
            let index = self.index();
            let mut page = folio.end_index();
            while let Some(slot) = index.load(page).filter(|_| page < folio.end_index() + most) {
                page = slot.range().end;
            }
            page
        };
        let window = self.windows.mine(task).lock().advance(folio, first_missing, want, most);
        if let Some(window) = window {
            self.read_window(fs, task, window).await;
        }
    }

    /// Puts the missing folios of a window into the cache, up to the end of file, and submits their reads.
    async fn read_window<F: FileOps>(&self, fs: &F, task: &Task, window: Window) {
        task.at(Y::R2a).await;
        // From before the folios are in the cache until their reads, with the blocks they go to, are submitted: a
        // punch frees no block in between.
        let _shared = match self.faults.armed(Fault::ReadaheadUnlocked) {
            true => None,
            false => Some(self.invalidate_lock.read(task, Y::R2a).await),
        };
        let end = window.end().min(self.sizes.end_index(self.i_size()));
        let mut next = window.start;
        let mut run = VecDeque::new();
        while next < end {
            let cached = self.index().load(next).map(|slot| slot.range().end);
            if let Some(behind) = cached {
                self.submit_run(fs, task, &mut run).await;
                next = behind;
                continue;
            }
            if !self.has_room(task, next, end - next).await {
                break;
            }
            // None: another lane was faster, and its folio is passed over.
            if let Some(folio) = self.create(task, next, (end - next) * self.sizes.page).await {
                self.mark(&folio, &window);
                next = folio.end_index();
                run.push_back(folio);
            }
        }
        self.submit_run(fs, task, &mut run).await;
    }

    /// Marks the folio if it holds the page that is to carry the window's mark: that may be any page of it.
    fn mark(&self, folio: &Locked, window: &Window) {
        let Some(mark) = window.mark().filter(|mark| folio.contains(*mark)) else { return };
        if !self.faults.armed(Fault::MarkMissesFolio) || folio.index() == mark {
            folio.set_mark();
        }
        if !folio.is_marked() {
            let at = folio.index();
            self.report(Broken::invariant(format!("folio {at} holds page {mark} and not its readahead mark")));
        }
    }

    /// Submits the reads of consecutive folios. Those the file system does not take are unlocked, and those of them
    /// that nobody has asked for leave the cache.
    async fn submit_run<F: FileOps>(&self, fs: &F, task: &Task, run: &mut VecDeque<Locked>) {
        if run.is_empty() {
            return;
        }
        fs.readahead(task, run).await;
        for folio in run.drain(..) {
            if self.faults.armed(Fault::LeftoverLocked) {
                let _ = folio.hand_to_reads();
                continue;
            }
            let unasked = self.windows.mine(task).lock().gives_up(folio.pages());
            if unasked {
                self.drop_folio(task, &folio).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = 8;

    fn folio(index: u64, order: u8) -> crate::folio::FolioRef {
        Folio::create(&std::sync::Arc::default(), index, order, 1, LaneId(0))
    }

    #[test]
    fn a_read_that_goes_on_is_read_ahead_and_one_that_jumps_is_not() {
        let mut window = Window::default();
        let first = window.restart(0, 1, MOST);
        assert_eq!((first.start, first.size, first.mark()), (0, 2, Some(1)));
        window.prev = 2;
        assert_eq!(window.restart(2, 2, MOST).size, 4);
        let jump = window.restart(9, 2, MOST);
        assert_eq!((jump.start, jump.size, jump.mark()), (9, 2, None));
        assert_eq!(window.start, 2, "a jump is not remembered");
        assert_eq!(window.restart(40, MOST + 1, MOST).size, MOST, "a large read is worth a window anywhere");
    }

    #[test]
    fn the_mark_begins_the_window_that_follows() {
        let mut window = Window { start: 0, size: 4, async_size: 2, prev: 0 };
        let next = window.advance(&folio(2, 0), || unreachable!(), 1, MOST).unwrap();
        assert_eq!((next.start, next.size, next.mark()), (4, 8, Some(4)));
        // The page to be marked lies inside a folio of four.
        let next = window.advance(&folio(4, 2), || unreachable!(), 1, MOST).unwrap();
        assert_eq!((next.start, next.size), (12, MOST));
        // A mark that is another reader's: behind what is cached.
        let next = window.advance(&folio(2, 0), || 5, 1, MOST).unwrap();
        assert_eq!((next.start, next.size), (5, MOST));
        assert!(window.advance(&folio(2, 0), || 3 + MOST, 1, MOST).is_none());
    }

    #[test]
    fn what_is_given_up_leaves_the_window() {
        let mut window = Window { start: 0, size: 4, async_size: 2, prev: 0 };
        assert_eq!([1, 1, 1].map(|pages| window.gives_up(pages)), [true, true, false]);
        assert_eq!((window.size, window.mark()), (1, None));
    }
}
