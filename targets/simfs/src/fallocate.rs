//! Giving a file blocks, and taking them from it: the modes of fallocate(2).

use crate::extents::Block;
use crate::file::File;
use faults::Fault;
use iomap::writeback::write_and_wait;
use iomap::zero::zero_range;
use lanes::{Task, Y};
use pagecache::Result;
use pagecache::truncate::Removal;
use std::ops::Range;

impl File {
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
            self.mapping.drop_around(task, wide, &range, Removal::Truncate).await;
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
}
