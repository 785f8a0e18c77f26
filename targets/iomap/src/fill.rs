//! Filling folios from the device: whole ones to be read, edge blocks of ones to be written.

use crate::mapping::{FileSystem, Iomap, Purpose};
use faults::Fault;
use lanes::{Task, Y};
use pagecache::{Locked, Result};
use std::ops::Range;

/// Fills every block of the folio that is not uptodate. Blocks that are may be dirty: they are not touched.
///
/// Blocks that begin at or beyond the end of file are zeroed, whatever the device has there.
pub async fn read_folio<F: FileSystem>(fs: &F, task: &Task, folio: &Locked) -> Result<()> {
    let mapping = fs.mapping();
    let block = mapping.sizes.block;
    mapping.with_blocks(folio, |_| ());
    let bytes = mapping.byte_range(folio);
    let mut pos = bytes.start;
    while pos < bytes.end {
        let map = fs.begin(task, pos..bytes.end, Purpose::Read).await?;
        task.at(Y::R2b).await;
        let end = map.range.end.min(bytes.end);
        while pos < end {
            let one = pos..pos + block;
            pos = one.end;
            if mapping.is_uptodate(folio, &one) && !mapping.faults.armed(Fault::RereadDirty) {
                continue;
            }
            let i_size = if mapping.faults.armed(Fault::ReadPastEof) { u64::MAX } else { mapping.i_size() };
            if map.reads_as_zero(one.start, i_size) {
                write_into(folio, bytes.start, &one, |into| into.fill(0));
            } else {
                task.at(Y::R2c).await;
                task.at(Y::R7).await;
                let addr = map.addr_of(one.start);
                write_into(folio, bytes.start, &one, |into| fs.read_device(addr, into));
                task.at(Y::E1).await;
            }
            mapping.mark_uptodate(folio, &one);
        }
    }
    Ok(())
}

/// Passes the folio's bytes of `range`, file positions, to `f`.
pub(crate) fn write_into<R>(folio: &Locked, start: u64, range: &Range<u64>, f: impl FnOnce(&mut [u8]) -> R) -> R {
    f(&mut folio.data.write()[(range.start - start) as usize..(range.end - start) as usize])
}

/// Makes the folio ready for a write of `range`: what the first and last block hold outside of it is zeroed or
/// read. A write of the whole folio needs nothing, not even per-block state.
pub(crate) async fn prepare_edges<F: FileSystem>(
    fs: &F,
    task: &Task,
    folio: &Locked,
    map: &Iomap,
    range: &Range<u64>,
) -> Result<()> {
    let mapping = fs.mapping();
    let bytes = mapping.byte_range(folio);
    if *range == bytes {
        return Ok(());
    }
    mapping.with_blocks(folio, |_| ());
    let block = mapping.sizes.block;
    let first = mapping.sizes.block_down(range.start);
    let last = mapping.sizes.block_down(range.end - 1);
    for start in [first, last] {
        let one = start..start + block;
        let covered = range.start <= one.start && one.end <= range.end;
        if covered || mapping.is_uptodate(folio, &one) {
            continue;
        }
        let new = map.new && !mapping.faults.armed(Fault::NewFlagIgnored);
        if (Iomap { new, ..map.clone() }).reads_as_zero(one.start, mapping.i_size()) {
            write_into(folio, bytes.start, &one, |into| into.fill(0));
        } else {
            task.at(Y::W8).await;
            write_into(folio, bytes.start, &one, |into| fs.read_device(map.addr_of(one.start), into));
        }
        mapping.mark_uptodate(folio, &one);
    }
    Ok(())
}
