//! What must hold, checked.

use crate::folio::Folio;
use crate::index::{Mark, Slot};
use crate::mapping::Mapping;
use crate::memory::Stat;
use lanes::LaneId;
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// A counter does not equal what it counts; otherwise a structural rule.
    pub accounting: bool,
    /// Which rule, and where.
    pub message: String,
}

impl Broken {
    /// A structural rule.
    pub fn invariant(message: String) -> Broken {
        Broken { accounting: false, message }
    }

    /// A counter.
    pub fn accounting(message: String) -> Broken {
        Broken { accounting: true, message }
    }
}

/// The first broken rule that was met in passing.
#[derive(Debug, Default)]
pub(crate) struct Reported(Mutex<Option<Broken>>);

impl Mapping {
    /// Keeps the first rule found broken, for the next check.
    pub fn report(&self, broken: Broken) {
        self.reported.0.lock().get_or_insert(broken);
    }

    /// The first rule found broken in passing, if any.
    pub fn reported(&self) -> Option<Broken> {
        self.reported.0.lock().clone()
    }

    /// After a truncate or a punch, with everything still excluded: no valid cached byte of `range` is left that
    /// is not zero. Except where a store can come at any moment: into the last page, which stays mapped, and into
    /// those that are cut by a punch.
    pub fn expect_zeros(&self, range: Range<u64>) {
        let index = self.index();
        for folio in index.iter().map(|slot| slot.folio) {
            let bytes = self.byte_range(folio);
            let part = range.start.max(bytes.start)..range.end.min(bytes.end);
            if part.is_empty() || !self.is_uptodate(folio, &part) || self.page_table.is_writable(folio) {
                continue;
            }
            let data = folio.data.read();
            let window = &data[(part.start - bytes.start) as usize..(part.end - bytes.start) as usize];
            if let Some(at) = window.iter().position(|byte| *byte != 0) {
                let at = part.start + at as u64;
                self.report(Broken::invariant(format!("byte {at} is cached with data after it was removed")));
            }
        }
    }

