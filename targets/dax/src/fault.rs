//! Loads and stores through shared mappings, and the faults that let them through.

use crate::entry::Entry;
use crate::lock::Held;
use crate::mapping::{Extent, FileSystem, Kind, Mapping};
use crate::pagetable::{Mapped, Target, View};
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
        let Some(mut held) = self.grab(task, access.page, 0).await else { return Ok(None) };
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
        self.map(task, access, &mut held, pages, &extent).await;
        Ok(Some(held))
    }

    /// The pages of the huge page around the access, if one fits the view and the file, and the page table has
    /// nothing smaller there.
    fn huge_around(&self, access: Access) -> Option<Range<u64>> {
        let order = self.sizes.max_order;
        let first = access.page >> order << order;
        let pages = first..first + (1 << order);
        let fits = order > 0 && access.view == View::Aligned && pages.end <= self.sizes.end_index(self.i_size());
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
        let Some(mut held) = self.grab(task, pages.start, order).await else { return Ok(None) };
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
            Ok(extent) if fits(&extent) => {
                self.map(task, access, &mut held, pages, &extent).await;
                Ok(Some(held))
            }
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

    /// Inserts what the extent says into the index, and then into the page table.
    async fn map(&self, task: &Task, access: Access, held: &mut Held, pages: Range<u64>, extent: &Extent) {
        let huge = pages.end - pages.start > 1;
        let (entry, target) = match extent.kind {
            Kind::Written => (Entry::real(extent.pfn, huge), Target::Pages(extent.pfn)),
            Kind::Hole | Kind::Unwritten => (Entry::zero(huge), Target::Zeros),
        };
        task.at(Y::X4).await;
        self.insert(task, held, entry, access.write).await;
        task.at(Y::X6).await;
        let order = if huge { self.sizes.max_order } else { 0 };
        let Access { view, write, .. } = access;
        self.page_table.install(Mapped { view, page: pages.start, order, target, writable: write });
    }
}
