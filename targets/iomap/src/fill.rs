//! Filling folios from the device: whole ones to be read, edge blocks of ones to be written.

use crate::mapping::{FileSystem, Iomap, Purpose};
use faults::Fault;
use lanes::{Task, Y};
use pagecache::{Fill, FolioRef, Locked, Result};
use std::collections::VecDeque;
use std::ops::Range;

/// A read on its way to the device: one run of blocks of one folio.
#[derive(Debug)]
pub struct ReadIo {
    /// Bytes of the file, whole blocks.
    pub range: Range<u64>,
    /// Device address.
    pub addr: u64,
    /// Nobody has asked for it yet: the device may refuse it.
    pub ahead: bool,
    folio: FolioRef,
}

/// Of so many choices the last is the unusual one: readahead is done as well as it goes, and sometimes it does not.
const CHOICES: u32 = 4;

/// Whether the schedule wants readahead to come to nothing here.
fn gives_up(task: &Task, y: Y) -> bool {
    task.choose(y, CHOICES) == CHOICES - 1
}

/// Fills every block of the folio that is not uptodate. Blocks that are may be dirty: they are not touched.
///
/// Blocks that begin at or beyond the end of file are zeroed, whatever the device has there.
pub async fn read_folio<F: FileSystem>(fs: &F, task: &Task, folio: Locked) -> Result<FolioRef> {
    let reference = folio.folio().clone();
    fill(fs, task, &mut VecDeque::from([folio]), false).await?;
    Ok(reference)
}

/// Fills consecutive folios, from the front. Those it does not come to stay in `folios`.
pub async fn readahead<F: FileSystem>(fs: &F, task: &Task, folios: &mut VecDeque<Locked>) {
    // An error is met again by whoever needs the folio.
    let _ = fill(fs, task, folios, true).await;
}

async fn fill<F: FileSystem>(fs: &F, task: &Task, folios: &mut VecDeque<Locked>, ahead: bool) -> Result<()> {
    let mapping = fs.mapping();
    let (Some(first), Some(last)) = (folios.front(), folios.back()) else { return Ok(()) };
    let (mut pos, end) = (mapping.pos(first), mapping.byte_range(last).end);
    let mut current: Option<Fill> = None;
    let mut result = Ok(());
    while pos < end && result.is_ok() {
        let map = match fs.begin(task, pos..end, Purpose::Read).await {
            Ok(map) => map,
            Err(error) => {
                result = Err(error);
                break;
            }
        };
        task.at(Y::R2b).await;
        if ahead && gives_up(task, Y::R2b) {
            break;
        }
        let map_end = map.range.end.min(end);
        while pos < map_end {
            let Some(mut folio) = current.take().or_else(|| folios.pop_front().map(|next| mapping.begin_fill(next)))
            else {
                break;
            };
            let folio_end = mapping.byte_range(&folio).end;
            let part = pos..map_end.min(folio_end);
            pos = part.end;
            submit_part(fs, task, &mut folio, &map, part, ahead).await;
            if pos < folio_end {
                current = Some(folio);
            } else {
                mapping.end_fill(folio);
            }
        }
    }
    // Begun and not finished: it is unlocked without being uptodate.
    if let Some(folio) = current {
        mapping.abandon_fill(folio);
    }
    result
}

/// Fills a part of a folio with one mapping: zeroes it or submits reads.
async fn submit_part<F: FileSystem>(fs: &F, task: &Task, folio: &mut Fill, map: &Iomap, part: Range<u64>, ahead: bool) {
    let mapping = fs.mapping();
    let i_size = if mapping.faults.armed(Fault::ReadPastEof) { u64::MAX } else { mapping.i_size() };
    let mut pos = part.start;
    while let Some((run, zero)) = next_run(fs, folio, map, pos..part.end, i_size) {
        pos = run.end;
        if zero {
            let start = mapping.pos(folio);
            folio.data.write()[(run.start - start) as usize..(run.end - start) as usize].fill(0);
            mapping.mark_uptodate(folio, &run);
            continue;
        }
        mapping.add_read(folio, run.end - run.start);
        fs.submit_read(ReadIo { addr: map.addr_of(run.start), ahead, folio: folio.reference(), range: run });
        task.at(Y::R2c).await;
    }
}

/// The next run of blocks in `range` that are not uptodate, and whether they are to be zeroed instead of read.
fn next_run<F: FileSystem>(
    fs: &F,
    folio: &Fill,
    map: &Iomap,
    range: Range<u64>,
    i_size: u64,
) -> Option<(Range<u64>, bool)> {
    let mapping = fs.mapping();
    let block = mapping.sizes.block;
    let rereads = mapping.faults.armed(Fault::RereadDirty);
    let valid = mapping.uptodate_blocks(folio);
    let folio_start = mapping.pos(folio);
    let needed = |pos: u64| rereads || valid >> ((pos - folio_start) / block) & 1 == 0;
    let mut blocks = range.step_by(block as usize);
    let start = blocks.find(|pos| needed(*pos))?;
    let zero = map.reads_as_zero(start, i_size);
    let more = blocks.take_while(|pos| needed(*pos) && map.reads_as_zero(*pos, i_size) == zero).count();
    Some((start..start + (1 + more as u64) * block, zero))
}

/// Completes a read. What could not be read is not valid: whoever needs it reads it again, and fails only if that
/// does. Otherwise the bytes are in their place, and only then is the folio uptodate, and unlocked if it was the
/// last of its reads.
pub async fn complete_read<F: FileSystem>(fs: &F, task: &Task, io: ReadIo) {
    let mapping = fs.mapping();
    let refused = io.ahead && gives_up(task, Y::E1);
    let mut valid = false;
    if !refused {
        let start = mapping.pos(&io.folio);
        let window = (io.range.start - start) as usize..(io.range.end - start) as usize;
        let read = fs.read_device(io.addr, &mut io.folio.data.write()[window]);
        valid = read.is_ok() || mapping.faults.armed(Fault::ReadErrorUptodate);
    }
    task.at(Y::E1).await;
    mapping.end_read(&io.folio, &io.range, valid);
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
            write_into(folio, bytes.start, &one, |into| fs.read_device(map.addr_of(one.start), into))?;
        }
        mapping.mark_uptodate(folio, &one);
    }
    Ok(())
}
