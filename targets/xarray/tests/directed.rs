//! The shapes in which page caches and DAX have gone wrong, each with nodes of 4 and of 64 slots. The names in the
//! comments are those of the bug catalogue.

use std::sync::Arc;
use xarray::{Entry, Mark, Preallocation, Raw, Stale, XArray};

type Page = Arc<&'static str>;

/// Chunk shift, and the order of an entry that has two slots (4 slots of 2 bits) or eight (64 slots) one level up.
const GEOMETRIES: [(u8, u8); 2] = [(2, 3), (6, 9)];

fn well(array: &XArray<impl Clone>) {
    array.check().unwrap_or_else(|broken| panic!("{broken}"));
}

fn page(name: &'static str) -> Entry<Page> {
    Entry::Item(Arc::new(name))
}

fn at(array: &XArray<Page>, index: u64) -> Option<&'static str> {
    array.load(index)?.item().map(|page| **page)
}

/// G02: a lookup of the large entry's order looks at the first slot of the range only, and sees no small entry at the
/// end of it; the search for conflicts does.
#[test]
fn a_large_lookup_misses_the_small_entry_at_the_end_of_its_range() {
    for (chunk, large) in GEOMETRIES {
        let (first, last) = (1 << large, (2 << large) - 1);
        let mut array: XArray<Page> = XArray::new(chunk);
        array.store(last, 0, Entry::Value(77));
        array.set_mark(last, Mark::M0);
        assert!(matches!(array.load_order(first, large), Raw::Empty));
        let found: Vec<_> = array.find_conflict(first, large).map(|found| (found.index, found.order)).collect();
        assert_eq!(found, [(last, 0)]);

        // With one under the first slot the lookup shows that something is there, but not what.
        array.store(first + 1, 0, Entry::Value(78));
        assert!(matches!(array.load_order(first, large), Raw::Internal));

        // What the mistaken caller does next: the small entries are gone, their mark stays with the range.
        let stored = array.store(first, large, Entry::Value(9));
        assert_eq!((stored.index, stored.order, stored.replaced), (first, large, None));
        let found = array.load(last).unwrap();
        assert_eq!((found.index, found.order, found.value()), (first, large, Some(9)));
        assert!(array.get_mark(first + 1, Mark::M0));
        assert_eq!((array.len_entries(), array.len_indices()), (1, 1 << large));
        well(&array);
    }
}

/// G03, G01: any index inside a large entry finds it with its own order; storing there keeps its extent.
#[test]
fn a_small_lookup_and_a_small_store_inside_a_large_entry_mean_all_of_it() {
    for (chunk, large) in GEOMETRIES {
        let (first, inside) = (1 << large, (1 << large) + 5);
        let mut array: XArray<Page> = XArray::new(chunk);
        array.store(first, large, Entry::Value(1));
        array.set_mark(inside, Mark::M2);
        let found = array.load(inside).unwrap();
        assert_eq!((found.index, found.order, found.end()), (first, large, 2 << large));
        assert!(found.contains(inside) && !found.contains(2 << large) && found.has(Mark::M2));

        let stored = array.store(inside, 0, Entry::Value(2));
        assert_eq!((stored.index, stored.order, stored.replaced), (first, large, Some(Entry::Value(1))));
        assert_eq!(array.load(first).unwrap().value(), Some(2));
        assert!(array.get_mark(first, Mark::M2), "marks are the extent's");
        assert!(matches!(array.load_order(inside, large), Raw::Entry(found) if found.index == first));
        assert_eq!(array.find_conflict(inside, 0).count(), 1);
        well(&array);

        let removed = array.erase(inside).unwrap();
        assert_eq!((removed.index, removed.order), (first, large));
        assert!(array.is_empty() && array.len_nodes() == 0 && array.height() == 0);
    }
}

/// B02: an order-0 store into an order-2 shadow takes all of it, unless the shadow is split first.
#[test]
fn a_store_into_a_shadow_needs_the_shadow_split() {
    for chunk in [2, 6] {
        let mut array = XArray::new(chunk);
        array.store(4, 2, Entry::Value(99));
        array.store(6, 0, page("six"));
        assert_eq!((4..8).map(|n| at(&array, n)).collect::<Vec<_>>(), [Some("six"); 4], "the bug, if one wants it");

        let mut array = XArray::new(chunk);
        array.store(4, 2, Entry::Value(99));
        assert!(array.split_value(6, 0));
        assert!(!array.split_value(6, 0), "small enough already");
        array.store(6, 0, page("six"));
        assert_eq!((4..8).map(|n| at(&array, n)).collect::<Vec<_>>(), [None, None, Some("six"), None]);
        assert_eq!(array.load(7).unwrap().value(), Some(99));
        assert_eq!((array.counts().items, array.counts().values, array.counts().value_indices), (1, 3, 3));
        well(&array);
    }
}

