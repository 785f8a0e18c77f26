//! The directory target against file systems made for the purpose, on loop devices over memory.
//!
//! Each test makes an image, mounts it in a mount namespace of its own and runs itself again in there. The
//! namespace ends with its last process, the loop device detaches itself, and the image has lost its name as soon
//! as it is mounted: whatever ends a test, no mount stays behind.
#![cfg(feature = "directory")]

mod known;
mod programs;

use oracle::{Op, OpId, OpKind, Target};
use programs::Known;
use std::path::{Path, PathBuf};
use std::process::Command;
use targets::directory::DirectoryTarget;

/// Set in the process inside the namespace: the directory to test.
const INSIDE: &str = "FOLIOFUZZ_TEST_MOUNT";
/// How many programs to run, if not as many as below.
const PROGRAMS: &str = "FOLIOFUZZ_TEST_PROGRAMS";

/// A file system, how to make it, and the Debian package that brings the tool.
struct Kind {
    test: &'static str,
    name: &'static str,
    mkfs: &'static [&'static str],
    package: &'static str,
}

/// An image file, removed when dropped.
struct Image(PathBuf);

impl Image {
    fn new(kind: &Kind) -> Image {
        let image = Image(format!("/dev/shm/foliofuzz-{}-{}.img", kind.test, std::process::id()).into());
        let file = std::fs::File::create(&image.0).expect("/dev/shm takes an image");
        file.set_len(512 << 20).expect("/dev/shm takes an image");
        let [tool, arguments @ ..] = kind.mkfs else { panic!("{} needs a tool to make it", kind.name) };
        let made = Command::new(tool).args(arguments).arg(&image.0).output().unwrap_or_else(|_| {
            panic!("{tool} is not installed: apt-get install {}, then run this test again", kind.package)
        });
        assert!(made.status.success(), "{tool} failed: {}", String::from_utf8_lossy(&made.stderr));
        image
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // Gone already, if it was mounted.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Mounts `$1` (an image, or nothing for tmpfs) on `/mnt` and becomes the test `$3` of the program `$2`.
const SCRIPT: &str = r#"
if [ -n "$1" ]; then mount -o loop "$1" /mnt && rm "$1"; else mount -t tmpfs -o size=512m foliofuzz /mnt; fi &&
exec "$2" --ignored --exact "$3" --nocapture
"#;

fn on(kind: &Kind, body: fn(&Path, &Kind)) {
    if let Some(dir) = std::env::var_os(INSIDE) {
        return body(Path::new(&dir), kind);
    }
    let image = (!kind.mkfs.is_empty()).then(|| Image::new(kind));
    let path = image.as_ref().map_or(Path::new(""), |image| &image.0);
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", SCRIPT, "sh"])
        .arg(path)
        .arg(std::env::current_exe().expect("the test has a path"))
        .arg(kind.test)
        .env(INSIDE, "/mnt")
        .output()
        .expect("unshare is there: it comes with mount");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}{err}", kind.test);
    print!("{out}");
}

fn agrees(dir: &Path, kind: &Kind) {
    let mut target = DirectoryTarget::new(dir).unwrap();
    assert_eq!(target.file_system(), kind.name, "the mount is not what the test is about");
    let programs = std::env::var(PROGRAMS).map_or(2000, |text| text.parse().expect("a number of programs"));
    for (row, program) in known::programs(kind.name) {
        let seen = programs::run(&mut target, Known::Reported, 1, &program).is_err();
        println!("{}: {row} {}", kind.test, if seen { "is seen" } else { "is not seen here" });
        let permitted = programs::run(&mut target, Known::Permitted, 1, &program);
        assert_eq!(permitted.map(drop), Ok(()), "{} does not cover what it is about", row);
    }
    let alone = programs::agree(&mut target, 1, 0..programs);
    let shared = programs::agree(&mut target, 3, 0..programs / 2);
    let lacks = target.lacks();
    println!(
        "{}: {alone} + {shared} operations agree; alignment {}; lacks {lacks:?}",
        kind.test,
        target.direct_alignment()
    );
}

macro_rules! on_mounts {
    ($($test:ident $name:literal $package:literal [$($mkfs:literal)*];)*) => {
        $(#[test]
        #[ignore = "needs root"]
        fn $test() {
            on(&Kind { test: stringify!($test), name: $name, mkfs: &[$($mkfs),*], package: $package }, agrees);
        })*
    };
}

on_mounts! {
    xfs_4k   "xfs"   "xfsprogs"    ["mkfs.xfs" "-q" "-b" "size=4096"];
    xfs_1k   "xfs"   "xfsprogs"    ["mkfs.xfs" "-q" "-b" "size=1024"];
    ext4_4k  "ext4"  "e2fsprogs"   ["mkfs.ext4" "-q" "-b" "4096"];
    ext4_1k  "ext4"  "e2fsprogs"   ["mkfs.ext4" "-q" "-b" "1024"];
    btrfs_4k "btrfs" "btrfs-progs" ["mkfs.btrfs" "-q"];
    tmpfs    "tmpfs" ""            [];
}

fn remount(dir: &Path, options: &str) {
    let status = Command::new("mount").args(["-o", options]).arg(dir).status().expect("mount is there");
    assert!(status.success(), "mount -o {options} failed");
}

#[test]
#[ignore = "needs root"]
fn a_full_or_read_only_mount_is_no_divergence() {
    let kind = Kind { test: "a_full_or_read_only_mount_is_no_divergence", name: "tmpfs", mkfs: &[], package: "" };
    on(&kind, |dir, _| {
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
