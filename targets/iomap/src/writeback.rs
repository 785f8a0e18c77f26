//! Writeback: submitting dirty folios, and what happens when the I/O is done.

use crate::mapping::{FileSystem, Iomap, Kind};
use faults::Fault;
use lanes::{Task, Y};
use pagecache::{BlockState, Broken, FolioRef, Locked, Mark, Result};
use std::ops::Range;

/// A write on its way to the device: one run of blocks of one folio.
#[derive(Debug)]
pub struct WriteIo {
    /// Bytes of the file, whole blocks.
    pub range: Range<u64>,
    /// Where the file's data ends in it: at the end of file, if that lies inside.
    pub data_end: u64,
    /// Device address.
    pub addr: u64,
    /// The blocks are unwritten and have to be converted.
    pub unwritten: bool,
    folio: FolioRef,
    data: Box<[u8]>,
}

impl WriteIo {
    /// What is written.
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

/// So many folios are tagged in one hold of the index lock.
const TAG_BATCH: usize = 4;

/// Whether to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything dirty at the start is on the device at the end; folios under writeback are waited for.
    Integrity,
    /// As much as goes without waiting for I/O.
    Background,
}

/// Writes what is dirty in `range` and waits for it.
///
/// # Errors
/// [`Error::Io`](pagecache::Error::Io) if data of the file was lost and nobody has been told, in `range` or not.
pub async fn write_and_wait<F: FileSystem>(fs: &F, task: &Task, range: Range<u64>) -> Result<()> {
    write_range(fs, task, range.clone(), Mode::Integrity).await;
    wait_range(fs, task, range).await;
    fs.mapping().take_lost()
}

/// Submits what is dirty in `range`.
///
/// An integrity walk first tags what is dirty and then follows the tag alone, so that lanes that go on dirtying
/// cannot keep it busy for ever.
pub async fn write_range<F: FileSystem>(fs: &F, task: &Task, range: Range<u64>, mode: Mode) {
    let mapping = fs.mapping();
    let (mut next, end) = (mapping.sizes.index(range.start), mapping.sizes.end_index(range.end));
    if next >= end {
        return;
    }
    fs.before_writeback(task).await;
    let mark = if mode == Mode::Integrity { Mark::ToWrite } else { Mark::Dirty };
    if mode == Mode::Integrity {
        task.at(Y::Y1).await;
        let mut untagged = Some(next);
        while let Some(from) = untagged {
            task.at(Y::B0).await;
            untagged = mapping.lock_tree(task).await.index().tag(from, end, Mark::Dirty, Mark::ToWrite, TAG_BATCH);
        }
        task.at(Y::Y2).await;
    }
    let mut cached = None;
    loop {
        let Some(folio) = mapping.peek(task, |index| index.find_marked(next, end, mark)).await else { return };
        next = folio.end_index(); // with a reference held, nobody splits it
        task.at(Y::B1).await;
        write_folio(fs, task, folio, mode, &mut cached).await;
        task.at(if mode == Mode::Integrity { Y::Y3 } else { Y::B11 }).await;
    }
}

/// Submits one folio if it is dirty. `cached` is the mapping the walk used last.
pub async fn write_folio<F: FileSystem>(fs: &F, task: &Task, folio: FolioRef, mode: Mode, cached: &mut Option<Iomap>) {
    let mapping = fs.mapping();
    let early_size = mapping.faults.armed(Fault::EofSampledUnlocked).then(|| mapping.i_size());
    let locked = folio.lock(task, Y::B1).await;
    task.at(Y::B2).await;
    if !locked.is_attached() || !locked.is_dirty() {
        return;
    }
    if locked.is_writeback() {
        if mode == Mode::Background || mapping.faults.armed(Fault::SyncSkipsWriteback) {
            return;
        }
        // Dirty again while being written: what is on its way is the older content.
        locked.wait_writeback(task, Y::WBW).await;
    }
    if mapping.clean_for_io(task, &locked).await {
        task.at(Y::B3).await;
        // Loaded under the folio lock, in the hold that zeroes the tail: a size raised later finds it locked.
        let i_size = early_size.unwrap_or_else(|| mapping.i_size());
        submit_folio(fs, task, locked, i_size, cached).await;
    }
}