/// B03: marks are on the canonical slot, so a search from the tail of an entry has to step back.
#[test]
fn a_marked_search_that_begins_in_a_tail_finds_the_entry() {
    for chunk in [2, 4, 6] {
        let mut array = XArray::new(chunk);
        array.store(0, 1, page("head"));
        array.store(8, 0, page("later"));
        array.set_mark(1, Mark::M0);
        array.set_mark(8, Mark::M0);
        let first = |found: Option<xarray::Found<'_, Page>>| found.map(|found| found.index);
        assert_eq!(first(array.find_marked(1, 2, Mark::M0)), Some(0));
        assert_eq!(first(array.find_marked_raw(1, 2, Mark::M0)), None);
        assert_eq!(first(array.find_marked_raw(1, u64::MAX, Mark::M0)), Some(8));
        assert_eq!(first(array.find_marked_raw(0, 2, Mark::M0)), Some(0));
        assert!(matches!(array.load_raw(1), Raw::Sibling));
        assert!(matches!(array.load_raw(0), Raw::Entry(_)));
        assert_eq!(array.tag(1, 9, Mark::M0, Mark::M2, 1), Some(8));
        assert_eq!(array.tag(8, 9, Mark::M0, Mark::M2, 1), None);
        assert!(array.iter().all(|found| found.has(Mark::M2)));
    }
}

/// B04: a dirty order-6 entry split to order 2 has sixteen dirty pieces, and no dirty slot beside them.
#[test]
fn a_split_gives_every_piece_the_marks() {
    for chunk in 1..=6 {
        for new in [0, 2, 3, 5] {
            let mut array = XArray::new(chunk);
            array.store(64, 6, page("whole"));
            array.set_mark(64, Mark::M0);
            array.set_mark(64, Mark::M2);
            let prepared = array.prepare_split(100, new).unwrap();
            assert_eq!((prepared.index(), prepared.old_order(), prepared.new_order()), (64, 6, new));
            array.split(prepared, |_| Some(page("piece"))).unwrap();
            well(&array);
            let expected: Vec<_> = (64..128).step_by(1 << new).collect();
            for mark in [Mark::M0, Mark::M2] {
                let pieces: Vec<_> = array.range_marked(0, u64::MAX, mark).map(|found| found.index).collect();
                assert_eq!(pieces, expected, "chunk shift {chunk}, new order {new}");
            }
            assert!(!array.any_marked(Mark::M1));
            assert_eq!(array.len_indices(), 64);
        }
    }
}

/// Pieces beyond the end of file leave the tree; so do nodes and levels that only they needed.
#[test]
fn pieces_beyond_a_bound_are_left_empty() {
    for chunk in 1..=6 {
        let mut array = XArray::new(chunk);
        array.store(512, 9, page("whole"));
        array.set_mark(512, Mark::M1);
        let prepared = array.prepare_split(512, 1).unwrap();
        array.split(prepared, |index| (index < 515).then(|| page("piece"))).unwrap();
        well(&array);
        assert_eq!(array.iter().map(|found| found.index).collect::<Vec<_>>(), [512, 514]);

        let prepared = array.prepare_split(512, 0).unwrap();
        array.split(prepared, |_| None).unwrap();
        assert!(array.load(512).is_none() && array.load(513).is_none() && array.get_mark(515, Mark::M1));
        well(&array);
    }
}

/// B01: the order of a shadow is read and the nodes prepared; meanwhile another lane splits it and stores a folio. The
/// check finds that out. Without it, the folio is overwritten by the stale shadow.
#[test]
fn a_split_prepared_for_what_is_gone_is_refused_or_does_the_damage() {
    for chunk in [2, 6] {
        let mut array = XArray::new(chunk);
        array.store(0, 6, Entry::Value(5));
        let mine = array.prepare_split(5, 0).unwrap();

        let other = array.prepare_split(7, 0).unwrap();
        array.split(other, |_| Some(Entry::Value(5))).unwrap();
        array.store(7, 0, page("seven"));
        array.set_mark(7, Mark::M0);

        assert!(!mine.is_for(&array));
        assert_eq!(array.split(mine.clone(), |_| None), Err(Stale));
        assert_eq!(at(&array, 7), Some("seven"));

        let stale = mine.entry().clone();
        assert!(array.split_unchecked(mine, |_| Some(stale.clone())));
        assert_eq!((at(&array, 7), array.load(7).unwrap().value()), (None, Some(5)));
        assert_eq!((array.len_entries(), array.counts().items), (64, 0));
        well(&array);
    }
}

