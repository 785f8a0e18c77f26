//! Crashes of file systems that were made for the test.

use crate::on;
use crate::programs::{self, Known};
use mounts::{Medium, Mount};
use oracle::{Class, Errno, FlatFile, Op, OpId, OpKind, Outcome, Target, TargetError};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use targets::directory::{DirectoryTarget, Made, Restart};

/// Has its file system mounted again.
struct Keeper(Arc<Mount>);

impl Restart for Keeper {
    fn restart(&mut self) -> Result<Result<(), (Errno, String)>, TargetError> {
        match self.0.restart(Duration::from_secs(20)) {
            Ok(mounts::Restart::Up) => Ok(Ok(())),
            Ok(mounts::Restart::Refused { errno, log }) => Ok(Err((Errno(errno), log))),
            other => Err(TargetError::new(format!("{other:?}"))),
        }
    }
}

/// The target that can crash where its file system can.
pub(crate) fn mortal(mount: &Arc<Mount>) -> DirectoryTarget {
    let made = Made { file_system: mount.recipe().mkfs.file_system.name(), device: mount.device() };
    DirectoryTarget::made(mount.dir(), made, Box::new(Keeper(mount.clone()))).unwrap()
}

fn numbered(ops: &[Op]) -> programs::Program {
    (0..).zip(ops).map(|(index, op)| (OpId { lane: 0, index }, *op)).collect()
}

/// Where a crash stands says what it saves: 3 nothing, 4 the log, 5 everything.
fn crash_at(index: usize, ops: &[Op]) -> programs::Program {
    let fill = std::iter::repeat_n(Op::plain(OpKind::Stat), index - ops.len());
    numbered(&ops.iter().copied().chain(fill).chain([Op::plain(OpKind::Crash)]).collect::<Vec<_>>())
}

#[test]
#[ignore = "needs root"]
fn what_was_synced_comes_up_again_and_what_was_not_may_be_lost() {
    for mkfs in ["xfs", "xfs -b size=1k", "ext4", "ext4 -b 1024"] {
        on(mkfs, Medium::Loop, |mount| {
            let mut target = mortal(mount);
            assert_eq!(target.cannot_crash(), None);
            let write = Op::range(OpKind::Write, 0, 10_000);
            let mut left = |index: usize, sync: &[Op]| {
                let program = crash_at(index, &[&[write], sync].concat());
                programs::run(&mut target, Known::Permitted, 1, &program)
                    .unwrap_or_else(|wrong| panic!("{mkfs}: {wrong}"));
                let Ok(Outcome::Position(size)) =
                    target.execute(OpId { lane: 0, index: 9 }, &Op::plain(OpKind::Stat), &mut Vec::new())
                else {
                    panic!("fstat fails")
                };
                size
            };
            for index in [3, 4, 5] {
                assert_eq!(left(index, &[Op::plain(OpKind::Fsync)]), 10_000, "{mkfs} {index}");
            }
            let lost = left(3, &[]);
            assert_eq!((lost, left(5, &[])), (0, 10_000), "{mkfs}");
            drop(target);
            assert_eq!(
                std::fs::read_dir(mount.dir())
                    .unwrap()
                    .flatten()
                    .filter(|file| file.file_name() != "lost+found")
                    .count(),
                0
            );
        });
    }
}

/// A file system that answers an fsync and does nothing.
#[test]
#[ignore = "needs root"]
fn an_fsync_that_is_left_out_is_found_after_the_crash() {
    for (mkfs, name) in [("xfs", "xfs"), ("ext4", "ext4")] {
        on(mkfs, Medium::Loop, |mount| {
            let mut target = mortal(mount);
            target.start(&programs::geometry(1)).unwrap();
            let mut file = FlatFile::new(&programs::geometry(1), 1, target.page_size());
            file.permit_known(name);
            file.expect_crashes();
            let mut buf = Vec::new();
            let ops = [Op::range(OpKind::Write, 0, 5000), Op::plain(OpKind::Fsync), Op::plain(OpKind::Stat)];
            for (id, op) in numbered(&ops) {
                let outcome = match op.kind {
                    OpKind::Fsync => Outcome::Done,
                    _ => target.execute(id, &op, &mut buf).unwrap(),
                };
                file.apply(id, &op, outcome, &buf).unwrap();
            }
            let crash = OpId { lane: 0, index: 3 };
            assert_eq!(target.execute(crash, &Op::plain(OpKind::Crash), &mut buf), Ok(Outcome::Done));
            let read = target.execute(crash, &Op::range(OpKind::Read, 0, 8192), &mut buf);
            let Ok(Outcome::Bytes(count)) = read else { panic!("{read:?}") };
            let wrong = file.recovered(crash, &buf[..count as usize]).unwrap_err();
            assert_eq!(wrong.class, Class::Size, "{mkfs}: {wrong}");
        });
    }
}

