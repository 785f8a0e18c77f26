//! Changing the size.

use crate::file::File;
use faults::Fault;
use iomap::writeback::write_and_wait;
use iomap::zero::zero_range;
use lanes::{Held, RwWrite, Task, Y};
use pagecache::Result;

impl File {
    /// i_rwsem, the cluster lock and invalidate_lock exclusive, no direct I/O under way: what changing blocks or the
    /// size needs.
    pub(crate) async fn exclude_all<'a>(&'a self, task: &'a Task) -> (RwWrite<'a>, Held<'a>, Option<RwWrite<'a>>) {
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
    pub(crate) async fn set_size(&self, task: &Task, size: u64) -> Result<()> {
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
}