    /// Rules that hold whenever no lane is inside a short section: a folio's place, flags against block state,
    /// marks against flags of unlocked folios, entries of the page table.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), Broken> {
        if let Some(broken) = self.reported() {
            return Err(broken);
        }
        self.check_index()?;
        self.check_page_table()
    }

    fn check_index(&self) -> Result<(), Broken> {
        let index = self.index();
        let mut pages = 0;
        let mut end = 0;
        for slot in index.iter() {
            let folio = slot.folio;
            if folio.index() < end {
                return Err(Broken::invariant(format!("folio {} overlaps the one before it", folio.index())));
            }
            if slot.range() != (folio.index()..folio.end_index()) {
                let (range, at) = (slot.range(), folio.index());
                return Err(Broken::invariant(format!("the index has folio {at} at {range:?}")));
            }
            end = folio.end_index();
            pages += folio.pages();
            self.check_folio(&slot)?;
        }
        if !self.inode.has_dirty_pages() && index.find_marked(0, u64::MAX, Mark::Dirty).is_some() {
            return Err(Broken::invariant("a page is dirty and the inode is not: no flusher will come".into()));
        }
        if pages != index.pages() {
            return Err(Broken::accounting(format!("the file counts {} cached pages and has {pages}", index.pages())));
        }
        Ok(())
    }

    /// Entries show folios of the file, below its end, and let stores in only where the folio is dirty. Not
    /// while a truncate is under way, nor for a folio somebody is working on.
    fn check_page_table(&self) -> Result<(), Broken> {
        let end = self.sizes.end_index(self.i_size());
        let excluded = || self.invalidate_lock.is_write_locked();
        let mut wrong = None;
        self.page_table.for_each(|page, folio, writable| {
            if folio.is_locked() || wrong.is_some() {
                return;
            }
            if !folio.is_attached() || !folio.contains(page) {
                wrong = Some((page, "shows a folio that has left the file"));
            } else if page >= end && !excluded() {
                wrong = Some((page, "lies beyond the end of file"));
            } else if writable && !folio.is_dirty() {
                wrong = Some((page, "is writable though its folio is clean"));
            }
        });
        match wrong {
            Some((page, what)) => Err(Broken::invariant(format!("page {page} of the mapping {what}"))),
            None => Ok(()),
        }
    }

    fn check_folio(&self, slot: &Slot<'_>) -> Result<(), Broken> {
        let folio = &**slot.folio;
        let at = folio.index();
        let fail = |what: String| Err(Broken::invariant(format!("folio {at}: {what}")));
        if !folio.is_attached() {
            return fail("in the index of the file, but not attached to it".into());
        }
        if i64::from(folio.refs()) < folio.pages() as i64 && folio.refs() != 0 {
            return fail(format!("{} references for {} pages", folio.refs(), folio.pages()));
        }
        if folio.data.read().len() as u64 != folio.pages() * self.sizes.page {
            return fail("its bytes do not match its order".into());
        }
        if !folio.is_locked() {
            self.check_state(folio).or_else(&fail)?;
            if folio.is_dirty() && !slot.has(Mark::Dirty) {
                return fail("dirty without the mark: no writeback will find it".into());
            }
            if slot.has(Mark::Dirty) && !folio.is_dirty() {
                return fail("marked dirty without being dirty".into());
            }
        }
        if folio.is_writeback() != slot.has(Mark::Writeback) {
            return fail("writeback flag and mark disagree".into());
        }
        Ok(())
    }

    /// Block state against flags, of an unlocked folio.
    fn check_state(&self, folio: &Folio) -> Result<(), String> {
        let dirty = folio.is_dirty();
        let Some(state) = *folio.blocks.lock() else {
            return if dirty && !folio.is_uptodate() {
                Err("dirty as a whole but not uptodate".into())
            } else {
                Ok(())
            };
        };
        if state.is_full() != folio.is_uptodate() {
            return Err("the uptodate flag and the blocks' bits disagree".into());
        }
        if state.dirty_but_not_uptodate() {
            return Err("a block is dirty but not uptodate".into());
        }
        if dirty != state.any_dirty() && !folio.is_writeback() {
            return Err("the dirty flag and the blocks' bits disagree".into());
        }
        Ok(())
    }

    /// Rules that hold at rest, when no operation is under way and everything has been written back: in
    /// addition to [`Mapping::check`], counters, nothing locked or referenced, nothing beyond the end of file.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check_at_rest(&self) -> Result<(), Broken> {
        self.check()?;
        let end = self.sizes.end_index(self.i_size());
        self.locks_are_free()?;
        let index = self.index();
        index.check_tree().map_err(|wrong| Broken::invariant(format!("the index: {wrong}")))?;
        let mut actual = [[0; Stat::ALL.len()]; LaneId::COUNT];
        for folio in index.iter().map(|slot| slot.folio) {
            for (stat, counted) in Stat::ALL.into_iter().zip([true, folio.is_dirty(), folio.is_writeback()]) {
                let pages = if counted { folio.pages() as i64 } else { 0 };
                actual[folio.charged_to().0 as usize][stat as usize] += pages;
            }
            let at = folio.index();
            if folio.is_locked() && folio.lock_holder() & LaneId::BACKGROUND_BITS == 0 {
                return Err(Broken::invariant(format!("folio {at} is locked though every operation has returned")));
            }
            // A read that raced with a truncate may leave one there, filled after the truncate: with zeros.
            let empty =
                || !folio.is_dirty() && (!folio.is_uptodate() || folio.data.read().iter().all(|byte| *byte == 0));
            if at >= end.next_multiple_of(1 << self.sizes.min_order) && !empty() {
                return Err(Broken::invariant(format!("folio {at}, beyond the end of file, has data")));
            }
        }
        let lost = self.memory.lost_refs.load(Relaxed);
        if lost != 0 {
            return Err(Broken::accounting(format!("folios were freed with {lost} references too many or too few")));
        }
        self.check_counters(&actual)
    }

    /// The counters of the machine and of each cgroup, against the pages there are.
    fn check_counters(&self, actual: &[[i64; Stat::ALL.len()]; LaneId::COUNT]) -> Result<(), Broken> {
        let wrong = |counted: i64, whose: String, stat: Stat, pages: i64| {
            let what = stat.name();
            Err(Broken::accounting(format!("{counted} {what} pages are counted{whose}, {pages} there are")))
        };
        for stat in Stat::ALL {
            let all = actual.iter().map(|group| group[stat as usize]).sum();
            let counted = self.memory.pages(stat);
            if counted != all {
                return wrong(counted, String::new(), stat, all);
            }
            for (lane, group) in (0..).map(LaneId).zip(actual) {
                let counted = self.memory.pages_of(lane, stat);
                if counted != group[stat as usize] {
                    return wrong(counted, format!(" for the cgroup of lane {lane}"), stat, group[stat as usize]);
                }
            }
        }
        Ok(())
    }

    fn locks_are_free(&self) -> Result<(), Broken> {
        match self.invalidate_lock.holders() & !LaneId::BACKGROUND_BITS {
            0 => Ok(()),
            _ => Err(Broken::invariant("invalidate_lock is held though every operation has returned".into())),
        }
    }
}
