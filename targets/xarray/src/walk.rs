//! Walking entries in the order of their indices.

use crate::arena::{Arena, NONE, NodeId, PRESENT, Slot};
use crate::entry::Found;
use crate::mark::Mark;
use crate::tree::XArray;

/// Entries in a range of indices, by index. O(1) a step, amortised over the nodes passed.
pub struct Range<'a, T> {
    arena: &'a Arena<T>,
    /// Where the walk stands; [`NONE`] when it is over.
    node: NodeId,
    slots: &'a [Slot<T>],
    shift: u8,
    /// First index of the node.
    base: u64,
    /// Which of the node's slots are still to be looked at.
    bits: u64,
    /// Which bitmap says what is to be looked at.
    bitmap: usize,
    end: u64,
}

/// What a search does if it begins inside an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Steps back to the entry's canonical slot.
    AtEntry,
    /// Begins at the slot for the index, even if it is a sibling.
    AtSlot,
}

impl<'a, T> Range<'a, T> {
    pub(crate) fn new(array: &'a XArray<T>, from: u64, end: u64, bitmap: usize, begin: Begin) -> Self {
        if from >= end || !array.covers(from) {
            return Range { arena: &array.arena, node: NONE, slots: &[], shift: 0, base: 0, bits: 0, bitmap, end };
        }
        Range::below(array, array.root, 0, from, end, bitmap, begin)
    }

    /// A walk from `node`, which begins at index `base` and covers `from`, which is below `end`.
    pub(crate) fn below(
        array: &'a XArray<T>,
        node: NodeId,
        base: u64,
        from: u64,
        end: u64,
        bitmap: usize,
        begin: Begin,
    ) -> Self {
        let arena = &array.arena;
        let mut range = Range { arena, node, slots: &[], shift: arena.node(node).shift, base, bits: 0, bitmap, end };
        loop {
            let offset = arena.offset(range.shift, from);
            range.enter();
            let slot = &range.slots[offset];
            let first = match slot {
                Slot::Sibling(canonical) if begin == Begin::AtEntry => *canonical as usize,
                _ => offset,
            };
            range.bits &= u64::MAX << first;
            match slot {
                Slot::Node(child) if range.bits >> offset & 1 != 0 => {
                    range.base += (offset as u64) << range.shift;
                    range.shift -= arena.chunk;
                    range.node = *child;
                }
                _ => return range,
            }
        }
    }

    /// The node where the walk stands and its first index, for a cursor to go on from.
    pub(crate) fn place(&self) -> Option<(NodeId, u64)> {
        (self.node != NONE).then_some((self.node, self.base))
    }

    /// Takes up what there is to be looked at in the node: slots that begin before the end.
    #[inline]
    fn enter(&mut self) {
        self.slots = self.arena.slots(self.node);
        self.bits = self.arena.node(self.node).bits[self.bitmap];
        let last = self.end.saturating_sub(self.base + 1) >> self.shift;
        if last < 63 {
            self.bits &= (2 << last) - 1;
        }
    }

    /// Takes the next slot of the node: the entry in it, or nothing if it led to a node, where the walk then stands.
    #[inline]
    fn take_slot(&mut self) -> Option<Found<'a, T>> {
        let offset = self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        let index = self.base + ((offset as u64) << self.shift);
        let slot = &self.slots[offset];
        if let Slot::Node(child) = slot {
            (self.node, self.base) = (*child, index);
            self.shift -= self.arena.chunk;
            self.enter();
        }
        slot.found_first(self.arena, self.node, offset, index)
    }

    /// Goes on after the slot that led to this node. False at the top, and when the walk is over.
    fn ascend(&mut self) -> bool {
        if self.node == NONE {
            return false;
        }
        let below = self.arena.node(self.node);
        self.node = below.parent;
        if self.node == NONE {
            return false;
        }
        self.shift += self.arena.chunk;
        self.base -= u64::from(below.offset) << self.shift;
        self.enter();
        self.bits &= u64::MAX.checked_shl(u32::from(below.offset) + 1).unwrap_or(0);
        true
    }
}

