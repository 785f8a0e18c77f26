//! Splitting a large folio into folios of the smallest order.

use crate::error::{Error, Result};
use crate::folio::{Folio, FolioRef, Locked};
use crate::index::PreparedSplit;
use crate::invariants::Broken;
use crate::mapping::Mapping;
use faults::Fault;
use lanes::{Task, Y};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

impl Mapping {
    /// Splits the locked folio. Pieces that begin at or beyond the end of file leave the file.
    ///
    /// # Errors
    /// [`Error::Busy`] if its private state cannot be released (it is dirty by blocks, or under writeback);
    /// [`Error::Again`] if somebody else has a reference and may be copying.
    pub(crate) async fn split(&self, task: &Task, folio: &Locked) -> Result<()> {
        task.at(Y::S0).await;
        let min = self.sizes.min_order;
        if folio.order() <= min || folio.is_writeback() {
            return Err(Error::Busy);
        }
        {
            // Bits of single blocks cannot be divided among the pieces' flags.
            let mut blocks = folio.blocks.lock();
            let divided = folio.is_dirty() || !folio.is_uptodate();
            if blocks.is_some() && divided && !self.faults.armed(Fault::SplitKeepsState) {
                return Err(Error::Busy);
            }
            *blocks = None;
        }
        // Allocated before the lock is taken for the split; what it is for is compared under that lock.
        let Some(prepared) = self.index().prepare_split(folio, min) else { return Err(Error::Busy) };
        task.at(Y::S1).await;
        self.unmap_folio(folio.folio());
        task.at(Y::S2).await;
        let end = self.sizes.end_index(self.i_size());
        let pages = folio.pages();
        let refs = if self.faults.armed(Fault::SplitIgnoresRefs) { folio.refs() } else { pages as i32 + 1 };
        if !self.index().can_split(&prepared) || !folio.freeze(refs) {
            return Err(Error::Again);
        }
        // The head's references come back only after its slots lead to the pieces: until then a lookup of any
        // page would still find the head.
        let pieces = self.carve(task, folio, min);
        self.replace_by_pieces(folio, prepared, pages, &pieces, end);
        folio.unfreeze(refs - (pages - folio.pages()) as i32);
        task.at(Y::S5).await;
        task.at(Y::S6).await;
        drop(pieces); // unlocks them; the dropped ones are freed
        Ok(())
    }

    /// The folio's pieces after the first, locked, with their bytes and flags; the folio becomes the first.
    fn carve(&self, task: &Task, folio: &Locked, order: u8) -> Vec<Locked> {
        let len = (self.sizes.page << order) as usize;
        let mut data = folio.data.write();
        let pieces = (1..data.len() / len).map(|n| {
            let piece = Folio::create(folio.index() + ((n as u64) << order), order, len, task.lane());
            piece.data.write().copy_from_slice(&data[n * len..(n + 1) * len]);
            if folio.is_uptodate() {
                piece.set_uptodate();
            }
            piece.change_dirty(folio.is_dirty());
            Locked::created(piece)
        });
        let pieces = pieces.collect();
        let first = data[..len].to_vec().into_boxed_slice();
        *data = first;
        folio.set_order(order);
        pieces
    }

    fn replace_by_pieces(&self, head: &Locked, prepared: PreparedSplit, pages: u64, pieces: &[Locked], end: u64) {
        let mut index = self.index();
        let kept: Vec<Arc<Folio>> = std::iter::once(head.folio())
            .chain(pieces.iter().map(Locked::folio).filter(|piece| piece.index() < end))
            .map(|piece| FolioRef::arc(piece).clone())
            .collect();
        if !index.split(prepared, pages, &kept) {
            let at = head.index();
            self.report(Broken::invariant(format!("folio {at} was split, and the index has something else there")));
        }
        for piece in pieces {
            if piece.index() < end {
                piece.add_refs(piece.pages() as i32);
                piece.change_attached(true);
            } else {
                self.memory.cached.fetch_sub(piece.pages() as i64, Relaxed);
                // Dirty pages that leave the file undo their accounting, exactly once.
                if piece.change_dirty(false) && !self.faults.armed(Fault::SplitDropsDirty) {
                    let times = if self.faults.armed(Fault::SplitCleansTwice) { 2 } else { 1 };
                    self.memory.dirty.fetch_sub(times * piece.pages() as i64, Relaxed);
                }
            }
        }
    }
}
