//! What a program costs on the model, part by part.

use super::{DIM, grouped, median, paint, say, table};
use faults::FaultSet;
use foliofuzz::bytes::{Profile, decode_into};
use foliofuzz::generate::Generator;
use foliofuzz::verdict::Answer;
use foliofuzz::{Program, Runner};
use lanes::policy::policy_of;
use lanes::{Lane, LaneId, Schedule, Sim, Y, run};
use oracle::{Effect, FlatFile, Outcome, Sharing};
use serde::Serialize;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How many programs a part of the work does before the next part has its turn.
const BATCH: u64 = 200;

/// What the work consists of, in the order in which it is done.
const PARTS: [&str; 6] = ["generate", "decode", "flat file", "scheduler", "run, sequential", "run, as scheduled"];

/// The figures: medians over batches.
#[derive(Serialize)]
pub(super) struct ModelSpeed {
    programs: u64,
    parts: Vec<Part>,
    /// On one core, everything included.
    programs_per_second: f64,
    ops_per_second: f64,
}

/// What one part of the work costs.
#[derive(Serialize)]
struct Part {
    name: &'static str,
    ns_per_program: f64,
    percent_of_whole: f64,
}

/// Measures batches of fresh programs for about as long as `share`.
pub(super) fn measure(seed: u64, share: Duration) -> ModelSpeed {
    let begun = Instant::now();
    let mut turns = Turns::new(seed);
    // The first batch finds cold caches, and memory that has yet to be asked for.
    turns.batch();
    let (mut batches, mut ops) = (Vec::new(), 0);
    while batches.is_empty() || begun.elapsed() < share {
        let (nanos, done) = turns.batch();
        batches.push(nanos);
        ops += done;
    }
    let nanos: [f64; PARTS.len()] = std::array::from_fn(|part| median(batches.iter().map(|batch| batch[part])));
    let programs = batches.len() as u64 * BATCH;
    // The run as scheduled is the whole run: the flat file is inside it, generating and decoding come before.
    let whole = nanos[0] + nanos[1] + nanos[5];
    let part = |(name, ns_per_program)| Part { name, ns_per_program, percent_of_whole: 100.0 * ns_per_program / whole };
    let programs_per_second = 1e9 / whole;
    ModelSpeed {
        programs,
        parts: PARTS.into_iter().zip(nanos).map(part).collect(),
        programs_per_second,
        ops_per_second: programs_per_second * ops as f64 / programs as f64,
    }
}

impl ModelSpeed {
    pub(super) fn print(&self) {
        let heading = ["model", "ns per program", "of the whole"].map(str::to_owned).to_vec();
        let row = |part: &Part| {
            let share = format!("{:.1} %", part.percent_of_whole);
            vec![part.name.to_owned(), grouped(part.ns_per_program as u64), share]
        };
        table(&[heading].into_iter().chain(self.parts.iter().map(row)).collect::<Vec<_>>());
        say(format!(
            "{} programs/s and {} operations/s on one core, everything included",
            grouped(self.programs_per_second as u64),
            grouped(self.ops_per_second as u64)
        ));
        say(paint(
            DIM,
            "flat file, scheduler (as many places and switches with nothing between them) and sequential run are",
        ));
        let batches = self.programs / BATCH;
        say(paint(DIM, format!("parts of the run as scheduled; medians of {batches} batches of {BATCH} programs")));
    }
}

/// The parts, taking turns batch by batch.
struct Turns {
    generator: Generator,
    runner: Runner,
    flat: FlatFile,
    next: u64,
}

impl Turns {
    fn new(seed: u64) -> Turns {
        Turns {
            generator: Generator { seed, profile: Profile::ANY, strategy: None },
            runner: Runner::new(),
            flat: FlatFile::new(&Program::empty().geometry, 1, 256),
            next: 0,
        }
    }

