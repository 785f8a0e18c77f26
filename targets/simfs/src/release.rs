//! What becomes of blocks that a write has got and did not come to.

use crate::extents::Block;
use crate::file::File;
use faults::Fault;
use iomap::seek::is_cached;
use iomap::{Iomap, Kind};
use lanes::{Task, Y};
use pagecache::Locked;
use pagecache::truncate::Removal;
use std::ops::Range;

impl File {
    /// A write that got `map` for bytes `range` ended at `written_to`.
    pub(crate) async fn give_back(&self, task: &Task, map: &Iomap, range: Range<u64>, written_to: u64) {
        let sizes = self.mapping.sizes;
        // The block the write stopped in is in use, unless it stopped before it began.
        let first = if written_to <= range.start { sizes.block_down(range.start) } else { sizes.block_up(written_to) };
        let rest = first..sizes.block_up(range.end);
        if !map.new || rest.is_empty() {
            return;
        }
        if self.flavour.allocates_at_once() {
            self.free_unwritten(task, rest).await;
        } else if map.kind == Kind::Delalloc {
            self.release_reservation(task, written_to, rest).await;
        }
    }

    /// Blocks for a store, the last of them `map`, were not all to be had. The hook that ends a write would give back
    /// what there are, but it takes locks that are held here; so they stay, and belong to the folio, which is dirty for
    /// it: only writeback makes of a new block one that may be read.
    pub(crate) async fn keep_for_store(&self, task: &Task, folio: &Locked, map: &Iomap, range: Range<u64>) {
        if self.armed(Fault::StoreEndsAsWrite) {
            self.give_back(task, map, range.clone(), range.start).await;
        } else {
            self.mapping.dirty_folio(task, folio).await;
        }
    }

    /// Frees the blocks of `rest`, which hold garbage. Nobody but the write knows them: faults and reads wait for the
    /// cluster lock.
    async fn free_unwritten(&self, task: &Task, rest: Range<u64>) {
        let _exclusive = self.mapping.invalidate_lock.write(task, Y::W15).await;
        task.at(Y::W16).await;
        self.mapping.punch_out(task, rest.clone(), Removal::Truncate).await;
        task.at(Y::W16).await;
        self.extents.lock().remove(self.blocks_of(&rest), &self.device);
    }

    /// Gives up the reservation of `rest`, except where the cache is dirty: that is somebody's store.
    ///
    /// The cache is searched for data and for the end of data by turns, up to the end of file: beyond it nothing is
    /// ever written, so no dirty bit counts there. No fault may dirty a block between the look at the cache and the
    /// removal of its reservation, which is what invalidate_lock is held for.
    async fn release_reservation(&self, task: &Task, written_to: u64, rest: Range<u64>) {
        let _exclusive = match self.armed(Fault::ReleaseUnlocked) {
            true => None,
            false => Some(self.mapping.invalidate_lock.write(task, Y::W15).await),
        };
        if self.armed(Fault::FailedWriteTruncates) {
            self.mapping.punch_out(task, written_to..self.mapping.sizes.page_up(rest.end), Removal::Truncate).await;
        }
        let eof = match self.armed(Fault::ReleaseScansPastEof) {
            true => u64::MAX,
            false => self.eof_block() * self.mapping.sizes.block,
        };
        let mut unused = rest.start;
        if !self.armed(Fault::PunchesDirtyDelalloc) {
            let scanned = rest.start..rest.end.min(eof);
            unused = self.release_between_data(task, scanned).await;
        }
        task.at(Y::W16).await;
        self.release(unused..rest.end);
    }

    /// Gives up what is reserved in `range` and not dirty, as far as it has come to the last of the data; where that
    /// ends.
    async fn release_between_data(&self, task: &Task, range: Range<u64>) -> u64 {
        let (mut unused, mut pos) = (range.start, range.start);
        let mut found = None;
        while pos < range.end {
            task.at(Y::W16).await;
            let data = match found.filter(|_| self.armed(Fault::SeekNotRepeated)) {
                Some(data) => data,
                None => self.next_block(pos..range.end, true),
            };
            if data >= range.end {
                break;
            }
            found = Some(data);
            task.at(Y::W16).await;
            let end = self.next_block(data..range.end, false);
            if end == data {
                continue; // reclaim has been there between the two, which takes no invalidate_lock: look again
            }
            found = None;
            self.release_around_dirty(task, &mut unused, data..end).await;
            pos = end;
        }
        unused
    }

    /// Start of the first block of `range` that the cache has valid bytes of, or has none of; the end if there is none.
    fn next_block(&self, range: Range<u64>, cached: bool) -> u64 {
        let block = self.mapping.sizes.block;
        let mut blocks = range.clone().step_by(block as usize);
        blocks.find(|start| is_cached(self, *start..start + block) == cached).unwrap_or(range.end)
    }

    /// Goes through the folios of `data`. What lies between `*unused` and a dirty one is given up, and so are the clean
    /// blocks of the dirty one; `*unused` is then the end of that folio.
    async fn release_around_dirty(&self, task: &Task, unused: &mut u64, data: Range<u64>) {
        let sizes = self.mapping.sizes;
        let mut pos = data.start;
        while pos < data.end {
            task.at(Y::W16).await;
            let Some(folio) = self.mapping.lock_attached(task, sizes.index(pos), Y::W16).await else {
                pos = sizes.page_up(pos + 1);
                continue;
            };
            let part = pos..data.end.min(self.mapping.byte_range(&folio).end);
            pos = part.end;
            if folio.is_dirty() {
                self.release(*unused..part.start);
                for block in self.clean_blocks(&folio, &part) {
                    self.release(block);
                }
                *unused = part.end;
            }
        }
    }

    /// The blocks of `part` of a dirty folio that are not dirty: there are some only if it has per-block state.
    fn clean_blocks(&self, folio: &Locked, part: &Range<u64>) -> Vec<Range<u64>> {
        let (start, block) = (self.mapping.pos(folio), self.mapping.sizes.block);
        let state = (*folio.blocks.lock()).filter(|_| !self.armed(Fault::ReleaseByFolio));
        let clean = |at: &u64| state.is_some_and(|state| !state.is_dirty(((at - start) / block) as u32));
        part.clone().step_by(block as usize).filter(clean).map(|at| at..at + block).collect()
    }

    /// Gives up the reservation of bytes `range`, whole blocks, where there still is one.
    pub(crate) fn release(&self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let mut extents = self.extents.lock();
        for index in self.blocks_of(&range) {
            if extents.get(index) == Block::Delalloc {
                extents.set(index, Block::Hole);
            }
        }
    }
}
