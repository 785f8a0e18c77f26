//! Files that are mapped straight from persistent memory: fsdax.
//!
//! There is no page cache. A load or a store of a mapping reaches the device; what the file's index holds is not
//! folios but numbers ([`Entry`]): which page of the device is mapped at this index, in one piece of which size, and
//! whether somebody is changing that. The rules are those of fs/dax.c of Linux 6.12, as xfs uses it.
//!
//! | file | what it has |
//! |---|---|
//! | [`entry`] | an entry: page of the device, or zeros, or nothing yet; huge or not; locked or not |
//! | [`device`] | persistent memory, the part of it that is still in CPU caches, and the free pages |
//! | [`pagetable`] | page table entries, small and huge, of two views of the file |
//! | [`tree`] | the index with its marks, the count of pages, which page of the device belongs to which index |
//! | [`lock`] | finding an entry unlocked, waiting for it, locking, inserting, unlocking |
//! | [`mapping`] | a file's index, size, locks |
//! | [`fault`] | loads, stores and faults, huge ones with their fallback |
//! | [`io`] | reading, writing and zeroing by system call |
//! | [`remove`] | removing entries: truncate, punch, invalidation of what is clean |
//! | [`writeback`] | flushing what was stored through mappings |
//! | [`failure`] | the handler of memory failures |
//! | [`invariants`] | what must hold, checked |
//!
//! # The entry lock
//!
//! The lock is a bit of the entry. A lane that meets a locked entry sleeps in a queue keyed by the first index *of
//! the entry it met*, whatever index it came with; otherwise it would not hear whoever unlocks it. Sleepers are
//! exclusive but for the handler of memory failures:
//!
//! 1. who unlocks an entry, or had it unlocked and leaves it so, wakes the next sleeper;
//! 2. who removes an entry wakes all: the next one may find nothing, and would wake nobody;
//! 3. who has slept looks again at everything: the entry, its size, whose page it was;
//! 4. what is stored at the unlock is the entry as it was locked, or what was inserted meanwhile, unlocked.
//!
//! # Locks
//!
//! Outer to inner: i_rwsem, `invalidate_lock`, entry lock, extents, and the short ones: tree, page table, device.
//! A lane locks one entry at a time. The handler of memory failures and writeback take entry locks only.
//!
//! # What has reached the device
//!
//! System calls write past the CPU caches. A store through a mapping is in a CPU cache until the line is flushed.
//! What has to be flushed is known by the DIRTY mark of the entry: it is set before an entry of the page table lets
//! the first store in, and cleared when that has been write-protected *and then* the whole entry flushed.
//! With MAP_SYNC a store is let in only when the metadata that leads to its block has been synced; its entry is unlocked
//! while that goes on, and found again.
//!
//! Absent on purpose: operations, oracles, schedules, extents. What is needed of a file system is [`FileSystem`].

pub mod device;
pub mod entry;
pub mod failure;
pub mod fault;
pub mod invariants;
pub mod io;
pub mod lock;
pub mod mapping;
pub mod pagetable;
pub mod remove;
pub mod tree;
pub mod writeback;

pub use device::Device;
pub use entry::Entry;
pub use mapping::{Extent, FileSystem, Kind, Mapping};