/// An equal value of another size, or another object in the same place, is not what the split was prepared for.
#[test]
fn a_preallocation_is_for_one_entry_of_one_size() {
    let mut array = XArray::new(3);
    array.store(0, 4, Entry::Value(5));
    let prepared = array.prepare_split(0, 1).unwrap();
    array.erase(0);
    assert!(!prepared.is_for(&array), "nothing there");
    array.store(0, 5, Entry::Value(5));
    assert!(!prepared.is_for(&array), "larger");
    assert!(!array.split_unchecked(prepared.clone(), |_| None), "a part of a larger entry cannot be overwritten");
    array.erase(0);
    array.store(0, 3, Entry::Value(5));
    assert!(!prepared.is_for(&array), "smaller");
    array.store(0, 4, Entry::Value(6));
    assert!(!prepared.is_for(&array), "another value");
    array.store(0, 4, Entry::Value(5));
    assert!(prepared.is_for(&array), "the same again");

    let first = page("first");
    array.store(0, 4, first.clone());
    let prepared = array.prepare_split(0, 0).unwrap();
    assert_eq!(prepared.len_nodes(), 2);
    array.store(0, 4, page("first"));
    assert!(!prepared.is_for(&array), "another object");
    array.store(0, 4, first);
    assert!(prepared.is_for(&array));
    assert!(array.prepare_split(0, 4).is_none() && array.prepare_split(16, 0).is_none());

    let other: Preallocation<Page> = Preallocation::new(2, 0, 4, 0, Entry::Value(1));
    assert!(!array.split_unchecked(other, |_| None), "made for nodes of another size");
    let elsewhere: Preallocation<Page> = Preallocation::new(3, 21, 2, 1, Entry::Value(1));
    assert_eq!(elsewhere.pieces().collect::<Vec<_>>(), [20, 22]);
    assert!(array.split_unchecked(elsewhere, |index| Some(Entry::Value(index))), "an empty range is filled");
    assert_eq!(array.load(23).unwrap().value(), Some(22));
    well(&array);
}

/// An array holds one reference for an entry, whatever its size, and gives it back.
#[test]
fn every_reference_comes_back() {
    let (kept, Entry::Item(whole)) = (Arc::new("kept"), page("whole")) else { unreachable!() };
    let mut array = XArray::new(2);
    array.store(0, 7, Entry::Item(whole.clone()));
    assert_eq!(Arc::strong_count(&whole), 2);
    let prepared = array.prepare_split(0, 0).unwrap();
    assert_eq!(Arc::strong_count(&whole), 2 + 1 + 128, "the prepared nodes are filled with it");
    array.split(prepared, |_| Some(Entry::Item(kept.clone()))).unwrap();
    assert_eq!((Arc::strong_count(&whole), Arc::strong_count(&kept)), (1, 129));
    array.store(0, 5, Entry::Value(0));
    assert_eq!(Arc::strong_count(&kept), 129 - 32);
    assert_eq!(array.erase_range(31, 34), 3);
    assert_eq!((array.len_entries(), Arc::strong_count(&kept)), (94, 95));
    array.clear();
    assert_eq!((array.len_nodes(), Arc::strong_count(&kept)), (0, 1));
    well(&array);
}

/// The tree is as high as its last index needs, and no higher when that is gone.
#[test]
fn the_tree_grows_and_shrinks() {
    for chunk in 1..=6 {
        let mut array = XArray::<u64>::new(chunk);
        array.store(0, 0, Entry::Item(0));
        assert_eq!((array.height(), array.len_nodes()), (1, 1));
        for far in [1 << 20, 1 << 40, XArray::<u64>::END - 1] {
            array.store(far, 0, Entry::Item(far));
            array.set_mark(far, Mark::M1);
            assert_eq!(u32::from(array.height()), (far.ilog2() + 1).div_ceil(u32::from(chunk)));
            well(&array);
            assert_eq!(array.find_marked(1, u64::MAX, Mark::M1).map(|found| found.index), Some(far));
            assert_eq!(array.erase(far).unwrap().entry, Entry::Item(far));
            assert_eq!((array.height(), array.len_nodes(), array.any_marked(Mark::M1)), (1, 1, false));
            assert!(array.load(far).is_none() && array.load(u64::MAX).is_none());
        }
        array.store(0, 62, Entry::Value(3));
        assert_eq!(array.load((1 << 62) - 1).unwrap().value(), Some(3));
        assert_eq!((array.len_entries(), array.len_indices()), (1, 1 << 62));
        well(&array);
    }
}

/// Storage that most nodes have left is given back, and what remains is found as before.
#[test]
fn unused_storage_goes() {
    let mut array = XArray::new(2);
    for index in 0..4096 {
        array.store(index, 0, Entry::Item(index as u32));
    }
    array.set_mark(4000, Mark::M2);
    let before = array.version();
    for index in (0..4096).filter(|index| index % 1000 != 0) {
        array.erase(index);
        well(&array);
        assert!(array.len_storage() <= 4 * array.len_nodes() + 20);
    }
    assert!(array.version() > before);
    assert_eq!(array.iter().filter_map(|found| found.item().copied()).collect::<Vec<_>>(), [0, 1000, 2000, 3000, 4000]);
    assert_eq!(array.find_marked(0, u64::MAX, Mark::M2).map(|found| found.index), Some(4000));
    array.erase_range(0, u64::MAX);
    assert_eq!((array.len_nodes(), array.len_storage()), (0, 0));
}

#[test]
#[should_panic(expected = "out of bounds")]
fn an_index_beyond_the_end_is_refused() {
    XArray::new(6).store(XArray::<u32>::END, 0, Entry::Item(0));
}