    /// Nanoseconds per program of each part, and how many operations the batch had.
    fn batch(&mut self) -> ([f64; PARTS.len()], u64) {
        let (generate, bytes) = timed(|| self.generate());
        let (decode, programs) = timed(|| decode_all(&bytes));
        let record = |program| self.runner.record(program, FaultSet::NONE).answers;
        let answers: Vec<Vec<Answer>> = programs.iter().map(record).collect();
        let count = |program| self.runner.run(program, FaultSet::NONE).steps;
        let steps: Vec<u64> = programs.iter().map(count).collect();
        let (scheduler, _) =
            timed(|| programs.iter().zip(&steps).map(|(p, steps)| pass_places(p, *steps)).sum::<u64>());
        let (flat, _) = timed(|| self.judge_all(&programs, &answers));
        let in_sequence = |program: &Program| Program { schedule: Schedule::default(), ..program.clone() };
        let sequential: Vec<Program> = programs.iter().map(in_sequence).collect();
        let (sequential, _) = timed(|| self.run_all(&sequential));
        let (scheduled, ops) = timed(|| self.run_all(&programs));
        ([generate, decode, flat, scheduler, sequential, scheduled], ops)
    }

    fn generate(&mut self) -> Vec<Vec<u8>> {
        let fill = |number| {
            let mut bytes = Vec::new();
            self.generator.fill(number, &mut bytes);
            bytes
        };
        let all = (self.next..self.next + BATCH).map(fill).collect();
        self.next += BATCH;
        all
    }

    fn run_all(&mut self, programs: &[Program]) -> u64 {
        programs.iter().map(|program| self.runner.run(program, FaultSet::NONE).ops).sum()
    }

    /// What the flat file alone costs: it judges the answers that came. What was read it is told from its own bytes,
    /// which costs a copy that reads of the model cost, too. Overlapping programs have another oracle.
    fn judge_all(&mut self, programs: &[Program], answers: &[Vec<Answer>]) -> u64 {
        let flat = &mut self.flat;
        let mut buf = Vec::new();
        let mut agreed = 0;
        let owned = |(program, _): &(&Program, _)| program.geometry.sharing == Sharing::Owned;
        for (program, answers) in programs.iter().zip(answers).filter(owned) {
            flat.reset(&program.geometry, program.lanes.len(), u64::from(program.geometry.page));
            for Answer { id, outcome, .. } in answers {
                let op = &program.lanes[id.lane as usize][id.index as usize];
                if let (Effect::Read, Outcome::Bytes(count)) = (op.kind.info().effect, outcome) {
                    let content = flat.bytes();
                    let start = content.len().min(op.off as usize);
                    buf.clear();
                    buf.extend_from_slice(&content[start..content.len().min((op.off + count) as usize)]);
                    buf.resize(*count as usize, 0);
                }
                agreed += u64::from(flat.apply(*id, op, *outcome, &buf).is_ok());
            }
        }
        agreed
    }
}

/// Lanes that pass so many places under the program's schedule and do nothing else: what the scheduler costs.
fn pass_places(program: &Program, steps: u64) -> u64 {
    let sim = Sim::new(policy_of(&program.schedule), u64::MAX);
    let background = [LaneId::FLUSHER, LaneId::END_IO, LaneId::RECLAIM];
    let names = (0..program.lanes.len() as u8).map(LaneId).chain(background);
    let each = steps / (program.lanes.len() + background.len()) as u64;
    let lanes = names.map(|id| {
        let task = sim.task(id);
        let lane: Lane<'_> = Box::pin(async move {
            for _ in 0..each {
                task.at(Y::NEXT).await;
            }
        });
        (id, lane)
    });
    run(&sim, lanes.collect()).steps
}

/// Nanoseconds per program of a batch.
fn timed<R>(work: impl FnOnce() -> R) -> (f64, R) {
    let begun = Instant::now();
    let result = black_box(work());
    (begun.elapsed().as_nanos() as f64 / BATCH as f64, result)
}

fn decode_all(bytes: &[Vec<u8>]) -> Vec<Program> {
    let decode = |bytes: &Vec<u8>| {
        let mut program = Program::empty();
        decode_into(bytes, &mut program);
        program
    };
    bytes.iter().map(decode).collect()
}
