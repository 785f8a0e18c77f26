//! What a crash may leave of a file.

mod common;

use common::{Bench, PAGE, geometry, written};
use oracle::{Class, FlatFile, Op, OpId, OpKind, Outcome};

const CRASH: OpId = OpId { lane: 0, index: 99 };
const BLOCK: u64 = 1024;

fn bench() -> Bench {
    let mut bench = Bench::alone();
    bench.file.expect_crashes();
    bench
}

fn sync(bench: &mut Bench) {
    bench.fine(Op::plain(OpKind::Fsync), Outcome::Done);
}

/// The class of what is wrong with these bytes after a crash.
fn wrong(bench: &Bench, content: &[u8]) -> Option<Class> {
    bench.file.judge_crash(CRASH, content).err().map(|divergence| divergence.class)
}

#[test]
fn what_was_synced_must_be_there_and_what_came_later_may() {
    let mut bench = bench();
    bench.write(0, 2000);
    sync(&mut bench);
    bench.write(500, 1000);
    let (old, new) = (written(0, 0, 2000), written(2, 500, 1000));
    assert_eq!(wrong(&bench, &old), None);
    let mut mixed = old.clone();
    mixed[600..700].copy_from_slice(&new[100..200]);
    assert_eq!(wrong(&bench, &mixed), None, "each byte for itself");
    let mut lost = old.clone();
    lost[400..600].fill(0);
    assert_eq!(wrong(&bench, &lost), Some(Class::Disk));
    assert_eq!(wrong(&bench, &old[..1999]), Some(Class::Size));
    sync(&mut bench);
    assert_eq!(wrong(&bench, &old), Some(Class::Disk), "the second write is synced, too");
    assert_eq!(wrong(&bench, &[]), Some(Class::Size));
}

#[test]
fn nobody_may_ever_see_what_no_operation_put_there() {
    let mut bench = bench();
    bench.write(0, 1000);
    bench.fine(Op::range(OpKind::Punch, 0, 500), Outcome::Done);
    let mut found = written(0, 0, 1000);
    assert_eq!(wrong(&bench, &found), None, "neither is synced");
    found[100] ^= 2;
    assert_eq!(wrong(&bench, &found), Some(Class::Disk));
    found[100] = 0;
    assert_eq!(wrong(&bench, &found), None, "and the punch may be there in part");
}

#[test]
fn the_size_is_one_the_file_had_or_a_blocks_end_on_the_way() {
    let mut bench = bench();
    bench.write(0, 500);
    bench.write(500, 3 * BLOCK);
    let all = [written(0, 0, 500), written(1, 500, 3 * BLOCK)].concat();
    for (size, fine) in [(0, true), (500, true), (501, false), (BLOCK, true), (2 * BLOCK, true), (3 * BLOCK, true)] {
        assert_eq!(wrong(&bench, &all[..size as usize]).is_none(), fine, "{size}");
    }
    assert_eq!(wrong(&bench, &all), None);
    sync(&mut bench);
    assert_eq!(wrong(&bench, &all[..BLOCK as usize]), Some(Class::Size));
    bench.truncate(100);
    for size in [100, all.len()] {
        assert_eq!(wrong(&bench, &all[..size]), None, "the truncate may be there or not");
    }
    assert_eq!(wrong(&bench, &all[..500]), Some(Class::Size), "that size is durable history");
}

#[test]
fn a_direct_write_below_the_end_may_be_as_far_as_the_size_got() {
    let mut bench = bench();
    bench.write(3 * BLOCK, BLOCK);
    bench.fine(Op::range(OpKind::DirectWrite, 0, 512), Outcome::Bytes(512));
    assert_eq!(wrong(&bench, &written(1, 0, 512)), None);
    assert_eq!(wrong(&bench, &[0; 512]), Some(Class::Disk), "it is on the device before its size is");
    sync(&mut bench);
    assert_eq!(wrong(&bench, &written(1, 0, 512)), Some(Class::Size));
    let all = [written(1, 0, 512), vec![0; 2560], written(0, 3 * BLOCK, BLOCK)].concat();
    assert_eq!(wrong(&bench, &all), None);
}

