//! Asynchronous writes to a real file.

mod common;

use common::{PAGE, pattern, scratch};
use ffi::{Aligned, Error, Queue};

const EINVAL: i32 = 22;

#[test]
fn what_is_submitted_is_there_when_the_wait_is_over() {
    let file = scratch();
    let mut queue = Queue::new().unwrap();
    let bytes = pattern(3 * PAGE);
    // Through the cache: the submission does it all. More requests than there is room for at once.
    for (n, part) in (0..).zip(bytes.chunks(PAGE as usize / 8)) {
        assert_eq!(queue.write(&file, part, n * PAGE / 8), Ok(PAGE / 8));
    }
    let mut buf = vec![0xff; 4 * PAGE as usize];
    assert_eq!(file.pread(&mut buf, 0), Ok(3 * PAGE));
    assert_eq!(buf[..3 * PAGE as usize], bytes);
}

#[test]
fn a_direct_write_goes_past_the_cache_and_has_to_be_aligned() {
    let file = scratch();
    let Ok(direct) = file.reopen(true) else { panic!("direct I/O is missing: set TMPDIR to a directory that has it") };
    let (mut queue, mut memory) = (Queue::new().unwrap(), Aligned::default());
    memory.first(PAGE as usize).copy_from_slice(&pattern(PAGE));
    assert_eq!(queue.write(&direct, memory.first(PAGE as usize), PAGE), Ok(PAGE));
    let mut buf = vec![0xff; 2 * PAGE as usize];
    assert_eq!(file.pread(&mut buf, 0), Ok(2 * PAGE));
    assert_eq!(buf[..PAGE as usize], [0; PAGE as usize]);
    assert_eq!(buf[PAGE as usize..], pattern(PAGE));
}

#[test]
fn a_request_that_is_refused_leaves_room_for_the_next() {
    let file = scratch();
    let mut queue = Queue::new().unwrap();
    for _ in 0..100 {
        assert_eq!(queue.write(&file, &[1], u64::MAX), Err(Error { call: "io_submit", errno: EINVAL }));
    }
    assert_eq!(queue.write(&file, &[1], 0), Ok(1));
}
