//! What judging costs on top of the system calls, on tmpfs, where it costs most. A measurement, to be run alone:
//! `cargo test --release -p targets --test directory_speed -- --ignored --nocapture`.
#![cfg(feature = "directory")]

mod programs;

use ffi::{Aligned, File, Mapping, Space, SyncRange};
use oracle::{FlatFile, Op, OpId, OpKind, Outcome, Target};
use programs::{LIMIT, Random};
use std::path::Path;
use std::time::{Duration, Instant};
use targets::directory::DirectoryTarget;

const LONGEST: u64 = 64 * 1024;
const OPS: usize = 20_000;
const ROUNDS: usize = 15;

/// The operations that fsx and fsx-rs share, in their proportions: offsets below 256 KiB, lengths up to 64 KiB.
const SHARED: [OpKind; 9] = [
    OpKind::Read,
    OpKind::Read,
    OpKind::Write,
    OpKind::Write,
    OpKind::MapRead,
    OpKind::MapWrite,
    OpKind::Truncate,
    OpKind::Fallocate,
    OpKind::Punch,
];

/// All operations tmpfs has, with the weights of the table.
fn weighted() -> Vec<OpKind> {
    let rows = oracle::OPS.iter().filter(|row| row.kind != OpKind::ZeroRange && row.kind != OpKind::WriteFault);
    rows.flat_map(|row| vec![row.kind; row.weight.into()]).collect()
}

fn mix(kinds: &[OpKind], longest: u64) -> Vec<Op> {
    let mut random = Random::new(7);
    let mut op = || {
        let kind = kinds[random.below(kinds.len() as u64) as usize];
        let unit = if kind.info().direct { 512 } else { 1 };
        let off = random.below(LIMIT / unit) * unit;
        let len = ((random.below(longest) + 1).next_multiple_of(unit)).min(LIMIT - off);
        match kind.info().shape {
            oracle::Shape::Plain => Op::plain(kind),
            oracle::Shape::Size | oracle::Shape::Offset => Op::at(kind, off),
            _ => Op::range(kind, off, len),
        }
    };
    (0..OPS).map(|_| op()).collect()
}

/// The same system calls on the same ranges, with nothing else: no data made, nothing compared.
struct Raw {
    file: File,
    direct: File,
    map: Mapping,
    memory: Aligned,
}

