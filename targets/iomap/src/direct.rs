//! Direct I/O, kept coherent with the cache.

use crate::mapping::{FileSystem, Iomap, Kind, Purpose};
use crate::writeback::write_and_wait;
use faults::Fault;
use lanes::{Task, Y};
use pagecache::{Error, Result};
use std::ops::Range;

/// Reads bytes `range` from the device into `buf`; how many there were below the end of file, which is looked at
/// once, at the start. What is dirty in the cache is written first.
///
/// # Errors
/// [`Error::Io`] if what is dirty could not be written, if the device fails, or if a store slipped in and left delayed
/// allocation.
pub async fn read<F: FileSystem>(fs: &F, task: &Task, range: Range<u64>, buf: &mut [u8]) -> Result<u64> {
    let mapping = fs.mapping();
    let end = range.end.min(mapping.i_size());
    if range.start >= end {
        return Ok(0);
    }
    if !mapping.faults.armed(Fault::DirectReadNoFlush) {
        write_and_wait(fs, task, range.start..end).await?;
    }
    task.at(Y::D1).await;
    let mut pos = range.start;
    while pos < end {
        task.at(Y::D2).await;
        let map = fs.begin(task, pos..end, Purpose::Read).await?;
        task.at(Y::D3).await;
        let part = pos..end.min(map.range.end);
        let into = &mut buf[(part.start - range.start) as usize..(part.end - range.start) as usize];
        match map.kind {
            Kind::Hole | Kind::Unwritten => into.fill(0),
            Kind::Mapped => fs.read_device(map.addr_of(pos), into)?,
            Kind::Delalloc => return Err(Error::Io),
        }
        task.at(Y::D4).await;
        pos = part.end;
    }
    let clipped = if mapping.faults.armed(Fault::DirectReadPastEof) { range.end } else { end };
    Ok(clipped - range.start)
}

/// Writes `bytes` at `start` to the device. Cached folios of the range are written back and removed before, so
/// that no later flush puts old data over the new, and removed again after, because a reader may have cached the
/// old data meanwhile.
///
/// # Errors
/// [`Error::Busy`] if the cache could not be cleared beforehand, or there are no blocks and the file system has none
/// for direct writes: the caller falls back to a buffered write.
pub async fn write<F: FileSystem>(fs: &F, task: &Task, start: u64, bytes: &[u8]) -> Result<u64> {
    let mapping = fs.mapping();
    let range = start..start + bytes.len() as u64;
    let folios = range.start..mapping.sizes.page_up(range.end);
    let armed = |fault| mapping.faults.armed(fault);
    if !armed(Fault::DirectWriteNoFlush) {
        write_and_wait(fs, task, folios.clone()).await?;
        task.at(Y::D1).await;
        mapping.invalidate(task, &folios).await?;
    }
    task.at(Y::I0).await;
    let mut pos = range.start;
    let mut unwritten = Vec::new();
    while pos < range.end {
        task.at(Y::D2).await;
        let map = fs.begin(task, pos..range.end, Purpose::DirectWrite).await?;
        let part = pos..range.end.min(map.range.end);
        // After an error nothing is converted, not even what came before it, and the size stays.
        write_part(fs, task, &map, &part, &bytes[(part.start - start) as usize..(part.end - start) as usize]).await?;
        if map.kind == Kind::Unwritten {
            unwritten.push(part.clone());
        }
        pos = part.end;
    }
    if armed(Fault::InvalidateBeforeConversion) && mapping.invalidate(task, &folios).await.is_err() {
        mapping.set_error();
    }
    for part in unwritten {
        task.at(Y::D5).await;
        fs.convert(mapping.sizes.block_down(part.start)..mapping.sizes.block_up(part.end));
    }
    if armed(Fault::InvalidateBeforeSize) && mapping.invalidate(task, &folios).await.is_err() {
        mapping.set_error();
    }
    task.at(Y::D5).await;
    let old_size = mapping.i_size();
    if range.end > old_size {
        mapping.set_i_size(range.end);
    }
    // Also below the end of file: the data that raised that may not be on the device yet, and this is.
    fs.raise_disk_size(range.end);
    if range.start > old_size {
        mapping.extended(task, old_size..range.start).await;
    }
    task.at(Y::D6).await;
    let early = armed(Fault::InvalidateBeforeConversion) || armed(Fault::InvalidateBeforeSize);
    if !early && mapping.invalidate(task, &folios).await.is_err() {
        mapping.set_error();
    }
    task.at(Y::D7).await;
    Ok(range.end - range.start)
}

/// Writes one part, with the rest of its first and last block zeroed where they hold nothing of the file's.
async fn write_part<F: FileSystem>(fs: &F, task: &Task, map: &Iomap, part: &Range<u64>, bytes: &[u8]) -> Result<()> {
    let mapping = fs.mapping();
    let armed = mapping.faults.armed(Fault::NoSubBlockPad);
    let empty = map.new || map.kind == Kind::Unwritten;
    let head = mapping.sizes.block_down(part.start)..part.start;
    let tail = part.end..mapping.sizes.block_up(part.end);
    task.at(Y::D3).await;
    if empty && !armed {
        zero_device(fs, map, head)?;
    }
    fs.write_device(map.addr_of(part.start), bytes)?;
    // Beyond the end of file even a block with data has nothing that counts.
    let beyond_eof = part.end >= mapping.i_size() && !mapping.faults.armed(Fault::NoPadPastEof);
    if (empty || beyond_eof) && !armed {
        zero_device(fs, map, tail)?;
    }
    task.at(Y::D4).await;
    Ok(())
}

fn zero_device<F: FileSystem>(fs: &F, map: &Iomap, range: Range<u64>) -> Result<()> {
    match range.is_empty() {
        true => Ok(()),
        false => fs.write_device(map.addr_of(range.start), &vec![0; (range.end - range.start) as usize]),
    }
}
