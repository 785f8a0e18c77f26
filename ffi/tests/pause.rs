//! Where system calls stop, on a file in the directory for temporary files.

mod common;
mod stopping;

use common::{PAGE, pattern, scratch};
use ffi::{File, Mapping, PausableBuffer, Queue, WriteOrder};
use std::thread;
use stopping::{content, ended, filled, joined, paused, pausing, watched};

#[test]
fn a_write_stops_at_a_missing_page_and_goes_on_with_its_bytes() {
    let Some(pausing) = pausing() else { return };
    let file = scratch();
    let order = WriteOrder::of(&file, &pausing).unwrap();
    let (buffer, mut supervisor, bytes) = filled(&pausing, 8);
    supervisor.leave_missing(5).unwrap();
    let answer = watched(
        &buffer,
        supervisor,
        |buffer| buffer.pwrite_to(&file, 0, 8 * PAGE, 0),
        |mut supervisor| {
            let pause = paused(&mut supervisor);
            assert_eq!(pause.page(), 5);
            assert!(std::fs::exists(format!("/proc/self/task/{}", pause.thread())).unwrap());
            assert_ne!(pause.thread(), rustix::thread::gettid().as_raw_nonzero().get() as u32);
            let written = if order == WriteOrder::AsksAhead { 0 } else { 5 * PAGE };
            assert_eq!(file.size(), Ok(written));
            // A second thread gets through meanwhile.
            let other = scratch();
            assert_eq!(other.pwrite(b"other", 0), Ok(5));
            pause.resume().unwrap();
            ended(&mut supervisor);
        },
    );
    assert_eq!(answer, Ok(8 * PAGE));
    assert_eq!(content(&file), bytes);
}

/// How many of the file's first pages hold `bytes`; the others must hold what a hole does, or be behind the end.
fn pages_written(map: &Mapping, bytes: &[u8]) -> u64 {
    let mut seen = vec![0; bytes.len()];
    map.load(0, &mut seen);
    let pages = seen.chunks(PAGE as usize).zip(bytes.chunks(PAGE as usize));
    let written = pages.take_while(|(seen, written)| seen == written).count();
    assert!(seen[written * PAGE as usize..].iter().all(|byte| *byte == 0), "behind {written} pages");
    written as u64
}

#[test]
fn a_write_stops_exactly_where_it_is_told_whatever_the_file_system_asks_for_first() {
    let Some(pausing) = pausing() else { return };
    let file = scratch();
    let order = WriteOrder::of(&file, &pausing).unwrap();
    let map = Mapping::shared(&file, 16 * PAGE).unwrap();
    // Into nothing, into a hole, and over folios of one page, which reading through the mapping has made.
    let states: [fn(&File, &Mapping); 3] = [
        |_, _| {},
        |file, _| file.truncate(16 * PAGE).unwrap(),
        |file, map| {
            file.truncate(16 * PAGE).unwrap();
            assert_eq!(map.load(0, &mut vec![0; 16 * PAGE as usize]), 16 * PAGE);
        },
    ];
    for (state, page) in (0..3).flat_map(|state| (0..15).map(move |page| (state, page))) {
        file.truncate(0).unwrap();
        states[state](&file, &map);
        let (buffer, mut supervisor, bytes) = filled(&pausing, 16);
        assert_eq!(supervisor.stop_exactly_at(page, order), Ok(true));
        let again = page + 5 < 15 && order == WriteOrder::AsksAhead;
        let answer = watched(
            &buffer,
            supervisor,
            |buffer| buffer.pwrite_to(&file, 0, 16 * PAGE, 0),
            |mut supervisor| {
                let mut pause = paused(&mut supervisor);
                assert_eq!((pause.page(), pages_written(&map, &bytes)), (page, page), "state {state}");
                assert_eq!(pause.stop_exactly_at((page + 5).min(15), order), Ok(again));
                pause.resume().unwrap();
                if again {
                    let pause = paused(&mut supervisor);
                    assert_eq!((pause.page(), pages_written(&map, &bytes)), (page + 5, page + 5), "state {state}");
                    pause.resume().unwrap();
                }
                ended(&mut supervisor);
            },
        );
        assert_eq!(answer, Ok(16 * PAGE));
        assert_eq!(content(&file), bytes);
    }
    let (_buffer, mut supervisor, _) = filled(&pausing, 16);
    assert_eq!(supervisor.stop_exactly_at(15, WriteOrder::AsksAhead), Ok(false));
    assert_eq!(supervisor.stop_exactly_at(15, WriteOrder::CopiesFirst), Ok(true));
}

