//! What a file must contain.
//!
//! This crate is the bottom of foliofuzz: the table of [operations](op), the [sizes](Geometry) they run under,
//! the [outcomes](Outcome) they may have, and the flat file they are checked against. It knows no page cache, no
//! scheduler and no system call; a cache of your own is tested by implementing [`Target`], which needs nothing
//! but this crate.

pub mod durable;
pub mod fill;
pub mod flat;
pub mod geometry;
pub mod judge;
pub mod loss;
pub mod op;
pub mod outcome;
pub mod overlap;
pub mod ownership;
pub mod target;

pub use durable::Durable;
pub use flat::FlatFile;
pub use geometry::{Flavour, Geometry, MAX_READAHEAD, Sharing};
pub use judge::Judge;
pub use loss::Loss;
pub use op::{Effect, OPS, Op, OpId, OpInfo, OpKind, Shape};
pub use outcome::{Class, Divergence, Errno, Outcome};
pub use overlap::Overlap;
pub use ownership::Ownership;
pub use target::{Target, TargetError};
