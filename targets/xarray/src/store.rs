//! Storing and erasing: the tree grows, is overwritten, shrinks.

use crate::arena::{Arena, NONE, NodeId, PRESENT, Slot};
use crate::entry::{Entry, Removed, Stored};
use crate::tree::{Place, XArray};

impl<T> XArray<T> {
    /// Puts `entry` at the `1 << order` indices around `index` (it is aligned down).
    ///
    /// - If one entry of at least that order covers the range, its value is replaced; it keeps its extent and its
    ///   marks. (To put a small entry in the place of a part of a large one, split the large one first.)
    /// - Otherwise all entries in the range go, and the new one carries each mark that any of them carried.
    ///
    /// O(height + slots taken), and O(nodes) of a subtree that has to go.
    ///
    /// # Panics
    /// If `order` is above [`MAX_ORDER`](XArray::MAX_ORDER) or `index` not below [`END`](XArray::END).
    pub fn store(&mut self, index: u64, order: u8, entry: Entry<T>) -> Stored<T> {
        assert!(order <= Self::MAX_ORDER && index < Self::END, "index {index} with order {order} is out of bounds");
        let (index, level) = (index >> order << order, self.level(order));
        self.grow(index, level);
        let at = self.create(index, level);
        match self.arena.slot(at.node, at.offset).order() {
            Some(larger) if larger >= order => Stored {
                index: index >> larger << larger,
                order: larger,
                replaced: self.put(at, Slot::new(larger, entry)).into_entry(),
            },
            _ => {
                let replaced = self.overwrite(at, order, entry);
                self.compact_if_worth_it();
                Stored { index, order, replaced }
            }
        }
    }

    /// Takes out the entry that covers `index`, from all its indices. O(height + slots taken).
    pub fn erase(&mut self, index: u64) -> Option<Removed<T>> {
        let (at, order) = self.locate(index)?;
        Some(self.erase_at(at, index >> order << order, order))
    }

    /// Takes out every entry that covers an index in `from..end`, also those that stick out of it. How many.
    /// O(height) for each.
    pub fn erase_range(&mut self, from: u64, end: u64) -> u64 {
        let mut erased = 0;
        while let Some(found) = self.find(from, end) {
            let (index, order) = (found.index, found.order);
            let at = Place { node: found.node, offset: found.offset as usize };
            self.erase_at(at, index, order);
            erased += 1;
        }
        erased
    }

    /// Takes out everything. O(nodes).
    pub fn clear(&mut self) {
        let version = self.arena.version + 1;
        *self = XArray::new(self.arena.chunk);
        self.arena.version = version;
    }

    /// Makes the tree so high that it covers `index` and has nodes of `level`.
    fn grow(&mut self, index: u64, level: u8) {
        let chunk = self.arena.chunk;
        if self.root == NONE {
            self.top = level;
            while index >> self.top >> chunk != 0 {
                self.top += chunk;
            }
            self.root = self.arena.alloc(self.top, NONE, 0);
        }
        while self.top < level || !self.covers(index) {
            let (old, top) = (self.root, self.top + chunk);
            let root = self.arena.alloc(top, NONE, 0);
            let below = self.arena.node_mut(old);
            (below.parent, below.offset) = (root, 0);
            let any = below.bits.map(|bits| u64::from(bits != 0));
            self.arena.node_mut(root).bits = any;
            self.arena.put(root, 0, Slot::Node(old));
            (self.root, self.top) = (root, top);
        }
    }

    /// The slot for `index` in a node of `level`, with the nodes on the way created; or the canonical slot of the
    /// entry that covers the index, if one that needs no node of that level does.
    fn create(&mut self, index: u64, level: u8) -> Place {
        loop {
            let at = self.canonical(self.descend(index, level));
            let shift = self.arena.node(at.node).shift;
            if shift == level || !matches!(self.arena.slot(at.node, at.offset), Slot::Empty) {
                return at;
            }
            let child = self.arena.alloc(shift - self.arena.chunk, at.node, at.offset);
            self.arena.put(at.node, at.offset, Slot::Node(child));
            self.arena.set_bit(at.node, at.offset, PRESENT);
        }
    }

