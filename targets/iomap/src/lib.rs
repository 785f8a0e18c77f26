//! File I/O by mappings: the layer between a page cache and a file system's extents.
//!
//! A file system says what a range of a file is made of ([`FileSystem::begin`] returns an [`Iomap`]), and this
//! crate does the rest: buffered writes, fills, zeroing, writeback, direct I/O, seeking. It follows iomap of Linux
//! 6.12.
//!
//! | file | what it has |
//! |---|---|
//! | [`mapping`] | [`Iomap`], and [`FileSystem`], what a file system has to offer |
//! | [`write`](mod@write) | buffered write: one mapping used for several folios, revalidated for each |
//! | [`fill`] | filling folios, whole, ahead, or at the edges of a write; completing the reads |
//! | [`zero`] | zeroing a range |
//! | [`writeback`] | submitting dirty folios, completing the I/O |
//! | [`direct`] | direct I/O, kept coherent with the cache |
//! | [`seek`] | SEEK_DATA and SEEK_HOLE |
//!
//! # The validity contract
//!
//! A buffered write or a zeroing samples one mapping and uses it for many folios, while writeback changes extents
//! and reclaim removes folios. Before the mapping decides whether a folio's edges are zeroed or read:
//!
//! 1. the cookie was sampled in the critical section that looked the extent up;
//! 2. every change of the extents has moved the sequence the cookie is compared with;
//! 3. the end of I/O converts extents *before* it clears a folio's writeback flag;
//! 4. a folio under writeback is never reclaimed; so an absent folio means a visible change;
//! 5. the comparison happens with the folio locked, which keeps its writeback out until it is unlocked;
//! 6. if they differ, nothing is done to this folio, and the rest of the range is mapped anew.
//!
//! # Hooks
//!
//! [`FileSystem::get_folio`] and [`FileSystem::put_folio`] stand around what a write or a zeroing does to one folio. A
//! file system that journals begins a transaction in the first, before the folio lock, and in the second gives the
//! transaction what was changed while the folio is still locked: unlocked, the folio looks clean, and reclaim would
//! free what the journal is about to be told of. The second comes for every folio the first has brought, also if
//! nothing was changed because the mapping was stale or the device failed.

pub mod direct;
pub mod fill;
pub mod mapping;
pub mod seek;
pub mod write;
pub mod writeback;
pub mod zero;

pub use direct::DirectIo;
pub use fill::ReadIo;
pub use mapping::{FileSystem, Iomap, Kind, Purpose};
pub use write::UserBuffer;
pub use writeback::WriteIo;
