//! foliofuzz: programs whose input includes the schedule, run against a page cache and a flat file.
//!
//! ```text
//! bytes -> Program -> Runner ( Target || Oracle ) -> Verdict -> Minimizer -> Reproducer
//! ```
//!
//! | module | what it has |
//! |---|---|
//! | [`program`] | [`Program`]: sizes, lanes of operations, a schedule; what makes one valid |
//! | [`bytes`] | programs from bytes and back: the one decoder of libFuzzer, bolero and `--seed` |
//! | [`text`] | programs from text and back |
//! | [`generate`] | fresh random programs |
//! | [`runner`] | a program on the model, beside the flat file, under its schedule |
//! | [`verdict`] | what a run showed |
//! | [`minimize`] | a diverging program, as small as it gets |
//! | [`reproducer`] | a program with what it shows |

pub mod bytes;
mod calm;
pub mod generate;
pub mod minimize;
pub mod panics;
pub mod program;
pub mod reproducer;
pub mod runner;
pub mod text;
pub mod verdict;

pub use program::Program;
pub use reproducer::{Expect, Reproducer};
pub use runner::Runner;
pub use verdict::Verdict;
