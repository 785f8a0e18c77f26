//! A program with what it shows: the file a person gets, reads, edits and sends on.

use crate::program::Program;
use crate::text::{self, ParseError};
use faults::Fault;
use oracle::Class;
use std::fmt;
use std::str::FromStr;

/// What running a reproducer must give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Target and flat file agree.
    Agree,
    /// A divergence of this class.
    Diverge(Class),
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expect::Agree => f.pad("agree"),
            Expect::Diverge(class) => class.fmt(f),
        }
    }
}

/// A program and its story. Its text form is [`fmt::Display`] and [`FromStr`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reproducer {
    /// The lines above the version, without the `# `: what it shows, for people.
    pub comment: Vec<String>,
    /// The fault to be armed in the model.
    pub fault: Option<Fault>,
    /// What must come of it.
    pub expect: Expect,
    /// Trace hash of the run it was made from. A replay with another one ran changed code.
    pub trace: Option<u64>,
    /// The program.
    pub program: Program,
}

impl fmt::Display for Reproducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::print(f, self)
    }
}

impl FromStr for Reproducer {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Reproducer, ParseError> {
        text::parse(text)
    }
}
