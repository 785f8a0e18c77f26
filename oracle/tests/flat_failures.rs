//! I/O that fails: which answers it explains, and which older bytes it leaves possible.

mod common;

use common::{Bench, written};
use oracle::{Class, Errno, FlatFile, Op, OpId, OpKind, Outcome};

use OpKind::*;
use Outcome::{Bytes, Done, Sigbus};

const EIO: Outcome = Outcome::Errno(Errno::EIO);

/// One lane or several, in a program that makes I/O fail.
fn bench(lanes: usize) -> Bench {
    let mut bench = if lanes == 1 { Bench::alone() } else { Bench::shared(lanes, 4096, 1024) };
    bench.file.expect_failures();
    bench
}

fn plain(kind: OpKind) -> Op {
    Op::plain(kind)
}

/// Two versions of 8 bytes, the older of them synced, and a write that was to fail in between: operations 0 to 3.
fn overwritten() -> Bench {
    let mut bench = bench(1);
    bench.write(0, 8);
    bench.fine(plain(Fsync), Done);
    bench.fine(plain(FailWrite), Done);
    bench.write(0, 8);
    bench
}

/// Whether a read of the 8 bytes may find what operation `index` wrote there.
fn may_find(bench: &Bench, index: u32) -> bool {
    bench.file.check_whole(8, &written(index, 0, 8)).is_ok()
}

#[test]
fn an_error_without_a_failure_is_wrong() {
    for (kind, outcome) in [(Fsync, EIO), (Read, EIO), (Read, Bytes(3)), (Punch, EIO), (WriteDsync, EIO)] {
        let mut bench = bench(1);
        bench.write(0, 8);
        let op = if kind == Fsync { plain(Fsync) } else { Op::range(kind, 0, 8) };
        assert!(bench.answer(0, op, outcome, &[0; 8]).is_err(), "{op} {outcome}");
    }
}

#[test]
fn a_description_is_told_as_often_as_writes_failed() {
    let mut bench = bench(2);
    bench.fine(plain(FailWrite), Done);
    for lane in [0, 1] {
        assert_eq!(bench.answer(lane, plain(Fsync), EIO, &[]), Ok(()));
        assert_eq!(bench.answer(lane, plain(Fsync), EIO, &[]).unwrap_err().class, Class::Errno);
    }
}

#[test]
fn a_failing_read_explains_one_short_answer() {
    let answers = [
        (Op::range(Read, 0, 8), EIO),
        (Op::range(Read, 0, 8), Bytes(5)),
        (Op::range(MapRead, 0, 8), Sigbus(0)),
        (Op::range(MapWrite, 0, 8), Sigbus(5)),
        (Op::range(Write, 0, 8), EIO),
    ];
    for (op, outcome) in answers {
        let mut bench = bench(1);
        bench.write(0, 8);
        bench.fine(plain(FailRead), Done);
        assert_eq!(bench.answer(0, op, outcome, &written(0, 0, 8)), Ok(()), "{op} {outcome}");
        assert!(bench.answer(0, op, outcome, &written(0, 0, 8)).is_err(), "{op} {outcome}, again");
    }
}

#[test]
fn what_was_not_synced_may_be_an_older_version_and_nothing_else() {
    let mut bench = overwritten();
    assert!(may_find(&bench, 3) && may_find(&bench, 0));
    let mut mixed = written(0, 0, 8);
    mixed[4..].copy_from_slice(&written(3, 4, 4));
    assert_eq!(bench.file.check_whole(8, &mixed), Ok(()));
    // Zeros were its content before the first sync, and no longer.
    assert_eq!(bench.file.check_whole(8, &[0; 8]).unwrap_err().offset, Some(0));
    assert_eq!(bench.file.check_whole(8, &written(1, 0, 8)).unwrap_err().class, Class::Content);
    // A sync that tells of the loss says nothing of what there is, and neither does the next.
    bench.fine(plain(Fsync), EIO);
    bench.fine(plain(Fsync), Done);
    assert!(may_find(&bench, 3) && may_find(&bench, 0));
}

