//! The directory target against file systems made for the purpose.
//!
//! Each test has a keeper, which is this program again ([`keeper`]), and enters its mounts: whatever ends a test, no
//! mount stays behind.
#![cfg(feature = "directory")]

mod crashes;
mod known;
mod programs;
mod steering;

use crashes::mortal;
use mounts::{Medium, Mount, Recipe};
use oracle::{Op, OpId, OpKind, Target};
use programs::Known;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use targets::directory::DirectoryTarget;

/// Set in the keeper's process.
const KEEPER: &str = "FOLIOFUZZ_TEST_KEEPER";
/// How many programs to run, if not as many as below.
const PROGRAMS: &str = "FOLIOFUZZ_TEST_PROGRAMS";

/// A run of all ignored tests starts it, too, without the variable; it has nothing to do then.
#[test]
#[ignore = "the keeper of the other tests"]
fn keeper() {
    if std::env::var_os(KEEPER).is_some() {
        mounts::keeper::serve().unwrap();
    }
}

/// Makes a file system and runs `body` where it is mounted.
fn on(mkfs: &str, on: Medium, body: impl Fn(&Arc<Mount>)) {
    let mut keeper = Command::new(std::env::current_exe().expect("the test has a path"));
    keeper.args(["--ignored", "--exact", "keeper", "--nocapture"]).env(KEEPER, "yes");
    let mkfs = mkfs.parse().expect("a file system and arguments for its mkfs");
    let recipe = Recipe { mkfs, on, size_bytes: Recipe::DEFAULT_SIZE_BYTES, overwrite: false };
    let mount = Mount::make(keeper, recipe).unwrap_or_else(|trouble| panic!("{trouble}"));
    mount.enter().expect("the keeper's mounts are there");
    body(&Arc::new(mount));
}

fn agrees(mount: &Arc<Mount>) {
    let (recipe, name) = (mount.recipe(), mount.recipe().mkfs.file_system.name());
    let programs = std::env::var(PROGRAMS).map_or(2000, |text| text.parse().expect("a number of programs"));
    let mut mortal = mortal(mount);
    for (row, program) in known::programs(name) {
        let seen = programs::run(&mut mortal, Known::Reported, 1, &program).is_err();
        println!("{recipe}: {row} {}", if seen { "is seen" } else { "is not seen here" });
        let permitted = programs::run(&mut mortal, Known::Permitted, 1, &program);
        assert_eq!(permitted.map(drop), Ok(()), "{} does not cover what it is about", row);
    }
    drop(mortal);
    let mut target = DirectoryTarget::new(mount.dir()).unwrap();
    assert_eq!(target.file_system(), name, "the mount is not what the test is about");
    let alone = programs::agree(&mut target, 1, 0..programs);
    let shared = programs::agree(&mut target, 3, 0..programs / 2);
    let lacks = target.lacks();
    println!("{recipe}: {alone} + {shared} operations agree; alignment {}; lacks {lacks:?}", target.direct_alignment());
}

macro_rules! on_mounts {
    ($($test:ident $mkfs:literal on $medium:ident;)*) => {
        $(#[test]
        #[ignore = "needs root"]
        fn $test() {
            on($mkfs, Medium::$medium, agrees);
        })*
    };
}

on_mounts! {
    xfs_4k   "xfs -b size=4096" on Loop;
    xfs_1k   "xfs -b size=1024" on Loop;
    ext4_4k  "ext4 -b 4096"     on Loop;
    ext4_1k  "ext4 -b 1024"     on Loop;
    btrfs_4k "btrfs"            on Loop;
    xfs_zram "xfs"              on Zram;
    tmpfs    "tmpfs"            on Loop;
}

fn remount(dir: &Path, options: &str) {
    let status = Command::new("mount").args(["-o", options]).arg(dir).status().expect("mount is there");
    assert!(status.success(), "mount -o {options} failed");
}

#[test]
#[ignore = "needs root"]
fn a_full_or_read_only_mount_is_no_divergence() {
    on("tmpfs", Medium::Loop, |mount| {
        let dir = mount.dir();
        let mut target = DirectoryTarget::new(dir).unwrap();
        remount(dir, "remount,size=64k");
        let write = Op::range(OpKind::Write, 0, 100_000);
        let stored = Op::range(OpKind::MapWrite, 0, 100_000);
        let fault = Op { readable: 99_000, ..Op::range(OpKind::WriteFault, 0, 100_000) };
        let allocate = Op::range(OpKind::Fallocate, 0, 100_000);
        for op in [write, stored, fault, allocate] {
            target.start(&programs::geometry(1)).unwrap();
            let mut execute = |op| target.execute(OpId { lane: 0, index: 0 }, &op, &mut Vec::new());
            execute(Op::at(OpKind::Truncate, 100_000)).unwrap();
            let message = execute(op).map_err(|error| error.message);
            let expected = "the file system of /mnt is full";
            assert!(matches!(&message, Err(message) if message.starts_with(expected)), "{op}: {message:?}");
        }
        drop(target);
        remount(dir, "remount,ro");
        let message = DirectoryTarget::new(dir).map(drop).unwrap_err().message;
        let expected = "is on a file system mounted read-only: mount it for writing or name another directory";
        assert_eq!(message, format!("the directory /mnt {expected}"));
    });
}
