//! The rows of the table of permitted differences: what each lets pass, where it holds, and what it does not cover.

mod common;

use common::{Bench, written};
use oracle::flat::PERMITTED;
use oracle::{Class, Errno, Op, OpKind, Outcome};
use std::collections::BTreeSet;

use OpKind::*;
use Outcome::{Bytes, Done};

const EFAULT: Outcome = Outcome::Errno(Errno::EFAULT);

fn on(file_system: &str) -> Bench {
    let mut bench = Bench::alone();
    bench.file.permit_known(file_system);
    bench
}

fn read(bench: &mut Bench, off: u64, found: &[u8]) -> Option<u64> {
    let len = found.len() as u64;
    let answer = bench.answer(0, Op::range(Read, off, len), Bytes(len), found);
    answer.err().map(|divergence| divergence.offset.unwrap())
}

#[test]
fn every_row_has_a_name_of_its_own_and_a_source() {
    let names: BTreeSet<&str> = PERMITTED.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), PERMITTED.len());
    for row in PERMITTED {
        assert!(!row.ops.is_empty(), "{} concerns nothing", row.name);
        assert!(row.on.iter().all(|name| row.reason.contains(name)), "{} does not tell where it holds", row.name);
    }
}

#[test]
fn a_fault_may_write_less_than_could_be_read_and_then_that_much_is_written() {
    for (outcome, size) in [(Bytes(7), 7), (Bytes(6), 6), (Bytes(1), 1), (EFAULT, 0)] {
        let mut bench = Bench::alone();
        bench.fine(Op { readable: 7, ..Op::range(WriteFault, 0, 90) }, outcome);
        assert_eq!(bench.file.check_whole(size, &written(0, 0, size)), Ok(()), "{outcome}");
    }
    let none = Bench::alone().answer(0, Op { readable: 7, ..Op::range(WriteFault, 0, 90) }, Bytes(0), &[]);
    assert_eq!(none.unwrap_err().class, Class::Size);
}

#[test]
fn some_extend_to_the_offset_of_a_write_that_failed() {
    for (file_system, size) in [("tmpfs", 5000), ("ext4", 5000), ("xfs", 100), ("btrfs", 100)] {
        let mut bench = on(file_system);
        bench.truncate(100);
        bench.fine(Op::range(WriteFault, 5000, 10), EFAULT);
        bench.fine(Op::range(WriteFault, 50, 10), EFAULT);
        assert_eq!(bench.file.check_whole(size, &vec![0; size as usize]), Ok(()), "{file_system}");
    }
}

/// A file of 8192 bytes, written in `[0, 100)`, then a write of `[50, 250)` that comes as far as 60.
fn short_copy(file_system: &str) -> Bench {
    let mut bench = on(file_system);
    bench.truncate(8192);
    bench.write(0, 100);
    bench.fine(Op { readable: 10, ..Op::range(WriteFault, 50, 200) }, Bytes(10));
    bench
}

fn after_short_copy() -> Vec<u8> {
    let mut content = vec![0; 8192];
    content[..100].copy_from_slice(&written(1, 0, 100));
    content[50..60].copy_from_slice(&written(2, 50, 10));
    content
}

#[test]
fn a_short_copy_on_xfs_leaves_open_the_zeros_it_missed_and_nothing_else() {
    let clean = after_short_copy();
    for at in [0, 49, 50, 59, 60, 99, 100, 249, 250, 8191] {
        let mut found = clean.clone();
        found[at] ^= 2;
        let open = (100..250).contains(&at);
        assert_eq!(read(&mut short_copy("xfs"), 0, &found), (!open).then_some(at as u64), "byte {at}");
        assert_eq!(short_copy("xfs").file.check_whole(8192, &found).is_ok(), open, "byte {at}");
        assert_eq!(read(&mut short_copy("ext4"), 0, &found), Some(at as u64), "byte {at}");
    }
}