/// Waits until nothing in `range` is under writeback.
pub async fn wait_range<F: FileSystem>(fs: &F, task: &Task, range: Range<u64>) {
    let mapping = fs.mapping();
    let (mut next, end) = (mapping.sizes.index(range.start), mapping.sizes.end_index(range.end));
    loop {
        let written = mapping.peek(task, |index| index.find_marked(next, end, Mark::Writeback)).await;
        let Some(folio) = written else { return };
        next = folio.end_index();
        folio.wait_writeback(task, Y::Y4).await;
    }
}

/// Submits the dirty blocks of a folio that was just cleaned.
async fn submit_folio<F: FileSystem>(fs: &F, task: &Task, folio: Locked, i_size: u64, cached: &mut Option<Iomap>) {
    let mapping = fs.mapping();
    let bytes = mapping.byte_range(&folio);
    if bytes.start >= i_size {
        // A truncate is on its way to drop it.
        mapping.with_blocks(&folio, |state| state.clear_dirty(0..state.count));
        mapping.nothing_to_write(task, &folio).await;
        return;
    }
    if i_size < bytes.end && !mapping.faults.armed(Fault::WritebackKeepsTail) {
        // Every time: a store through a mapping may have put something there since the last.
        folio.data.write()[(i_size - bytes.start) as usize..].fill(0);
    }
    task.at(Y::B5).await;
    begin_io(fs, task, &folio).await;
    let mut pos = bytes.start;
    let end = mapping.sizes.block_up(i_size.min(bytes.end)).min(bytes.end);
    let (mut submitted, mut unmapped) = (false, false);
    while let Some(run) = dirty_run(fs, &folio, pos..end) {
        task.at(Y::B4).await;
        let Ok(map) = blocks_for(fs, task, &run, cached).await else {
            // Nobody comes back for the rest of the folio, which is clean from here on.
            task.at(Y::B12).await;
            fs.discard(run.start..bytes.end);
            if !mapping.faults.armed(Fault::MapErrorUnrecorded) {
                mapping.set_error();
            }
            unmapped = true;
            break;
        };
        let part = run.start..run.end.min(map.range.end);
        pos = part.end;
        if map.kind == Kind::Hole {
            continue;
        }
        mapping.allocate_io(task).await;
        mapping.with_blocks(&folio, |state| state.writes_pending += 1);
        submitted = true;
        let window = (part.start - bytes.start) as usize..(part.end - bytes.start) as usize;
        // The rest of the last block are zeros for now. They must not be taken for what a write puts there meanwhile.
        let data_end = if mapping.faults.armed(Fault::IoSizeRounded) { part.end } else { part.end.min(i_size) };
        fs.submit(WriteIo {
            data_end,
            addr: map.addr_of(part.start),
            unwritten: map.kind == Kind::Unwritten,
            data: folio.data.read()[window].into(),
            folio: folio.folio().clone(),
            range: part,
        });
        task.at(Y::B7).await;
    }
    // All of them, those beyond the end of file included: a store makes the whole folio dirty.
    let keep = mapping.faults.armed(Fault::DirtyBeyondEof);
    let written = mapping.blocks_touched(&folio, &(bytes.start..end));
    if !(unmapped && mapping.faults.armed(Fault::FailureLeavesDirty)) {
        mapping.with_blocks(&folio, |state| state.clear_dirty(0..if keep { written.end } else { state.count }));
    }
    let reference = folio.unlock();
    task.at(Y::B8).await;
    if drops_last(fs, &reference, submitted) {
        mapping.end_writeback(task, &reference).await;
    }
}

/// The blocks of a dirty run of a locked folio. The mapping the walk used last will do if it covers them and the
/// extents have not changed since: they may have been removed and given to somebody else.
async fn blocks_for<F: FileSystem>(fs: &F, task: &Task, run: &Range<u64>, cached: &mut Option<Iomap>) -> Result<Iomap> {
    let unchecked = fs.mapping().faults.armed(Fault::CachedMappingUnvalidated);
    if let Some(map) = cached.as_ref().filter(|map| map.range.contains(&run.start))
        && (unchecked || fs.is_valid(map))
    {
        return Ok(map.clone());
    }
    let map = fs.map_blocks(task, run.clone()).await?;
    *cached = Some(map.clone());
    Ok(map)
}

