//! Walks in steps, between which the array changes.

use xarray::{Cursor, Entry, Mark, Raw, XArray};

fn filled(chunk: u8, count: u64) -> XArray<u64> {
    let mut array = XArray::new(chunk);
    for index in 0..count {
        array.store(index, 0, Entry::Item(index));
    }
    array
}

fn well(array: &XArray<u64>) {
    array.check().unwrap_or_else(|broken| panic!("{broken}"));
}

#[test]
fn a_walk_survives_the_loss_of_its_node() {
    for chunk in 1..=6 {
        let mut array = filled(chunk, 200);
        let mut cursor = Cursor::new(0);
        while cursor.index() < 100 {
            cursor.next(&array, u64::MAX);
        }
        assert!(cursor.is_current(&array));
        array.erase_range(0, 190);
        assert!(chunk == 6 || !cursor.is_current(&array), "nodes were freed");
        assert_eq!(cursor.next(&array, u64::MAX).map(|found| found.index), Some(190));
        assert!(cursor.is_current(&array));
        array.clear();
        assert!(!cursor.is_current(&array));
        assert!(cursor.next(&array, u64::MAX).is_none() && cursor.last().is_none());
    }
}

#[test]
fn a_walk_may_take_out_what_it_meets() {
    for chunk in 1..=6 {
        let mut array = filled(chunk, 300);
        array.store(64, 5, Entry::Item(64));
        let mut cursor = Cursor::new(10);
        let mut taken = Vec::new();
        while cursor.next(&array, 200).is_some() {
            taken.extend(cursor.erase(&mut array).map(|removed| removed.index));
            well(&array);
        }
        assert_eq!(taken, (10..=64).chain(96..200).collect::<Vec<_>>());
        assert_eq!(array.len_indices(), 110);
    }
}

/// B05: the walk stands at 5 when an entry of order 2 comes to 4..8. The slot it looks at is a sibling by now.
#[test]
fn a_walk_onto_a_sibling_finds_its_entry() {
    for chunk in [3, 6] {
        let mut array = filled(chunk, 16);
        let mut cursor = Cursor::new(4);
        cursor.next(&array, 16);
        array.store(4, 2, Entry::Item(99));
        assert!(cursor.is_current(&array) && matches!(cursor.load_stale(&array), Raw::Sibling));
        assert_eq!(cursor.last(), Some(4));
        assert_eq!(cursor.recheck(&array).and_then(|found| found.item().copied()), Some(99));
        assert_eq!(cursor.next(&array, 16).map(|found| (found.index, found.order)), Some((4, 2)));
        assert_eq!(cursor.next(&array, 16).map(|found| found.index), Some(8));
    }
}

#[test]
fn marks_are_changed_on_the_way() {
    let mut array = filled(3, 100);
    let mut cursor = Cursor::new(0);
    while cursor.next(&array, 50).is_some() {
        cursor.change_mark(&mut array, Mark::M0, true);
    }
    assert_eq!(array.range_marked(0, u64::MAX, Mark::M0).count(), 50);
    cursor.seek(0);
    while cursor.next_marked(&array, u64::MAX, Mark::M0).is_some() {
        cursor.change_mark(&mut array, Mark::M0, false);
        assert_eq!(cursor.replace(&mut array, Entry::Value(1)), cursor.last().map(Entry::Item));
    }
    assert!(!array.any_marked(Mark::M0));
    assert_eq!(array.counts().values, 50);
    well(&array);
}

/// B01 (c): a walk that is not reset stores into the node it remembers, which by now may stand for other indices.
#[test]
fn a_stale_store_hits_what_the_node_has_become() {
    let mut array = filled(2, 8);
    let mut cursor = Cursor::new(5);
    assert!(cursor.load(&array).is_some());
    assert_eq!(cursor.load_stale(&array).entry().map(|found| found.index), Some(5));
    array.erase_range(4, 8);
    assert!(!cursor.is_current(&array));
    assert!(matches!(cursor.load_stale(&array), Raw::Empty), "the node is free");
    assert_eq!(cursor.store_stale(&mut array, Entry::Item(50)), Err(Entry::Item(50)));

    array.store(100, 0, Entry::Item(100));
    cursor.seek(4);
    assert!(matches!(cursor.load_stale(&array), Raw::Empty), "in use again, at another level");
    cursor.seek(5);
    array.erase(100);

    for index in 12..16 {
        array.store(index, 0, Entry::Item(index));
    }
    assert_eq!(cursor.store_stale(&mut array, Entry::Item(50)), Ok(Some(Entry::Item(13))), "the node is used again");
    well(&array);
    assert!(array.load(5).is_none(), "and it is not where it was");
    assert_eq!(array.load(13).and_then(|found| found.item().copied()), Some(50));
    assert!(cursor.load(&array).is_none(), "a step looks from the root");
}
