//! The rules of entries, one lane at a time.

use dax::pagetable::View;
use dax::{Extent, FileSystem, Kind, Mapping};
use faults::FaultSet;
use lanes::{LaneId, Task, block_on};
use pagecache::{Result, Sizes};
use parking_lot::Mutex;
use std::ops::Range;

const PAGE: u64 = 128;
const HUGE: u8 = 2;

/// A file whose page n, if it has a block, is page n of the device.
struct Toy {
    mapping: Mapping,
    written: Mutex<Vec<bool>>,
}

impl Toy {
    /// A file of so many pages, of which these have blocks.
    fn new(pages: u64, written: Range<u64>) -> Toy {
        let mapping = Mapping::new(Sizes::new(PAGE, PAGE, HUGE), |bytes, _| bytes.fill(0), FaultSet::NONE);
        for _ in 0..pages.div_ceil(4) {
            mapping.device.allocate_huge(HUGE);
        }
        mapping.set_i_size(pages * PAGE);
        Toy { mapping, written: Mutex::new((0..pages).map(|page| written.contains(&page)).collect()) }
    }

    fn store(&self, lane: u8, pos: u64, bytes: &[u8]) {
        let stored = block_on(self.mapping.store(self, &task(lane), pos, bytes));
        assert_eq!(stored, Ok(bytes.len() as u64));
    }

    fn load(&self, lane: u8, pos: u64) -> u8 {
        let mut byte = [0xee];
        assert_eq!(block_on(self.mapping.load(self, &task(lane), pos..pos + 1, &mut byte)), Ok(1));
        byte[0]
    }

    fn sync(&self, pages: Range<u64>) {
        block_on(self.mapping.write_back(&task(0), pages));
    }

    /// The rules hold, and these are the dirty entries, from their first page to behind their last.
    fn check(&self, dirty: &[(u64, u64)]) {
        let written = self.written.lock();
        assert_eq!(self.mapping.check(|page| written[page as usize].then_some(page as u32)), Ok(()));
        let found: Vec<_> = self.mapping.dirty_pages().iter().map(|pages| (pages.start, pages.end)).collect();
        assert_eq!(found, dirty);
    }
}

impl FileSystem for Toy {
    fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    async fn begin(&self, _: &Task, range: Range<u64>, write: bool) -> Result<Extent> {
        let pages = self.mapping.pages_of(&range);
        let mut written = self.written.lock();
        if write {
            written[pages.start as usize..pages.end as usize].fill(true);
        }
        let first = written[pages.start as usize];
        let end = pages.clone().find(|page| written[*page as usize] != first).unwrap_or(pages.end);
        let kind = if first { Kind::Written } else { Kind::Hole };
        Ok(Extent { range: self.mapping.bytes_of(&(pages.start..end)), kind, pfn: pages.start as u32, dirty: true })
    }

    async fn sync_metadata(&self, _: &Task) {}
}

fn task(lane: u8) -> Task {
    Task::on_thread(LaneId(lane))
}

#[test]
fn a_store_is_kept_without_power_once_its_whole_huge_page_was_flushed() {
    let toy = Toy::new(4, 0..0);
    toy.store(0, 0, &[1]);
    toy.store(0, 3 * PAGE, &[3]);
    toy.check(&[(0, 4)]);
    toy.sync(2..3);
    toy.check(&[]);
    toy.mapping.device.lose_power();
    assert_eq!((toy.load(0, 0), toy.load(0, 3 * PAGE)), (1, 3));
    toy.store(0, 0, &[5]);
    toy.check(&[(0, 4)]);
    toy.mapping.device.lose_power();
    assert_eq!(toy.load(0, 0), 1, "it was not flushed");
}

#[test]
fn a_huge_page_falls_back_where_it_does_not_fit() {
    // The end of file, and the view of an odd lane.
    for (pages, lane) in [(3, 0), (4, 1)] {
        let toy = Toy::new(pages, 0..0);
        toy.store(lane, PAGE, &[1]);
        toy.check(&[(1, 2)]);
    }
    // Blocks for a part of it only.
    let toy = Toy::new(4, 0..2);
    assert_eq!(toy.load(0, 0), 0);
    toy.store(0, 0, &[1]);
    toy.check(&[(0, 1)]);
}

#[test]
fn a_huge_fault_gives_way_to_a_small_entry_that_is_no_longer_mapped() {
    let toy = Toy::new(4, 0..4);
    toy.store(1, 3 * PAGE, &[1]);
    toy.mapping.page_table.unmap_view(View::Unaligned);
    toy.store(0, 0, &[2]);
    toy.check(&[(0, 1), (3, 4)]);
}

#[test]
fn a_store_to_one_page_of_a_huge_hole_leaves_nothing_of_it() {
    let toy = Toy::new(4, 0..0);
    assert_eq!(toy.load(0, 0), 0);
    toy.store(1, PAGE, &[1]);
    toy.check(&[(1, 2)]);
    assert_eq!((toy.load(0, PAGE), toy.load(0, 2 * PAGE)), (1, 0));
}

#[test]
fn a_small_fault_in_a_huge_page_that_is_there_keeps_it() {
    let toy = Toy::new(4, 0..4);
    toy.store(0, 0, &[1]);
    toy.sync(0..4);
    toy.store(1, 2 * PAGE, &[2]);
    toy.check(&[(0, 4)]);
}

#[test]
fn a_store_that_waits_for_metadata_marks_its_entry_dirty_afterwards() {
    let toy = Toy::new(4, 0..0);
    toy.store(2, PAGE, &[1]);
    toy.check(&[(0, 4)]);
    assert_eq!((toy.load(0, PAGE), toy.load(1, PAGE)), (1, 1));
}

#[test]
fn a_failed_page_loses_its_mappings_and_nothing_else() {
    let toy = Toy::new(4, 0..4);
    toy.store(0, 0, &[1]);
    block_on(toy.mapping.memory_failure(&task(1), 2));
    toy.check(&[(0, 4)]);
    toy.mapping.page_table.unmap_all();
    assert_eq!(toy.load(0, 0), 1);
    block_on(toy.mapping.memory_failure(&task(1), 2));
    block_on(toy.mapping.memory_failure(&task(1), 99));
    toy.check(&[(0, 4)]);
}

#[test]
fn what_is_dirty_is_not_invalidated_and_what_is_truncated_goes_flushed_as_far_as_it_stays() {
    let toy = Toy::new(4, 0..4);
    toy.store(0, 0, &[1]);
    block_on(toy.mapping.invalidate(&task(0), 0..4));
    toy.check(&[(0, 4)]);
    toy.mapping.set_i_size(2 * PAGE);
    block_on(toy.mapping.truncate(&task(0), 2..4));
    toy.check(&[]);
    toy.mapping.device.lose_power();
    assert_eq!(toy.load(0, 0), 1);
    block_on(toy.mapping.invalidate(&task(0), 0..4));
    assert_eq!(toy.mapping.check_at_rest(|_| None), Ok(()));
}

#[test]
fn a_write_unmaps_the_zeros_it_replaces_in_every_view() {
    let toy = Toy::new(4, 0..0);
    assert_eq!((toy.load(0, 0), toy.load(1, 0)), (0, 0));
    assert_eq!(block_on(toy.mapping.write(&toy, &task(0), 0, &[7; 8], 8)), Ok(8));
    assert_eq!((toy.load(0, 0), toy.load(1, 7)), (7, 7));
    toy.check(&[]);
}
