//! System calls that stop half way on real file systems, and what others do meanwhile.
#![allow(clippy::disallowed_methods, reason = "what is stopped here are calls of real threads")]

mod trace;

use crate::on;
use ffi::{File, Mapping, PausableBuffer, Pause, Pausing, Seen, Supervisor, SyncRange, WriteOrder};
use mounts::{Medium, Mount};
use std::thread;
use std::time::Duration;
use trace::Tracepoint;

const PAGE: u64 = 4096;
const SOON: Duration = Duration::from_secs(20);
const BRIEFLY: Duration = Duration::from_millis(200);

/// `len` bytes, none of them zero.
fn pattern(tag: u64, len: u64) -> Vec<u8> {
    (0..len).map(|at| ((tag * 31 + at * 7 + at / PAGE) % 255 + 1) as u8).collect()
}

/// A file and what is needed to stop its calls.
struct Stage {
    name: &'static str,
    pausing: Pausing,
    order: WriteOrder,
    file: File,
    direct: File,
    map: Mapping,
}

impl Stage {
    const PAGES: u64 = 64;

    fn on(mount: &Mount) -> Stage {
        let pausing = Pausing::probe().unwrap_or_else(|cannot| panic!("{cannot}"));
        let file = File::nameless(mount.dir()).unwrap();
        let order = WriteOrder::of(&file, &pausing).unwrap();
        let (direct, map) = (file.reopen(true).unwrap(), Mapping::shared(&file, Stage::PAGES * PAGE).unwrap());
        Stage { name: mount.recipe().mkfs.file_system.name(), pausing, order, file, direct, map }
    }

    fn pair(&self, bytes: &[u8]) -> (PausableBuffer, Supervisor) {
        let (buffer, mut supervisor) = self.pausing.pair(bytes.len() as u64).unwrap();
        supervisor.fill(0, bytes).unwrap();
        (buffer, supervisor)
    }

    fn holds(&self, expected: &[u8]) {
        for evicted in [false, true] {
            if evicted {
                self.file.fsync().unwrap();
                self.file.drop_cached(0, 0).unwrap();
            }
            let mut found = vec![0; expected.len() + 1];
            assert_eq!(self.file.pread(&mut found, 0), Ok(expected.len() as u64), "{}", self.name);
            let differs = found.iter().zip(expected).position(|(found, expected)| found != expected);
            assert_eq!(differs, None, "{}, evicted {evicted}: the first byte that differs", self.name);
        }
    }

    /// How many of the first pages show `bytes` through the mapping.
    fn pages_written(&self, bytes: &[u8]) -> u64 {
        let mut seen = vec![0; bytes.len()];
        // Behind the end of the file there is nothing to see.
        self.map.load(0, &mut seen);
        let mut pages = seen.chunks(PAGE as usize).zip(bytes.chunks(PAGE as usize));
        pages.position(|(seen, written)| seen != written).map_or(Stage::PAGES, |page| page as u64)
    }

    /// Writes all pages of `old` and evicts them, so that nothing is known of folios.
    fn hold(&self, old: &[u8]) {
        self.file.truncate(0).unwrap();
        assert_eq!(self.file.pwrite(old, 0), Ok(old.len() as u64));
        self.file.fsync().unwrap();
        self.file.drop_cached(0, 0).unwrap();
    }
}

fn paused(supervisor: &mut Supervisor) -> Pause<'_> {
    match supervisor.wait(SOON).unwrap() {
        Seen::Paused(pause) => pause,
        other => panic!("no pause but {other:?}"),
    }
}

fn ended(supervisor: &mut Supervisor) {
    let seen = supervisor.wait(SOON).unwrap();
    assert!(matches!(seen, Seen::Ended), "{seen:?}");
}

