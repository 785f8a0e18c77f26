//! Buffered write.

use crate::fill::{prepare_edges, write_into};
use crate::mapping::{FileSystem, Iomap, Purpose};
use faults::Fault;
use lanes::{Task, Y};
use pagecache::truncate::Removal;
use pagecache::{Error, Locked, Mapping, Result};
use std::ops::Range;

/// What a user hands to a write.
#[derive(Clone, Copy, Debug)]
pub struct UserBuffer<'a> {
    len: u64,
    source: Source<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    /// Memory of its own, of which perhaps only the first bytes can be read.
    Memory { bytes: &'a [u8], readable: usize },
    /// A mapping of the file that is written, at the place that is written. Its pages come and go, and to fault one in
    /// takes the locks of the file: it is done here before each folio, or, if the caller holds such a lock, by the
    /// caller.
    Mapping { faults_in: bool },
}

impl<'a> UserBuffer<'a> {
    /// A buffer of which `readable` bytes can be read.
    pub fn new(bytes: &'a [u8], readable: usize) -> UserBuffer<'a> {
        let source = Source::Memory { bytes, readable: readable.min(bytes.len()) };
        UserBuffer { len: bytes.len() as u64, source }
    }

    /// `len` bytes of a mapping of the file itself, at the position of the write. Without `faults_in` the write ends
    /// where a page is missing.
    pub fn mapping(len: u64, faults_in: bool) -> UserBuffer<'static> {
        UserBuffer { len, source: Source::Mapping { faults_in } }
    }

    /// Whether a copy that came to nothing may come to something, tried again.
    fn faults_in(&self) -> bool {
        matches!(self.source, Source::Mapping { faults_in: true })
    }

    /// How many bytes at `part.start` of the file, `part.start - start` of the buffer, can be read as it looks now.
    async fn readable<F: FileSystem>(&self, fs: &F, task: &Task, part: Range<u64>, start: u64) -> u64 {
        match self.source {
            Source::Memory { readable, .. } => (readable as u64).saturating_sub(part.start - start),
            Source::Mapping { faults_in: true } if !fs.mapping().faults.armed(Fault::CopyFaults) => {
                fault_in(fs, task, part).await
            }
            Source::Mapping { .. } => part.end - part.start,
        }
    }

    /// Copies the buffer's bytes for `part` of the file into the locked folio; how many. The folio may be the one that
    /// the buffer shows: nothing may be faulted in now, so the copy ends where a page is missing.
    async fn copy<F: FileSystem>(&self, fs: &F, task: &Task, folio: &Locked, part: &Range<u64>, start: u64) -> u64 {
        let (mapping, len) = (fs.mapping(), part.end - part.start);
        let mut shown = Vec::new();
        let bytes = match self.source {
            Source::Memory { bytes, .. } => &bytes[(part.start - start) as usize..][..len as usize],
            Source::Mapping { .. } => {
                shown.resize(len as usize, 0);
                let count = match mapping.faults.armed(Fault::CopyFaults) {
                    true => mapping.load(fs, task, part.clone(), &mut shown).await.unwrap_or(0),
                    false => mapping.load_present(part.clone(), &mut shown),
                };
                &shown[..count as usize]
            }
        };
        let filled = part.start..part.start + bytes.len() as u64;
        write_into(folio, mapping.pos(folio), &filled, |into| into.copy_from_slice(bytes));
        filled.end - filled.start
    }
}

/// Faults in what a mapping of the file shows of `range`, up to the length of a folio; how many bytes can be read.
pub async fn fault_in<F: FileSystem>(fs: &F, task: &Task, range: Range<u64>) -> u64 {
    let sizes = fs.mapping().sizes;
    let len = (range.end - range.start).min(sizes.page << sizes.max_order);
    fs.mapping().load(fs, task, range.start..range.start + len, &mut vec![0; len as usize]).await.unwrap_or(0)
}

/// How many bytes of `range` to fault in after all of it has been, and was gone before it could be copied: where memory
/// is short, what is faulted in last drives out what came first. Down to one page, as the copy needs no other.
pub fn fewer(mapping: &Mapping, range: &Range<u64>) -> u64 {
    let within_page = mapping.sizes.page_up(range.start + 1) - range.start;
    ((range.end - range.start) / 2).max(within_page)
}

/// Why the use of one mapping ended.
enum Stop {
    /// The mapping is used up.
    End,
    /// The extents have changed: look them up again.
    Stale,
    /// The user buffer cannot be read any further.
    Fault,
    /// The device failed.
    Error(Error),
}

/// Writes `buffer` at `start`; how many bytes got into the cache. The caller holds i_rwsem exclusive.
///
/// # Errors
/// Only if nothing was written: [`Error::BadAddress`], or what the device or the allocation said.
pub async fn write<F: FileSystem>(fs: &F, task: &Task, start: u64, buffer: UserBuffer<'_>) -> Result<u64> {
    let range = start..start + buffer.len;
    let mut pos = start;
    let mut failed = None;
    while pos < range.end && failed.is_none() {
        let before = pos;
        let map = match fs.begin(task, pos..range.end, Purpose::Write).await {
            Ok(map) => map,
            Err(error) => {
                failed = Some(error);
                break;
            }
        };
        task.at(Y::W4b).await;
        let stop = write_mapped(fs, task, &map, &mut pos, &range, buffer).await;
        task.at(Y::W14).await;
        fs.end_write(task, &map, before..map.range.end.min(range.end), pos).await;
        match stop {
            Stop::End => {}
            // Nothing done and stale is not the end of the write, only of the mapping.
            Stop::Stale if pos == before && fs.mapping().faults.armed(Fault::StaleEndsWrite) => break,
            Stop::Stale => {}
            Stop::Fault => failed = Some(Error::BadAddress),
            Stop::Error(error) => failed = Some(error),
        }
        task.at(Y::W17).await;
    }
    match failed {
        Some(error) if pos == start => Err(error),
        _ => Ok(pos - start),
    }
}

