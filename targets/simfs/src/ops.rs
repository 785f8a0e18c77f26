//! The operations of a file, with the locking and ordering rules of each flavour.

use crate::extents::Block;
use crate::failures::Failing;
use crate::file::File;
use faults::Fault;
use iomap::UserBuffer;
use iomap::seek::Whence;
use iomap::writeback::{Mode, wait_range, write_and_wait, write_range};
use iomap::zero::zero_range;
use lanes::{Held, RwWrite, Task, Y};
use pagecache::truncate::Removal;
use pagecache::{Cursor, Result};
use std::ops::Range;

/// From here to the end.
const ALL: Range<u64> = 0..u64::MAX;

impl File {
    /// Size of the file.
    pub fn size(&self) -> u64 {
        self.mapping.i_size()
    }

    /// Reads bytes `range` through the cache; how many there were.
    ///
    /// # Errors
    /// Of the device.
    pub async fn read(&self, task: &Task, range: Range<u64>, buf: &mut [u8]) -> Result<u64> {
        let _shared = match self.flavour.locks_reads() {
            true => Some(self.i_rwsem.read(task, Y::R0).await),
            false => None,
        };
        let _glock = self.hold_glock(task, Y::R0, false).await;
        self.mapping.read(self, task, range, buf).await
    }

    /// Writes through the cache at `pos`; how many bytes.
    ///
    /// # Errors
    /// [`pagecache::Error::BadAddress`] if not one byte of the buffer could be read.
    pub async fn write(&self, task: &Task, pos: u64, buffer: UserBuffer<'_>) -> Result<u64> {
        self.write_beside(task, pos, buffer, true).await
    }

    /// As [`File::write`]; with `direct` beside direct I/O, which no lock keeps out: it may be under way still.
    pub(crate) async fn write_beside(
        &self,
        task: &Task,
        pos: u64,
        buffer: UserBuffer<'_>,
        direct: bool,
    ) -> Result<u64> {
        task.at(Y::W0).await;
        let exclusive = self.i_rwsem.write(task, Y::W0).await;
        let glock = self.hold_glock(task, Y::W0, true).await;
        task.at(Y::W1).await;
        if !direct {
            self.drain_direct(task, Y::W1).await;
        }
        self.zero_gap(task, pos).await?;
        let written = iomap::write::write(self, task, pos, buffer).await;
        drop((glock, exclusive));
        task.at(Y::W18).await;
        written
    }

    /// As [`File::write`], and then brings what was written to the device, with everything it takes to find it.
    ///
    /// # Errors
    /// As [`File::write`]; and [`pagecache::Error::Io`] if data was lost, whoever wrote it: what was written is in the cache then.
    pub async fn write_dsync(&self, task: &Task, open: &Cursor, pos: u64, buffer: UserBuffer<'_>) -> Result<u64> {
        let written = self.write(task, pos, buffer).await?;
        self.fsync(task, open, pos..pos + written).await?;
        Ok(written)
    }

    /// Zeroes from the end of file to `pos`, where a write is about to begin. Direct I/O has ended before: it
    /// may move the end of file.
    pub(crate) async fn zero_gap(&self, task: &Task, pos: u64) -> Result<()> {
        if pos <= self.size() || self.armed(Fault::WriteNewSkipsZeroing) {
            return Ok(());
        }
        if !self.flavour.zeroes_on_extension() {
            self.mapping.zero_tail(task, self.size(), pos).await;
            return Ok(());
        }
        self.drain_direct(task, Y::W1).await;
        let _exclusive = self.mapping.invalidate_lock.write(task, Y::W1).await;
        zero_range(self, task, self.size()..pos).await?;
        Ok(())
    }

    /// Loads bytes `range` through a shared mapping; how many before a SIGBUS.
    ///
    /// # Errors
    /// Of the device.
    pub async fn load(&self, task: &Task, range: Range<u64>, buf: &mut [u8]) -> Result<u64> {
        self.mapping.load(self, task, range, buf).await
    }

    /// Stores `bytes` at `pos` through a shared mapping; how many before a SIGBUS.
    ///
    /// # Errors
    /// Of the device.
    pub async fn store(&self, task: &Task, pos: u64, bytes: &[u8]) -> Result<u64> {
        self.mapping.store(self, task, pos, bytes).await
    }

