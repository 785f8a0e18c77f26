//! What judging costs on top of the system calls: programs on a directory beside the flat file, against the same
//! system calls alone.

use super::mix::{LIMIT, Mix};
use super::raw::Raw;
use super::{DIM, Result, grouped, median, paint, say, table, trouble};
use oracle::{Effect, FlatFile, Flavour, Geometry, Op, OpId, OpKind, Outcome, Sharing, Target};
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};
use targets::directory::DirectoryTarget;

/// Operations in a program, at least and at most. Few hold back what the file's first growth costs; many leave time
/// for few rounds.
const OPS: std::ops::RangeInclusive<usize> = 500..=20_000;
/// How many rounds are to fit into the time there is, and how many there are if it does not suffice.
const ROUNDS: u32 = 16;
const ROUNDS_AT_LEAST: usize = 3;

/// The figures of one mix in one directory: medians over rounds.
#[derive(Serialize)]
pub(super) struct DirectorySpeed {
    /// Its name in reports.
    dir: String,
    file_system: String,
    mix: Mix,
    /// What the mix has and the file system has not.
    left_out: Vec<&'static str>,
    rounds: usize,
    ops_per_round: usize,
    raw_ops_per_second: f64,
    judged_ops_per_second: f64,
    judged_percent_of_raw: f64,
    oracle_ops_per_second: f64,
}

/// Measures `mix` on the file system of `dir`, which reports call `name`, for about as long as `share`.
pub(super) fn measure(dir: &Path, name: String, mix: Mix, seed: u64, share: Duration) -> Result<DirectorySpeed> {
    let begun = Instant::now();
    let mut turns = Turns::new(dir, mix, seed)?;
    let count = turns.calibrate(share)?;
    let mut rounds = Vec::new();
    while rounds.len() < ROUNDS_AT_LEAST || begun.elapsed() < share {
        rounds.push(turns.round(count)?);
    }
    let median = |of: fn(&Times) -> f64| median(rounds.iter().map(of));
    let rate = |of: fn(&Times) -> f64| count as f64 / median(of);
    Ok(DirectorySpeed {
        dir: name,
        file_system: turns.target.file_system().to_owned(),
        mix,
        left_out: turns.left_out.iter().map(|kind| kind.info().name).collect(),
        rounds: rounds.len(),
        ops_per_round: count,
        raw_ops_per_second: rate(|times| times.raw),
        judged_ops_per_second: rate(|times| times.judged),
        // The two of a round are next to each other in time, whatever else the machine does.
        judged_percent_of_raw: 100.0 * median(|times| times.raw / times.judged),
        oracle_ops_per_second: rate(|times| times.oracle),
    })
}

/// Seconds that a program took.
struct Times {
    raw: f64,
    judged: f64,
    oracle: f64,
}

/// Those that take turns, and the program they all run.
struct Turns {
    raw: Raw,
    target: DirectoryTarget,
    flat: FlatFile,
    left_out: Vec<OpKind>,
    ops: Vec<Op>,
    /// What the target answered last time.
    answers: Vec<Outcome>,
    buf: Vec<u8>,
}

impl Turns {
    fn new(dir: &Path, mix: Mix, seed: u64) -> Result<Turns> {
        let target = DirectoryTarget::new(dir)?;
        let kinds = mix.kinds();
        let lacking = target.lacks().iter().map(|(kind, _)| *kind);
        let left_out: Vec<OpKind> = lacking.filter(|kind| kinds.contains(kind)).collect();
        let ops = mix.program(seed, *OPS.end(), target.direct_alignment(), &left_out);
        let mut flat = FlatFile::new(&GEOMETRY, 1, target.page_size());
        flat.permit_known(target.file_system());
        let raw = Raw::new(dir).map_err(|error| trouble(dir.display(), error))?;
        let (answers, buf) = (Vec::with_capacity(ops.len()), vec![0; LIMIT as usize]);
        Ok(Turns { raw, target, flat, left_out, ops, answers, buf })
    }

    /// Warms everything up, and finds out how many operations make a round.
    fn calibrate(&mut self, share: Duration) -> Result<usize> {
        let Times { raw, judged, oracle } = self.round(*OPS.start())?;
        let each = (2.0 * (raw + judged) + oracle) / *OPS.start() as f64;
        let fitting = (share / ROUNDS).as_secs_f64() / each;
        Ok((fitting as usize).clamp(*OPS.start(), *OPS.end()))
    }