fn a_write_stops_exactly_and_survives_eviction(stage: &Stage) {
    let (old, new) = (pattern(1, Stage::PAGES * PAGE), pattern(2, Stage::PAGES * PAGE));
    let last = if stage.order == WriteOrder::AsksAhead { Stage::PAGES - 1 } else { Stage::PAGES };
    for page in 0..last {
        // Over nothing that is cached; over folios of a page, as reading a hole through a mapping makes them; and
        // behind the end of the file, but for pages at the end of what is a chunk of xfs after some folios there.
        stage.hold(&old);
        let state = if page % 8 == 7 { page / 8 % 2 } else { page % 3 };
        if state > 0 {
            stage.file.truncate(0).unwrap();
        }
        if state == 1 {
            stage.file.truncate(Stage::PAGES * PAGE).unwrap();
            stage.pages_written(&new);
        }
        let (buffer, mut supervisor) = stage.pair(&new);
        assert_eq!(supervisor.stop_exactly_at(page, stage.order), Ok(true));
        thread::scope(|scope| {
            let lane = scope.spawn(|| buffer.during(|| buffer.pwrite_to(&stage.file, 0, Stage::PAGES * PAGE, 0)));
            let pause = paused(&mut supervisor);
            assert_eq!((pause.page(), stage.pages_written(&new)), (page, page), "{}", stage.name);
            let earlier = page.saturating_sub(2);
            stage.file.sync_range(SyncRange::WriteAndWait, earlier * PAGE, PAGE).unwrap();
            stage.file.drop_cached(earlier * PAGE, PAGE).unwrap();
            assert_eq!(stage.pages_written(&new), page, "{}", stage.name);
            pause.resume().unwrap();
            ended(&mut supervisor);
            assert_eq!(lane.join().unwrap(), Ok(Stage::PAGES * PAGE));
        });
        stage.holds(&new);
    }
}

fn poison_makes_a_write_short(stage: &Stage) {
    let (old, new) = (pattern(3, Stage::PAGES * PAGE), pattern(4, Stage::PAGES * PAGE));
    for page in [1, 20, 47] {
        stage.hold(&old);
        let (buffer, mut supervisor) = stage.pair(&new);
        supervisor.stop_exactly_at(page, stage.order).unwrap();
        thread::scope(|scope| {
            let lane = scope.spawn(|| buffer.during(|| buffer.pwrite_to(&stage.file, 0, Stage::PAGES * PAGE, 0)));
            paused(&mut supervisor).poison().unwrap();
            ended(&mut supervisor);
            assert_eq!(lane.join().unwrap(), Ok(page * PAGE), "{}", stage.name);
        });
        let end = (page * PAGE) as usize;
        stage.holds(&[&new[..end], &old[end..]].concat());
    }
}

/// On xfs a write waits for a read that has stopped; elsewhere it does not.
fn a_read_stops_while_its_pages_are_evicted(stage: &Stage) {
    let (bytes, other) = (pattern(5, Stage::PAGES * PAGE), pattern(6, PAGE));
    stage.hold(&bytes);
    let (buffer, mut supervisor) = stage.pair(&vec![0; bytes.len()]);
    let (second, mut second_supervisor) = stage.pair(&other);
    supervisor.leave_missing(20).unwrap();
    thread::scope(|scope| {
        let lane = scope.spawn(|| buffer.during(|| buffer.pread_from(&stage.file, 0, Stage::PAGES * PAGE, 0)));
        let pause = paused(&mut supervisor);
        assert_eq!(pause.page(), 20);
        stage.file.drop_cached(0, 0).unwrap();
        let writer = scope.spawn(|| second.during(|| second.pwrite_to(&stage.file, 0, PAGE, 0)));
        let waits = matches!(second_supervisor.wait(BRIEFLY).unwrap(), Seen::TimedOut);
        assert_eq!(waits, stage.name == "xfs", "{}", stage.name);
        pause.resume().unwrap();
        ended(&mut supervisor);
        if waits {
            ended(&mut second_supervisor);
        }
        assert_eq!((lane.join().unwrap(), writer.join().unwrap()), (Ok(Stage::PAGES * PAGE), Ok(PAGE)));
    });
    let mut read = vec![0; bytes.len()];
    assert_eq!(buffer.load(0, &mut read), Stage::PAGES * PAGE);
    assert!(read == bytes, "{}: what was read before the write", stage.name);
    stage.holds(&[&other, &bytes[PAGE as usize..]].concat());
}