#[test]
fn what_is_open_is_settled_by_the_next_change() {
    let changes = [
        (Op::range(Write, 100, 150), Bytes(150)),
        (Op::range(MapWrite, 100, 150), Bytes(150)),
        (Op::range(Punch, 100, 150), Done),
        (Op::range(ZeroRange, 90, 500), Done),
        (Op::at(Truncate, 100), Done),
    ];
    for (op, outcome) in changes {
        let mut bench = short_copy("xfs");
        bench.fine(op, outcome);
        bench.truncate(8192);
        let mut found = bench.file.bytes().to_vec();
        assert_eq!(read(&mut bench, 0, &found), None, "{op}");
        found[200] ^= 2;
        assert_eq!(read(&mut bench, 0, &found), Some(200), "{op}");
    }
    let mut bench = short_copy("xfs");
    bench.file.reset(&common::geometry(0, 0), 1, common::PAGE);
    bench.truncate(8192);
    assert_eq!(read(&mut bench, 100, &[1; 10]), Some(100), "open bytes outlived the reset");
}

/// A file of 1000 bytes with stores of operation 1 at `[1000, 1100)`, extended by `extend`.
fn extended(file_system: &str, extend: Op, outcome: Outcome) -> Bench {
    let mut bench = on(file_system);
    bench.truncate(1000);
    bench.fine(Op::range(MapWrite, 1000, 100), Bytes(100));
    bench.fine(extend, outcome);
    bench
}

#[test]
fn a_direct_write_on_ext4_may_show_stores_past_the_old_end() {
    let stale = written(1, 1000, 100);
    let direct = (Op::range(DirectWrite, 4096, 512), Bytes(512));
    assert_eq!(read(&mut extended("ext4", direct.0, direct.1), 1000, &stale), None);
    assert_eq!(read(&mut extended("ext4", direct.0, direct.1), 1000, &[0; 100]), None);
    assert_eq!(read(&mut extended("ext4", direct.0, direct.1), 1100, &stale), Some(1100));
    assert_eq!(read(&mut extended("xfs", direct.0, direct.1), 1000, &stale), Some(1000));
    assert_eq!(read(&mut extended("ext4", Op::range(Write, 4096, 512), direct.1), 1000, &stale), Some(1000));
    let over = (Op::range(DirectWrite, 512, 1024), Bytes(1024));
    assert_eq!(read(&mut extended("ext4", over.0, over.1), 1000, &stale), Some(1000), "it was overwritten");
}

/// A file of 1000 bytes, extended by a direct write, then stored to by operation 2 on both sides of the old end.
fn stored_after_extension(file_system: &str) -> Bench {
    let mut bench = on(file_system);
    bench.truncate(1000);
    bench.fine(Op::range(DirectWrite, 3072, 512), Bytes(512));
    bench.fine(Op::range(MapWrite, 900, 2300), Bytes(2300));
    bench
}

