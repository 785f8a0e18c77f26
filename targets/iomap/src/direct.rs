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
    let range = start..start + bytes.len() as u64;
    clear_cache(fs, task, &range).await?;
    let mut pos = range.start;
    let mut unwritten = Vec::new();
    while pos < range.end {
        let (map, part) = next_part(fs, task, pos..range.end).await?;
        // After an error nothing is converted, not even what came before it, and the size stays.
        write_part(fs, task, &map, &part, &bytes[(part.start - start) as usize..(part.end - start) as usize]).await?;
        if map.kind == Kind::Unwritten {
            unwritten.push(part.clone());
        }
        pos = part.end;
    }
    finish_write(fs, task, &range, unwritten, When::AtOnce).await;
    Ok(range.end - range.start)
}

/// A direct write of whole blocks that has its blocks and is on its way to the device.
#[derive(Debug)]
pub struct DirectIo {
    start: u64,
    bytes: Box<[u8]>,
    parts: Vec<(Iomap, Range<u64>)>,
}

impl DirectIo {
    fn bytes_of(&self, part: &Range<u64>) -> &[u8] {
        &self.bytes[(part.start - self.start) as usize..(part.end - self.start) as usize]
    }

    /// What the device is asked to write, by address.
    pub fn writes(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.parts.iter().map(|(map, part)| (map.addr_of(part.start), self.bytes_of(part)))
    }
}

/// Does what of [`write()`] comes before the I/O. [`complete`] does the rest, in another lane and without the locks held
/// here: until then, whoever changes blocks or size has to wait.
///
/// # Errors
/// As [`write()`]; nothing has been written then.
pub async fn submit<F: FileSystem>(fs: &F, task: &Task, start: u64, bytes: &[u8]) -> Result<DirectIo> {
    let range = start..start + bytes.len() as u64;
    clear_cache(fs, task, &range).await?;
    let mut io = DirectIo { start, bytes: bytes.into(), parts: Vec::new() };
    let mut pos = range.start;
    while pos < range.end {
        let part = next_part(fs, task, pos..range.end).await?;
        pos = part.1.end;
        io.parts.push(part);
    }
    Ok(io)
}

/// Completes a direct write that was submitted.
///
/// # Errors
/// Of the device: nothing is converted, and the size stays.
pub async fn complete<F: FileSystem>(fs: &F, task: &Task, io: DirectIo) -> Result<()> {
    for (map, part) in &io.parts {
        write_part(fs, task, map, part, io.bytes_of(part)).await?;
    }
    let range = io.start..io.start + io.bytes.len() as u64;
    let unwritten = io.parts.into_iter().filter(|(map, _)| map.kind == Kind::Unwritten).map(|(_, part)| part);
    finish_write(fs, task, &range, unwritten.collect(), When::Later).await;
    Ok(())
}

/// The folios that `range` touches.
fn folios<F: FileSystem>(fs: &F, range: &Range<u64>) -> Range<u64> {
    range.start..fs.mapping().sizes.page_up(range.end)
}

/// Writes back and removes what is cached of a range that is about to be written.
async fn clear_cache<F: FileSystem>(fs: &F, task: &Task, range: &Range<u64>) -> Result<()> {
    let mapping = fs.mapping();
    if !mapping.faults.armed(Fault::DirectWriteNoFlush) {
        write_and_wait(fs, task, folios(fs, range)).await?;
        task.at(Y::D1).await;
        mapping.invalidate(task, &folios(fs, range)).await?;
    }
    task.at(Y::I0).await;
    Ok(())
}

/// Blocks for what `range` begins with, and how far they reach in it.
async fn next_part<F: FileSystem>(fs: &F, task: &Task, range: Range<u64>) -> Result<(Iomap, Range<u64>)> {
    task.at(Y::D2).await;
    let map = fs.begin(task, range.clone(), Purpose::DirectWrite).await?;
    let part = range.start..range.end.min(map.range.end);
    Ok((map, part))
}

/// When a direct write ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// In the lane that has submitted it, with its locks.
    AtOnce,
    /// In a worker.
    Later,
}

/// The data is on the device. `unwritten` extents are converted; then the size is raised; then the cache is cleared
/// again. In this order: who finds the new size must find the data, and what was cached before either goes at last.
async fn finish_write<F: FileSystem>(fs: &F, task: &Task, range: &Range<u64>, unwritten: Vec<Range<u64>>, when: When) {
    let mapping = fs.mapping();
    let armed = |fault| mapping.faults.armed(fault);
    if armed(Fault::InvalidateBeforeConversion) {
        clear_again(fs, task, range).await;
    }
    let early_size = match armed(Fault::DirectSizeEarly) {
        true => Some(raise_size(fs, task, range.end).await),
        false => None,
    };
    for part in unwritten {
        task.at(Y::D5).await;
        fs.convert(mapping.sizes.block_down(part.start)..mapping.sizes.block_up(part.end));
    }
    if armed(Fault::InvalidateBeforeSize) {
        clear_again(fs, task, range).await;
    }
    task.at(Y::D5).await;
    let old_size = match early_size {
        Some(old_size) => old_size,
        None => raise_size(fs, task, range.end).await,
    };
    // Also below the end of file: the data that raised that may not be on the device yet, and this is.
    fs.raise_disk_size(range.end);
    if range.start > old_size {
        mapping.extended(task, old_size..range.start).await;
    }
    task.at(Y::D6).await;
    let early = armed(Fault::InvalidateBeforeConversion) || armed(Fault::InvalidateBeforeSize);
    let never = when == When::Later && armed(Fault::AsyncNoInvalidate);
    if !(early || never) {
        clear_again(fs, task, range).await;
    }
    task.at(Y::D7).await;
}

/// Removes what was cached while the write was under way. What has to stay shows other bytes than the device.
async fn clear_again<F: FileSystem>(fs: &F, task: &Task, range: &Range<u64>) {
    if fs.mapping().invalidate(task, &folios(fs, range)).await.is_err() {
        fs.mapping().set_error();
    }
}

/// Raises the size to `end` if it is less; what it was. Writes that extend the file may end beside each other.
async fn raise_size<F: FileSystem>(fs: &F, task: &Task, end: u64) -> u64 {
    let mapping = fs.mapping();
    if !mapping.faults.armed(Fault::DirectSizeRaced) {
        return mapping.raise_i_size(end);
    }
    let old_size = mapping.i_size();
    task.at(Y::D5).await;
    if end > old_size {
        mapping.set_i_size(end);
    }
    old_size
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
