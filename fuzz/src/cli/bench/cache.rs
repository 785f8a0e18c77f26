//! `bench --cache`: what a cached read of the model costs against the copy it cannot do without and against a system
//! call, on one and on two OS threads.

use super::{DIM, median, paint, say, table, trouble};
use crate::cli::Result;
use faults::FaultSet;
use ffi::File;
use lanes::{LaneId, Task, block_on};
use oracle::{Flavour, Geometry, Op, OpId, OpKind, Outcome, Sharing, TargetError};
use serde::Serialize;
use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use targets::model::{Medium, Model};

/// Length of the file: all of it stays in a processor's cache, so that the copies are cheap and the rest shows.
const FILE: u64 = 256 << 10;

/// Lengths of the reads, in bytes.
const LENGTHS: [u64; 2] = [4 << 10, 64 << 10];

/// Bytes a contender reads before the next one has its turn: few, so that most turns are over before the scheduler
/// takes the processor away, and the median is one that kept it.
const TURN: u64 = 1 << 20;

/// What is compared. The first two are what the others are measured by.
const NAMES: [&str; 5] =
    ["memcpy", "pread", "model, ext4, folios of 4 KiB", "model, ext4, of 64 KiB", "model, xfs, of 64 KiB"];

/// One length on so many threads.
#[derive(Serialize)]
pub(super) struct ReadSpeed {
    len_bytes: u64,
    threads: usize,
    costs: Vec<Cost>,
}

/// What one contender needs for a read, in every thread.
#[derive(Serialize)]
struct Cost {
    name: &'static str,
    ns: f64,
    times_memcpy: f64,
    times_pread: f64,
}

/// The contenders, each with the same bytes.
struct Contenders {
    bytes: Vec<u8>,
    file: File,
    models: [Arc<Model>; 3],
}

/// Measures on the file system of `dir`, for about as long as `share`.
pub(super) fn measure(dir: &Path, share: Duration) -> Result<Vec<ReadSpeed>> {
    let contenders = Contenders::new(dir)?;
    let cells = LENGTHS.into_iter().flat_map(|len| [(len, 1), (len, 2)]);
    Ok(cells.map(|(len, threads)| contenders.measure(len, threads, share / 4)).collect())
}

impl Contenders {
    fn new(dir: &Path) -> Result<Contenders> {
        let bytes: Vec<u8> = (0..FILE).map(|n| (n % 251) as u8).collect();
        let create = || {
            let file = File::nameless(dir)?;
            file.pwrite(&bytes, 0)?;
            Ok(file)
        };
        let file = create().map_err(|error: ffi::Error| trouble(dir.display(), error))?;
        let shapes = [(Flavour::Ext4, 0), (Flavour::Ext4, 4), (Flavour::Xfs, 4)];
        let models = shapes.map(|(flavour, order)| model(flavour, order));
        for model in &models {
            // Written in one piece, so that folios are as large as they may be.
            let written = execute(model, LaneId(0), OpKind::Write, 0, FILE, &mut Vec::new());
            if written != Outcome::Bytes(FILE) {
                return Err(TargetError::new(format!("the model answered {written} to a write")));
            }
        }
        Ok(Contenders { bytes, file, models })
    }

    /// Takes turns until the time is used up; medians over the turns.
    fn measure(&self, len: u64, threads: usize, share: Duration) -> ReadSpeed {
        let begun = Instant::now();
        let mut turns: [Vec<f64>; NAMES.len()] = Default::default();
        self.turn(len, threads);
        while turns[0].is_empty() || begun.elapsed() < share {
            turns.iter_mut().zip(self.turn(len, threads)).for_each(|(all, ns)| all.push(ns));
        }
        let ns: Vec<f64> = turns.iter().map(|all| median(all.iter().copied())).collect();
        let cost = |(name, own)| Cost { name, ns: own, times_memcpy: own / ns[0], times_pread: own / ns[1] };
        ReadSpeed { len_bytes: len, threads, costs: NAMES.into_iter().zip(ns.iter().copied()).map(cost).collect() }
    }

    fn turn(&self, len: u64, threads: usize) -> [f64; NAMES.len()] {
        let memcpy = time(threads, len, |_, off, buf| {
            buf.copy_from_slice(black_box(&self.bytes[off as usize..(off + len) as usize]));
        });
        let pread = time(threads, len, |_, off, buf| {
            assert_eq!(self.file.pread(buf, off).ok(), Some(len));
        });
        let [small, large, locked] = [0, 1, 2].map(|n| {
            time(threads, len, |lane, off, buf| {
                let read = execute(&self.models[n], lane, OpKind::Read, off, len, buf);
                assert_eq!(read, Outcome::Bytes(len));
            })
        });
        [memcpy, pread, small, large, locked]
    }
}

/// Nanoseconds for each of a turn's reads, in each of so many threads at a time.
fn time(threads: usize, len: u64, read: impl Fn(LaneId, u64, &mut Vec<u8>) + Sync) -> f64 {
    let start = Barrier::new(threads);
    let work = |lane: LaneId| {
        let mut buf = vec![0; len as usize];
        let reads = TURN / len;
        start.wait();
        let begun = Instant::now();
        for n in 0..reads {
            read(lane, n * len % FILE, &mut buf);
            black_box(&buf);
        }
        begun.elapsed().as_nanos() as f64 / reads as f64
    };
    std::thread::scope(|scope| {
        let work = &work;
        let others: Vec<_> = (1..threads).map(|lane| scope.spawn(move || work(LaneId(lane as u8)))).collect();
        let own = work(LaneId(0));
        let others = others.into_iter().map(|thread| thread.join().unwrap_or(f64::NAN));
        others.fold(own, |sum, ns| sum + ns) / threads as f64
    })
}

fn model(flavour: Flavour, max_order: u8) -> Arc<Model> {
    let geometry = Geometry {
        page: 4096,
        block: 4096,
        max_order,
        memory_pages: 0,
        readahead_pages: 0,
        stable_pages: false,
        flavour,
        sharing: Sharing::Owned,
        file_limit: FILE,
        floor: 0,
        stripe: 0,
    };
    Model::new(&geometry, Medium::Lasting, FaultSet::NONE)
}

fn execute(model: &Model, lane: LaneId, kind: OpKind, off: u64, len: u64, buf: &mut Vec<u8>) -> Outcome {
    let id = OpId { lane: lane.0, index: 0 };
    block_on(model.execute(&Task::on_thread(lane), id, &Op::range(kind, off, len), buf))
}

pub(super) fn print(speeds: &[ReadSpeed]) {
    for ReadSpeed { len_bytes, threads, costs } in speeds {
        let what = format!("{} KiB, {threads} thread{}", len_bytes >> 10, if *threads == 1 { "" } else { "s" });
        let heading = [what.as_str(), "ns a read", "of memcpy", "of pread"].map(str::to_owned).to_vec();
        let row = |cost: &Cost| {
            let times = |ratio: f64| format!("{ratio:.2} times");
            vec![cost.name.to_owned(), format!("{:.0}", cost.ns), times(cost.times_memcpy), times(cost.times_pread)]
        };
        table(&[heading].into_iter().chain(costs.iter().map(row)).collect::<Vec<_>>());
        say("");
    }
    say(paint(DIM, "every thread reads the same cached 256 KiB; xfs takes i_rwsem shared for a read, ext4 nothing"));
}
