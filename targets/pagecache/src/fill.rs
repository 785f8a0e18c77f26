//! A folio being filled: its lock, and when it is given back.
//!
//! The reads of a folio are submitted one by one, and end in any order, in another lane. The folio stays locked until
//! the last of them has ended: nobody else may find it half read, or read it a second time. Whoever ends one sets its
//! blocks' bits, takes its bytes off the count, and looks whether it was the last, in one section.

use crate::folio::{Folio, FolioRef, Locked};
use crate::invariants::Broken;
use crate::mapping::Mapping;
use faults::Fault;
use lanes::LaneId;
use std::ops::{Deref, Range};

/// What the submitter counts for while it submits: the first read to end is not the last if others are to come.
const BIAS: u32 = 1;

/// A folio whose reads are being submitted. Its lock is theirs from the start: the first may end before the second
/// is submitted, and whoever submits may be cut off by a crash in between.
#[derive(Debug)]
#[must_use = "the folio is unlocked by Mapping::end_fill"]
pub struct Fill {
    folio: FolioRef,
    submitted: bool,
}

impl Fill {
    /// Another lane's hold on the folio: for a read on its way to the device.
    pub fn reference(&self) -> FolioRef {
        self.folio.clone()
    }
}

impl Deref for Fill {
    type Target = Folio;
    fn deref(&self) -> &Folio {
        &self.folio
    }
}

impl Mapping {
    /// Begins to fill the folio.
    pub fn begin_fill(&self, folio: Locked) -> Fill {
        folio.set_read_failed(false);
        let bias = if self.faults.armed(Fault::NoReadBias) { 0 } else { BIAS };
        self.with_blocks(&folio, |state| state.reads_pending += bias);
        Fill { folio: folio.hand_to_reads(), submitted: false }
    }

    /// `len` bytes of the folio are about to be read.
    pub fn add_read(&self, fill: &mut Fill, len: u64) {
        fill.submitted = true;
        self.with_blocks(fill, |state| state.reads_pending += len as u32);
    }

    /// All reads of the folio are submitted. It is unlocked now, or by the last of them.
    pub fn end_fill(&self, fill: Fill) -> FolioRef {
        let last = self.drop_bias(&fill);
        self.unlock_filled(&fill, last);
        fill.folio
    }

    /// Not all reads of the folio are submitted, and no more will be. Those that are have its lock and unlock it, as
    /// if nothing had happened; only if there are none left does the submitter.
    pub fn abandon_fill(&self, fill: Fill) {
        let last = self.drop_bias(&fill);
        self.unlock_filled(&fill, last || self.faults.armed(Fault::UnlocksHandedOn));
    }

    /// The submitter no longer counts; whether nobody does.
    fn drop_bias(&self, Fill { folio, submitted }: &Fill) -> bool {
        let armed = self.faults.armed(Fault::NoReadBias);
        match &mut *folio.blocks.lock() {
            Some(state) if armed => state.reads_pending == 0 && !submitted,
            Some(state) => state.end_read(0..0, BIAS),
            None => !submitted,
        }
    }

    fn unlock_filled(&self, folio: &Folio, last: bool) {
        if last {
            self.memory.evictable.raise();
            folio.unlock();
        }
    }

    /// A read of `range` has ended, with the bytes in their place or not.
    pub fn end_read(&self, folio: &FolioRef, range: &Range<u64>, valid: bool) {
        let touched = if valid { self.blocks_touched(folio, range) } else { 0..0 };
        if !valid {
            folio.set_read_failed(true);
        }
        let (last, full) = match &mut *folio.blocks.lock() {
            Some(state) => (state.end_read(touched, (range.end - range.start) as u32), state.is_full()),
            None => (true, valid),
        };
        if full {
            folio.set_uptodate();
        }
        if last && folio.lock_holder() != LaneId::END_IO.bit() {
            let broken =
                format!("the last read of folio {} has ended, and the folio's lock is not the reads'", folio.index());
            self.report(Broken::invariant(broken));
        }
        self.unlock_filled(folio, last);
    }
}
