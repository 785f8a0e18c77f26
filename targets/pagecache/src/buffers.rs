//! Journal buffers: the private state of folios whose data is journaled.
//!
//! A journaled write does not make its folio dirty. It pins the blocks it has changed: until the journal has them they
//! may not be written in place, and the folio may not be released. Then they are dirty like any others.

use crate::blocks::{BlockState, bits};
use crate::folio::{Folio, Locked};
use crate::invariants::Broken;
use crate::mapping::Mapping;
use lanes::Task;
use std::ops::Range;

impl Folio {
    /// Whether the journal waits for some of its blocks.
    pub fn is_pinned(&self) -> bool {
        self.pinned() != 0
    }

    /// The blocks the journal waits for, a bit each.
    pub fn pinned(&self) -> u128 {
        if self.was_buffered() { self.buffers.lock().unwrap_or(0) } else { 0 }
    }

    /// Its per-block state as writeback sees it: pinned blocks are not written in place, even if they are dirty as well.
    pub fn writable(&self, state: &BlockState) -> BlockState {
        state.without_dirty(self.pinned())
    }

    /// Frees the buffers, unless one is pinned. The caller holds the folio lock and is about to release the folio.
    pub(crate) fn release_buffers(&self) -> bool {
        let mut buffers = self.buffers.lock();
        let free = buffers.unwrap_or(0) == 0;
        if free {
            *buffers = None;
        }
        free
    }
}

impl Mapping {
    /// Gives the folio buffers, if it has none.
    pub fn attach_buffers(&self, folio: &Locked) {
        folio.buffers.lock().get_or_insert(0);
        folio.set_buffered();
    }

    /// Pins the blocks that `range` touches; how many were not pinned before. The buffers must still be those the write
    /// was given: whoever calls this holds the folio lock, which keeps them.
    pub fn pin(&self, folio: &Folio, range: &Range<u64>) -> u32 {
        let added = {
            let mut buffers = folio.buffers.lock();
            let Some(pinned) = &mut *buffers else {
                let at = folio.index();
                self.report(Broken::invariant(format!(
                    "a buffer of folio {at} went to the journal after it was freed"
                )));
                return 0;
            };
            let before = *pinned;
            *pinned |= bits(&self.blocks_touched(folio, range));
            (*pinned & !before).count_ones()
        };
        self.inode.mark_dirty_pages(&self.memory); // the journal's flush makes them dirty
        added
    }

    /// The journal has the folio's pinned blocks: they are dirty now. Nothing to do if a truncate was faster.
    pub async fn unpin(&self, task: &Task, folio: &Locked) {
        let pinned = std::mem::take(folio.buffers.lock().get_or_insert(0));
        if pinned != 0 && folio.is_attached() {
            self.dirty_blocks(task, folio, pinned).await;
        }
    }
}
