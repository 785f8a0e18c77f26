//! `draw`: the programs of a seed, and what they were drawn from.

use super::Ending;
use super::run::{kind, strategy};
use super::style::{DIM, paint, say};
use clap::Args;
use foliofuzz::bytes::{Profile, Strategy, decode, drawn};
use foliofuzz::generate::Generator;
use foliofuzz::{Expect, Reproducer};
use oracle::OpKind;

#[derive(Args)]
pub(super) struct Draw {
    /// The program's number
    #[arg(default_value_t = 0)]
    number: u64,
    /// The seed of the run
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// A program for directories, not for the model
    #[arg(long)]
    kernel: bool,
    /// A program of `run --threads` for directories
    #[arg(long, conflicts_with = "kernel")]
    threads: bool,
    /// The --strategy of the run, if it had one
    #[arg(long, value_name = "NAME", value_parser = strategy)]
    strategy: Option<Strategy>,
    /// The --ops of the run, if it had some
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = kind)]
    ops: Vec<OpKind>,
    /// Only the weights, of this program and those after it, a line each
    #[arg(long, value_name = "COUNT")]
    weights: Option<u64>,
}

impl Draw {
    pub(super) fn run(self) -> Ending {
        let profile = match (self.kernel, self.threads) {
            (true, _) => Profile::Kernel,
            (_, true) => Profile::Threads,
            _ => Profile::ANY,
        };
        let generator = Generator { seed: self.seed, profile, strategy: self.strategy };
        let mut bytes = Vec::new();
        if let Some(count) = self.weights {
            for number in self.number..self.number.saturating_add(count) {
                generator.fill(number, &mut bytes);
                say(format!("{} {}", paint(DIM, format!("{number:>8}")), drawn(&bytes)));
            }
            return Ending::Agree;
        }
        generator.fill(self.number, &mut bytes);
        let mut program = decode(&bytes);
        program.keep(&self.ops);
        let head = format!("Drawn as program {} of seed {}: {}", self.number, self.seed, drawn(&bytes));
        let reproducer = Reproducer { comment: vec![head], fault: None, expect: Expect::Agree, trace: None, program };
        say(reproducer.to_string().trim_end());
        Ending::Agree
    }
}