#[test]
fn pages_of_the_buffer_can_be_pages_of_the_file() {
    let Some(pausing) = pausing() else { return };
    let file = scratch();
    let (buffer, mut supervisor) = pausing.pair(4 * PAGE).unwrap();
    let bytes = pattern(2 * PAGE);
    supervisor.fill(100, &bytes).unwrap();
    let parts = [0..PAGE - 100, PAGE - 100..2 * PAGE - 100, 2 * PAGE - 100..2 * PAGE];
    assert_eq!([0, 1, 2].map(|page| supervisor.bytes_in(page)), parts);
    supervisor.leave_missing(0).unwrap();
    let off = 7 * PAGE + 100;
    let answer = watched(
        &buffer,
        supervisor,
        |buffer| buffer.pwrite_to(&file, 0, 2 * PAGE, off),
        |mut supervisor| {
            let mut pause = paused(&mut supervisor);
            pause.leave_missing(2).unwrap();
            pause.resume_with(&vec![9; PAGE as usize - 100]).unwrap();
            let pause = paused(&mut supervisor);
            assert_eq!(pause.page(), 2);
            pause.resume_with_zeros().unwrap();
            ended(&mut supervisor);
        },
    );
    assert_eq!(answer, Ok(2 * PAGE));
    let mut expected = vec![0; off as usize];
    expected.extend(vec![9; PAGE as usize - 100]);
    expected.extend(&bytes[PAGE as usize - 100..2 * PAGE as usize - 100]);
    expected.extend([0; 100]);
    assert_eq!(content(&file), expected);
}

#[test]
fn a_read_stops_with_what_comes_before_delivered() {
    let Some(pausing) = pausing() else { return };
    let file = scratch();
    let (buffer, mut supervisor) = pausing.pair(8 * PAGE).unwrap();
    supervisor.fill(0, &vec![0xee; 8 * PAGE as usize]).unwrap();
    let bytes = pattern(8 * PAGE);
    file.pwrite(&bytes, 0).unwrap();
    supervisor.leave_missing(6).unwrap();
    let answer = watched(
        &buffer,
        supervisor,
        |buffer| buffer.pread_from(&file, 0, 8 * PAGE, 0),
        |mut supervisor| {
            let pause = paused(&mut supervisor);
            assert_eq!(pause.page(), 6);
            let mut seen = vec![0; 8 * PAGE as usize];
            assert_eq!(buffer.load(0, &mut seen), 6 * PAGE);
            assert_eq!(seen[..6 * PAGE as usize], bytes[..6 * PAGE as usize]);
            assert_eq!(buffer.load(7 * PAGE, &mut seen[..10]), 10);
            assert_eq!(seen[..10], [0xee; 10]);
            pause.resume().unwrap();
            ended(&mut supervisor);
        },
    );
    assert_eq!(answer, Ok(8 * PAGE));
    let mut seen = vec![0; 8 * PAGE as usize];
    assert_eq!((buffer.load(0, &mut seen), seen), (8 * PAGE, bytes));
}

