//! Direct writes that meet stores through a mapping.
//!
//! open(2) advises against it, and for a reason. A direct write removes the folios of its range before and after. A
//! store that comes in between makes a folio dirty that may have been filled before the direct write reached the
//! device. It cannot be removed then, is written back later, and the direct write is undone in the whole folio, or
//! in part of it, or not. The kernel reports that as lost data at the next fsync. So where both have touched a folio
//! at the same time, the content of the direct write's blocks is open until somebody writes there again.

use super::{Call, Overlap, is_direct_write};
use crate::op::OpKind;
use std::ops::Range;

impl Overlap {
    /// The folios to which stores came while `call`, if that is a direct write, was under way.
    fn stored_beside(&self, call: &Call) -> Vec<Range<u64>> {
        if !is_direct_write(call.op.kind) {
            return Vec::new();
        }
        let folios = self.folios(&call.op.bytes());
        let met = self.calls.iter().filter(|other| other.overlaps(call) && other.op.kind == OpKind::MapWrite);
        let met = met.map(|other| self.folios(&other.op.bytes()));
        met.map(|other| folios.start.max(other.start)..folios.end.min(other.end))
            .filter(|part| !part.is_empty())
            .collect()
    }

    /// Whether `call` may have lost data to stores, and says so to the next fsync.
    pub(super) fn meets_stores(&self, call: &Call) -> bool {
        !self.stored_beside(call).is_empty()
    }

    /// A change has completed: if it is a direct write, what came in between?
    pub(super) fn collide(&mut self, call: &Call) {
        // A direct write of a part of a new block zeroes the rest of it.
        let (range, block) = (call.op.bytes(), u64::from(self.geometry.block));
        let range = range.start / block * block..range.end.next_multiple_of(block);
        for folio in self.stored_beside(call) {
            let part = range.start.max(folio.start)..range.end.min(folio.end);
            if !part.is_empty() {
                self.bytes.open(part);
            }
        }
    }

    /// Whether a store that was under way may have left delayed allocation where `reader` reads directly.
    pub(super) fn meets_store(&self, reader: &Call) -> bool {
        let range = reader.op.bytes();
        let mut stores = self.calls.iter().filter(|call| call.op.kind == OpKind::MapWrite && call.overlaps(reader));
        stores.any(|store| {
            let folios = self.folios(&store.op.bytes());
            folios.start < range.end && range.start < folios.end
        })
    }
}