#[test]
fn a_sync_without_an_error_says_that_the_newest_version_is_good() {
    for sync in [plain(Fsync), plain(Fdatasync), Op::range(Msync, 0, 8), Op::range(SyncRange, 0, 8)] {
        let mut bench = overwritten();
        bench.fine(sync, Done);
        assert!(may_find(&bench, 3) && !may_find(&bench, 0), "{sync}");
    }
    let mut bench = overwritten();
    bench.fine(Op::range(WriteDsync, 0, 8), Bytes(8));
    assert!(may_find(&bench, 4) && !may_find(&bench, 3) && !may_find(&bench, 0));
    let mut bench = overwritten();
    bench.fine(Op::range(Msync, 4, 4), Done);
    assert!(!may_find(&bench, 0), "bytes 4 to 8 are good");
    let mut mixed = written(0, 0, 8);
    mixed[4..].copy_from_slice(&written(3, 4, 4));
    assert_eq!(bench.file.check_whole(8, &mixed), Ok(()));
}

#[test]
fn a_description_opened_after_the_write_says_nothing_of_it() {
    let mut bench = overwritten();
    bench.fine(plain(Reopen), Done);
    bench.fine(plain(Fsync), Done);
    assert!(may_find(&bench, 0));
    bench.write(0, 8);
    bench.fine(plain(Fsync), Done);
    assert!(may_find(&bench, 6) && !may_find(&bench, 3) && !may_find(&bench, 0));
}

#[test]
fn a_sync_says_nothing_of_a_write_that_completes_beside_it() {
    let mut file = FlatFile::new(&common::geometry(4096, 1024), 2, 4096);
    file.expect_failures();
    let (write, fsync) = (OpId { lane: 0, index: 1 }, OpId { lane: 1, index: 1 });
    file.begins(0);
    file.apply(OpId { lane: 0, index: 0 }, &plain(FailWrite), Done, &[]).unwrap();
    file.begins(0);
    file.begins(1);
    file.apply(write, &Op::range(Write, 0, 8), Bytes(8), &[]).unwrap();
    file.apply(fsync, &plain(Fsync), Done, &[]).unwrap();
    assert_eq!(file.check_whole(4096, &[0; 4096]), Ok(()));
    file.begins(1);
    file.apply(OpId { lane: 1, index: 2 }, &plain(Fsync), Done, &[]).unwrap();
    assert!(file.check_whole(4096, &[0; 4096]).is_err());
}

#[test]
fn a_direct_write_that_fails_leaves_old_and_new() {
    let mut bench = overwritten();
    bench.fine(Op::range(DirectWrite, 0, 8), EIO);
    bench.fine(Op::range(AioWrite, 0, 8), EIO);
    assert!(may_find(&bench, 4) && may_find(&bench, 3));
    bench.fine(plain(Fsync), Done);
    assert!(may_find(&bench, 4) && may_find(&bench, 3), "no sync repairs it");
}

#[test]
fn the_size_after_a_failure_is_asked_for_and_judged() {
    let mut bench = overwritten();
    bench.fine(Op::at(Truncate, 100), EIO);
    let id = OpId { lane: 0, index: 4 };
    bench.file.learn_size(id, || 100).unwrap();
    assert_eq!(bench.file.size(), 100);
    bench.file.learn_size(id, || unreachable!("it is known")).unwrap();
    bench.fine(Op::at(Truncate, 4), EIO);
    assert_eq!(bench.file.learn_size(id, || 101).unwrap_err().class, Class::Size);
}

#[test]
fn what_was_cut_off_may_come_back_where_its_zeroing_was_lost() {
    let mut bench = overwritten();
    bench.truncate(4);
    bench.truncate(8);
    let mut cut = written(3, 0, 8);
    cut[4..].fill(0);
    assert!(bench.file.check_whole(8, &cut).is_ok() && may_find(&bench, 3));
    bench.fine(plain(Fsync), Done);
    assert!(bench.file.check_whole(8, &cut).is_ok() && !may_find(&bench, 3));
}
