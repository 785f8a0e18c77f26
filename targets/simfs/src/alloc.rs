//! Which blocks a range has or gets, by purpose and flavour.

use crate::extents::{Block, Extents};
use crate::file::File;
use crate::flavour::Flavour;
use iomap::{Iomap, Purpose};
use lanes::Task;
use pagecache::{Error, Result};
use std::ops::Range;

impl File {
    pub(crate) fn lookup(&self, extents: &Extents, first: u64, end: u64) -> Iomap {
        extents.lookup(first, end.max(first + 1), self.mapping.sizes.block, &self.device)
    }

    /// Reserves or allocates what a buffered write needs where nothing is yet; appending, a little more.
    fn reserve(&self, task: &Task, extents: &mut Extents, blocks: Range<u64>) -> Result<Option<Iomap>> {
        if extents.get(blocks.start) != Block::Hole {
            return Ok(None);
        }
        let appends = blocks.end > self.eof_block();
        let ahead = if appends { self.flavour.preallocates() } else { 0 };
        let most = (blocks.end + ahead).min(self.limit / self.mapping.sizes.block).max(blocks.end);
        let end = (blocks.start..most).find(|b| extents.get(*b) != Block::Hole).unwrap_or(most);
        let wanted = end.min(blocks.end) - blocks.start;
        let granted = self.space.take(task, wanted)?;
        let end = if granted < wanted { blocks.start + granted } else { end };
        let end = match self.flavour.allocates_at_once() {
            true => self.allocate_new(extents, blocks.start..end),
            false => {
                (blocks.start..end).for_each(|index| extents.set(index, Block::Delalloc));
                end
            }
        };
        Ok(Some(Iomap { new: true, ..self.lookup(extents, blocks.start, end) }))
    }

    /// Allocates the first of these blocks, and those that can follow it in one extent; the block after the last. What
    /// is allocated must all be in the mapping: the write gives back what it does not come to, and knows no more.
    fn allocate_new(&self, extents: &mut Extents, blocks: Range<u64>) -> u64 {
        let run = self.device.allocate_run(blocks.end - blocks.start);
        let end = blocks.start + u64::from(run.end - run.start);
        (blocks.start..end).zip(run).for_each(|(index, at)| extents.set(index, Block::Written(at)));
        end
    }

    /// For zeroing: beyond the block of the end of file nothing is cached, so blocks there are made to read as
    /// zero by their state instead. Zeroing them through the cache would be lost: writeback does not write
    /// beyond the end of file.
    fn unwrite_beyond_eof(&self, extents: &mut Extents, blocks: Range<u64>) {
        for index in blocks {
            match extents.get(index) {
                Block::Delalloc => extents.set(index, Block::Unwritten(self.device.allocate())),
                Block::Written(at) => extents.set(index, Block::Unwritten(at)),
                Block::Hole | Block::Unwritten(_) => {}
            }
        }
    }

    /// Blocks for a direct write; true if some were allocated by this call.
    fn allocate_direct(&self, extents: &mut Extents, blocks: Range<u64>) -> bool {
        let mut new = false;
        for index in blocks {
            if !matches!(extents.get(index), Block::Hole | Block::Delalloc) {
                break;
            }
            extents.set(index, Block::Unwritten(self.device.allocate()));
            new = true;
        }
        new
    }

    pub(crate) fn begin_locked(
        &self,
        task: &Task,
        extents: &mut Extents,
        range: Range<u64>,
        purpose: Purpose,
    ) -> Result<Iomap> {
        let blocks = self.blocks_of(&range);
        let whole = u64::MAX / self.mapping.sizes.block;
        Ok(match purpose {
            Purpose::Read => self.lookup(extents, blocks.start, blocks.end.max(extents.len()).min(whole)),
            Purpose::Write => match self.reserve(task, extents, blocks.clone())? {
                Some(map) => map,
                None => self.lookup(extents, blocks.start, extents.len()),
            },
            Purpose::Zero => {
                let eof = self.eof_block();
                if blocks.start >= eof {
                    self.unwrite_beyond_eof(extents, blocks.clone());
                    return Ok(self.lookup(extents, blocks.start, blocks.end));
                }
                self.lookup(extents, blocks.start, blocks.end.min(eof))
            }
            Purpose::DirectWrite => {
                if self.flavour.allocates_at_once() && extents.get(blocks.start) == Block::Hole {
                    return Err(Error::Busy);
                }
                if self.allocate_direct(extents, blocks.clone()) {
                    // Only as far as the blocks are the ones just allocated, or ones that hold nothing either.
                    return Ok(Iomap { new: true, ..self.lookup(extents, blocks.start, blocks.end) });
                }
                self.lookup(extents, blocks.start, blocks.end)
            }
        })
    }

    /// Turns the delayed allocation that `blocks` begins with into blocks. xfs allocates the rest of the extent
    /// with it; as blocks that read as zero, or, before Linux 5.9, beyond the end of file as whatever they hold.
    pub(crate) fn allocate_delayed(&self, extents: &mut Extents, blocks: Range<u64>) {
        let run = |mut at: u64| {
            while extents.get(at) == Block::Delalloc {
                at += 1;
            }
            at
        };
        let end = run(blocks.start);
        let eof = self.eof_block();
        for index in blocks.start..end {
            let dirty = index < blocks.end;
            let block = match self.flavour {
                Flavour::Xfs => Block::Unwritten(self.device.allocate()),
                Flavour::Xfs58 if dirty || index >= eof => Block::Written(self.device.allocate()),
                Flavour::Ext4 if dirty => Block::Unwritten(self.device.allocate()),
                Flavour::Xfs58 | Flavour::Ext4 => continue,
                Flavour::Gfs2 | Flavour::Gfs2Journaled => unreachable!("gfs2 has no delayed allocation"),
            };
            extents.set(index, block);
        }
    }
}