impl<'a, T> Iterator for Range<'a, T> {
    type Item = Found<'a, T>;

    #[inline]
    fn next(&mut self) -> Option<Found<'a, T>> {
        while self.bits != 0 || self.ascend() {
            if self.bits != 0
                && let Some(found) = self.take_slot()
            {
                return Some(found);
            }
        }
        None
    }

    /// As by [`next`](Iterator::next), but a node full of order-0 entries, the common case of a cache that was read
    /// in order, is walked without its bitmap.
    fn fold<B, F: FnMut(B, Found<'a, T>) -> B>(mut self, init: B, mut f: F) -> B {
        let full = u64::MAX >> (64 - self.arena.width());
        let mut folded = init;
        while self.bits != 0 || self.ascend() {
            if self.bits == full && self.shift == 0 {
                self.bits = 0;
                for (offset, slot) in self.slots.iter().enumerate() {
                    if let Some(found) = slot.found_first(self.arena, self.node, offset, self.base + offset as u64) {
                        folded = f(folded, found);
                    }
                }
            } else if self.bits != 0
                && let Some(found) = self.take_slot()
            {
                folded = f(folded, found);
            }
        }
        folded
    }
}

impl<T> XArray<T> {
    /// All entries, by index. O(1) a step, amortised.
    pub fn iter(&self) -> Range<'_, T> {
        self.range(0, Self::END)
    }

    /// The entries that cover an index in `from..end`, by index. The first is the entry that covers `from`, if there
    /// is one, although it may begin before. O(height), then O(1) a step, amortised.
    pub fn range(&self, from: u64, end: u64) -> Range<'_, T> {
        Range::new(self, from, end, PRESENT, Begin::AtEntry)
    }

    /// As [`range`](XArray::range), of entries with `mark`.
    pub fn range_marked(&self, from: u64, end: u64, mark: Mark) -> Range<'_, T> {
        Range::new(self, from, end, mark as usize, Begin::AtEntry)
    }

    /// The entries that stand in the way of one of `order` at `index` (which is aligned down): either one larger
    /// entry that covers the whole range, or all entries in the range. Costs as [`range`](XArray::range).
    pub fn find_conflict(&self, index: u64, order: u8) -> Range<'_, T> {
        let from = index >> order << order;
        self.range(from, from.saturating_add(1 << order))
    }

    /// The first entry that covers an index in `from..end`. It may begin before `from`. O(height).
    pub fn find(&self, from: u64, end: u64) -> Option<Found<'_, T>> {
        self.range(from, end).next()
    }

    /// The first entry with `mark` that covers an index in `from..end`. It may begin before `from`: a search that
    /// begins inside an entry steps back to its canonical slot, where its marks are. O(height).
    pub fn find_marked(&self, from: u64, end: u64, mark: Mark) -> Option<Found<'_, T>> {
        self.range_marked(from, end, mark).next()
    }

    /// As [`find_marked`](XArray::find_marked), without the step back: an entry is missed if the slot for `from` is a
    /// sibling of its. Correct callers have no use for it. O(height).
    pub fn find_marked_raw(&self, from: u64, end: u64, mark: Mark) -> Option<Found<'_, T>> {
        Range::new(self, from, end, mark as usize, Begin::AtSlot).next()
    }

    /// Sets `to` on the entries with mark `from` that cover an index in `start..end`, on at most `batch` of them.
    /// Where to go on if there are more; the caller may drop its lock before it does. O(height) an entry.
    pub fn tag(&mut self, start: u64, end: u64, from: Mark, to: Mark, batch: usize) -> Option<u64> {
        let mut next = start;
        for tagged in 0.. {
            let found = self.find_marked(next, end, from)?;
            if tagged == batch {
                return Some(found.index);
            }
            next = found.end();
            let (node, offset) = (found.node, found.offset as usize);
            self.arena.set_bit(node, offset, to as usize);
        }
        None
    }
}

impl<'a, T> IntoIterator for &'a XArray<T> {
    type Item = Found<'a, T>;
    type IntoIter = Range<'a, T>;

    fn into_iter(self) -> Range<'a, T> {
        self.iter()
    }
}