#[test]
fn a_size_that_a_write_led_to_comes_with_the_bytes_before_it() {
    let mut bench = bench();
    bench.write(0, 100);
    bench.write(100, 100);
    let mut found = written(0, 0, 200);
    found[100..].fill(0);
    assert_eq!(wrong(&bench, &found), Some(Class::Disk), "the second write's size without its bytes");
    found[100..].copy_from_slice(&written(1, 100, 100));
    found[..100].fill(0);
    assert_eq!(wrong(&bench, &found), None, "what came before is not bound to it");
    let mut hole = self::bench();
    hole.write(0, 3 * BLOCK);
    let mut found = written(0, 0, 3 * BLOCK);
    found[..2048].fill(0);
    assert_eq!(wrong(&hole, &found), None, "blocks are written in any order");
    found[2048..].fill(0);
    assert_eq!(wrong(&hole, &found), Some(Class::Disk));
    hole.truncate(3 * BLOCK);
    assert_eq!(wrong(&hole, &found), None, "a size that was set needs no bytes");
}

#[test]
fn msync_promises_its_range_and_the_size_that_reaches_it() {
    let mut bench = bench();
    bench.write(0, 3 * BLOCK);
    bench.write(0, 4 * BLOCK);
    bench.fine(Op::range(OpKind::Msync, BLOCK, BLOCK), Outcome::Done);
    let mut found = written(1, 0, 4 * BLOCK);
    found[..100].fill(0);
    assert_eq!(wrong(&bench, &found), None);
    found[BLOCK as usize..][..100].fill(0);
    assert_eq!(wrong(&bench, &found), Some(Class::Disk));
    let whole = written(1, 0, 4 * BLOCK);
    assert_eq!(wrong(&bench, &whole[..2 * BLOCK as usize]), None);
    assert_eq!(wrong(&bench, &whole[..BLOCK as usize]), Some(Class::Size));
}

#[test]
fn a_sync_promises_what_was_complete_when_it_began() {
    let mut file = FlatFile::new(&geometry(2048, 1024), 2, PAGE);
    file.expect_crashes();
    let write = |lane: u8, index: u32| (OpId { lane, index }, Op::range(OpKind::Write, 1024 * u64::from(lane), 100));
    let (first, second) = (write(1, 0), write(1, 1));
    file.begins(1);
    file.apply(first.0, &first.1, Outcome::Bytes(100), &[]).unwrap();
    file.begins(0); // an fsync, beside which lane 1 writes again
    file.begins(1);
    file.apply(second.0, &second.1, Outcome::Bytes(100), &[]).unwrap();
    file.apply(OpId { lane: 0, index: 0 }, &Op::plain(OpKind::Fsync), Outcome::Done, &[]).unwrap();
    let found = |index: u32| {
        let mut found = vec![0; 2048];
        oracle::fill::fill_written(&mut found[1024..1124], OpId { lane: 1, index }, 1024);
        found
    };
    for index in [0, 1] {
        assert_eq!(file.judge_crash(CRASH, &found(index)), Ok(()), "{index}");
    }
    assert!(file.judge_crash(CRASH, &vec![0; 2048]).is_err());
    assert!(file.judge_crash(CRASH, &found(2)).is_err());
    file.interrupted(OpId { lane: 1, index: 2 }, &second.1);
    assert_eq!(file.judge_crash(CRASH, &found(2)), Ok(()), "it was under way");
}

#[test]
fn what_is_left_is_the_file_from_then_on() {
    let mut bench = bench();
    bench.write(0, 1000);
    sync(&mut bench);
    bench.write(0, 1000);
    let (old, new) = (written(0, 0, 1000), written(2, 0, 1000));
    let found = [&new[..300], &old[300..]].concat();
    bench.file.recovered(CRASH, &found).unwrap();
    assert_eq!(bench.file.bytes(), found);
    bench.answer(0, Op::range(OpKind::Read, 0, 1000), Outcome::Bytes(1000), &found).unwrap();
    assert!(bench.answer(0, Op::range(OpKind::Read, 0, 1000), Outcome::Bytes(1000), &new).is_err());
    assert_eq!(wrong(&bench, &found), None);
    assert_eq!(wrong(&bench, &old), Some(Class::Disk), "it is durable now");
}