#[test]
fn stores_after_a_direct_extension_on_ext4_may_be_lost_and_be_called_a_hole() {
    let stored = stored_after_extension("ext4").file.bytes().to_vec();
    for at in [899, 900, 999, 1000, 3071, 3072, 3199] {
        let mut found = stored.clone();
        found[at] ^= 2;
        let open = (1000..3072).contains(&at);
        assert_eq!(read(&mut stored_after_extension("ext4"), 0, &found), (!open).then_some(at as u64), "byte {at}");
        assert_eq!(read(&mut stored_after_extension("xfs"), 0, &found), Some(at as u64), "byte {at}");
    }
    let hole = |file_system, at| {
        stored_after_extension(file_system).answer(0, Op::at(SeekHole, 900), Outcome::Position(at), &[]).is_ok()
    };
    assert!(hole("ext4", 1000) && hole("ext4", 3000));
    assert!(!hole("ext4", 999) && !hole("ext4", 3072) && !hole("xfs", 1000));
    // Zeros leave a block fragile of which they cover a part, and it may be as large as half a page.
    for zeroing in [Op::range(Punch, 1024, 1024), Op::range(ZeroRange, 1024, 1024)] {
        let mut zeroed = stored_after_extension("ext4");
        zeroed.fine(zeroing, Done);
        zeroed.fine(Op::range(MapWrite, 1000, 2072), Bytes(2072));
        let zeros = [0; 1024];
        assert_eq!(read(&mut zeroed, 1024, &zeros), None, "{zeroing}");
        let mut zeroed = stored_after_extension("ext4");
        zeroed.fine(Op { off: 0, len: 2048, ..zeroing }, Done);
        zeroed.fine(Op::range(MapWrite, 1000, 2072), Bytes(2072));
        assert_eq!(read(&mut zeroed, 1024, &zeros), Some(1024), "{zeroing}");
    }
    // So does the end of file, wherever in the page it comes to lie; pages behind it are fresh ones.
    let mut cut = stored_after_extension("ext4");
    cut.truncate(2000);
    cut.truncate(4096);
    cut.fine(Op::range(MapWrite, 1000, 3096), Bytes(3096));
    assert_eq!(read(&mut cut, 1000, &[0; 2072]), None);
    assert_eq!(read(&mut cut, 3072, &[0; 1024]), Some(3072));
    let mut cut = stored_after_extension("ext4");
    cut.truncate(0);
    cut.truncate(4096);
    cut.fine(Op::range(MapWrite, 1000, 2072), Bytes(2072));
    assert_eq!(read(&mut cut, 1000, &[0; 2072]), Some(1000), "there is another page now");
    let mut rewritten = stored_after_extension("ext4");
    rewritten.write(1000, 2072);
    assert_eq!(read(&mut rewritten, 1000, &stored[1000..3072]), Some(1000), "a write settles the bytes");
    rewritten.fine(Op::range(MapWrite, 1000, 2072), Bytes(2072));
    assert_eq!(read(&mut rewritten, 1000, &stored[1000..3072]), Some(1000), "a written block is no longer fragile");
}

#[test]
fn a_direct_read_fails_only_where_a_fault_left_blocks_reserved() {
    const EIO: Outcome = Outcome::Errno(Errno::EIO);
    // The write faults at 5000 of [4500, 9000), so there may be reserved blocks from 4096 on.
    let answer = |file_system, off, len, readable| {
        let mut bench = on(file_system);
        bench.truncate(65_536);
        let outcome = if readable == 0 { EFAULT } else { Bytes(readable) };
        bench.fine(Op { readable, ..Op::range(WriteFault, 4500, 4500) }, outcome);
        bench.answer(0, Op::range(DirectRead, off, len), EIO, &[]).map_err(|divergence| divergence.class)
    };
    for readable in [0, 500] {
        assert_eq!(answer("ext4", 4096, 512, readable), Ok(()));
        assert_eq!(answer("xfs", 0, 65_536, readable), Ok(()));
        assert_eq!(answer("xfs", 60_416, 512, readable), Ok(()));
        assert_eq!(answer("ext4", 0, 4096, readable), Err(Class::Errno));
        assert_eq!(answer("btrfs", 4096, 512, readable), Err(Class::Errno));
    }
}

#[test]
fn the_end_of_file_is_called_data_only_where_that_is_known() {
    let answer = |file_system, written, position| {
        let mut bench = on(file_system);
        bench.write(0, written);
        bench.truncate(5000);
        bench.answer(0, Op::at(SeekData, 100), Outcome::Position(position), &[]).is_ok()
    };
    assert!(answer("xfs", 100, 5000) && answer("ext4", 100, 5000));
    assert!(!answer("btrfs", 100, 5000), "the end is no data");
    assert!(!answer("xfs", 100, 5001), "beyond the end");
    assert!(!answer("xfs", 101, 5000), "there was data before the end");
}

