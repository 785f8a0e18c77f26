//! A file mapped straight from persistent memory, with the locking and ordering rules of xfs on such a device: page
//! and block are one, what is allocated to be written is zeroed at once, and there is no delayed allocation.

use crate::device::Garbage;
use crate::extents::{Block, Extents};
use dax::{Device, Extent, FileSystem, Kind, Mapping};
use faults::FaultSet;
use iomap::seek::Whence;
use lanes::{RwSem, RwWrite, Task, Y};
use pagecache::{Broken, Error, Result, Sizes};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// From here to the end.
const ALL: Range<u64> = 0..u64::MAX >> 1;

/// A file on its own persistent device.
#[derive(Debug)]
pub struct DaxFile {
    mapping: Mapping,
    /// Shared for reading, exclusive for whoever writes by system call, changes the size or the blocks.
    i_rwsem: RwSem,
    extents: Mutex<Extents>,
    /// The extents have changed since they were synced.
    metadata_dirty: AtomicBool,
}

impl DaxFile {
    /// An empty file on a new device that holds `garbage`. Page and block must be equal.
    pub fn new(sizes: Sizes, garbage: Garbage, faults: FaultSet) -> DaxFile {
        DaxFile {
            mapping: Mapping::new(sizes, garbage, faults),
            i_rwsem: RwSem::new("i_rwsem"),
            extents: Mutex::default(),
            metadata_dirty: AtomicBool::new(false),
        }
    }

    /// Gives the new file a size, all of it a hole.
    pub fn start_with_hole(&self, size: u64) {
        self.mapping.set_i_size(size);
    }

    /// Size of the file.
    pub fn size(&self) -> u64 {
        self.mapping.i_size()
    }

    fn device(&self) -> &Device {
        &self.mapping.device
    }

    /// Gives `pages` unwritten blocks as far as they have none; huge ones where a huge page's worth is wanted.
    fn allocate(&self, extents: &mut Extents, pages: Range<u64>) {
        let order = self.mapping.sizes.max_order;
        let mut page = pages.start;
        while page < pages.end {
            let huge = page..page + (1 << order);
            let free = order > 0 && huge.clone().all(|index| extents.get(index) == Block::Hole);
            if free && page.is_multiple_of(1 << order) && huge.end <= pages.end {
                let first = self.device().allocate_huge(order);
                huge.clone().zip(first..).for_each(|(index, pfn)| extents.set(index, Block::Unwritten(pfn)));
                page = huge.end;
                continue;
            }
            if extents.get(page) == Block::Hole {
                let before = page.checked_sub(1).and_then(|before| extents.get(before).device_block());
                extents.set(page, Block::Unwritten(self.device().allocate(before.map(|pfn| pfn + 1))));
            }
            page += 1;
        }
    }

    /// Makes an unwritten extent hold data: zeros, written past the CPU caches before anybody sees them in the file.
    fn convert(&self, extents: &mut Extents, extent: Extent) -> Extent {
        let zeros = vec![0; self.mapping.sizes.page as usize];
        for (page, pfn) in self.mapping.pages_of(&extent.range).zip(extent.pfn..) {
            self.device().write(self.device().addr(pfn, 0), &zeros);
            extents.set(page, Block::Written(pfn));
        }
        self.metadata_dirty.store(true, Relaxed);
        Extent { kind: Kind::Written, dirty: true, ..extent }
    }

    /// What `pages` begin with.
    fn lookup(&self, extents: &Extents, pages: Range<u64>) -> Extent {
        let first = extents.get(pages.start);
        let kind = match first {
            Block::Hole | Block::Delalloc => Kind::Hole,
            Block::Unwritten(_) => Kind::Unwritten,
            Block::Written(_) => Kind::Written,
        };
        let mut end = pages.start + 1;
        while end < pages.end && extents.get(end - 1).continues(extents.get(end)) {
            end += 1;
        }
        let range = self.mapping.bytes_of(&(pages.start..end));
        Extent { range, kind, pfn: first.device_block().unwrap_or(0), dirty: self.metadata_dirty.load(Relaxed) }
    }

    /// Reads bytes `range`; how many there were.
    ///
    /// # Errors
    /// None.
    pub async fn read(&self, task: &Task, range: Range<u64>, buf: &mut [u8]) -> Result<u64> {
        task.at(Y::R0).await;
        let _shared = self.i_rwsem.read(task, Y::R0).await;
        self.mapping.read(self, task, range, buf).await
    }

    /// Writes `bytes`, of which `readable` can be read, at `pos`; how many.
    ///
    /// # Errors
    /// [`Error::BadAddress`] if not one byte of the buffer could be read.
    pub async fn write(&self, task: &Task, pos: u64, bytes: &[u8], readable: usize) -> Result<u64> {
        task.at(Y::W0).await;
        let exclusive = self.i_rwsem.write(task, Y::W0).await;
        task.at(Y::W1).await;
        if pos > self.size() {
            let _exclusive = self.mapping.invalidate_lock.write(task, Y::W1).await;
            self.mapping.zero(self, task, self.size()..pos).await?;
        }
        let written = self.mapping.write(self, task, pos, bytes, readable).await;
        if let Ok(count) = written
            && pos + count > self.size()
        {
            self.mapping.set_i_size(pos + count);
        }
        drop(exclusive);
        task.at(Y::W18).await;
        written
    }