impl Raw {
    fn new(dir: &Path) -> Raw {
        let path = dir.join(format!("foliofuzz-raw-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        File::unlink(&path).unwrap();
        let direct = file.reopen(true).unwrap();
        let map = Mapping::shared(&file, LIMIT).unwrap();
        Raw { file, direct, map, memory: Aligned::default() }
    }

    fn call(&mut self, op: &Op) {
        let memory = self.memory.first(LIMIT as usize);
        let memory = &mut memory[..op.len as usize];
        let file = &self.file;
        // Seeks beyond the end and loads past it fail, here as there.
        match op.kind {
            OpKind::Read => drop(file.pread(memory, op.off)),
            OpKind::Write => drop(file.pwrite(memory, op.off)),
            OpKind::DirectRead => drop(self.direct.pread(memory, op.off)),
            OpKind::DirectWrite => drop(self.direct.pwrite(memory, op.off)),
            OpKind::MapRead => drop(self.map.load(op.off, memory)),
            OpKind::MapWrite => drop(self.map.store(op.off, memory)),
            OpKind::Msync => drop(self.map.msync(op.off, op.len)),
            OpKind::Truncate => drop(file.truncate(op.off)),
            OpKind::Fallocate => drop(file.fallocate(Space::Allocate, op.off, op.len)),
            OpKind::KeepSize => drop(file.fallocate(Space::AllocateKeepSize, op.off, op.len)),
            OpKind::Punch => drop(file.fallocate(Space::Punch, op.off, op.len)),
            OpKind::Fsync => drop(file.fsync()),
            OpKind::Fdatasync => drop(file.fdatasync()),
            OpKind::SyncRange => drop(file.sync_range(SyncRange::WriteAndWait, op.off, op.len)),
            OpKind::Writeback => drop(file.sync_range(SyncRange::Start, op.off, op.len)),
            OpKind::EndIo => drop(file.sync_range(SyncRange::Wait, 0, 0)),
            OpKind::DontNeed | OpKind::Evict => drop(file.drop_cached(op.off, op.len)),
            OpKind::SeekData => drop(file.seek_data(op.off)),
            OpKind::SeekHole => drop(file.seek_hole(op.off)),
            OpKind::Stat => drop(file.size()),
            OpKind::Reopen => {
                self.direct = self.file.reopen(true).unwrap();
                self.file = self.file.reopen(false).unwrap();
                self.map = Mapping::shared(&self.file, LIMIT).unwrap();
            }
            OpKind::ZeroRange | OpKind::WriteFault => unreachable!("not in the mixes"),
        }
    }

    fn run(&mut self, ops: &[Op]) -> Duration {
        self.file.truncate(0).unwrap();
        let start = Instant::now();
        ops.iter().for_each(|op| self.call(op));
        start.elapsed()
    }
}

fn judged(target: &mut DirectoryTarget, flat: &mut FlatFile, ops: &[Op], answers: &mut Vec<Outcome>) -> Duration {
    let geometry = programs::geometry(1);
    flat.reset(&geometry, 1, 4096);
    target.start(&geometry).unwrap();
    let mut buf = vec![0; LIMIT as usize];
    answers.clear();
    let start = Instant::now();
    for (index, op) in ops.iter().enumerate() {
        let id = OpId { lane: 0, index: index as u32 };
        let outcome = target.execute(id, op, &mut buf).unwrap();
        flat.apply(id, op, outcome, &buf).unwrap();
        answers.push(outcome);
    }
    start.elapsed()
}

/// The flat file alone: it is shown what it holds itself.
fn oracle_alone(flat: &mut FlatFile, ops: &[Op], answers: &[Outcome]) -> Duration {
    flat.reset(&programs::geometry(1), 1, 4096);
    let mut found = vec![0; LIMIT as usize];
    let mut elapsed = Duration::ZERO;
    for (index, (op, outcome)) in ops.iter().zip(answers).enumerate() {
        if op.kind.info().effect == oracle::Effect::Read {
            let from = flat.bytes().get(op.off as usize..).unwrap_or_default();
            let len = from.len().min(op.len as usize);
            found[..len].copy_from_slice(&from[..len]);
            found[len..op.len as usize].fill(0);
        }
        let start = Instant::now();
        flat.apply(OpId { lane: 0, index: index as u32 }, op, *outcome, &found).unwrap();
        elapsed += start.elapsed();
    }
    elapsed
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Medians over rounds in which all three take turns. Returns judged / raw.
fn measure(name: &str, dir: &Path, ops: &[Op]) -> f64 {
    let mut raw = Raw::new(dir);
    let mut target = DirectoryTarget::new(dir).unwrap();
    assert_eq!(target.file_system(), "tmpfs", "the measurement is about tmpfs");
    let mut flat = FlatFile::new(&programs::geometry(1), 1, 4096);
    flat.permit_known("tmpfs");
    let (mut rates, mut answers) = ([const { Vec::new() }; 4], Vec::new());
    for _ in 0..ROUNDS {
        let times =
            [raw.run(ops), judged(&mut target, &mut flat, ops, &mut answers), oracle_alone(&mut flat, ops, &answers)];
        let [raw, judged, oracle] = times.map(|time| OPS as f64 / time.as_secs_f64());
        for (rates, rate) in rates.iter_mut().zip([raw, judged, oracle, judged / raw]) {
            rates.push(rate);
        }
    }
    let [raw, judged, oracle, ratio] = rates.map(median);
    println!("{name}: raw {raw:.0} ops/s, judged {judged:.0} ({:.1} %), oracle alone {oracle:.0}", 100.0 * ratio);
    ratio
}

#[test]
#[ignore = "a measurement, to be run alone and optimised"]
fn judging_costs_little_on_tmpfs() {
    let dir = Path::new("/dev/shm");
    let ratios = [
        measure("fsx's shared mix, up to 64 KiB", dir, &mix(&SHARED, LONGEST)),
        measure("all operations, up to 64 KiB", dir, &mix(&weighted(), LONGEST)),
        measure("all operations, up to 4 KiB", dir, &mix(&weighted(), 4096)),
    ];
    for ratio in ratios {
        assert!(ratio > 0.5, "judging costs more than the system calls it judges: {ratio:.2}");
    }
}
