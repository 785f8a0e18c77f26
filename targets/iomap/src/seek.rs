//! SEEK_DATA and SEEK_HOLE.

use crate::mapping::{FileSystem, Kind, Purpose};
use lanes::Task;
use pagecache::{Error, Result};

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// The next byte that may hold data.
    Data,
    /// The next hole; the end of file is one.
    Hole,
}

/// The first position at or after `from` that is `whence`. Unwritten blocks are data where the cache has valid
/// bytes over them, because those may be dirty.
///
/// # Errors
/// [`Error::NoData`] at or beyond the end of file, or if there is no data any more.
pub async fn seek<F: FileSystem>(fs: &F, task: &Task, from: u64, whence: Whence) -> Result<u64> {
    let mapping = fs.mapping();
    let size = mapping.i_size();
    if from >= size {
        return Err(Error::NoData);
    }
    let mut pos = from;
    while pos < size {
        let map = fs.begin(task, pos..size, Purpose::Read).await?;
        let end = map.range.end.min(size);
        while pos < end {
            let block_end = (mapping.sizes.block_down(pos) + mapping.sizes.block).min(end);
            let data = match map.kind {
                Kind::Hole => false,
                Kind::Unwritten => is_cached(fs, pos..block_end),
                Kind::Delalloc | Kind::Mapped => true,
            };
            if data == (whence == Whence::Data) {
                return Ok(pos);
            }
            pos = block_end;
        }
    }
    if whence == Whence::Hole { Ok(size) } else { Err(Error::NoData) }
}

/// Whether the cache has valid bytes of the block that holds `range`.
pub fn is_cached<F: FileSystem>(fs: &F, range: std::ops::Range<u64>) -> bool {
    let mapping = fs.mapping();
    let index = mapping.index();
    index.load(mapping.sizes.index(range.start)).is_some_and(|entry| mapping.is_uptodate(entry.folio, &range))
}