/// The ways to write, each of which has to stop.
type Write = fn(&PausableBuffer, &File, u64) -> ffi::Result<u64>;
const WRITES: [Write; 3] = [
    |buffer, file, len| buffer.pwrite_to(file, 0, len, 0),
    |buffer, file, len| buffer.pwrite_dsync_to(file, 0, len, 0),
    |buffer, file, len| buffer.submit_to(&mut Queue::new()?, file, 0, len, 0),
];

#[test]
fn a_direct_write_stops_before_it_is_submitted() {
    let Some(pausing) = pausing() else { return };
    let file = scratch();
    let Ok(direct) = file.reopen(true) else {
        println!("not tested: {} has no direct I/O", file.file_system().unwrap().name());
        return;
    };
    for write in WRITES {
        let old = vec![7; 8 * PAGE as usize];
        file.pwrite(&old, 0).unwrap();
        file.fsync().unwrap();
        let (buffer, mut supervisor, bytes) = filled(&pausing, 8);
        supervisor.leave_missing(5).unwrap();
        let map = Mapping::shared(&file, 8 * PAGE).unwrap();
        let answer = watched(
            &buffer,
            supervisor,
            |buffer| write(buffer, &direct, 8 * PAGE),
            |mut supervisor| {
                let pause = paused(&mut supervisor);
                assert_eq!(pause.page(), 5);
                let mut seen = vec![0; PAGE as usize];
                assert_eq!(map.load(7 * PAGE, &mut seen), PAGE);
                assert_eq!(seen, old[..PAGE as usize]);
                pause.resume().unwrap();
                ended(&mut supervisor);
            },
        );
        assert_eq!(answer, Ok(8 * PAGE));
        assert_eq!(content(&file), bytes);
    }
}

#[test]
fn every_way_to_write_through_the_cache_stops() {
    let Some(pausing) = pausing() else { return };
    for write in WRITES {
        let file = scratch();
        let (buffer, mut supervisor, bytes) = filled(&pausing, 8);
        supervisor.leave_missing(5).unwrap();
        let answer = watched(
            &buffer,
            supervisor,
            |buffer| write(buffer, &file, 8 * PAGE),
            |mut supervisor| {
                assert_eq!(paused(&mut supervisor).page(), 5);
                ended(&mut supervisor);
            },
        );
        assert_eq!(answer, Ok(8 * PAGE));
        assert_eq!(content(&file), bytes);
    }
}

#[test]
fn a_buffer_is_used_again_and_again() {
    let Some(pausing) = pausing() else { return };
    let file = scratch();
    let (buffer, mut supervisor) = pausing.pair(5 * PAGE).unwrap();
    thread::scope(|scope| {
        for turn in 0..200 {
            let (lead, len) = (turn * 37 % PAGE, 1 + turn * 701 % (4 * PAGE));
            let bytes: Vec<u8> = pattern(len + turn)[turn as usize..].to_vec();
            supervisor.fill(lead, &bytes).unwrap();
            let page = turn % supervisor.pages();
            supervisor.leave_missing(page).unwrap();
            let (buffer, file) = (&buffer, &file);
            let lane = scope.spawn(move || buffer.during(|| buffer.pwrite_to(file, 0, len, lead)));
            let pause = paused(&mut supervisor);
            assert_eq!(pause.page(), page);
            pause.resume().unwrap();
            ended(&mut supervisor);
            assert_eq!(joined(lane), Ok(len));
            let mut seen = vec![0; len as usize];
            file.pread(&mut seen, lead).unwrap();
            assert!(seen == bytes, "turn {turn}");
        }
    });
}

#[test]
#[should_panic(expected = "leave a buffer of 4096 bytes")]
fn a_call_outside_the_buffer_is_refused() {
    let Some(pausing) = pausing() else { panic!("that 1 bytes leave a buffer of 4096 bytes is not tested") };
    let (buffer, _supervisor, _) = filled(&pausing, 1);
    let _ = buffer.pwrite_to(&scratch(), PAGE, 1, 0);
}
