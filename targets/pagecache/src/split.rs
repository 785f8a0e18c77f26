//! Splitting a large folio into folios of the smallest order.

use crate::error::{Error, Result};
use crate::folio::{Folio, Locked};
use crate::invariants::Broken;
use crate::mapping::Mapping;
use crate::memory::Stat;
use crate::tree::TreeGuard;
use faults::Fault;
use lanes::{Task, Y};

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
        if !folio.release_buffers() {
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
        self.unmap_folio(task, folio).await;
        task.at(Y::S2).await;
        let tree = self.lock_tree(task).await;
        let end = self.sizes.end_index(self.i_size());
        let pages = folio.pages();
        let refs = if self.faults.armed(Fault::SplitIgnoresRefs) { folio.refs() } else { pages as i32 + 1 };
        if !tree.index().can_split(&prepared) || !folio.freeze(refs) {
            return Err(Error::Again);
        }
        task.at(Y::S3).await;
        let pieces = self.carve(task, folio, min);
        if !tree.index().split(prepared) {
            let at = folio.index();
            self.report(Broken::invariant(format!("folio {at} was split, and the index has something else there")));
        }
        // The head's references come back only when every slot leads to its own piece: until then a lookup of any page
        // would still find the head.
        let head_refs = refs - (pages - folio.pages()) as i32;
        let early = self.faults.armed(Fault::HeadUnfrozenFirst);
        if early {
            folio.unfreeze(head_refs);
            task.at(Y::S4).await;
        }
        self.fill_slots(&tree, &pieces, end);
        if !early {
            task.at(Y::S4).await;
            folio.unfreeze(head_refs);
        }
        drop(tree);
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
            let piece = Folio::create_charged(
                &self.memory,
                folio.index() + ((n as u64) << order),
                order,
                len,
                task.lane(),
                folio.charged_to(),
            );
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

    /// Puts the pieces into their slots, or out of the file if they begin at or after page `end`.
    fn fill_slots(&self, tree: &TreeGuard<'_>, pieces: &[Locked], end: u64) {
        for piece in pieces {
            piece.add_refs(piece.pages() as i32); // the index's, of which the head had them all
            if piece.index() < end {
                piece.change_attached(true);
                tree.index().replace(piece.folio().arc());
                continue;
            }
            tree.index().drop_piece(piece);
            let one = self.faults.armed(Fault::DroppedPieceRefs);
            piece.add_refs(if one { -1 } else { -(piece.pages() as i32) });
            self.memory.count(Stat::Cached, piece, -(piece.pages() as i64));
            // Dirty pages that leave the file undo their accounting, exactly once.
            if piece.change_dirty(false) && !self.faults.armed(Fault::SplitDropsDirty) {
                let times = if self.faults.armed(Fault::SplitCleansTwice) { 2 } else { 1 };
                self.memory.count(Stat::Dirty, piece, -times * piece.pages() as i64);
            }
        }
    }
}
