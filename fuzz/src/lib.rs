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
//! | [`short`] | all short programs that end in a crash |
//! | [`explore`] | every state a crash may leave |
//! | [`minimize`] | a diverging program, as small as it gets |
//! | [`finding`] | a divergence as a file worth sending |
//! | [`hunt`] | fresh programs against one armed fault |
//! | [`mod@refresh`] | reproducers of faults on changed code |
//! | [`sequential`] | a program on any target, lane after lane |
//! | [`steered`] | a program on a real file system, under its schedule |
//! | [`threaded`] | a program on a directory, a thread for each lane |
//! | [`place`] | where a file system under test is |
//! | [`worker`] | a directory under test, in a process that may die |
//! | [`campaign`] | fresh programs on the model and on directories |
//! | [`findings`] | where reproducers are kept |
//! | [`timeline`] | who did what when |
//! | [`inputs`] | what the libFuzzer targets share |
//! | [`reproducer`] | a program with what it shows |

mod answers;
pub mod bytes;
mod calm;
pub mod campaign;
pub mod explore;
pub mod finding;
pub mod findings;
pub mod generate;
pub mod hunt;
pub mod inputs;
pub mod minimize;
pub mod panics;
pub mod place;
pub mod program;
pub mod refresh;
pub mod reproducer;
pub mod runner;
pub mod sequential;
pub mod short;
pub mod steered;
mod stuck;
pub mod text;
pub mod threaded;
pub mod timeline;
pub mod verdict;
mod watch;
pub mod worker;

pub use program::Program;
pub use reproducer::{Expect, Reproducer};
pub use runner::Runner;
pub use sequential::Sequential;
pub use verdict::Verdict;
