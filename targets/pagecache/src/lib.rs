//! A page cache.
//!
//! Folios of one or more pages, indexed per file, filled, dirtied, written back, truncated, invalidated, split
//! and reclaimed by the rules Linux follows (6.12). The state that bugs live between is kept apart, as it is
//! there: a folio's dirty flag, its marks in the index, its per-block bits, the dirty bits of page table entries
//! and the counters are five different things that have to agree.
//!
//! | file | what it has |
//! |---|---|
//! | [`folio`] | a folio: flags, lock, references, bytes |
//! | [`blocks`] | its per-block uptodate and dirty state |
//! | [`buffers`] | which of its blocks a journal waits for |
//! | [`index`] | the index of a file's folios, with marks |
//! | [`tree`] | its lock, and lookups without it |
//! | [`mapping`] | a file's cache: index, size, locks, errors |
//! | [`errseq`] | which errors an open file description has been told of |
//! | [`inode`] | the inode's own dirty flag |
//! | [`memory`] | the counters all mappings share, and the memory limit |
//! | [`lookup`] | finding folios, creating them |
//! | [`read`] | reading through the cache |
//! | [`readahead`] | filling more than was asked for |
//! | [`fill`] | a folio being filled: its lock, and when it is given back |
//! | [`faultaround`] | entries for the cached pages around a fault |
//! | [`filemap`] | faults, loads and stores |
//! | [`dirty`] | dirtying, cleaning, writeback flags, with their accounting |
//! | [`truncate`] | removing ranges: truncate, punch, invalidation for direct I/O |
//! | [`split`] | splitting a large folio |
//! | [`reclaim`] | evicting clean folios |
//! | [`pagetable`] | page table entries of shared mappings |
//! | [`invariants`] | what must hold, checked |
//!
//! # Locks
//!
//! | lock | kind | protects |
//! |---|---|---|
//! | `invalidate_lock` | sleeping, shared or exclusive | shared: filling folios from the device; exclusive: dropping a range and its blocks |
//! | folio lock | sleeping | a folio's place in the file, its private state against release, its fill: handed to the reads, whose end releases it |
//! | tree lock | spinning: a holder never sleeps | index, marks, the dirty and writeback flags' edges; lookups do without |
//! | page table lock | short | page table entries |
//! | block state lock | short | per-block bits of one folio |
//!
//! Order, outer to inner: `invalidate_lock`, folio lock (ascending index), tree lock, page table, block state, bytes.
//! Short locks are never held across an await: lanes are `Send`, so the compiler sees to it. The tree lock may be:
//! its holder can be stopped, but waits for nothing.
//!
//! Absent on purpose: operations, oracles, schedules, extents. What the cache needs from a file system stands in
//! [`filemap::FileOps`].

pub mod blocks;
pub mod buffers;
pub mod dirty;
pub mod error;
pub mod errseq;
pub mod faultaround;
pub mod filemap;
pub mod fill;
pub mod folio;
pub mod index;
pub mod inode;
pub mod invariants;
pub mod lookup;
pub mod mapping;
pub mod memory;
pub mod pagetable;
pub mod read;
pub mod readahead;
pub mod reclaim;
pub mod split;
pub mod tree;
pub mod truncate;

pub use blocks::BlockState;
pub use error::{Error, Result};
pub use errseq::Cursor;
pub use filemap::FileOps;
pub use fill::Fill;
pub use folio::{Folio, FolioRef, Locked};
pub use index::{Index, Mark, Slot};
pub use invariants::Broken;
pub use mapping::{Mapping, Sizes};
pub use memory::Memory;
pub use pagetable::PageTable;
pub use tree::{Slots, TreeGuard};