    /// i_rwsem, the cluster lock and invalidate_lock exclusive, no direct I/O under way: what changing blocks or the
    /// size needs.
    async fn exclude_all<'a>(&'a self, task: &'a Task) -> (RwWrite<'a>, Held<'a>, Option<RwWrite<'a>>) {
        task.at(Y::W0).await;
        let rwsem = self.i_rwsem.write(task, Y::W0).await;
        let glock = self.hold_glock(task, Y::W0, true).await;
        let invalidate = match self.armed(Fault::PunchUnlocked) {
            true => None,
            false => Some(self.mapping.invalidate_lock.write(task, Y::P0).await),
        };
        if !self.armed(Fault::ExtentsBesideDirect) {
            self.drain_direct(task, Y::P0).await;
        }
        (rwsem, glock, invalidate)
    }

    /// Sets the size.
    ///
    /// # Errors
    /// Of the device.
    pub async fn truncate(&self, task: &Task, size: u64) -> Result<()> {
        let locks = self.exclude_all(task).await;
        self.set_size(task, size).await?;
        self.mapping.expect_zeros(size..u64::MAX);
        drop(locks);
        task.at(Y::T8).await;
        Ok(())
    }

    /// Sets the size, with everything excluded. Down: the rest of the new last block is zeroed first, and the
    /// size is set before the cache is dropped, so that nothing comes back. Up: what becomes visible is zeroed.
    async fn set_size(&self, task: &Task, size: u64) -> Result<()> {
        let old = self.size();
        let did_zero = if size <= old {
            zero_range(self, task, size..self.mapping.sizes.block_up(size)).await?
        } else if self.flavour.zeroes_on_extension() {
            zero_range(self, task, old..size).await?
        } else {
            self.mapping.zero_tail(task, old, size).await;
            false
        };
        task.at(Y::T0).await;
        if self.armed(Fault::TruncateBeforeSize) {
            self.mapping.truncate_to(task, size).await;
            task.at(Y::T1).await;
            self.mapping.set_i_size(size);
        } else {
            self.mapping.set_i_size(size);
            task.at(Y::T1).await;
            if size > old && !self.armed(Fault::ExtendedNoMkclean) {
                self.mapping.extended(task, old..size).await;
            }
            self.mapping.truncate_to(task, size).await;
            let tail = size..self.mapping.sizes.block_up(size);
            if size <= old && did_zero && !self.flavour.has_glock() && !self.mapping.needs_writeback(&tail) {
                // It was written before the size was set, and perhaps somebody had stored there again. (What gfs2
                // journals is not dirty in this sense, and zeroing it again could need space.)
                // The size is set: there is no way back, and the blocks must go.
                let _ = zero_range(self, task, tail).await;
            }
        }
        let disk_size = self.extents.lock().disk_size();
        let mut flushed = Ok(());
        if did_zero || (size > disk_size && old != disk_size) {
            task.at(Y::T6).await;
            flushed = write_and_wait(self, task, disk_size..size).await;
        }
        task.at(Y::T7).await;
        let mut extents = self.extents.lock();
        extents.set_disk_size(size);
        if size <= old {
            let end = extents.len();
            extents.remove(size.div_ceil(self.mapping.sizes.block)..end, &self.device);
        }
        // The size has changed nevertheless.
        flushed
    }

    /// Allocates unwritten blocks where there are none; with `extend`, raises the size to the end of the range.
    ///
    /// # Errors
    /// Of the device.
    pub async fn fallocate(&self, task: &Task, range: Range<u64>, extend: bool) -> Result<()> {
        let _locks = self.exclude_all(task).await;
        self.allocate(&range);
        self.extend_to(task, range.end, extend).await
    }

    fn allocate(&self, range: &Range<u64>) {
        let mut extents = self.extents.lock();
        for index in self.blocks_of(range) {
            if extents.get(index) == Block::Hole {
                let at = self.device.allocate();
                extents
                    .set(index, if self.flavour.allocates_at_once() { self.zeroed(at) } else { Block::Unwritten(at) });
            }
        }
    }

    /// A new block with zeros on the device, for want of unwritten ones.
    fn zeroed(&self, at: u32) -> Block {
        self.device.write(self.device.addr(at), &vec![0; self.mapping.sizes.block as usize]);
        Block::Written(at)
    }

    async fn extend_to(&self, task: &Task, end: u64, extend: bool) -> Result<()> {
        if extend && end > self.size() { self.set_size(task, end).await } else { Ok(()) }
    }

    /// Makes a hole; the size stays.
    ///
    /// # Errors
    /// Of the device.
    pub async fn punch(&self, task: &Task, range: Range<u64>) -> Result<()> {
        let _locks = self.exclude_all(task).await;
        self.free_space(task, range.clone()).await?;
        // Beyond the end of file, what a crash or lost zeros have left there stays until the file grows over it.
        let left_over = self.recovered || self.mapping.has_lost_data();
        let end = if left_over { range.end.min(self.size()).max(range.start) } else { range.end };
        self.mapping.expect_zeros(range.start..end);
        Ok(())
    }

    /// Makes the range read as zero, with blocks; raises the size to its end.
    ///
    /// # Errors
    /// Of the device.
    pub async fn zero(&self, task: &Task, range: Range<u64>) -> Result<()> {
        let _locks = self.exclude_all(task).await;
        self.free_space(task, range.clone()).await?;
        self.allocate(&range);
        self.extend_to(task, range.end, true).await
    }

    /// Drops the cache of a range, removes its whole blocks, zeroes the parts of blocks at its ends.
    async fn free_space(&self, task: &Task, range: Range<u64>) -> Result<()> {
        let sizes = self.mapping.sizes;
        task.at(Y::P0).await;
        if self.flavour.flushes_before_punch() {
            // Wider than the range: nothing over a touched block or page may be dirty or on its way.
            let unit = sizes.page.max(sizes.block);
            let wide = range.start / unit * unit..range.end.next_multiple_of(unit);
            write_and_wait(self, task, wide.clone()).await?;
            self.mapping.punch_out(task, wide, Removal::Truncate).await;
        } else {
            self.disk_size_before_punch(&range);
            self.mapping.punch_out(task, range.clone(), Removal::PunchUnflushed).await;
        }
        task.at(Y::P2).await;
        self.extents.lock().remove(range.start.div_ceil(sizes.block)..range.end / sizes.block, &self.device);
        task.at(Y::P3).await;
        let end = range.end.min(self.size());
        if range.start >= end || self.armed(Fault::PunchKeepsEdges) {
            return Ok(());
        }
        task.at(Y::P4).await;
        zero_range(self, task, range.start..end).await?;
        if end == self.size() && !end.is_multiple_of(sizes.page) {
            // The rest of that page is zeroed by writing it.
            task.at(Y::P5).await;
            write_and_wait(self, task, end / sizes.page * sizes.page..u64::MAX).await?;
        }
        Ok(())
    }

    /// A punch that reaches the end of file drops the dirty data whose end of I/O would have raised the size on
    /// the device.
    fn disk_size_before_punch(&self, range: &Range<u64>) {
        let size = self.size();
        if range.start <= size && range.end >= size {
            let mut extents = self.extents.lock();
            let raised = extents.disk_size().max(size);
            extents.set_disk_size(raised);
        }
    }

    /// Writes a range, waits, makes it durable, and says what was lost since this description was last told.
    ///
    /// # Errors
    /// [`pagecache::Error::Io`] if data was lost; the metadata is left alone then.
    pub async fn fsync(&self, task: &Task, open: &Cursor, range: Range<u64>) -> Result<()> {
        let early = self.extents.lock().log_end();
        self.sync_range(task, open, range).await?;
        task.at(Y::Y6).await;
        self.force_log(if self.armed(Fault::SyncForcesEarly) { early } else { u64::MAX });
        task.at(Y::Y7).await;
        self.device.flush();
        Ok(())
    }

    /// Makes durable what is logged so far, at most up to transaction number `most`. The end of the I/O that was
    /// waited for has logged the blocks as written, and the size.
    pub(crate) fn force_log(&self, most: u64) {
        let mut extents = self.extents.lock();
        let upto = extents.log_end().min(most);
        extents.force_log(upto, &self.device);
    }

    /// Writes the dirty folios of a range and waits; metadata is left alone.
    ///
    /// # Errors
    /// [`pagecache::Error::Io`] if data was lost since this description was last told.
    pub async fn sync_range(&self, task: &Task, open: &Cursor, range: Range<u64>) -> Result<()> {
        // What this says of errors is for those who have no description.
        let _ = write_and_wait(self, task, range).await;
        task.at(Y::Y5).await;
        self.mapping.check_error(open)
    }

    /// Starts writing the dirty folios of a range.
    pub async fn start_writeback(&self, task: &Task, range: Range<u64>) {
        write_range(self, task, range, Mode::Background).await;
    }

    /// Waits until nothing is under writeback.
    pub async fn wait_writeback(&self, task: &Task) {
        wait_range(self, task, ALL).await;
    }

    /// Starts writing a range and drops what is clean of its whole pages and not mapped.
    pub async fn dont_need(&self, task: &Task, range: Range<u64>) {
        self.start_writeback(task, range.clone()).await;
        let pages = self.mapping.sizes.end_index(range.start)..self.mapping.sizes.index(range.end);
        for folio in self.mapping.candidates(pages.clone()) {
            let inside = folio.index() >= pages.start && folio.end_index() <= pages.end;
            if inside && !self.mapping.page_table.is_mapped(&folio) {
                self.mapping.evict(task, &folio).await;
            }
        }
    }

    /// One more block is left for what this lane writes and stores through the cache.
    pub fn run_out_of_space(&self, task: &Task) {
        self.space.run_out(task);
    }

    /// Reclaims the clean folios that meet a range.
    pub async fn reclaim(&self, task: &Task, range: Range<u64>) {
        let pages = self.mapping.sizes.index(range.start)..self.mapping.sizes.end_index(range.end);
        task.at(Y::C0).await;
        for folio in self.mapping.candidates(pages) {
            self.mapping.evict(task, &folio).await;
        }
    }

    /// The next data or hole at or after `from`.
    ///
    /// # Errors
    /// [`pagecache::Error::NoData`].
    pub async fn seek(&self, task: &Task, from: u64, whence: Whence) -> Result<u64> {
        let _shared = self.i_rwsem.read(task, Y::R0).await;
        let _glock = self.hold_glock(task, Y::R0, false).await;
        iomap::seek::seek(self, task, from, whence).await
    }

    /// The next one of these fails.
    pub fn fail(&self, what: Failing) {
        self.failures.arm(what);
    }

    /// From here on nothing fails that has not failed yet.
    pub fn heal(&self) {
        self.failures.disarm();
    }

    /// Opens a description of the file.
    pub fn open(&self) -> Cursor {
        let cursor = Cursor::default();
        self.mapping.open(&cursor);
        cursor
    }

    /// Unmaps, closes the description and opens it again: entries go, what was preallocated beyond the end of file,
    /// and what the description has been told.
    pub async fn reopen(&self, task: &Task, open: &Cursor) {
        task.at(Y::UNMAP).await;
        self.mapping.unmap_all(task).await;
        self.mapping.forget_reads(task);
        let _exclusive = self.i_rwsem.write(task, Y::W0).await;
        self.drain_direct(task, Y::W1).await;
        let eof = self.eof_block();
        let mut extents = self.extents.lock();
        let reserved = (eof..extents.len()).filter(|index| extents.get(*index) == Block::Delalloc);
        for index in reserved.collect::<Vec<u64>>() {
            extents.set(index, Block::Hole);
        }
        drop(extents);
        self.mapping.open(open);
    }

    /// Brings everything to the device and empties the cache, for a look at what the device has.
    ///
    /// # Errors
    /// [`pagecache::Error::Io`] if data was lost on the way.
    pub async fn settle(&self, task: &Task, open: &Cursor) -> Result<()> {
        let synced = self.fsync(task, open, ALL).await;
        self.mapping.unmap_all(task).await;
        // What came back dirty from the page table is written, too.
        let _ = write_and_wait(self, task, ALL).await;
        self.reclaim(task, ALL).await;
        synced
    }
}