/// Writes from `*pos` on with one mapping, folio by folio.
async fn write_mapped<F: FileSystem>(
    fs: &F,
    task: &Task,
    map: &Iomap,
    pos: &mut u64,
    range: &Range<u64>,
    buffer: UserBuffer<'_>,
) -> Stop {
    let mapping = fs.mapping();
    let end = map.range.end.min(range.end);
    // Lowered to what could be copied, after a short copy that had to be given up.
    let mut most = u64::MAX;
    let first = *pos;
    while *pos < end {
        if matches!(buffer.source, Source::Memory { readable, .. } if readable as u64 <= *pos - range.start) {
            return Stop::Fault;
        }
        if map.new && *pos > first && *pos > mapping.sizes.block_down(*pos) {
            // This block is not new any more: it has what was just written to it, perhaps on the device already.
            return Stop::Stale;
        }
        task.at(Y::W2).await;
        mapping.memory.throttle(task).await;
        task.at(Y::W3).await;
        let readable = buffer.readable(fs, task, *pos..end.min(pos.saturating_add(most)), range.start).await;
        if readable == 0 {
            return Stop::Fault;
        }
        let faults = mapping.faults;
        if faults.armed(Fault::StaleCheckBeforeLock) && !fs.is_valid(map) {
            return Stop::Stale;
        }
        let folio = fs.get_folio(task, *pos..end).await;
        task.at(Y::W6).await;
        let unchecked = faults.armed(Fault::StaleIomap) || faults.armed(Fault::StaleCheckBeforeLock);
        if !unchecked && !fs.is_valid(map) {
            give_up(fs, task, folio, *pos).await;
            return Stop::Stale;
        }
        let part = *pos..end.min(mapping.byte_range(&folio).end).min(pos.saturating_add(most));
        let source = part.start..part.end.min(part.start + readable);
        if faults.armed(Fault::SizeBeforeData) && source.end > mapping.i_size() {
            mapping.set_i_size(source.end);
        }
        task.at(Y::W7).await;
        if let Err(error) = prepare_edges(fs, task, &folio, map, &part).await {
            give_up(fs, task, folio, part.start).await;
            drop_beyond_eof(fs, task, &part).await;
            return Stop::Error(error);
        }
        let copied = buffer.copy(fs, task, &folio, &source, range.start).await;
        task.at(Y::W9).await;
        let written = finish_folio(fs, task, folio, &part, copied).await;
        if written == 0 {
            drop_beyond_eof(fs, task, &part).await;
            if copied == 0 && !buffer.faults_in() {
                return Stop::Fault;
            }
            most = if copied == 0 { fewer(mapping, &source) } else { copied };
            continue;
        }
        most = u64::MAX;
        *pos += written;
        task.at(Y::W13).await;
    }
    Stop::End
}

/// Makes the copied bytes part of the file; how many were.
///
/// A short copy into blocks that were not valid is worth nothing: their old content was not read, because all of
/// it was going to be overwritten.
async fn finish_folio<F: FileSystem>(fs: &F, task: &Task, folio: Locked, part: &Range<u64>, copied: u64) -> u64 {
    let mapping = fs.mapping();
    let copied_to = part.start + copied;
    let short = copied == 0 || (copied_to < part.end && !folio.is_uptodate());
    let mut dirty = part.start..copied_to;
    if short {
        if copied == 0 || !mapping.faults.armed(Fault::ShortCopyUptodate) {
            give_up(fs, task, folio, part.start).await;
            return 0;
        }
        dirty = part.clone();
    }
    mapping.mark_uptodate(&folio, part);
    if !fs.journals_data() {
        mapping.dirty_range(task, &folio, &dirty).await;
    }
    task.at(Y::W10).await;
    if mapping.faults.armed(Fault::ThrottleLocked) {
        mapping.memory.throttle(task).await;
    }
    // The size comes after the bytes: a reader that sees it sees them.
    let old_size = mapping.i_size();
    if copied_to > old_size {
        mapping.set_i_size(copied_to);
        if mapping.faults.armed(Fault::DiskSizeBeforeData) {
            fs.raise_disk_size(copied_to); // the end of I/O does this
        }
    }
    task.at(Y::W11).await;
    fs.put_folio(task, folio, dirty).await;
    task.at(Y::W12).await;
    if old_size < part.start && !mapping.faults.armed(Fault::ExtendedNoMkclean) {
        mapping.extended(task, old_size..part.start).await;
    }
    copied
}

/// Ends the write to a folio in which nothing was changed: what was got for it is given back all the same.
pub(crate) async fn give_up<F: FileSystem>(fs: &F, task: &Task, folio: Locked, pos: u64) {
    if fs.mapping().faults.armed(Fault::GiveUpWithoutHook) {
        drop(folio);
    } else {
        fs.put_folio(task, folio, pos..pos).await;
    }
}

/// A write that failed may have left folios beyond the end of file; those below it may be dirty and stay.
async fn drop_beyond_eof<F: FileSystem>(fs: &F, task: &Task, part: &Range<u64>) {
    let mapping = fs.mapping();
    let below = mapping.faults.armed(Fault::WriteFailedBelowEof);
    let from = if below { part.start } else { part.start.max(mapping.i_size()) };
    if from < part.end {
        mapping.punch_out(task, from..mapping.sizes.page_up(part.end), Removal::Truncate).await;
    }
}