#[test]
#[ignore = "needs root"]
fn a_file_system_that_does_not_come_up_is_told_of_and_made_again() {
    on("ext4", Medium::Loop, |mount| {
        let mut target = mortal(mount);
        target.start(&programs::geometry(1)).unwrap();
        // The superblock, and the journal's: what a fault of the kernel might have left.
        let device = File::options().write(true).open(mount.device().unwrap()).unwrap();
        device.write_all_at(&[0xff; 65_536], 0).unwrap();
        device.sync_all().unwrap();
        drop(device);
        let crash = target.execute(OpId { lane: 0, index: 0 }, &Op::plain(OpKind::Crash), &mut Vec::new()).unwrap();
        assert!(matches!(crash, Outcome::Errno(_)), "{crash}");
        println!("{crash}: {:?}", target.evidence());
        assert!(target.evidence().is_some());
        let program = crash_at(4, &[Op::range(OpKind::Write, 0, 5000), Op::plain(OpKind::Fsync)]);
        assert_eq!(programs::run(&mut target, Known::Permitted, 1, &program), Ok(5));
    });
}

#[test]
#[ignore = "needs root"]
fn only_a_file_system_of_ours_that_can_be_shut_down_crashes() {
    let crash = |target: &mut DirectoryTarget| {
        target.start(&programs::geometry(1)).unwrap();
        target.execute(OpId { lane: 0, index: 0 }, &Op::plain(OpKind::Crash), &mut Vec::new()).unwrap()
    };
    for mkfs in ["btrfs", "tmpfs"] {
        on(mkfs, Medium::Loop, |mount| {
            let mut target = mortal(mount);
            assert_eq!(crash(&mut target), Outcome::Unsupported(Errno::EOPNOTSUPP));
            assert_eq!(target.cannot_crash(), Some("this file system has no call that shuts it down"));
        });
    }
    on("xfs", Medium::Loop, |mount| {
        let mut target = DirectoryTarget::new(mount.dir()).unwrap();
        assert_eq!(crash(&mut target), Outcome::Unsupported(Errno::EOPNOTSUPP));
        assert_eq!(target.cannot_crash(), Some("only what --mkfs has made is shut down"));
        // Another file system, and the same on another device: neither is shut down.
        for (file_system, device) in [("ext4", mount.device()), ("xfs", Some(Path::new("/dev/loop-control")))] {
            let made = Made { file_system, device };
            let refused = DirectoryTarget::made(mount.dir(), made, Box::new(Keeper(mount.clone()))).map(drop);
            let expected = format!("the {file_system} that was made is not mounted on /mnt any more");
            assert_eq!(refused.unwrap_err().message, expected);
        }
    });
}

/// Nobody takes the answer to another question for his own.
#[test]
#[ignore = "needs root"]
fn a_restart_that_takes_too_long_hangs_and_the_next_one_is_answered() {
    on("xfs", Medium::Loop, |mount| {
        let open = File::create(mount.dir().join("in-use")).unwrap();
        assert_eq!(mount.restart(Duration::from_millis(50)).unwrap(), mounts::Restart::Hung);
        let trouble = mount.restart(Duration::from_secs(20)).unwrap_err().to_string();
        assert_eq!(trouble, "xfs cannot be unmounted, some process has a file open there");
        drop(open);
        assert_eq!(mount.restart(Duration::from_secs(20)).unwrap(), mounts::Restart::Up);
        assert!(mount.dir().join("in-use").exists());
    });
}
