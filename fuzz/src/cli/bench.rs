//! `bench`: the model's speed, and where the time goes. Ratios of one run hold on any machine; the figures do not.

use super::style::{DIM, grouped, paint, say, table};
use super::{Ending, Result};
use clap::Args;
use faults::FaultSet;
use foliofuzz::bytes::{Profile, decode_into};
use foliofuzz::generate::Generator;
use foliofuzz::verdict::Answer;
use foliofuzz::{Program, Runner};
use lanes::Schedule;
use oracle::{Effect, FlatFile, Outcome};
use std::hint::black_box;
use std::time::Instant;

#[derive(Args)]
pub(super) struct Bench {
    /// Programs in each measurement
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    programs: u64,
    /// Which programs
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// What one part of the work cost.
struct Part {
    name: &'static str,
    nanos_per_program: f64,
}

impl Bench {
    pub(super) fn run(self) -> Result<Ending> {
        let mut parts = Vec::new();
        let bytes = self.timed("generate", &mut parts, || self.generate());
        let programs = self.timed("decode", &mut parts, || decode_all(&bytes));
        let answers: Vec<Vec<Answer>> = programs.iter().map(record).collect();
        self.timed("flat file", &mut parts, || judge_all(&programs, &answers));
        let sequential: Vec<Program> =
            programs.iter().map(|program| Program { schedule: Schedule::default(), ..program.clone() }).collect();
        self.timed("run, sequential", &mut parts, || run_all(&sequential));
        let ops = self.timed("run, as scheduled", &mut parts, || run_all(&programs));
        self.print(&parts, ops);
        Ok(Ending::Agree)
    }

    fn timed<R>(&self, name: &'static str, parts: &mut Vec<Part>, work: impl FnOnce() -> R) -> R {
        let begun = Instant::now();
        let result = black_box(work());
        let nanos_per_program = begun.elapsed().as_nanos() as f64 / self.programs as f64;
        parts.push(Part { name, nanos_per_program });
        result
    }

    fn generate(&self) -> Vec<Vec<u8>> {
        let generator = Generator { seed: self.seed, profile: Profile::ANY, strategy: None };
        let fill = |number| {
            let mut bytes = Vec::new();
            generator.fill(number, &mut bytes);
            bytes
        };
        (0..self.programs).map(fill).collect()
    }

    fn print(&self, parts: &[Part], ops: u64) {
        // The last part is the whole run; the flat file is inside it, generating and decoding come before.
        let run = parts[parts.len() - 1].nanos_per_program;
        let whole = parts[0].nanos_per_program + parts[1].nanos_per_program + run;
        let heading = ["part", "ns per program", "of the whole"].map(str::to_owned).to_vec();
        let row = |part: &Part| {
            let share = 100.0 * part.nanos_per_program / whole;
            vec![part.name.to_owned(), format!("{:.0}", part.nanos_per_program), format!("{share:.1} %")]
        };
        table(&[heading].into_iter().chain(parts.iter().map(row)).collect::<Vec<_>>());
        let per_second = 1e9 / whole;
        let ops_each = ops as f64 / self.programs as f64;
        say(format!(
            "{} programs/s and {} operations/s on one core, everything included",
            grouped(per_second as u64),
            grouped((per_second * ops_each) as u64)
        ));
        say(paint(
            DIM,
            "flat file and sequential run are parts of the run as scheduled; the rest of it is background work and switches",
        ));
    }
}

fn decode_all(bytes: &[Vec<u8>]) -> Vec<Program> {
    let decode = |bytes: &Vec<u8>| {
        let mut program = Program::empty();
        decode_into(bytes, &mut program);
        program
    };
    bytes.iter().map(decode).collect()
}

fn run_all(programs: &[Program]) -> u64 {
    let mut runner = Runner::new();
    programs.iter().map(|program| runner.run(program, FaultSet::NONE).ops).sum()
}

/// The answers of a program in order of completion.
fn record(program: &Program) -> Vec<Answer> {
    Runner::new().record(program, FaultSet::NONE).answers
}

/// What the flat file alone costs: it judges the answers that came. What was read it is told from its own bytes,
/// which costs a copy that reads of the model cost, too.
fn judge_all(programs: &[Program], answers: &[Vec<Answer>]) -> u64 {
    let mut flat = FlatFile::new(&Program::empty().geometry, 1, 256);
    let mut buf = Vec::new();
    let mut agreed = 0;
    for (program, answers) in programs.iter().zip(answers) {
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
