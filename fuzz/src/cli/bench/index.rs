//! `bench --cache`: the index of the page cache against the maps of the standard library.

use super::{DIM, paint, say, table};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::time::Instant;
use xarray::{Entry, XArray};

/// Entries, and the orders that they have in turn.
const SHAPES: [(&str, &[u8], usize); 4] = [
    ("64 pages", &[0], 64),
    ("65536 pages", &[0], 65_536),
    ("64 folios of 1 to 16 pages", &[0, 0, 2, 4], 64),
    ("65536 folios of 1 to 16 pages", &[0, 0, 2, 4], 65_536),
];

/// What one thing costs in each of them.
#[derive(Serialize)]
pub(super) struct IndexSpeed {
    what: String,
    xarray_ns: f64,
    btree_ns: f64,
    hash_ns: f64,
}

/// The same entries in each; the maps have the first index of an entry, as a map has to that knows no ranges.
struct Held {
    array: XArray<u64>,
    tree: BTreeMap<u64, u8>,
    hash: HashMap<u64, u8>,
    /// Indices inside of entries, in an order that no processor foresees.
    asked: Vec<u64>,
    orders: &'static [u8],
}

impl Held {
    fn new(orders: &'static [u8], count: usize) -> Held {
        let mut held =
            Held { array: XArray::new(6), tree: BTreeMap::new(), hash: HashMap::new(), asked: Vec::new(), orders };
        let mut index = 0u64;
        for &order in orders.iter().cycle().take(count) {
            index = index.next_multiple_of(1 << order);
            held.array.store(index, order, Entry::Item(index));
            held.tree.insert(index, order);
            held.hash.insert(index, order);
            held.asked.push(index + (1 << order) / 2);
            index += 1 << order;
        }
        let mut state = 1u64;
        for n in (1..count).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            held.asked.swap(n, (state >> 33) as usize % (n + 1));
        }
        held
    }

    fn in_array(&self, index: u64) -> Option<u64> {
        self.array.load(index).map(|found| found.index)
    }

    /// The last entry that begins at or before the index, if it reaches so far.
    fn in_tree(&self, index: u64) -> Option<u64> {
        let (first, order) = self.tree.range(..=index).next_back()?;
        ((index - first) >> order == 0).then_some(*first)
    }

    /// A hash map has to be asked once for every order there is.
    fn in_hash(&self, index: u64) -> Option<u64> {
        let mut last = None;
        self.orders.iter().find_map(|&order| {
            let first = index >> order << order;
            let tried = last.replace(first) == Some(first);
            (!tried && self.hash.get(&first).is_some_and(|found| *found == order)).then_some(first)
        })
    }

    fn measure(&self, name: &str) -> [IndexSpeed; 2] {
        let count = self.asked.len();
        for &index in &self.asked {
            assert!(self.in_array(index).is_some() && self.in_array(index) == self.in_tree(index));
        }
        let lookups = |find: &dyn Fn(u64) -> Option<u64>| {
            time(count, || self.asked.iter().map(|index| find(*index).unwrap_or(1)).sum())
        };
        let lookup = IndexSpeed {
            what: format!("lookup, {name}"),
            xarray_ns: lookups(&|index| self.in_array(index)),
            btree_ns: lookups(&|index| self.in_tree(index)),
            hash_ns: lookups(&|index| self.in_hash(index)),
        };
        let walk = IndexSpeed {
            what: format!("ordered walk, {name}"),
            xarray_ns: time(count, || self.array.iter().fold(0, |sum, found| sum * 3 + found.index)),
            btree_ns: time(count, || self.tree.keys().fold(0, |sum, index| sum * 3 + index)),
            hash_ns: time(count, || {
                let mut keys: Vec<u64> = self.hash.keys().copied().collect();
                keys.sort_unstable();
                keys.into_iter().fold(0, |sum, index| sum * 3 + index)
            }),
        };
        [lookup, walk]
    }
}

/// Nanoseconds for one of `count` parts of the work, in the best of several passes.
fn time(count: usize, work: impl Fn() -> u64) -> f64 {
    let repeats = (1 << 15) / count + 1;
    let pass = || {
        let begun = Instant::now();
        for _ in 0..repeats {
            black_box(work());
        }
        begun.elapsed().as_nanos() as f64 / (repeats * count) as f64
    };
    (0..40).map(|_| pass()).fold(f64::INFINITY, f64::min)
}

pub(super) fn measure() -> Vec<IndexSpeed> {
    SHAPES.iter().flat_map(|(name, orders, count)| Held::new(orders, *count).measure(name)).collect()
}

pub(super) fn print(speeds: &[IndexSpeed]) {
    let heading = ["ns an entry", "XArray", "BTreeMap", "HashMap", "BTreeMap/XArray", "HashMap/XArray"];
    let row = |speed: &IndexSpeed| {
        let IndexSpeed { what, xarray_ns, btree_ns, hash_ns } = speed;
        let numbers = [*xarray_ns, *btree_ns, *hash_ns, btree_ns / xarray_ns, hash_ns / xarray_ns];
        [what.clone()].into_iter().chain(numbers.map(|number| format!("{number:.2}"))).collect()
    };
    table(&[heading.map(str::to_owned).to_vec()].into_iter().chain(speeds.iter().map(row)).collect::<Vec<_>>());
    say(paint(
        DIM,
        "a hash map is asked once for every order, and sorted for every walk; above 1 the XArray is faster\n",
    ));
}
