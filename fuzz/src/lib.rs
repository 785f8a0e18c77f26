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
//! | [`reproducer`] | a program with what it shows |

pub mod bytes;
pub mod generate;
pub mod program;
pub mod reproducer;
pub mod text;

pub use program::Program;
pub use reproducer::{Expect, Reproducer};
