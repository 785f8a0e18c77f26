//! An XArray: a radix tree from indices to entries in which an entry may cover many indices, and carry marks.
//!
//! It is what a page cache keeps its folios in. An entry is an object or a number ([`Entry`]); one of order k covers
//! 2^k aligned indices, each of which leads to it. Three marks an entry ([`Mark`]) say by which searches it is found.
//!
//! ```
//! use xarray::{Entry, Mark, XArray};
//!
//! let mut cache = XArray::new(6);
//! cache.store(0, 0, Entry::Item("small"));
//! cache.store(8, 2, Entry::Item("large"));
//! cache.set_mark(10, Mark::M0);
//! assert_eq!(cache.load(11).map(|found| (found.index, found.order)), Some((8, 2)));
//! assert!(cache.find_conflict(8, 3).next().is_some());
//! // The search begins inside the entry, and reports it.
//! assert_eq!(cache.find_marked(9, u64::MAX, Mark::M0).and_then(|found| found.item().copied()), Some("large"));
//! ```
//!
//! # The tree
//!
//! A node has `1 << chunk_shift` slots. The slots of a node with shift s cover 2^s indices each, so the shifts are the
//! multiples of the chunk shift. A slot is empty, leads to a node of the next smaller shift, or belongs to an entry.
//! An entry of order k stands in the node whose shift s is k rounded down to a multiple of the chunk shift, in
//! 2^(k-s) slots: the first is its *canonical* slot, the others are *siblings* that point to it. What holds:
//!
//! - marks are on canonical slots, and on slots that lead to a node in which some slot has the mark;
//! - no node is empty, and the top node is there because the last entry, or the largest, needs it;
//! - what is counted is what is there ([`XArray::counts`], [`XArray::len_nodes`]).
//!
//! [`XArray::check`] tests all of it.
//!
//! | module | what it has |
//! |---|---|
//! | `arena` | nodes and slots, bitmaps and their way up |
//! | `tree` | [`XArray`], lookup of an index, marks |
//! | `store` | storing and erasing |
//! | `walk` | searches and ordered walks, [`Range`]; tagging |
//! | `cursor` | walks between whose steps the array may change: [`Cursor`] |
//! | `split` | the three-phase split: [`Preallocation`] |
//! | `check` | the self-check |
//!
//! # Locks
//!
//! There are none: lookups take `&self`, changes `&mut self`, and the caller's lock decides when. What may be done
//! without it, between two critical sections, is explicit: a [`Cursor`] may go stale and notices; a [`Preallocation`]
//! may go stale, and [`XArray::split`] refuses it.
//!
//! Some functions exist for callers that model *wrong* users of an XArray, and say so: [`XArray::load_raw`],
//! [`XArray::find_marked_raw`], [`XArray::split_unchecked`], [`Preallocation::new`], [`Cursor::load_stale`],
//! [`Cursor::store_stale`]. They too leave a tree that passes the self-check; only what is in it is wrong.
//!
//! Absent on purpose: unsafe code, clocks, threads, hash maps, global state, knowledge of folios and of bugs.

mod arena;
mod check;
mod cursor;
mod entry;
mod mark;
mod split;
mod store;
mod tree;
mod walk;

pub use cursor::Cursor;
pub use entry::{Entry, Found, Raw, Removed, Same, Stored};
pub use mark::{Mark, Marks};
pub use split::{Preallocation, Stale};
pub use tree::{Counts, XArray};
pub use walk::Range;
