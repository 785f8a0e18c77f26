//! Loads and stores through a mapping, up to the page where there is no file any more.

mod common;

use common::{PAGE, pattern, scratch};
use ffi::Mapping;

#[test]
fn stores_reach_the_file_and_loads_see_writes() {
    let file = scratch();
    file.truncate(4 * PAGE).unwrap();
    let map = Mapping::shared(&file, 16 * PAGE).unwrap();
    let bytes = pattern(6000);
    assert_eq!(map.store(100, &bytes), 6000);
    let mut buf = vec![0; 6000];
    file.pread(&mut buf, 100).unwrap();
    assert_eq!(buf, bytes);
    file.pwrite(b"abc", 200).unwrap();
    assert_eq!(map.load(200, &mut buf[..3]), 3);
    assert_eq!(&buf[..3], b"abc");
    map.msync(100, 6000).unwrap();
    map.msync(10 * PAGE, PAGE).unwrap();
}

#[test]
fn an_access_counts_the_bytes_before_the_fault() {
    // (size, off, len, bytes accessible)
    let cases = [
        (0, 0, 1, 0),
        (1, 0, 2 * PAGE, PAGE),
        (PAGE, PAGE - 1, 2, 1),
        (PAGE, PAGE, 1, 0),
        (2 * PAGE, 17, 3 * PAGE, 2 * PAGE - 17),
        (2 * PAGE, 17, 100, 100),
        (2 * PAGE, 7 * PAGE, 100, 0),
    ];
    for (size, off, len, accessible) in cases {
        let file = scratch();
        file.pwrite(&pattern(size), 0).unwrap();
        let map = Mapping::shared(&file, 8 * PAGE).unwrap();
        let mut buf = vec![0xee; len as usize];
        assert_eq!(map.load(off, &mut buf), accessible, "load {off} {len} of {size}");
        let found = pattern(size);
        for (at, byte) in buf.iter().enumerate() {
            let due = if at as u64 >= accessible { &0xee } else { found.get(off as usize + at).unwrap_or(&0) };
            assert_eq!(byte, due, "load {off} {len} of {size}, byte {at}");
        }
        assert_eq!(map.store(off, &buf), accessible, "store {off} {len} of {size}");
        assert_eq!(file.size(), Ok(size));
    }
}

#[test]
fn a_mapping_follows_the_size_of_the_file() {
    let file = scratch();
    let map = Mapping::shared(&file, 4 * PAGE).unwrap();
    for size in [3 * PAGE, PAGE, 0, 2 * PAGE, 4 * PAGE] {
        file.truncate(size).unwrap();
        assert_eq!(map.store(0, &pattern(4 * PAGE)), size);
    }
}

#[test]
fn threads_fault_independently() {
    let file = scratch();
    file.truncate(PAGE).unwrap();
    let map = Mapping::shared(&file, 4 * PAGE).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let map = &map;
            scope.spawn(move || {
                for len in 1..2000 {
                    let mut buf = vec![0; len];
                    let off = PAGE - 1 - thread;
                    assert_eq!(map.load(off, &mut buf), (len as u64).min(thread + 1));
                }
            });
        }
    });
}

#[test]
fn a_file_is_written_from_its_own_mapping_as_far_as_that_can_be_read() {
    let file = scratch();
    file.pwrite(&[7; 100], 0).unwrap();
    let map = Mapping::shared(&file, 2 * PAGE).unwrap();
    assert_eq!(map.pwrite_to(&file, 10, 50).unwrap(), 50);
    let mut buf = [0; 100];
    assert_eq!((file.pread(&mut buf, 0).unwrap(), buf), (100, [7; 100]));
    // Behind the last page there is nothing to read.
    assert_eq!(map.pwrite_to(&file, PAGE, 10).unwrap_err().errno, 14);
}

#[test]
#[should_panic(expected = "leave a mapping")]
fn an_access_outside_the_mapping_is_refused() {
    let file = scratch();
    Mapping::shared(&file, PAGE).unwrap().load(PAGE - 1, &mut [0; 2]);
}
