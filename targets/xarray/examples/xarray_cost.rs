//! What lookups and walks cost, against the maps of the standard library. All figures are from one run, so the ratios
//! can be compared; above 1 the array is faster.
//!
//! `cargo run --release -p xarray --example xarray_cost`
// A measurement has a clock, and something to compare with.
#![allow(clippy::disallowed_types)]

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
use xarray::{Cursor, Entry, Mark, XArray};

type Item = Arc<u64>;

/// The same entries in four shapes; the maps are by first index, as a map that knows no large entries has to be.
struct Held {
    array: XArray<Item>,
    tree: BTreeMap<u64, (u8, Item)>,
    hash: HashMap<u64, (u8, Item)>,
    /// Indices in an order that no cache foresees.
    asked: Vec<u64>,
}

fn build(orders: &[u8], count: usize) -> Held {
    let mut held = Held { array: XArray::new(6), tree: BTreeMap::new(), hash: HashMap::new(), asked: Vec::new() };
    let mut index = 0u64;
    for &order in orders.iter().cycle().take(count) {
        index = (index + (1 << order) - 1) >> order << order;
        let item = Arc::new(index);
        held.array.store(index, order, Entry::Item(item.clone()));
        held.tree.insert(index, (order, item.clone()));
        held.hash.insert(index, (order, item));
        held.asked.push(index);
        index += 1 << order;
    }
    let mut state = 1u64;
    for n in (1..count).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        held.asked.swap(n, (state >> 33) as usize % (n + 1));
    }
    held
}

/// Nanoseconds for one of `count` parts of the work, in the best of several passes.
fn time(count: usize, mut work: impl FnMut() -> u64) -> f64 {
    let repeats = (1 << 20) / count.max(1) + 1;
    let pass = |work: &mut dyn FnMut() -> u64| {
        let start = Instant::now();
        for _ in 0..repeats {
            black_box(work());
        }
        start.elapsed().as_secs_f64() * 1e9 / (repeats * count) as f64
    };
    (0..7).map(|_| pass(&mut work)).fold(f64::INFINITY, f64::min)
}

fn line(what: &str, array: f64, tree: f64, hash: f64) {
    println!("{what:34} {array:8.2} {tree:8.2} {hash:8.2} {:9.2} {:8.2}", tree / array, hash / array);
}

fn tree_load(tree: &BTreeMap<u64, (u8, Item)>, index: u64) -> Option<&Item> {
    let (first, (order, item)) = tree.range(..=index).next_back()?;
    ((index - first) >> order == 0).then_some(item)
}

/// A hash map finds a large entry from an index inside it by trying one order after the other.
fn hash_load<'a>(hash: &'a HashMap<u64, (u8, Item)>, orders: &[u8], index: u64) -> Option<&'a Item> {
    let at = |&order: &u8| hash.get(&(index >> order << order)).filter(|(found, _)| *found == order);
    orders.iter().find_map(at).map(|(_, item)| item)
}

fn measure(name: &str, orders: &[u8], count: usize) {
    let held = build(orders, count);
    let Held { array, tree, hash, asked } = &held;
    let mut distinct = orders.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let value = |item: Option<&Item>| item.map_or(0, |item| Arc::as_ptr(item) as u64);

    let from_array = time(count, || asked.iter().map(|&n| value(array.load(n).and_then(|found| found.item()))).sum());
    let from_tree = match distinct[..] {
        [0] => time(count, || asked.iter().map(|n| value(tree.get(n).map(|(_, item)| item))).sum()),
        _ => time(count, || asked.iter().map(|&n| value(tree_load(tree, n))).sum()),
    };
    let from_hash = time(count, || asked.iter().map(|&n| value(hash_load(hash, &distinct, n))).sum());
    line(&format!("{name} {count}: load"), from_array, from_tree, from_hash);

    let array_walk = time(count, || array.iter().map(|found| found.index ^ value(found.item())).sum());
    let tree_walk = time(count, || tree.iter().map(|(index, (_, item))| index ^ value(Some(item))).sum());
    let hash_walk = time(count, || hash.iter().map(|(index, (_, item))| index ^ value(Some(item))).sum());
    line(&format!("{name} {count}: walk (hash: no order)"), array_walk, tree_walk, hash_walk);

    let steps = time(count, || {
        let mut cursor = Cursor::new(0);
        std::iter::from_fn(|| cursor.next(array, u64::MAX).map(|found| found.index)).sum()
    });
    let searches = time(count, || {
        let mut next = 0;
        std::iter::from_fn(|| {
            let (&index, (order, _)) = tree.range(next..).next()?;
            next = index + (1 << order);
            Some(index)
        })
        .sum()
    });
    line(&format!("{name} {count}: walk in steps"), steps, searches, f64::NAN);
}

fn changes(count: u64) {
    let item = Arc::new(0);
    let array = time(count as usize, || {
        let mut array = XArray::new(6);
        (0..count).for_each(|n| drop(array.store(n, 0, Entry::Item(item.clone()))));
        (0..count).for_each(|n| assert!(array.set_mark(n, Mark::M0)));
        (0..count).for_each(|n| drop(array.erase(n)));
        array.len_entries()
    });
    let tree = time(count as usize, || {
        let mut tree = BTreeMap::new();
        (0..count).for_each(|n| drop(tree.insert(n, (0u8, item.clone()))));
        (0..count).for_each(|n| tree.get_mut(&n).into_iter().for_each(|held| held.0 |= 1));
        (0..count).for_each(|n| drop(tree.remove(&n)));
        tree.len() as u64
    });
    let hash = time(count as usize, || {
        let mut hash = HashMap::new();
        (0..count).for_each(|n| drop(hash.insert(n, (0u8, item.clone()))));
        (0..count).for_each(|n| hash.get_mut(&n).into_iter().for_each(|held| held.0 |= 1));
        (0..count).for_each(|n| drop(hash.remove(&n)));
        hash.len() as u64
    });
    line(&format!("order 0 {count}: store, mark, erase"), array, tree, hash);
}

fn main() {
    println!(
        "{:34} {:>8} {:>8} {:>8} {:>9} {:>8}",
        "ns an entry", "xarray", "BTreeMap", "HashMap", "BTreeMap/", "HashMap/"
    );
    for count in [64, 4096, 262_144] {
        measure("order 0", &[0], count);
    }
    for count in [64, 4096, 262_144] {
        measure("orders 0,2,4,9", &[0, 0, 2, 4, 0, 0, 0, 9], count);
    }
    for count in [64, 4096, 262_144] {
        changes(count);
    }
}