    /// One round. The system calls alone come first and last, so that it does not matter who comes first, nor that
    /// a machine gets slower or faster in the meantime.
    fn round(&mut self, count: usize) -> Result<Times> {
        let first = self.raw(count)?;
        let judged = (self.judged(count)? + self.judged(count)?) / 2.0;
        let raw = (first + self.raw(count)?) / 2.0;
        Ok(Times { raw, judged, oracle: self.oracle()? })
    }

    fn raw(&mut self, count: usize) -> Result<f64> {
        let begun = Instant::now();
        self.raw.run(&self.ops[..count]).map_err(|error| trouble("the system calls alone", error))?;
        Ok(begun.elapsed().as_secs_f64())
    }

    fn judged(&mut self, count: usize) -> Result<f64> {
        let Turns { target, flat, ops, answers, buf, .. } = self;
        answers.clear();
        let begun = Instant::now();
        flat.reset(&GEOMETRY, 1, target.page_size());
        target.start(&GEOMETRY)?;
        for (id, op) in numbered(&ops[..count]) {
            let outcome = target.execute(id, op, buf)?;
            flat.apply(id, op, outcome, buf).map_err(|divergence| {
                trouble(target.name(), format!("{divergence}; try foliofuzz run --dir, which reports such things"))
            })?;
            answers.push(outcome);
        }
        Ok(begun.elapsed().as_secs_f64())
    }

    /// The flat file alone judges the answers that came. What was read it is told from its own bytes, untimed.
    fn oracle(&mut self) -> Result<f64> {
        let Turns { target, flat, ops, answers, buf, .. } = self;
        flat.reset(&GEOMETRY, 1, target.page_size());
        let mut spent = Duration::ZERO;
        for ((id, op), outcome) in numbered(ops).zip(answers) {
            if op.kind.info().effect == Effect::Read {
                let from = flat.bytes().get(op.off as usize..).unwrap_or_default();
                let len = from.len().min(op.len as usize);
                buf[..len].copy_from_slice(&from[..len]);
                buf[len..op.len as usize].fill(0);
            }
            let begun = Instant::now();
            flat.apply(id, op, *outcome, buf).map_err(|divergence| trouble("the flat file alone", divergence))?;
            spent += begun.elapsed();
        }
        Ok(spent.as_secs_f64())
    }
}

fn numbered(ops: &[Op]) -> impl Iterator<Item = (OpId, &Op)> {
    (0..).zip(ops).map(|(index, op)| (OpId { lane: 0, index }, op))
}

/// One lane, which starts with an empty file. The directory target looks at the file's limit alone, the rest is for
/// the model.
const GEOMETRY: Geometry = Geometry {
    page: 4096,
    block: 1024,
    max_order: 0,
    memory_pages: 0,
    readahead_pages: 0,
    stable_pages: false,
    flavour: Flavour::Xfs,
    file_limit: LIMIT,
    sharing: Sharing::Owned,
    floor: 0,
    stripe: 1536,
};

/// The table of all directories.
pub(super) fn print(speeds: &[DirectorySpeed]) {
    let heading = ["directory", "file system", "mix", "raw ops/s", "judged ops/s", "judged/raw", "oracle alone"];
    let row = |speed: &DirectorySpeed| {
        let rates = [speed.raw_ops_per_second, speed.judged_ops_per_second, speed.oracle_ops_per_second];
        let [raw, judged, oracle] = rates.map(|rate| grouped(rate as u64));
        let ratio = format!("{:.1} %", speed.judged_percent_of_raw);
        let (dir, mix) = (speed.dir.clone(), speed.mix.name().to_owned());
        vec![dir, speed.file_system.clone(), mix, raw, judged, ratio, oracle]
    };
    let heading = heading.map(str::to_owned).to_vec();
    table(&[heading].into_iter().chain(speeds.iter().map(row)).collect::<Vec<_>>());
    say(paint(DIM, "raw: the same system calls alone; judged: with data made, answers judged and bytes compared;"));
    say(paint(DIM, "oracle alone: the flat file without system calls; up to 64 KiB each, on files of up to 256 KiB"));
    for speed in speeds {
        let DirectorySpeed { dir, rounds, ops_per_round, left_out, .. } = speed;
        let lacking = match left_out.join(", ") {
            none if none.is_empty() => none,
            names => format!("; not there and left out: {names}"),
        };
        let mix = speed.mix.name();
        let ops = grouped(*ops_per_round as u64);
        say(paint(DIM, format!("{dir}, {mix}: medians of {rounds} rounds of {ops} operations{lacking}")));
    }
}