    /// Loads bytes `range` through a shared mapping; how many before a SIGBUS.
    ///
    /// # Errors
    /// None.
    pub async fn load(&self, task: &Task, range: Range<u64>, buf: &mut [u8]) -> Result<u64> {
        self.mapping.load(self, task, range, buf).await
    }

    /// Stores `bytes` at `pos` through a shared mapping; how many before a SIGBUS.
    ///
    /// # Errors
    /// None.
    pub async fn store(&self, task: &Task, pos: u64, bytes: &[u8]) -> Result<u64> {
        self.mapping.store(self, task, pos, bytes).await
    }

    /// i_rwsem and invalidate_lock exclusive: what changing blocks or the size needs.
    async fn exclude_all<'a>(&'a self, task: &'a Task) -> (RwWrite<'a>, RwWrite<'a>) {
        task.at(Y::W0).await;
        let rwsem = self.i_rwsem.write(task, Y::W0).await;
        (rwsem, self.mapping.invalidate_lock.write(task, Y::P0).await)
    }

    /// Sets the size.
    ///
    /// # Errors
    /// None.
    pub async fn truncate(&self, task: &Task, size: u64) -> Result<()> {
        let locks = self.exclude_all(task).await;
        self.set_size(task, size).await?;
        drop(locks);
        task.at(Y::T8).await;
        Ok(())
    }

    /// Sets the size, with everything excluded. What becomes visible later, or now, is zeroed; mappings and entries go
    /// before the blocks do.
    async fn set_size(&self, task: &Task, size: u64) -> Result<()> {
        let old = self.size();
        if size > old {
            self.mapping.zero(self, task, old..size).await?;
            self.mapping.set_i_size(size);
            return Ok(());
        }
        self.mapping.zero(self, task, size..self.mapping.sizes.page_up(size)).await?;
        task.at(Y::T0).await;
        self.mapping.set_i_size(size);
        task.at(Y::T1).await;
        self.free(task, self.mapping.sizes.end_index(size)..ALL.end).await;
        Ok(())
    }

    /// Drops entries, mappings and blocks of `pages`.
    async fn free(&self, task: &Task, pages: Range<u64>) {
        self.mapping.truncate(task, pages.clone()).await;
        task.at(Y::T7).await;
        let mut extents = self.extents.lock();
        for page in pages.start..pages.end.min(extents.len()) {
            if let Some(pfn) = extents.get(page).device_block() {
                self.device().free(pfn);
            }
            extents.set(page, Block::Hole);
        }
    }

    /// Allocates unwritten blocks where there are none; with `extend`, raises the size to the end of the range.
    ///
    /// # Errors
    /// None.
    pub async fn fallocate(&self, task: &Task, range: Range<u64>, extend: bool) -> Result<()> {
        let _locks = self.exclude_all(task).await;
        self.preallocate(task, range, extend).await
    }

    async fn preallocate(&self, task: &Task, range: Range<u64>, extend: bool) -> Result<()> {
        self.allocate(&mut self.extents.lock(), self.mapping.pages_of(&range));
        if extend && range.end > self.size() { self.set_size(task, range.end).await } else { Ok(()) }
    }

    /// Makes a hole; the size stays.
    ///
    /// # Errors
    /// None.
    pub async fn punch(&self, task: &Task, range: Range<u64>) -> Result<()> {
        let _locks = self.exclude_all(task).await;
        self.free_space(task, range).await
    }

    /// Makes the range read as zero, with blocks; raises the size to its end.
    ///
    /// # Errors
    /// None.
    pub async fn zero(&self, task: &Task, range: Range<u64>) -> Result<()> {
        let _locks = self.exclude_all(task).await;
        self.free_space(task, range.clone()).await?;
        self.preallocate(task, range, true).await
    }

    /// Flushes and drops a range, removes its whole blocks, zeroes the parts of blocks at its ends.
    async fn free_space(&self, task: &Task, range: Range<u64>) -> Result<()> {
        let sizes = self.mapping.sizes;
        task.at(Y::P0).await;
        let touched = self.mapping.pages_of(&range);
        self.mapping.write_back(task, touched.clone()).await;
        task.at(Y::P1).await;
        self.mapping.truncate(task, touched).await;
        task.at(Y::P2).await;
        let whole = sizes.end_index(range.start)..sizes.index(range.end);
        if !whole.is_empty() {
            self.free(task, whole).await;
        }
        task.at(Y::P4).await;
        self.mapping.zero(self, task, range.start..range.end.min(self.size())).await
    }

    /// Flushes what was stored through mappings of a range.
    pub async fn sync_range(&self, task: &Task, range: Range<u64>) {
        self.mapping.write_back(task, self.mapping.pages_of(&range)).await;
    }

    /// Flushes what was stored through mappings.
    pub async fn fsync(&self, task: &Task) {
        let clock = self.device().clock();
        self.mapping.write_back(task, ALL).await;
        self.mapping.expect_flushed(clock);
        self.sync_metadata(task).await;
    }

    /// Drops entries of a range that nothing is to be flushed of, with their mappings.
    pub async fn invalidate(&self, task: &Task, range: Range<u64>) {
        self.mapping.invalidate(task, self.mapping.pages_of(&range)).await;
    }

    /// The page of the device that has byte `pos` fails; its content can be recovered.
    pub async fn memory_failure(&self, task: &Task, pos: u64) {
        let block = self.extents.lock().get(self.mapping.sizes.index(pos)).device_block();
        if let Some(pfn) = block {
            self.mapping.memory_failure(task, pfn).await;
        }
    }

    /// The next data or hole at or after `from`.
    ///
    /// # Errors
    /// [`Error::NoData`].
    pub async fn seek(&self, task: &Task, from: u64, whence: Whence) -> Result<u64> {
        let _shared = self.i_rwsem.read(task, Y::R0).await;
        let size = self.size();
        let mut pos = from;
        while pos < size {
            let extent = self.begin(task, pos..size, false).await?;
            if (extent.kind == Kind::Written) == (whence == Whence::Data) {
                return Ok(pos);
            }
            pos = extent.range.end;
        }
        if whence == Whence::Hole && from < size { Ok(size) } else { Err(Error::NoData) }
    }

    /// Unmaps the lane's view of the file and maps it again.
    pub async fn reopen(&self, task: &Task) {
        task.at(Y::UNMAP).await;
        self.mapping.page_table.unmap_view(dax::pagetable::View::of(task.lane()));
    }

    /// Syncs when something has become dirty: everything, or one entry, as the schedule chooses.
    pub async fn flusher(&self, task: &Task) {
        for pass in 0.. {
            self.mapping.dirtied.wait(task).await;
            task.begin_op(pass);
            let mut dirty = self.mapping.dirty_pages();
            match task.choose(Y::G4, dirty.len() as u32 + 1) {
                0 => self.mapping.write_back(task, ALL).await,
                pick => {
                    self.mapping.write_back(task, dirty.swap_remove(pick as usize - 1)).await;
                    self.mapping.dirtied.raise(); // the others are still to be flushed
                }
            }
        }
    }

    /// Flushes everything, empties the index, and takes the power away for a moment.
    pub async fn settle(&self, task: &Task) {
        self.fsync(task).await;
        self.mapping.page_table.unmap_all();
        self.mapping.invalidate(task, ALL).await;
        self.device().lose_power();
    }

    /// The bytes of the file as they are on the device, and nowhere else.
    pub fn content_on_device(&self) -> Vec<u8> {
        let extents = self.extents.lock();
        let mut content = vec![0; self.size() as usize];
        for (page, part) in (0..).zip(content.chunks_mut(self.mapping.sizes.page as usize)) {
            if let Some(pfn) = DaxFile::written_block(&extents, page) {
                self.device().load(self.device().addr(pfn, 0), part);
            }
        }
        content
    }

    /// Which page of the device has the data of a page of the file.
    fn written_block(extents: &Extents, page: u64) -> Option<u32> {
        match extents.get(page) {
            Block::Written(pfn) => Some(pfn),
            _ => None,
        }
    }

    /// Rules that hold whenever no lane is inside a short section.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> std::result::Result<(), Broken> {
        let extents = self.extents.lock();
        self.mapping.check(|page| DaxFile::written_block(&extents, page))
    }

    /// Rules that hold at rest, after [`DaxFile::settle`].
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check_at_rest(&self) -> std::result::Result<(), Broken> {
        let extents = self.extents.lock();
        self.mapping.check_at_rest(|page| DaxFile::written_block(&extents, page))?;
        if self.i_rwsem.holders() != 0 {
            return Err(Broken::invariant("i_rwsem is held though every operation has returned".into()));
        }
        let mut seen = BTreeSet::new();
        for pfn in (0..extents.len()).filter_map(|page| extents.get(page).device_block()) {
            if !seen.insert(pfn) {
                return Err(Broken::invariant(format!("page {pfn} of the device is in the file twice")));
            }
        }
        let used = self.device().used();
        if seen.len() != used {
            let what = format!("{used} pages of the device are in use, the file has {}", seen.len());
            return Err(Broken::accounting(what));
        }
        Ok(())
    }
}

impl FileSystem for DaxFile {
    fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    async fn begin(&self, task: &Task, range: Range<u64>, write: bool) -> Result<Extent> {
        if write {
            task.at(Y::W4a).await;
        }
        let pages = self.mapping.pages_of(&range);
        let mut extents = self.extents.lock();
        if write {
            self.allocate(&mut extents, pages.clone());
        }
        let extent = self.lookup(&extents, pages);
        Ok(if write && extent.kind == Kind::Unwritten { self.convert(&mut extents, extent) } else { extent })
    }
    async fn sync_metadata(&self, task: &Task) {
        task.at(Y::Y6).await;
        self.metadata_dirty.store(false, Relaxed);
    }
}
