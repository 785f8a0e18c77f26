//! The oracle for operations that overlap: what it lets pass, and what not.

use oracle::fill::fill_written;
use oracle::{Class, Divergence, Errno, Flavour, Geometry, Op, OpId, OpKind, Outcome, Overlap, Sharing};

const PAGE: u64 = 256;
const LIMIT: u64 = 1024;

fn geometry(flavour: Flavour, floor: u64) -> Geometry {
    Geometry {
        page: PAGE as u32,
        block: 128,
        max_order: 0,
        memory_pages: 0,
        readahead_pages: 0,
        stable_pages: false,
        flavour,
        sharing: Sharing::Overlapping,
        file_limit: LIMIT,
        floor,
        stripe: 0,
    }
}

/// A file and its oracle; every operation has a lane of its own.
struct File {
    oracle: Overlap,
    next: u32,
}

/// An operation in flight.
#[derive(Clone, Copy)]
struct Running(OpId);

impl File {
    fn new(flavour: Flavour, floor: u64) -> File {
        File { oracle: Overlap::new(&geometry(flavour, floor), PAGE), next: 0 }
    }

    fn begin(&mut self, op: Op) -> Running {
        let id = OpId { lane: 0, index: self.next };
        self.next += 1;
        self.oracle.begin(id, &op);
        Running(id)
    }

    fn end(&mut self, running: Running, outcome: Outcome, buf: &[u8]) -> Result<(), Divergence> {
        self.oracle.complete(running.0, outcome, buf)
    }

    /// A write that has completed before anything else begins.
    fn write(&mut self, off: u64, len: u64) -> Running {
        let running = self.begin(Op::range(OpKind::Write, off, len));
        self.end(running, Outcome::Bytes(len), &[]).unwrap();
        running
    }

    fn truncate(&mut self, size: u64) {
        let running = self.begin(Op::at(OpKind::Truncate, size));
        self.end(running, Outcome::Done, &[]).unwrap();
    }

    fn reads(&mut self, off: u64, len: u64, found: &[u8]) -> Result<(), Divergence> {
        let read = self.begin(Op::range(OpKind::Read, off, len));
        self.end(read, Outcome::Bytes(found.len() as u64), found)
    }

    fn is_size(&mut self, size: u64) -> bool {
        let stat = self.begin(Op::plain(OpKind::Stat));
        self.end(stat, Outcome::Position(size), &[]).is_ok()
    }
}

/// What `of` wrote at `off`, or zeros.
fn bytes(of: Option<Running>, off: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; len as usize];
    if let Some(Running(id)) = of {
        fill_written(&mut bytes, id, off);
    }
    bytes
}

fn write_of(off: u64, len: u64) -> Op {
    Op::range(OpKind::Write, off, len)
}

fn class(result: Result<(), Divergence>) -> Option<Class> {
    result.err().map(|divergence| divergence.class)
}

#[test]
fn one_after_the_other_there_is_one_answer() {
    let mut file = File::new(Flavour::Ext4, 256);
    let first = file.write(0, 128);
    assert_eq!(file.reads(0, 128, &bytes(Some(first), 0, 128)), Ok(()));
    let second = file.write(64, 64);
    assert_eq!(class(file.reads(0, 128, &bytes(Some(first), 0, 128))), Some(Class::Content));
    assert_eq!(file.reads(64, 64, &bytes(Some(second), 64, 64)), Ok(()));
    assert!(file.is_size(256) && !file.is_size(255) && !file.is_size(257));
    file.truncate(100);
    assert!(file.is_size(100) && !file.is_size(256));
    assert_eq!(class(file.reads(0, 256, &bytes(Some(first), 0, 64))), Some(Class::Size));
}

#[test]
fn while_a_write_runs_both_values_are_right_and_afterwards_one() {
    let mut file = File::new(Flavour::Ext4, 256);
    let old = file.write(0, 128);
    let new = file.begin(write_of(0, 128));
    let mixed = [bytes(Some(old), 0, 64), bytes(Some(new), 64, 64)].concat();
    assert_eq!(file.reads(0, 128, &mixed), Ok(()), "ext4 promises nothing of whole writes");
    assert_eq!(class(file.reads(0, 128, &bytes(None, 0, 128))), Some(Class::Content), "nobody zeroed");
    let late = file.begin(Op::range(OpKind::Read, 0, 128));
    assert_eq!(file.end(new, Outcome::Bytes(128), &[]), Ok(()));
    assert_eq!(file.end(late, Outcome::Bytes(128), &bytes(Some(old), 0, 128)), Ok(()), "it began before");
    assert_eq!(class(file.reads(0, 128, &bytes(Some(old), 0, 128))), Some(Class::Content));
    assert_eq!(file.reads(0, 128, &bytes(Some(new), 0, 128)), Ok(()));
}

