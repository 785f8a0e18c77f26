//! Small file systems on a simulated device: one file each, with the policies of a real file system.
//!
//! | file | what it has |
//! |---|---|
//! | [`device`] | the device: blocks that hold garbage until they are written, and are reused soon |
//! | `cache` | its volatile write cache |
//! | `log` | the log of metadata: what is committed, what is durable |
//! | [`crash`] | what a crash leaves, and the file that comes up after it |
//! | [`extents`] | a file's block map, its sequence counter, its size on the device |
//! | [`failures`] | I/O that is going to fail |
//! | [`flavour`](mod@flavour) | whose policies it follows |
//! | [`file`](mod@file) | the file: locks, and what the page cache and `iomap` ask of it |
//! | `alloc` | which blocks a range has or gets |
//! | [`journal`] | transactions, pinned blocks, and the flush of the log |
//! | [`direct`] | direct I/O: what runs alone, how an asynchronous write ends |
//! | [`ops`] | what a file can be asked to do, with the locking and ordering rules of each flavour |
//! | `resize` | truncate, and what else changes the size |
//! | `fallocate` | giving a file blocks, and taking them from it |
//! | `sync` | bringing a file to its device, and out of memory |
//! | `selfwrite` | a write whose buffer is a mapping of the file itself |
//! | [`space`] | space that runs out |
//! | `release` | what becomes of blocks that a write got and did not come to |
//! | [`dax`] | a file without a page cache, on a persistent device |
//! | [`background`] | flusher, end-io worker, reclaim |
//! | [`invariants`] | what must hold between cache, extents and sizes |
//!
//! Locks, outer to inner: i_rwsem, cluster lock, invalidate_lock, transaction, folio lock, extent lock. The extent lock is
//! short here: what changes extents is no transaction that could sleep. It protects the log, too.

mod alloc;
pub mod background;
mod cache;
pub mod crash;
pub mod dax;
pub mod device;
pub mod direct;
pub mod extents;
pub mod failures;
mod fallocate;
pub mod file;
pub mod flavour;
pub mod invariants;
pub mod journal;
mod log;
pub mod ops;
mod release;
mod resize;
mod selfwrite;
pub mod space;
mod sync;

pub use crash::{Choose, Question, Wreck};
pub use dax::DaxFile;
pub use failures::Failing;
pub use file::{Config, File};
pub use flavour::Flavour;
