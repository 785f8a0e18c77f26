//! The seam: what a cache or a file system has to offer to be tested.

use crate::geometry::Geometry;
use crate::op::{Op, OpId};
use crate::outcome::{Divergence, Outcome};
use std::fmt;

/// Something is wrong on our side: the target could not be set up or driven. Never a divergence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetError {
    /// What failed and what to do about it, in one sentence.
    pub message: String,
}

impl TargetError {
    /// An error with this sentence.
    pub fn new(message: impl Into<String>) -> TargetError {
        TargetError { message: message.into() }
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TargetError {}

/// A cache or file system under test, driven one operation at a time.
///
/// This trait is all that a cache of your own has to implement. The runner calls [`Target::start`], then
/// [`Target::execute`] for every operation, then [`Target::check`].
pub trait Target {
    /// How reports call it.
    fn name(&self) -> String;

    /// Begins a program: a new file of size [`Geometry::floor`], all of it a hole. What an earlier program
    /// left behind must not be visible.
    fn start(&mut self, geometry: &Geometry) -> Result<(), TargetError>;

    /// Performs `op`. What it writes is [`crate::fill::fill_written`] of `id`; what it reads goes into `buf`,
    /// whose earlier content and length mean nothing.
    fn execute(&mut self, id: OpId, op: &Op, buf: &mut Vec<u8>) -> Result<Outcome, TargetError>;

    /// Looks for wrong structure and wrong counters, after the last operation. The default has none to check.
    fn check(&mut self) -> Result<Result<(), Divergence>, TargetError> {
        Ok(Ok(()))
    }

    /// Whether it can crash ([`crate::OpKind::Crash`]), and then the unit in which data goes to its device, bytes.
    fn crash_unit(&self) -> Option<u64> {
        None
    }

    /// What is known of the last answer besides it: lines of the kernel log for example. Said of a divergence.
    fn evidence(&self) -> Option<String> {
        None
    }

    /// The page size of its mappings: beyond the page that holds the end of the file, SIGBUS is due.
    fn page_size(&self) -> u64;
}
