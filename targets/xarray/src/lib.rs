//! placeholder
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