/// Bytes 1000 to 1020 of a file that had 900 when they were stored, and 1000 when it grew.
fn raised_twice(file_system: &str, raise: Op, grow: Op, outcome: Outcome) -> Bench {
    let mut bench = on(file_system);
    bench.truncate(900);
    bench.fine(Op::range(MapWrite, 900, 200), Bytes(200));
    bench.fine(raise, Done);
    bench.fine(grow, outcome);
    bench
}

#[test]
fn stores_survive_on_ext4_where_space_was_allocated_up_to_the_end() {
    let stale = written(1, 1000, 20);
    let growths = [
        (Op::range(Write, 5000, 10), Bytes(10)),
        (Op::at(Truncate, 1020), Done),
        (Op::range(ZeroRange, 5000, 10), Done),
    ];
    for (grow, outcome) in growths {
        for raise in [Op::range(Fallocate, 0, 1000), Op::range(ZeroRange, 950, 50)] {
            let found = |file_system| read(&mut raised_twice(file_system, raise, grow, outcome), 1000, &stale);
            assert_eq!((found("ext4"), found("xfs")), (None, Some(1000)), "{raise}, {grow}");
        }
        let raise = Op::at(Truncate, 1000);
        assert_eq!(read(&mut raised_twice("ext4", raise, grow, outcome), 1000, &stale), Some(1000), "{raise}, {grow}");
    }
    let mut below = raised_twice("ext4", Op::range(Fallocate, 0, 1000), Op::at(Truncate, 1020), Done);
    assert_eq!(read(&mut below, 950, &written(1, 950, 20)), Some(950), "the first growth zeroes");
}

#[test]
fn stores_past_the_end_survive_every_growth_on_tmpfs() {
    let stale = written(1, 1000, 20);
    let growths = [
        (Op::range(Write, 2000, 10), Bytes(10)),
        (Op::at(Truncate, 2000), Done),
        (Op::range(Fallocate, 0, 2000), Done),
        (Op::range(WriteFault, 2000, 10), EFAULT),
    ];
    for (op, outcome) in growths {
        assert_eq!(read(&mut extended("tmpfs", op, outcome), 1000, &stale), None, "{op}");
        if outcome != EFAULT {
            assert_eq!(read(&mut extended("btrfs", op, outcome), 1000, &stale), Some(1000), "{op}");
        }
    }
}

const ENOSPC: Outcome = Outcome::Errno(Errno::ENOSPC);

/// A file of 8 KiB that is short of space for lane 0, blocks of 1 KiB, pages of 4 KiB.
fn short_of_space() -> Bench {
    let mut bench = Bench::alone();
    bench.truncate(8192);
    bench.fine(Op::plain(FailAlloc), Done);
    bench
}

#[test]
fn space_runs_out_once_after_fail_alloc_at_the_end_of_a_block() {
    let write = Op::range(Write, 100, 3000);
    for outcome in [Bytes(3000), Bytes(924), Bytes(1948), ENOSPC] {
        short_of_space().fine(write, outcome);
    }
    for outcome in [Bytes(925), Bytes(0), EFAULT, Done] {
        assert!(short_of_space().answer(0, write, outcome, &[]).is_err(), "{outcome}");
    }
    let mut bench = short_of_space();
    bench.fine(write, Bytes(924));
    assert_eq!(bench.answer(0, write, ENOSPC, &[]).unwrap_err().class, Class::Errno, "only once");
    let mut unasked = Bench::alone();
    assert_eq!(unasked.answer(0, write, ENOSPC, &[]).unwrap_err().class, Class::Errno, "and not unasked");
}

#[test]
fn a_store_without_space_is_a_sigbus_at_the_start_of_a_page() {
    let store = Op::range(MapWrite, 100, 6000);
    for outcome in [Bytes(6000), Outcome::Sigbus(0), Outcome::Sigbus(3996)] {
        short_of_space().fine(store, outcome);
    }
    for outcome in [Outcome::Sigbus(924), ENOSPC, Bytes(3996)] {
        assert!(short_of_space().answer(0, store, outcome, &[]).is_err(), "{outcome}");
    }
}