#[test]
fn xfs_shows_writes_wholly_or_not_at_all() {
    for flavour in [Flavour::Xfs, Flavour::Xfs58, Flavour::Gfs2] {
        let mut file = File::new(flavour, 256);
        let old = file.write(0, 128);
        let new = file.begin(write_of(0, 128));
        assert_eq!(file.reads(0, 128, &bytes(Some(new), 0, 128)), Ok(()));
        let mixed = [bytes(Some(old), 0, 64), bytes(Some(new), 64, 64)].concat();
        assert_eq!(class(file.reads(0, 128, &mixed)), Some(Class::Content));
    }
}

#[test]
fn the_size_is_part_of_the_whole() {
    let mut file = File::new(Flavour::Xfs, 64);
    let old = file.write(0, 64);
    let new = file.begin(write_of(0, 128));
    // Its bytes below the old end and not those above it.
    assert_eq!(class(file.reads(0, 256, &bytes(Some(new), 0, 64))), Some(Class::Content));
    assert_eq!(file.reads(0, 256, &bytes(Some(old), 0, 64)), Ok(()));
    assert_eq!(file.reads(0, 256, &bytes(Some(new), 0, 128)), Ok(()));
}

#[test]
fn two_lanes_in_order_are_seen_in_order() {
    let mut file = File::new(Flavour::Xfs, 256);
    let read = file.begin(Op::range(OpKind::Read, 0, 128));
    file.write(0, 64);
    let second = file.write(64, 64);
    // The second is there and the first, which was over before it began, is not.
    let found = [bytes(None, 0, 64), bytes(Some(second), 64, 64)].concat();
    assert_eq!(class(file.end(read, Outcome::Bytes(128), &found)), Some(Class::Content));
}

#[test]
fn what_a_target_does_not_have_is_not_missed() {
    let mut file = File::new(Flavour::Gfs2, 256);
    let read = file.begin(Op::range(OpKind::Read, 0, 128));
    let lacks = file.begin(Op::range(OpKind::Punch, 0, 128));
    assert_eq!(file.end(lacks, Outcome::Unsupported(Errno::EOPNOTSUPP), &[]), Ok(()));
    let write = file.write(0, 64);
    let found = [bytes(Some(write), 0, 64), bytes(None, 64, 64)].concat();
    assert_eq!(file.end(read, Outcome::Bytes(128), &found), Ok(()));
}

#[test]
fn what_was_seen_of_two_writes_stays() {
    let mut file = File::new(Flavour::Ext4, 256);
    let (one, two) = (file.begin(write_of(0, 64)), file.begin(write_of(0, 64)));
    assert_eq!(file.end(one, Outcome::Bytes(64), &[]), Ok(()));
    assert_eq!(file.end(two, Outcome::Bytes(64), &[]), Ok(()));
    let early = file.begin(Op::range(OpKind::Read, 0, 64));
    assert_eq!(file.reads(0, 64, &bytes(Some(one), 0, 64)), Ok(()));
    assert_eq!(class(file.reads(0, 64, &bytes(Some(two), 0, 64))), Some(Class::Content));
    assert_eq!(file.end(early, Outcome::Bytes(64), &bytes(Some(one), 0, 64)), Ok(()));
}

#[test]
fn a_hole_is_no_answer_where_a_write_extends() {
    let mut file = File::new(Flavour::Ext4, 100);
    let old = file.write(0, 100);
    let new = file.begin(write_of(100, 100));
    let torn = [bytes(Some(old), 0, 100), bytes(None, 100, 100)].concat();
    assert_eq!(class(file.reads(0, 256, &torn)), Some(Class::Content), "a size that is seen comes with its bytes");
    assert_eq!(file.reads(0, 256, &bytes(Some(old), 0, 100)), Ok(()));
    assert!(file.is_size(150), "folio by folio, the size is raised in between");
    assert!(!file.is_size(99) && !file.is_size(201));
    assert_eq!(file.end(new, Outcome::Bytes(100), &[]), Ok(()));
    assert!(!file.is_size(150) && file.is_size(200));
}

#[test]
fn a_gap_and_the_write_that_fills_it_leave_no_hole() {
    let mut file = File::new(Flavour::Ext4, 64);
    let (far, near) = (file.begin(write_of(192, 64)), file.begin(write_of(64, 128)));
    assert_eq!(file.end(far, Outcome::Bytes(64), &[]), Ok(()));
    assert_eq!(file.end(near, Outcome::Bytes(128), &[]), Ok(()));
    assert_eq!(class(file.reads(64, 128, &bytes(None, 64, 128))), Some(Class::Content));
    assert_eq!(file.reads(64, 128, &bytes(Some(near), 64, 128)), Ok(()));
}

