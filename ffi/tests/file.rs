//! Each call on a real file.

mod common;

use common::{PAGE, path, pattern, scratch};
use ffi::{Aligned, Error, File, Guarded, Space, SyncRange};

const EEXIST: i32 = 17;
const ENOENT: i32 = 2;
const EINVAL: i32 = 22;
const EFAULT: i32 = 14;
const ENXIO: i32 = 6;

#[test]
fn what_is_written_is_read_and_counts_are_exact() {
    let file = scratch();
    let bytes = pattern(5000);
    assert_eq!(file.pwrite(&bytes, 100), Ok(5000));
    assert_eq!(file.size(), Ok(5100));
    let mut buf = vec![0xff; 6000];
    assert_eq!(file.pread(&mut buf, 0), Ok(5100));
    assert_eq!(buf[..100], [0; 100]);
    assert_eq!(buf[100..5100], bytes);
    assert_eq!(file.pread(&mut buf, 5100), Ok(0));
}

#[test]
fn a_synchronous_write_writes() {
    let file = scratch();
    let bytes = pattern(PAGE);
    assert_eq!(file.pwrite_dsync(&bytes, 10), Ok(PAGE));
    let mut buf = vec![0xff; PAGE as usize];
    assert_eq!(file.pread(&mut buf, 10), Ok(PAGE));
    assert_eq!(buf, bytes);
}

#[test]
fn errors_carry_the_name_of_the_call() {
    let path = path();
    assert_eq!(File::nameless(&path).unwrap_err(), Error { call: "open", errno: ENOENT });
    let _file = File::create(&path).unwrap();
    let again = File::create(&path).unwrap_err();
    File::unlink(&path).unwrap();
    assert_eq!(again, Error { call: "open", errno: EEXIST });
    assert_eq!(File::unlink(&path).unwrap_err().to_string(), "unlink: No such file or directory (os error 2)");
    assert_eq!(File::create("a\0b".as_ref()).unwrap_err().errno, EINVAL);
}

#[test]
fn a_nameless_file_is_nowhere() {
    let dir = path();
    std::fs::create_dir(&dir).unwrap();
    let file = File::nameless(&dir).unwrap();
    // This would fail if there was something in it.
    std::fs::remove_dir(&dir).unwrap();
    assert_eq!(file.pwrite(b"here", 0), Ok(4));
    assert_eq!(file.reopen(false).unwrap().size(), Ok(4));
}

#[test]
fn the_size_follows_truncate_and_the_modes_of_fallocate() {
    let file = scratch();
    file.pwrite(&pattern(3 * PAGE), 0).unwrap();
    file.truncate(2 * PAGE).unwrap();
    assert_eq!(file.size(), Ok(2 * PAGE));
    file.fallocate(Space::AllocateKeepSize, 0, 8 * PAGE).unwrap();
    assert_eq!(file.size(), Ok(2 * PAGE));
    file.fallocate(Space::Allocate, PAGE, 2 * PAGE).unwrap();
    assert_eq!(file.size(), Ok(3 * PAGE));
    file.fallocate(Space::Punch, 10, 20).unwrap();
    file.fallocate(Space::Punch, 2 * PAGE, 20 * PAGE).unwrap();
    assert_eq!(file.size(), Ok(3 * PAGE));
    let mut expected = pattern(2 * PAGE);
    expected[10..30].fill(0);
    let mut buf = vec![1; 2 * PAGE as usize];
    file.pread(&mut buf, 0).unwrap();
    assert_eq!(buf, expected);
}

#[test]
fn a_hole_is_found_between_data() {
    let file = scratch();
    let page = 64 * 1024;
    file.pwrite(&pattern(100), page).unwrap();
    file.truncate(4 * page).unwrap();
    assert_eq!(file.seek_data(0), Ok(page));
    assert!((page + 100..=2 * page).contains(&file.seek_hole(page).unwrap()));
    assert_eq!(file.seek_data(4 * page).unwrap_err(), Error { call: "lseek", errno: ENXIO });
}

#[test]
fn syncing_and_dropping_leave_the_content_alone() {
    let file = scratch();
    let bytes = pattern(10 * PAGE);
    file.pwrite(&bytes, 0).unwrap();
    file.sync_range(SyncRange::Start, 0, 2 * PAGE).unwrap();
    file.sync_range(SyncRange::Wait, 0, 0).unwrap();
    file.sync_range(SyncRange::WriteAndWait, PAGE, 3 * PAGE).unwrap();
    file.fdatasync().unwrap();
    file.fsync().unwrap();
    file.drop_cached(0, 0).unwrap();
    let mut buf = vec![0; bytes.len()];
    assert_eq!(file.pread(&mut buf, 0), Ok(10 * PAGE));
    assert_eq!(buf, bytes);
}

#[test]
fn direct_and_buffered_descriptors_see_one_file_that_has_lost_its_name() {
    let file = scratch();
    let direct = file.reopen(true).unwrap();
    let mut aligned = Aligned::default();
    let bytes = pattern(2 * PAGE);
    aligned.first(bytes.len()).copy_from_slice(&bytes);
    assert_eq!(direct.pwrite(aligned.first(bytes.len()), 0), Ok(2 * PAGE));
    let again = file.reopen(false).unwrap();
    drop(file);
    let mut buf = vec![0; 2 * PAGE as usize];
    assert_eq!(again.pread(&mut buf, 0), Ok(2 * PAGE));
    assert_eq!(buf, bytes);
    again.truncate(1000).unwrap();
    assert_eq!(direct.pread(aligned.first(2 * PAGE as usize), 0), Ok(1000));
    assert_eq!(aligned.first(1000), &bytes[..1000]);
}

#[test]
fn a_write_stops_where_its_memory_cannot_be_read() {
    let file = scratch();
    let mut memory = Guarded::new(3 * PAGE).unwrap();
    assert_eq!(memory.capacity(), 3 * PAGE);
    for readable in [1, 511, 4095, 4096, 4097, 3 * PAGE] {
        file.truncate(0).unwrap();
        let bytes = pattern(readable);
        memory.last(readable).copy_from_slice(&bytes);
        let written = file.pwrite_guarded(&memory, readable, readable + 2 * PAGE, 77).unwrap();
        assert!((1..=readable).contains(&written), "{written} of {readable}");
        let mut buf = vec![0; 8 * PAGE as usize];
        assert_eq!(file.pread(&mut buf, 0), Ok(77 + written));
        assert_eq!(buf[77..77 + written as usize], bytes[..written as usize]);
    }
    let refused = file.pwrite_guarded(&memory, 0, 10, 0).unwrap_err();
    assert_eq!(refused, Error { call: "pwrite", errno: EFAULT });
}

#[test]
#[should_panic(expected = "unreadable bytes do not fit")]
fn more_memory_than_was_reserved_is_refused() {
    let memory = Guarded::new(10).unwrap();
    let _ = scratch().pwrite_guarded(&memory, 1, 3 * PAGE, 0);
}

#[test]
fn the_file_system_is_known_by_its_numbers() {
    let fs = scratch().file_system().unwrap();
    assert!(fs.block.is_power_of_two(), "{fs:?}");
    assert!(fs.blocks == 0 || fs.available <= fs.blocks, "{fs:?}");
    assert!(!fs.name().is_empty());
    if let Some((memory, offset)) = scratch().direct_alignment().unwrap() {
        assert!(memory.is_power_of_two() && offset.is_power_of_two(), "{memory} {offset}");
    }
}
