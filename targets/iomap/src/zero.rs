//! Zeroing a range of a file.

use crate::fill::{prepare_edges, write_into};
use crate::mapping::{FileSystem, Iomap, Kind, Purpose};
use crate::write::give_up;
use crate::writeback::write_and_wait;
use faults::Fault;
use lanes::{Task, Y};
use pagecache::Result;
use std::ops::Range;

/// Makes `range` read as zero; whether anything had to be done. Never changes the size.
///
/// "A hole or an unwritten extent reads as zero" is true of the device, not of the cache. Such a mapping may be
/// skipped only if no folio over it was dirty *before* the lookup; otherwise the range is written first, which
/// turns what was dirty into data, and looked up again.
pub async fn zero_range<F: FileSystem>(fs: &F, task: &Task, range: Range<u64>) -> Result<bool> {
    let mapping = fs.mapping();
    let mut dirty = mapping.needs_writeback(&range) && !mapping.faults.armed(Fault::ZeroSkipsDirty);
    let mut did_zero = false;
    let mut pos = range.start;
    task.at(Y::Z1).await;
    while pos < range.end {
        let map = fs.begin(task, pos..range.end, Purpose::Zero).await?;
        task.at(Y::Z2).await;
        if mapping.faults.armed(Fault::ZeroTestsDirtyLate) {
            dirty = mapping.needs_writeback(&(pos..range.end));
        }
        if matches!(map.kind, Kind::Hole | Kind::Unwritten) {
            if dirty {
                task.at(Y::Z3).await;
                write_and_wait(fs, task, pos..range.end).await?;
                dirty = false;
            } else {
                pos = map.range.end;
            }
            continue;
        }
        did_zero |= zero_mapped(fs, task, &map, &mut pos, range.end).await?;
    }
    Ok(did_zero)
}

/// Zeroes from `*pos` on through the cache until the mapping ends or is stale.
async fn zero_mapped<F: FileSystem>(fs: &F, task: &Task, map: &Iomap, pos: &mut u64, end: u64) -> Result<bool> {
    let mapping = fs.mapping();
    let end = map.range.end.min(end);
    let mut did_zero = false;
    while *pos < end {
        let folio = fs.get_folio(task, *pos..end).await;
        task.at(Y::W6).await;
        if !fs.is_valid(map) {
            give_up(fs, task, folio, *pos).await;
            return Ok(did_zero);
        }
        let part = *pos..end.min(mapping.byte_range(&folio).end);
        if let Err(error) = prepare_edges(fs, task, &folio, map, &part).await {
            give_up(fs, task, folio, part.start).await;
            return Err(error);
        }
        write_into(&folio, mapping.pos(&folio), &part, |into| into.fill(0));
        task.at(Y::W9).await;
        mapping.mark_uptodate(&folio, &part);
        if !fs.journals_data() {
            mapping.dirty_range(task, &folio, &part).await;
        }
        // Zeroing is no write: the size stays.
        if mapping.faults.armed(Fault::NonWriteMovesSize) && part.end > mapping.i_size() {
            mapping.set_i_size(part.end);
        }
        *pos = part.end;
        fs.put_folio(task, folio, part).await;
        did_zero = true;
        task.at(Y::W13).await;
    }
    Ok(did_zero)
}