#[test]
fn a_truncate_zeroes_the_rest_of_a_folio_under_a_reader_without_a_lock() {
    let old = |file: &mut File| file.write(0, 512);
    for (flavour, may) in [(Flavour::Ext4, true), (Flavour::Xfs, false)] {
        let mut file = File::new(flavour, 0);
        let of = old(&mut file);
        let truncate = file.begin(Op::at(OpKind::Truncate, 100));
        let read = file.begin(Op::range(OpKind::Read, 0, 256));
        let found = [bytes(Some(of), 0, 100), bytes(None, 100, 156)].concat();
        assert_eq!(file.end(read, Outcome::Bytes(256), &found).is_ok(), may, "{flavour}");
        // Whole folios go as they are.
        let mut file = File::new(flavour, 0);
        let of = old(&mut file);
        let _ = (file.begin(Op::at(OpKind::Truncate, 100)), truncate);
        let read = file.begin(Op::range(OpKind::Read, 0, 512));
        let found = [bytes(Some(of), 0, 256), bytes(None, 256, 256)].concat();
        assert_eq!(class(file.end(read, Outcome::Bytes(512), &found)), Some(Class::Content), "{flavour}");
    }
}

#[test]
fn what_failed_was_not_written() {
    let mut file = File::new(Flavour::Ext4, 128);
    let fault = Op { kind: OpKind::WriteFault, off: 0, len: 200, readable: 100 };
    let short = file.begin(fault);
    assert_eq!(file.end(short, Outcome::Bytes(60), &[]), Ok(()));
    let found = [bytes(Some(short), 0, 60), bytes(None, 60, 68)].concat();
    assert_eq!(file.reads(0, 256, &found), Ok(()));
    let failed = file.begin(fault);
    assert_eq!(file.end(failed, Outcome::Errno(Errno::EFAULT), &[]), Ok(()));
    assert_eq!(file.reads(0, 256, &found), Ok(()));
    let wrong = file.begin(write_of(0, 8));
    assert_eq!(class(file.end(wrong, Outcome::Bytes(7), &[])), Some(Class::Size));
}

#[test]
fn a_direct_write_that_meets_a_store_is_open_until_the_next_write() {
    let mut file = File::new(Flavour::Ext4, 256);
    let (store, direct) =
        (file.begin(Op::range(OpKind::MapWrite, 200, 8)), file.begin(Op::range(OpKind::DirectWrite, 0, 128)));
    let dread = file.begin(Op::range(OpKind::DirectRead, 0, 128));
    assert_eq!(file.end(dread, Outcome::Errno(Errno::EIO), &[]), Ok(()), "the store may have reserved blocks");
    assert_eq!(file.end(store, Outcome::Bytes(8), &[]), Ok(()));
    assert_eq!(file.end(direct, Outcome::Bytes(128), &[]), Ok(()));
    assert!(file.oracle.may_have_lost());
    assert_eq!(file.reads(0, 128, &bytes(None, 0, 128)), Ok(()));
    assert_eq!(class(file.reads(0, 128, &[2; 128])), Some(Class::Content), "garbage is never right");
    file.write(0, 128);
    assert_eq!(class(file.reads(0, 128, &bytes(None, 0, 128))), Some(Class::Content));
    let mut file = File::new(Flavour::Ext4, 256);
    let store = file.begin(Op::range(OpKind::MapWrite, 200, 8));
    assert_eq!(file.end(store, Outcome::Bytes(8), &[]), Ok(()));
    let dread = file.begin(Op::range(OpKind::DirectRead, 0, 128));
    assert_eq!(class(file.end(dread, Outcome::Errno(Errno::EIO), &[])), Some(Class::Errno), "the store is over");
}

#[test]
fn sigbus_is_due_where_a_page_can_be_missing() {
    let mut file = File::new(Flavour::Xfs, 256);
    let load = file.begin(Op::range(OpKind::MapRead, 0, 512));
    assert_eq!(class(file.end(load, Outcome::Sigbus(0), &[])), Some(Class::Size));
    let load = file.begin(Op::range(OpKind::MapRead, 0, 512));
    assert_eq!(file.end(load, Outcome::Sigbus(256), &bytes(None, 0, 256)), Ok(()));
    let _truncate = file.begin(Op::at(OpKind::Truncate, 512));
    let load = file.begin(Op::range(OpKind::MapRead, 0, 512));
    assert_eq!(file.end(load, Outcome::Bytes(512), &bytes(None, 0, 512)), Ok(()));
    let load = file.begin(Op::range(OpKind::MapRead, 0, 512));
    assert_eq!(class(file.end(load, Outcome::Sigbus(8), &bytes(None, 0, 8))), Some(Class::Size));
}

#[test]
fn at_rest_the_second_look_must_find_what_the_first_has_found() {
    let mut file = File::new(Flavour::Xfs, 64);
    let (one, two) = (file.begin(write_of(0, 64)), file.begin(write_of(0, 64)));
    assert_eq!(file.end(one, Outcome::Bytes(64), &[]), Ok(()));
    assert_eq!(file.end(two, Outcome::Bytes(64), &[]), Ok(()));
    assert_eq!(file.oracle.check_whole(64, &bytes(Some(two), 0, 64)), Ok(()));
    assert_eq!(class(file.oracle.check_whole(64, &bytes(Some(one), 0, 64))), Some(Class::Content));
    assert_eq!(class(file.oracle.check_whole(65, &[0; 65])), Some(Class::Size));
}