    /// Changes a slot, and the counts with it. The old content is no node.
    pub(crate) fn put(&mut self, at: Place, slot: Slot<T>) -> Slot<T> {
        self.counts.add(&slot);
        let old = self.arena.put(at.node, at.offset, slot);
        self.counts.sub(&old);
        old
    }

    /// Puts an entry into slots whose content, if any, is smaller. What was at the first.
    pub(crate) fn overwrite(&mut self, at: Place, order: u8, entry: Entry<T>) -> Option<Entry<T>> {
        let Place { node, offset } = at;
        let slots = offset..offset + (1 << (order % self.arena.chunk));
        let mut replaced = None;
        for n in slots.clone() {
            let old = match self.arena.put(node, n, Slot::Empty) {
                Slot::Node(child) => self.free_subtree(child),
                slot => {
                    self.counts.sub(&slot);
                    slot.into_entry()
                }
            };
            if n == offset {
                replaced = old;
            }
        }
        // Nodes below keep nothing, so their bits move to the canonical slot; the parents' union stays as it is.
        let mask = mask(&slots);
        for bits in &mut self.arena.node_mut(node).bits {
            *bits = *bits & !mask | u64::from(*bits & mask != 0) << offset;
        }
        self.arena.set_bit(node, offset, PRESENT);
        self.put(at, Slot::new(order, entry));
        for n in slots.skip(1) {
            self.arena.put(node, n, Slot::Sibling(offset as u8));
        }
        replaced
    }

    /// Frees a node and all below it. What its first index led to.
    fn free_subtree(&mut self, node: NodeId) -> Option<Entry<T>> {
        let mut first = None;
        for offset in 0..self.arena.width() {
            let found = match self.arena.put(node, offset, Slot::Empty) {
                Slot::Node(child) => self.free_subtree(child),
                slot => {
                    self.counts.sub(&slot);
                    slot.into_entry()
                }
            };
            if offset == 0 {
                first = found;
            }
        }
        self.arena.release(node);
        first
    }

    /// Takes out the entry of `order` in a canonical slot.
    pub(crate) fn erase_at(&mut self, at: Place, index: u64, order: u8) -> Removed<T> {
        let Place { node, offset } = at;
        let marks = self.arena.marks_at(node, offset);
        self.clear_bits(node, offset);
        let slot = self.put(at, Slot::Empty);
        for n in offset + 1..offset + (1 << (order % self.arena.chunk)) {
            self.arena.put(node, n, Slot::Empty);
        }
        self.trim(node);
        let Some(entry) = slot.into_entry() else { unreachable!("a canonical slot holds an entry") };
        Removed { index, order, marks, entry }
    }

    /// Frees `node` and its parents as far as they have become empty, and what that makes needless.
    fn trim(&mut self, mut node: NodeId) {
        while self.arena.node(node).bits[PRESENT] == 0 {
            let (parent, offset) = (self.arena.node(node).parent, self.arena.node(node).offset as usize);
            self.arena.release(node);
            if parent == NONE {
                (self.root, self.top) = (NONE, 0);
                return;
            }
            // The parent's bit went with the last of this node's.
            self.arena.put(parent, offset, Slot::Empty);
            node = parent;
        }
        self.lower();
        self.compact_if_worth_it();
    }

    /// Frees the top as far as it only leads to the node of the first indices.
    pub(crate) fn lower(&mut self) {
        while self.arena.node(self.root).bits[PRESENT] == 1 {
            let Slot::Node(child) = *self.arena.slot(self.root, 0) else { break };
            self.arena.put(self.root, 0, Slot::Empty);
            self.arena.release(self.root);
            self.arena.node_mut(child).parent = NONE;
            (self.root, self.top) = (child, self.top - self.arena.chunk);
        }
    }

    /// Moves the nodes into storage of their number if most of it is unused. The frees that led to that outnumber them.
    fn compact_if_worth_it(&mut self) {
        if !self.arena.is_wasteful() {
            return;
        }
        let chunk = self.arena.chunk;
        let old = std::mem::replace(&mut self.arena, Arena::new(chunk));
        let version = old.version + 1;
        let map = self.arena.adopt(old);
        self.arena.version = version;
        self.root = map[self.root as usize];
    }
}

/// The bits of `slots`.
pub(crate) fn mask(slots: &std::ops::Range<usize>) -> u64 {
    (u64::MAX >> (64 - slots.len())) << slots.start
}
