//! What crashes of real file systems leave that a rule of the oracle forbids: where that holds, and where it ends.

mod common;

use common::{Bench, written};
use oracle::{Class, Errno, FlatFile, Op, OpId, OpKind, Outcome};

const CRASH: OpId = OpId { lane: 0, index: 99 };

fn on(file_system: &str) -> Bench {
    let mut bench = Bench::alone();
    bench.file.permit_known(file_system);
    bench.file.expect_crashes();
    bench
}

fn sync(bench: &mut Bench) {
    bench.fine(Op::plain(OpKind::Fsync), Outcome::Done);
}

fn wrong(file: &FlatFile, content: &[u8]) -> Option<Class> {
    file.judge_crash(CRASH, content).err().map(|divergence| divergence.class)
}

#[test]
fn on_ext4_a_size_may_be_there_before_its_bytes_and_nothing_else_is() {
    for (file_system, class) in [("ext4", None), ("xfs", Some(Class::Disk))] {
        let mut bench = on(file_system);
        bench.write(0, 100);
        sync(&mut bench);
        bench.write(100, 100);
        let mut found = written(0, 0, 200);
        found[100..].fill(0);
        assert_eq!(wrong(&bench.file, &found), class, "{file_system}");
        found[150] = 3;
        assert_eq!(wrong(&bench.file, &found), Some(Class::Disk), "what nobody wrote is wrong on {file_system}, too");
        found[100..].fill(0);
        sync(&mut bench);
        assert_eq!(wrong(&bench.file, &found), Some(Class::Disk), "and so is what a sync did not make durable");
    }
}

#[test]
fn on_ext4_fallocate_below_the_end_may_log_its_own_end_as_the_size() {
    for kind in [OpKind::Punch, OpKind::ZeroRange, OpKind::Fallocate] {
        for (file_system, class) in [("ext4", None), ("xfs", Some(Class::Size))] {
            let mut bench = on(file_system);
            bench.write(0, 4096);
            bench.fine(Op::range(kind, 0, 500), Outcome::Done);
            assert_eq!(wrong(&bench.file, &[0; 500]), class, "{kind} {file_system}");
            sync(&mut bench);
            assert_eq!(wrong(&bench.file, &[0; 500]), Some(Class::Size), "{kind} {file_system}");
        }
    }
}

#[test]
fn on_ext4_the_size_that_a_failed_write_led_to_may_be_lost_though_it_was_synced() {
    let mut bench = on("ext4");
    bench.fine(Op::range(OpKind::WriteFault, 3000, 10), Outcome::Errno(Errno::EFAULT));
    sync(&mut bench);
    for (size, class) in [(0, None), (3000, None), (2000, Some(Class::Size))] {
        assert_eq!(wrong(&bench.file, &vec![0; size]), class, "{size}");
    }
    bench.truncate(3500);
    sync(&mut bench);
    for size in [0, 3000] {
        assert_eq!(wrong(&bench.file, &vec![0; size]), Some(Class::Size), "a size that was set is durable: {size}");
    }
}

#[test]
fn a_crash_that_saves_everything_is_as_good_as_a_sync() {
    let mut bench = on("xfs");
    bench.write(0, 2000);
    bench.file.all_durable();
    assert_eq!(wrong(&bench.file, &written(0, 0, 2000)), None);
    assert_eq!(wrong(&bench.file, &[]), Some(Class::Size));
    bench.write(0, 2000);
    bench.file.all_durable();
    assert_eq!(wrong(&bench.file, &written(0, 0, 2000)), Some(Class::Disk));
}

#[test]
fn stores_past_the_end_may_be_in_a_file_whose_truncate_was_lost() {
    for (file_system, class) in [("ext4", None), ("xfs", None), ("btrfs", Some(Class::Disk))] {
        let mut bench = on(file_system);
        bench.write(0, 4096);
        sync(&mut bench);
        bench.truncate(512);
        bench.fine(Op::range(OpKind::MapWrite, 0, 1000), Outcome::Bytes(1000));
        let mut found = written(0, 0, 4096);
        found[512..1000].copy_from_slice(&written(3, 512, 488));
        assert_eq!(wrong(&bench.file, &found), class, "{file_system}");
        found[1000] ^= 2;
        assert_eq!(wrong(&bench.file, &found), Some(Class::Disk), "{file_system}: nobody stored there");
    }
}