fn a_direct_write_stops_before_it_is_submitted(stage: &Stage) {
    let (old, new) = (pattern(7, Stage::PAGES * PAGE), pattern(8, Stage::PAGES * PAGE));
    stage.hold(&old);
    let (buffer, mut supervisor) = stage.pair(&new);
    supervisor.leave_missing(30).unwrap();
    thread::scope(|scope| {
        let lane = scope.spawn(|| buffer.during(|| buffer.pwrite_to(&stage.direct, 0, Stage::PAGES * PAGE, 0)));
        let pause = paused(&mut supervisor);
        assert_eq!(pause.page(), 30);
        // Written through the cache by btrfs, for its checksums, and by tmpfs, which has nothing else.
        let cached = ["btrfs", "tmpfs"].contains(&stage.name);
        assert_eq!(stage.pages_written(&new), if cached { 30 } else { 0 }, "{}", stage.name);
        pause.resume().unwrap();
        ended(&mut supervisor);
        assert_eq!(lane.join().unwrap(), Ok(Stage::PAGES * PAGE));
    });
    stage.holds(&new);
}

fn stops(mount: &Mount) {
    let stage = Stage::on(mount);
    println!("{}: {:?}, {:?}", mount.recipe(), stage.order, stage.pausing);
    a_write_stops_exactly_and_survives_eviction(&stage);
    poison_makes_a_write_short(&stage);
    a_read_stops_while_its_pages_are_evicted(&stage);
    a_direct_write_stops_before_it_is_submitted(&stage);
}

macro_rules! stops_on {
    ($($test:ident $mkfs:literal;)*) => {
        $(#[test]
        #[ignore = "needs root"]
        fn $test() {
            on($mkfs, Medium::Loop, |mount| stops(mount));
        })*
    };
}

stops_on! {
    calls_stop_on_xfs_4k   "xfs -b size=4096";
    calls_stop_on_xfs_1k   "xfs -b size=1024";
    calls_stop_on_xfs_16k  "xfs -b size=16384";
    calls_stop_on_ext4_4k  "ext4 -b 4096";
    calls_stop_on_ext4_1k  "ext4 -b 1024";
    calls_stop_on_btrfs    "btrfs";
    calls_stop_on_tmpfs    "tmpfs";
}

const REPLAYS: usize = 100;

/// The stale iomap, A01 of the catalogue. Half of page 16 is written, over blocks that are reserved. A second write has
/// looked its mapping up and stops; the page is written back and evicted; the second write goes on. Whether it then
/// finds its mapping stale is told by a tracepoint of kernels that look.
#[test]
#[ignore = "needs root"]
fn a_stopped_write_on_xfs_finds_its_mapping_stale() {
    on("xfs", Medium::Loop, |mount| {
        let tracepoint = Tracepoint::on(mount, "xfs/xfs_iomap_invalid");
        let stage = Stage::on(mount);
        let half = PAGE / 2;
        let (first, second) = (pattern(9, half), pattern(10, 16 * PAGE + half));
        let mut stale = 0;
        for evict in (0..REPLAYS).map(|_| true).chain([false]) {
            stage.file.truncate(0).unwrap();
            stage.file.fallocate(ffi::Space::Allocate, 0, 1 << 20).unwrap();
            assert_eq!(stage.file.pwrite(&first, 16 * PAGE + half), Ok(half));
            let (buffer, mut supervisor) = stage.pair(&second);
            supervisor.leave_missing(16).unwrap();
            // What the replay before this one has left.
            tracepoint.as_ref().map(Tracepoint::passed).unwrap_or_default();
            thread::scope(|scope| {
                let lane = scope.spawn(|| buffer.during(|| buffer.pwrite_to(&stage.file, 0, second.len() as u64, 0)));
                let pause = paused(&mut supervisor);
                if evict {
                    stage.file.sync_range(SyncRange::WriteAndWait, 16 * PAGE, PAGE).unwrap();
                    stage.file.drop_cached(16 * PAGE, PAGE).unwrap();
                }
                pause.resume().unwrap();
                ended(&mut supervisor);
                assert_eq!(lane.join().unwrap(), Ok(second.len() as u64));
            });
            if let Ok(tracepoint) = &tracepoint {
                let seen = tracepoint.passed() > 0;
                assert!(evict || !seen, "nothing has happened while the write was stopped, and its mapping is stale");
                stale += usize::from(seen);
            }
            let mut expected = [second.as_slice(), &first].concat();
            expected.resize(1 << 20, 0);
            stage.holds(&expected);
        }
        match tracepoint {
            Ok(_) => assert!(stale >= REPLAYS * 95 / 100, "{stale} of {REPLAYS} writes found their mapping stale"),
            Err(why) => println!("whether mappings were stale is not known: {why}"),
        }
        println!("{stale} of {REPLAYS} writes found their mapping stale, and all bytes are there");
    });
}
