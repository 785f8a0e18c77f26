//! Reading and printing the text form, which a person can write, read and edit.
//!
//! ```text
//! # What it shows, and how to replay it.
//! foliofuzz 1
//! fault stale-iomap-write-vs-writeback-reclaim
//! expect content
//!
//! page 256
//! block 128
//! flavour xfs
//! file_limit 4096
//!
//! lane 0
//!   write off=0 len=2048
//!   fsync
//!
//! schedule anchored
//!   at 0.0 W13 #1 run flusher, end-io, reclaim
//! ```
//!
//! Lines count, indentation and blank lines do not. A line that starts with `#` is a comment; those before the
//! version line are kept. Numbers are decimal or, after `0x`, hexadecimal. What is left out has its default:
//! the smallest `max_order`, no memory limit, `xfs`, `expect agree`, a sequential schedule.

mod cursor;
mod items;
mod parse;
mod print;

pub use cursor::{ParseError, nearest};
pub use parse::parse;
pub(crate) use print::{AnchorText, print};

/// Version of the text form this program reads and writes.
pub const VERSION: u64 = 1;
