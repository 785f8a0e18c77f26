//! An ordered map with the array's meaning and none of its structure.

pub(crate) mod choices;

use std::collections::{BTreeMap, BTreeSet};
use xarray::{Entry, Mark, Marks};

pub(crate) type E = Entry<u32>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) index: u64,
    pub(crate) order: u8,
    pub(crate) entry: E,
    pub(crate) marks: Marks,
}

impl Held {
    pub(crate) fn end(&self) -> u64 {
        self.index + (1 << self.order)
    }
}

/// What a lookup of some order sees.
#[derive(Debug, PartialEq)]
pub(crate) enum Sees {
    Empty,
    Internal,
    Entry(Held),
}

#[derive(Debug)]
pub(crate) struct Model {
    chunk: u8,
    map: BTreeMap<u64, Held>,
}

impl Model {
    pub(crate) fn new(chunk: u8) -> Model {
        Model { chunk, map: BTreeMap::new() }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Held> {
        self.map.values()
    }

    pub(crate) fn load(&self, index: u64) -> Option<Held> {
        self.map.range(..=index).next_back().map(|(_, held)| *held).filter(|held| held.end() > index)
    }

    fn load_mut(&mut self, index: u64) -> Option<&mut Held> {
        self.map.range_mut(..=index).next_back().map(|(_, held)| held).filter(|held| held.end() > index)
    }

    pub(crate) fn range(&self, from: u64, end: u64) -> Vec<Held> {
        if from >= end {
            return Vec::new();
        }
        let first = self.load(from).map_or(from, |held| held.index);
        self.map.range(first..end).map(|(_, held)| *held).collect()
    }

    pub(crate) fn marked(&self, from: u64, end: u64, mark: Mark) -> Vec<Held> {
        self.range(from, end).into_iter().filter(|held| held.marks.has(mark)).collect()
    }

    /// A search that begins at the raw slot does not see an entry that it begins inside of, except in its first slot.
    pub(crate) fn marked_raw(&self, from: u64, end: u64, mark: Mark) -> Option<Held> {
        let seen = |held: &Held| from >> self.level(held.order) <= held.index >> self.level(held.order);
        self.marked(from, end, mark).into_iter().find(seen)
    }

    pub(crate) fn conflicts(&self, index: u64, order: u8) -> Vec<Held> {
        let first = index >> order << order;
        self.range(first, first + (1 << order))
    }

    pub(crate) fn store(&mut self, index: u64, order: u8, entry: E) -> Held {
        let index = index >> order << order;
        if let Some(covering) = self.load_mut(index).filter(|held| held.order >= order) {
            covering.entry = entry;
            return *covering;
        }
        let mut marks = Marks::NONE;
        for old in self.conflicts(index, order) {
            marks |= old.marks;
            self.map.remove(&old.index);
        }
        let held = Held { index, order, entry, marks };
        self.map.insert(index, held);
        held
    }

    pub(crate) fn erase(&mut self, index: u64) -> Option<Held> {
        let held = self.load(index)?;
        self.map.remove(&held.index)
    }

    pub(crate) fn mark(&mut self, index: u64, mark: Mark, on: bool) -> bool {
        let Some(held) = self.load_mut(index) else { return false };
        held.marks = held.marks.with(mark, on);
        true
    }

    pub(crate) fn tag(&mut self, start: u64, end: u64, from: Mark, to: Mark, batch: usize) -> Option<u64> {
        let found = self.marked(start, end, from);
        for held in found.iter().take(batch) {
            self.mark(held.index, to, true);
        }
        found.get(batch).map(|held| held.index)
    }

    pub(crate) fn split(&mut self, index: u64, order: u8, mut piece: impl FnMut(u64) -> Option<E>) {
        let Some(old) = self.erase(index) else { return };
        for n in 0..1u64 << (old.order - order) {
            let index = old.index + (n << order);
            if let Some(entry) = piece(index) {
                self.map.insert(index, Held { index, order, entry, marks: old.marks });
            }
        }
    }

    fn level(&self, order: u8) -> u8 {
        order - order % self.chunk
    }

    /// Shift of the lowest root that has all entries below it.
    fn top(&self) -> u8 {
        let top = |held: &Held| {
            let mut shift = self.level(held.order);
            while (held.end() - 1) >> shift >> self.chunk != 0 {
                shift += self.chunk;
            }
            shift
        };
        self.all().map(top).max().unwrap_or(0)
    }

    /// How many nodes a tree without needless ones has.
    pub(crate) fn nodes(&self) -> usize {
        let (top, mut nodes) = (self.top(), BTreeSet::new());
        for held in self.all() {
            let levels = (self.level(held.order)..=top).step_by(self.chunk as usize);
            nodes.extend(levels.map(|shift| (shift, held.index >> shift >> self.chunk)));
        }
        nodes.len()
    }

    pub(crate) fn load_order(&self, index: u64, order: u8) -> Sees {
        let (index, level, top) = (index >> order << order, self.level(order), self.top());
        if self.map.is_empty() || index >> top >> self.chunk != 0 {
            return Sees::Empty;
        }
        let covering = self.load(index).filter(|held| self.level(held.order) >= level);
        match covering {
            _ if top < level => Sees::Internal,
            Some(held) => Sees::Entry(held),
            None if self.range(index, index + (1 << level)).is_empty() => Sees::Empty,
            None => Sees::Internal,
        }
    }
}
