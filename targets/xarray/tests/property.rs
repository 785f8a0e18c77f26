//! Any sequence of operations has the same results as on an ordered map, and leaves a well-formed tree.

mod model;

use model::choices::{Bytes, Choices, SplitMix};
use model::{E, Held, Model, Sees};
use xarray::{Cursor, Entry, Found, Mark, Preallocation, Raw, Removed, XArray};

struct Run<C> {
    choices: C,
    array: XArray<u32>,
    model: Model,
    cursor: Cursor,
    kept: Option<Preallocation<u32>>,
    window: u64,
    max_order: u8,
}

fn held(found: Found<'_, u32>) -> Held {
    Held { index: found.index, order: found.order, entry: found.entry.cloned(), marks: found.marks() }
}

fn taken(removed: Removed<u32>) -> Held {
    let Removed { index, order, marks, entry } = removed;
    Held { index, order, entry, marks }
}

impl<C: Choices> Run<C> {
    fn new(chunk: u8, mut choices: C) -> Self {
        let window = [16, 64, 600, 3000][choices.below(4) as usize];
        let max_order = [0, 2, 5, 9][choices.below(4) as usize];
        let (array, model) = (XArray::new(chunk), Model::new(chunk));
        Run { choices, array, model, cursor: Cursor::new(0), kept: None, window, max_order }
    }

    /// Mostly in a small window, so that entries meet; sometimes far out, so that the tree grows and shrinks.
    fn index(&mut self) -> u64 {
        let near = self.choices.below(self.window);
        match self.choices.below(40) {
            0 => (1 << self.choices.below(41)) + near,
            1 => (1 << 40) - 1 - near,
            _ => near,
        }
    }

    fn order(&mut self) -> u8 {
        self.choices.below(u64::from(self.max_order) + 1) as u8
    }

    fn end(&mut self, from: u64) -> u64 {
        match self.choices.below(4) {
            0 => u64::MAX,
            1 => from,
            _ => from + self.choices.below(2 * self.window),
        }
    }

    fn entry(&mut self) -> E {
        let n = self.choices.below(1 << 16);
        if n.is_multiple_of(3) { Entry::Value(n) } else { Entry::Item(n as u32) }
    }

    fn mark(&mut self) -> Mark {
        Mark::ALL[self.choices.below(3) as usize]
    }

    fn step(&mut self) {
        match self.choices.below(19) {
            0..4 => self.store(),
            4..6 => self.erase(),
            6 => self.erase_range(),
            7..10 => self.change_mark(),
            10 => self.tag(),
            11..14 => self.split(),
            14 => self.split_value(),
            15 => self.split_kept(),
            16 => self.cursor_change(),
            _ => self.cursor_step(),
        }
        self.look();
        self.compare();
    }

    fn store(&mut self) {
        let (index, order, entry) = (self.index(), self.order(), self.entry());
        let before = self.model.load(index >> order << order);
        let stored = self.array.store(index, order, entry);
        let now = self.model.store(index, order, entry);
        assert_eq!((stored.index, stored.order), (now.index, now.order));
        assert_eq!(stored.replaced, before.map(|held| held.entry));
    }

    fn erase(&mut self) {
        let index = self.index();
        assert_eq!(self.array.erase(index).map(taken), self.model.erase(index));
    }

    fn erase_range(&mut self) {
        let from = self.index();
        let end = from + self.choices.below(16);
        let gone = self.model.range(from, end);
        for held in &gone {
            self.model.erase(held.index);
        }
        assert_eq!(self.array.erase_range(from, end), gone.len() as u64);
    }

    fn change_mark(&mut self) {
        let (index, mark, on) = (self.index(), self.mark(), self.choices.below(3) != 0);
        let done = if on { self.array.set_mark(index, mark) } else { self.array.clear_mark(index, mark) };
        assert_eq!(done, self.model.mark(index, mark, on));
    }

    fn tag(&mut self) {
        let (start, from, to, batch) = (self.index(), self.mark(), self.mark(), self.choices.below(5) as usize);
        let end = self.end(start);
        assert_eq!(self.array.tag(start, end, from, to, batch), self.model.tag(start, end, from, to, batch));
    }

    fn split(&mut self) {
        let (index, order, gaps) = (self.index(), self.order(), self.choices.below(4));
        let Some(prepared) = self.array.prepare_split(index, order) else {
            assert!(self.model.load(index).is_none_or(|held| held.order <= order));
            return;
        };
        // Sometimes it is kept until the entry may have changed.
        if self.choices.below(4) == 0 {
            self.kept = Some(prepared);
            return;
        }
        let piece = |index: u64| (index >> order) % 4 >= gaps;
        let entry = |index: u64| piece(index).then_some(Entry::Item(index as u32));
        assert_eq!(self.array.split(prepared, entry), Ok(()));
        self.model.split(index, order, entry);
    }

    fn split_kept(&mut self) {
        let Some(prepared) = self.kept.take() else { return };
        let (index, old, new) = (prepared.index(), prepared.old_order(), prepared.new_order());
        let there = self.model.load(index);
        let right =
            there.is_some_and(|held| (held.index, held.order) == (index, old) && held.entry == *prepared.entry());
        assert_eq!(prepared.is_for(&self.array), right);
        let piece = |index: u64| (index >> new).is_multiple_of(2).then_some(Entry::Value(index));
        if self.choices.below(2) == 0 {
            assert_eq!(self.array.split(prepared, piece).is_ok(), right);
            if right {
                self.model.split(index, new, piece);
            }
            return;
        }
        let fits = there.is_none_or(|held| held.order <= old);
        let entry = *prepared.entry();
        assert_eq!(self.array.split_unchecked(prepared, piece), fits);
        if fits {
            self.model.store(index, old, entry);
            self.model.split(index, new, piece);
        }
    }

