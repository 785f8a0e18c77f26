//! Loads and stores through shared mappings, and the faults that let them through.

use crate::entry::Entry;
use crate::lock::{Held, Look};
use crate::mapping::{Extent, FileSystem, Kind, Mapping};
use crate::pagetable::{Mapped, Target, View};
use crate::tree::DIRTY;
use faults::Fault;
use lanes::{Task, Y};
use pagecache::{Error, Result};
use std::ops::Range;

/// After so many faults in a row for one access, it is made before the entry is unlocked.
const PATIENT_FAULTS: u32 = 3;

/// An access that makes a lane fault until it is let through.
#[derive(Clone, Copy, Debug)]
struct Access {
    view: View,
    page: u64,
    write: bool,
}

impl Mapping {
    /// Loads bytes `range` through a shared mapping; how many before a SIGBUS, if there was one.
    ///
    /// # Errors
    /// Of the file system.
    pub async fn load<F: FileSystem>(&self, fs: &F, task: &Task, range: Range<u64>, buf: &mut [u8]) -> Result<u64> {
        let view = View::of(task.lane());
        let mut pos = range.start;
        while pos < range.end {
            let (page, at, next) = self.page_part(pos, range.end);
            let into = &mut buf[(pos - range.start) as usize..(next - range.start) as usize];
            let mut access = || self.page_table.load(&self.device, view, page, at, into);
            match self.access(fs, task, Access { view, page, write: false }, &mut access).await {
                Ok(()) => pos = next,
                Err(Error::Bus) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(pos - range.start)
    }

    /// Stores `bytes` at `start` through a shared mapping; how many before a SIGBUS, if there was one.
    ///
    /// # Errors
    /// Of the file system.
    pub async fn store<F: FileSystem>(&self, fs: &F, task: &Task, start: u64, bytes: &[u8]) -> Result<u64> {
        let view = View::of(task.lane());
        let end = start + bytes.len() as u64;
        let mut pos = start;
        while pos < end {
            let (page, at, next) = self.page_part(pos, end);
            let from = &bytes[(pos - start) as usize..(next - start) as usize];
            let mut access = || self.page_table.store(&self.device, view, page, at, from);
            match self.access(fs, task, Access { view, page, write: true }, &mut access).await {
                Ok(()) => pos = next,
                Err(Error::Bus) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(pos - start)
    }

    /// The page at `pos`, where in it, and where the next page or the access ends.
    fn page_part(&self, pos: u64, end: u64) -> (u64, u64, u64) {
        let page = self.sizes.index(pos);
        let start = page * self.sizes.page;
        (page, pos - start, end.min(start + self.sizes.page))
    }

    /// Tries an access until an entry lets it through, faulting in between.
    async fn access<F: FileSystem>(
        &self,
        fs: &F,
        task: &Task,
        access: Access,
        perform: &mut (dyn FnMut() -> bool + Send),
    ) -> Result<()> {
        for attempt in 1.. {
            if perform() {
                break;
            }
            task.at(Y::F0).await;
            let _shared = self.invalidate_lock.read(task, Y::F2).await;
            if access.page >= self.sizes.end_index(self.i_size()) {
                return Err(Error::Bus);
            }
            let Some(held) = self.fault(fs, task, access).await? else { continue };
            task.at(Y::X7).await;
            // A mapping can be gone again before the access is repeated. A processor is never so slow that this goes
            // on for ever; a schedule can be.
            let done = attempt >= PATIENT_FAULTS && perform();
            self.unlock(&held);
            if done {
                break;
            }
        }
        Ok(())
    }

    /// Maps the page, or the huge page around it; its entry, still locked. `None` if somebody else mapped it
    /// meanwhile, and the access is to be tried again.
    async fn fault<F: FileSystem>(&self, fs: &F, task: &Task, access: Access) -> Result<Option<Held>> {
        if let Some(pages) = self.huge_around(access)
            && let Some(held) = self.huge_fault(fs, task, access, pages).await?
        {
            return Ok(Some(held));
        }
        let pages = access.page..access.page + 1;
        let Some(held) = self.grab(task, access.page, 0).await else { return Ok(None) };
        if self.page_table.order(access.view, access.page).is_some_and(|order| order > 0) {
            self.unlock(&held);
            return Ok(None);
        }
        task.at(Y::X3).await;
        let extent = match fs.begin(task, self.bytes_of(&pages), access.write).await {
            Ok(extent) => extent,
            Err(error) => {
                self.unlock(&held);
                return Err(error);
            }
        };
        Ok(self.map(fs, task, access, held, pages, &extent).await)
    }

    /// The pages of the huge page around the access, if one fits the view and the file, and the page table has
    /// nothing smaller there.
    fn huge_around(&self, access: Access) -> Option<Range<u64>> {
        let order = self.sizes.max_order;
        let first = access.page >> order << order;
        let pages = first..first + (1 << order);
        let fits = order > 0 && access.view.is_aligned() && pages.end <= self.sizes.end_index(self.i_size());
        (fits && !self.page_table.has_small(access.view, &pages)).then_some(pages)
    }

    /// Maps a huge page. `None` if it has to be done page by page: something smaller is there, or the blocks are not
    /// what a huge page needs.
    async fn huge_fault<F: FileSystem>(
        &self,
        fs: &F,
        task: &Task,
        access: Access,
        pages: Range<u64>,
    ) -> Result<Option<Held>> {
        let order = self.sizes.max_order;
        let Some(held) = self.grab(task, pages.start, order).await else { return Ok(None) };
        if self.page_table.has_small(access.view, &pages) {
            self.unlock(&held);
            return Ok(None);
        }
        task.at(Y::X3).await;
        let bytes = self.bytes_of(&pages);
        let extent = fs.begin(task, bytes.clone(), access.write).await;
        let fits = |extent: &Extent| {
            extent.range == bytes && (extent.kind != Kind::Written || extent.pfn.is_multiple_of(1 << order))
        };
        match extent {
            Ok(extent) if fits(&extent) => Ok(self.map(fs, task, access, held, pages, &extent).await),
            Ok(_) => {
                self.unlock(&held);
                Ok(None)
            }
            Err(error) => {
                self.unlock(&held);
                Err(error)
            }
        }
    }

    /// Inserts what the extent says into the index, and then into the page table. The entry, still locked; `None` if
    /// the access is to be tried again.
    async fn map<F: FileSystem>(
        &self,
        fs: &F,
        task: &Task,
        access: Access,
        mut held: Held,
        pages: Range<u64>,
        extent: &Extent,
    ) -> Option<Held> {
        let Access { view, write, .. } = access;
        let huge = pages.end - pages.start > 1;
        let (entry, target) = match extent.kind {
            Kind::Written => (Entry::real(extent.pfn, huge), Target::Pages(extent.pfn)),
            Kind::Hole | Kind::Unwritten => (Entry::zero(huge), Target::Zeros),
        };
        let order = if huge { self.sizes.max_order } else { 0 };
        let mapped = Mapped { view, page: pages.start, order, target, writable: write };
        let waits_for_metadata = write && extent.dirty && view == View::Synced;
        task.at(Y::X4).await;
        self.insert(task, &mut held, entry, write && !waits_for_metadata).await;
        if waits_for_metadata {
            self.unlock(&held);
            return self.map_after_sync(fs, task, mapped).await;
        }
        task.at(Y::X6).await;
        self.page_table.install(mapped);
        Some(held)
    }

    /// Lets stores in when the metadata has reached the device. The entry was not locked meanwhile, so it is found
    /// again: it may have gone, or given way to smaller ones, or one page may have become part of a huge one. Then
    /// the access is tried again.
    async fn map_after_sync<F: FileSystem>(&self, fs: &F, task: &Task, mapped: Mapped) -> Option<Held> {
        task.at(Y::X9).await;
        fs.sync_metadata(task).await;
        task.at(Y::X9).await;
        let held = {
            let (mut tree, look) = self.unlocked(task, mapped.page, mapped.order, Y::X1).await;
            let held = match look {
                Look::Entry(slot) if slot.order == mapped.order && slot.entry.pfn() == mapped.target.pfn() => {
                    tree.lock(mapped.page, &slot, task.lane());
                    Some(Held { index: mapped.page, slot })
                }
                Look::Entry(slot) => {
                    self.put_unlocked(&slot);
                    None
                }
                Look::Nothing | Look::Conflict => None,
            };
            if held.is_none() && !self.armed(Fault::DaxMapsBlindly) {
                return None;
            }
            tree.array.set_mark(mapped.page, DIRTY);
            self.dirtied.raise();
            held
        };
        task.at(Y::X6).await;
        self.page_table.install(mapped);
        held
    }
}