/// Sets the writeback flag, with a bias on the count of I/Os, so that the first one to complete does not end the
/// writeback before the last one is submitted.
async fn begin_io<F: FileSystem>(fs: &F, task: &Task, folio: &Locked) {
    let mapping = fs.mapping();
    let bias = u32::from(!mapping.faults.armed(Fault::NoWritebackBias));
    let count = mapping.block_count(folio);
    if count > 1 {
        let mut blocks = folio.blocks.lock();
        // A folio without state is dirty as a whole.
        let state = blocks.get_or_insert_with(|| BlockState::new(count, folio.is_uptodate(), true));
        state.writes_pending += bias;
    }
    mapping.start_writeback(task, folio).await;
}

/// The next run of dirty blocks in `range` of the folio.
fn dirty_run<F: FileSystem>(fs: &F, folio: &Locked, range: Range<u64>) -> Option<Range<u64>> {
    if range.is_empty() {
        return None;
    }
    let mapping = fs.mapping();
    if mapping.faults.armed(Fault::WritesCleanBlocks) {
        return Some(range);
    }
    let (start, block) = (mapping.pos(folio), mapping.sizes.block);
    let blocks = mapping.blocks_touched(folio, &range);
    match &*folio.blocks.lock() {
        Some(state) => {
            let run = folio.writable(state).dirty_run(blocks.start, blocks.end)?;
            Some(start + u64::from(run.start) * block..start + u64::from(run.end) * block)
        }
        None if folio.is_pinned() => None,
        None => Some(range),
    }
}

/// All I/O of the folio is submitted: drops the bias. Whoever takes the count to zero ends the writeback, exactly
/// once; true if that is this call.
fn drops_last<F: FileSystem>(fs: &F, folio: &FolioRef, submitted: bool) -> bool {
    let mapping = fs.mapping();
    match &mut *folio.blocks.lock() {
        Some(state) if mapping.faults.armed(Fault::NoWritebackBias) => state.writes_pending == 0 && !submitted,
        Some(state) => {
            state.writes_pending -= 1;
            state.writes_pending == 0
        }
        None => !submitted,
    }
}

/// One of the folio's I/Os is done.
async fn finish_io<F: FileSystem>(fs: &F, task: &Task, folio: &FolioRef) {
    let ends = match &mut *folio.blocks.lock() {
        Some(state) => {
            state.writes_pending = state.writes_pending.saturating_sub(1);
            state.writes_pending == 0
        }
        None => true,
    };
    if ends {
        fs.mapping().end_writeback(task, folio).await;
    }
}

/// A device that needs stable data compares what it was given with what is there now.
fn expect_stable<F: FileSystem>(fs: &F, io: &WriteIo) {
    let mapping = fs.mapping();
    let start = mapping.pos(&io.folio);
    let window = (io.range.start - start) as usize..(io.range.end - start) as usize;
    if mapping.stable_pages && io.folio.data.read().get(window) != Some(&io.data[..]) {
        let Range { start, end } = io.range;
        mapping.report(Broken::invariant(format!("bytes {start} to {end} have changed while they were being written")));
    }
}

/// Completes a write: its data is on the device, extents are converted, the size on the device is raised, and
/// only then does the folio stop being under writeback. A reader that no longer finds the folio must find the
/// extents converted.
///
/// If the device fails nothing is converted and the size stays: the blocks hold what they held. The folio is clean
/// all the same, and whoever waits for it finds the error recorded.
pub async fn complete<F: FileSystem>(fs: &F, task: &Task, io: WriteIo) {
    let faults = fs.mapping().faults;
    task.at(Y::E2).await;
    expect_stable(fs, &io);
    let written = fs.write_device(io.addr, &io.data);
    if written.is_err() {
        fs.mapping().set_error();
    }
    let converts = written.is_ok() || faults.armed(Fault::FailedIoConverted);
    let early = faults.armed(Fault::EndBeforeConversion);
    if early {
        finish_io(fs, task, &io.folio).await;
    }
    task.at(Y::E3).await;
    if io.unwritten && converts {
        fs.convert(io.range.clone());
    }
    task.at(Y::E4).await;
    if converts {
        fs.raise_disk_size(io.data_end);
    }
    task.at(Y::E5).await;
    if !early {
        finish_io(fs, task, &io.folio).await;
    }
}
