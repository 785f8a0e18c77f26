//! Bringing a file to its device, and out of memory.

use crate::file::File;
use faults::Fault;
use iomap::writeback::{Mode, wait_range, write_and_wait, write_range};
use lanes::{Task, Y};
use pagecache::{Cursor, Result};
use std::ops::Range;

/// From here to the end.
const ALL: Range<u64> = 0..u64::MAX;

impl File {
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

    /// Reclaims the clean folios that meet a range.
    pub async fn reclaim(&self, task: &Task, range: Range<u64>) {
        let pages = self.mapping.sizes.index(range.start)..self.mapping.sizes.end_index(range.end);
        task.at(Y::C0).await;
        for folio in self.mapping.candidates(pages) {
            self.mapping.evict(task, &folio).await;
        }
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