#[test]
fn a_report_names_what_would_have_been_right() {
    let mut bench = bench();
    bench.write(0, 100);
    sync(&mut bench);
    bench.write(0, 100);
    let divergence = bench.file.judge_crash(CRASH, &[0; 100]).unwrap_err();
    assert!(divergence.detail.contains("what 0.0 write off=0 len=100 wrote there"), "{divergence}");
    assert!(divergence.detail.contains("or what 0.2 write off=0 len=100 wrote there"), "{divergence}");
    assert!(divergence.detail.ends_with("found zeros [00 00 00 00 00 00 00 00 ..]"), "{divergence}");
}

#[test]
fn what_a_crash_left_behind_the_end_may_come_back_until_its_zeros_are_synced() {
    let mut bench = bench();
    bench.write(0, 300);
    sync(&mut bench);
    bench.write(0, 2 * BLOCK);
    // The first block is on the device, the size that covers it is not.
    let lost = written(2, 0, 2 * BLOCK);
    bench.file.recovered(CRASH, &lost[..300]).unwrap();
    bench.fine(Op::range(OpKind::DirectWriteDsync, BLOCK, BLOCK), Outcome::Bytes(BLOCK));
    let after = |gap: &[u8]| [&lost[..300], gap, &written(3, BLOCK, BLOCK)].concat();
    let (zeros, old) = (vec![0; (BLOCK - 300) as usize], &lost[300..BLOCK as usize]);
    assert_eq!(wrong(&bench, &after(&zeros)), None);
    assert_eq!(wrong(&bench, &after(old)), None, "what was to be synced is behind it");
    let mut other = old.to_vec();
    other[7] ^= 2;
    assert_eq!(wrong(&bench, &after(&other)), Some(Class::Disk), "it was never there");
    let second = after(old);
    bench.file.recovered(CRASH, &second[..400]).unwrap_err(); // the size was synced
    sync(&mut bench);
    assert_eq!(wrong(&bench, &after(&zeros)), None);
    assert_eq!(wrong(&bench, &after(old)), Some(Class::Disk), "the zeros are synced");
}

#[test]
fn what_a_crash_left_behind_the_end_is_there_for_the_next_one() {
    let mut bench = bench();
    bench.write(0, 300);
    sync(&mut bench);
    bench.write(0, BLOCK);
    let lost = written(2, 0, BLOCK);
    bench.file.recovered(CRASH, &lost[..300]).unwrap();
    bench.file.recovered(CRASH, &lost[..300]).unwrap();
    bench.truncate(BLOCK);
    let zeros = vec![0; (BLOCK - 300) as usize];
    assert_eq!(wrong(&bench, &lost), None);
    assert_eq!(wrong(&bench, &[&lost[..300], &zeros].concat()), None);
}

#[test]
fn a_truncate_beside_a_sync_may_leave_the_size_that_was_on_the_device_before() {
    let fsync = (OpId { lane: 1, index: 1 }, Op::plain(OpKind::Fsync));
    let truncate = (OpId { lane: 0, index: 2 }, Op::at(OpKind::Truncate, 256));
    let sizes_after = |beside: bool| {
        let mut bench = Bench::shared(2, 256, 64);
        bench.file.expect_crashes();
        bench.write(256, 256);
        bench.answer(1, fsync.1, Outcome::Done, &[]).unwrap();
        bench.write(512, 256);
        let file = &mut bench.file;
        file.begins(1);
        if beside {
            file.begins(0);
        }
        file.apply(fsync.0, &fsync.1, Outcome::Done, &[]).unwrap();
        if !beside {
            file.begins(0);
        }
        file.apply(truncate.0, &truncate.1, Outcome::Done, &[]).unwrap();
        let all = [vec![0; 256], written(0, 256, 256), written(1, 512, 256)].concat();
        let sizes = [0, 255, 256, 300, 512, 768];
        sizes.into_iter().filter(|size| wrong(&bench, &all[..*size]).is_none()).collect::<Vec<_>>()
    };
    assert_eq!(sizes_after(false), [256, 768]);
    assert_eq!(sizes_after(true), [256, 512, 768]);
}