    fn split_value(&mut self) {
        let (index, order) = (self.index(), self.order());
        let there = self.model.load(index).filter(|held| held.order > order && held.entry.value().is_some());
        assert_eq!(self.array.split_value(index, order), there.is_some());
        if let Some(held) = there {
            self.model.split(index, order, |_| Some(held.entry));
        }
    }

    fn cursor_step(&mut self) {
        if self.choices.below(4) == 0 {
            let index = self.index();
            self.cursor.seek(index);
        }
        for _ in 0..self.choices.below(4) {
            let (from, mark) = (self.cursor.index(), self.mark());
            let end = self.end(from);
            let (found, expected) = match self.choices.below(3) {
                0 => (self.cursor.load(&self.array), self.model.load(from)),
                1 => (self.cursor.next(&self.array, end), self.model.range(from, end).first().copied()),
                _ => (
                    self.cursor.next_marked(&self.array, end, mark),
                    self.model.marked(from, end, mark).first().copied(),
                ),
            };
            assert_eq!(found.map(held), expected);
            assert!(self.cursor.is_current(&self.array));
        }
    }

    fn cursor_change(&mut self) {
        let (mark, on, entry) = (self.mark(), self.choices.below(2) == 0, self.entry());
        let last = self.cursor.last();
        let there = last.and_then(|index| self.model.load(index));
        assert_eq!(self.cursor.recheck(&self.array).map(held), there);
        match self.choices.below(3) {
            0 => {
                assert_eq!(self.cursor.replace(&mut self.array, entry), there.map(|held| held.entry));
                last.filter(|_| there.is_some()).map(|index| self.model.store(index, 0, entry));
            }
            1 => assert_eq!(
                self.cursor.erase(&mut self.array).map(taken),
                last.and_then(|index| self.model.erase(index))
            ),
            _ => assert_eq!(
                self.cursor.change_mark(&mut self.array, mark, on),
                last.is_some_and(|index| self.model.mark(index, mark, on))
            ),
        }
    }

    /// Lookups, whose results do not depend on the operation before.
    fn look(&mut self) {
        let (from, order, mark) = (self.index(), self.order(), self.mark());
        let end = self.end(from);
        let (array, model) = (&self.array, &self.model);
        assert_eq!(array.load(from).map(held), model.load(from));
        let mut folded = Vec::new();
        array.range(from, end).for_each(|found| folded.push(held(found)));
        assert_eq!(folded, model.range(from, end));
        assert_eq!(array.find(from, end).map(held), model.range(from, end).first().copied());
        assert_eq!(array.find_marked(from, end, mark).map(held), model.marked(from, end, mark).first().copied());
        assert_eq!(array.find_marked_raw(from, end, mark).map(held), model.marked_raw(from, end, mark));
        assert!(array.find_conflict(from, order).map(held).eq(model.conflicts(from, order)));
        assert!(array.range_marked(from, end, mark).map(held).eq(model.marked(from, end, mark)));
        assert_eq!(array.get_mark(from, mark), model.load(from).is_some_and(|held| held.marks.has(mark)));
        let sees = match array.load_order(from, order) {
            Raw::Empty => Sees::Empty,
            Raw::Internal => Sees::Internal,
            Raw::Entry(found) => Sees::Entry(held(found)),
            Raw::Sibling => panic!("a lookup of some order does not show siblings"),
        };
        assert_eq!(sees, model.load_order(from, order), "load_order({from}, {order})");
    }

    fn compare(&self) {
        self.array.check().unwrap_or_else(|broken| panic!("{broken}"));
        assert!(self.array.iter().map(held).eq(self.model.all().copied()));
        let mut folded = Vec::new();
        self.array.iter().for_each(|found| folded.push(held(found)));
        assert!(self.model.all().eq(&folded));
        let (entries, indices) = self.model.all().fold((0, 0), |(n, sum), held| (n + 1, sum + (1 << held.order)));
        assert_eq!((self.array.len_entries(), self.array.len_indices()), (entries, indices));
        let items = self.model.all().filter(|held| held.entry.value().is_none()).count() as u64;
        assert_eq!(self.array.counts().items, items);
        assert_eq!(self.array.len_nodes(), self.model.nodes());
        assert!(self.array.len_storage() <= 4 * self.array.len_nodes() + 20);
        for mark in Mark::ALL {
            assert_eq!(self.array.any_marked(mark), self.model.all().any(|held| held.marks.has(mark)));
        }
    }
}

fn sequences(chunk: u8, count: u64) {
    for seed in 0..count {
        let mut run = Run::new(chunk, SplitMix(seed << 8 | u64::from(chunk)));
        for _ in 0..60 {
            run.step();
        }
    }
}

#[test]
fn as_the_model_with_chunk_shift_1() {
    sequences(1, 1500);
}

#[test]
fn as_the_model_with_chunk_shift_2() {
    sequences(2, 3000);
}

#[test]
fn as_the_model_with_chunk_shift_3() {
    sequences(3, 1500);
}

#[test]
fn as_the_model_with_chunk_shift_4() {
    sequences(4, 1500);
}

#[test]
fn as_the_model_with_chunk_shift_5() {
    sequences(5, 1500);
}

#[test]
fn as_the_model_with_chunk_shift_6() {
    sequences(6, 3000);
}

#[test]
fn as_the_model_from_bytes() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let chunk = bytes.first().copied().unwrap_or(0) % 6 + 1;
        let mut run = Run::new(chunk, Bytes(bytes.get(1..).unwrap_or(&[])));
        while !run.choices.is_over() {
            run.step();
        }
    });
}
