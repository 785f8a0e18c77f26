//! Operations on a file that is mapped straight from persistent memory.

use super::{mapped, room, written};
use faults::FaultSet;
use iomap::seek::Whence;
use lanes::{Event, LaneId, Task};
use oracle::{Errno, Geometry, Op, OpId, OpKind, Outcome, fill};
use pagecache::{Error, Sizes};
use simfs::DaxFile;

/// A new file of size [`Geometry::floor`] with nothing in it.
pub(super) fn new_file(geometry: &Geometry, faults: FaultSet) -> DaxFile {
    let sizes = Sizes::new(u64::from(geometry.page), u64::from(geometry.block), geometry.max_order);
    let file = DaxFile::new(sizes, fill::fill_garbage, faults);
    file.start_with_hole(geometry.floor);
    file
}

/// Performs an operation; what it reads goes into `buf`. Direct I/O is what all I/O is, and persistent
/// when it returns; there is no cache to tell that
/// something is not needed, and nothing to wait for after writeback, which flushes at once.
pub(super) async fn perform(
    file: &DaxFile,
    task: &Task,
    id: OpId,
    op: &Op,
    buf: &mut Vec<u8>,
) -> Result<Outcome, Error> {
    let range = op.bytes();
    let done = |()| Outcome::Done;
    match op.kind {
        OpKind::Read | OpKind::DirectRead => file.read(task, range, room(buf, op)).await.map(Outcome::Bytes),
        OpKind::MapRead => file.load(task, range, room(buf, op)).await.map(|n| mapped(n, op)),
        // There is nothing to wait for: io_submit(2) copies.
        OpKind::Write
        | OpKind::WriteFault
        | OpKind::DirectWrite
        | OpKind::AioWrite
        | OpKind::WriteDsync
        | OpKind::DirectWriteDsync => {
            let bytes = written(buf, id, op);
            let readable = if op.kind == OpKind::WriteFault { op.readable as usize } else { bytes.len() };
            file.write(task, op.off, bytes, readable).await.map(Outcome::Bytes)
        }
        OpKind::MapWrite => file.store(task, op.off, written(buf, id, op)).await.map(|n| mapped(n, op)),
        OpKind::Truncate => file.truncate(task, op.off).await.map(done),
        OpKind::Fallocate => file.fallocate(task, range, true).await.map(done),
        OpKind::KeepSize => file.fallocate(task, range, false).await.map(done),
        OpKind::Punch => file.punch(task, range).await.map(done),
        OpKind::ZeroRange => file.zero(task, range).await.map(done),
        OpKind::SeekData => file.seek(task, op.off, Whence::Data).await.map(Outcome::Position),
        OpKind::SeekHole => file.seek(task, op.off, Whence::Hole).await.map(Outcome::Position),
        OpKind::Stat => Ok(Outcome::Position(file.size())),
        // Only the data is modelled as something that a loss of power takes back, not the file system; there is always
        // space; there is no device whose I/O could fail; and what a mapping shows is where a write puts it.
        OpKind::Crash
        | OpKind::FailAlloc
        | OpKind::FailWrite
        | OpKind::FailRead
        | OpKind::FailMap
        | OpKind::WriteFromMap => Ok(Outcome::Unsupported(Errno::EOPNOTSUPP)),
        OpKind::Fsync
        | OpKind::Fdatasync
        | OpKind::Msync
        | OpKind::SyncRange
        | OpKind::DontNeed
        | OpKind::Reopen
        | OpKind::Writeback
        | OpKind::EndIo
        | OpKind::Evict
        | OpKind::MemoryFailure => {
            tend(file, task, op).await;
            Ok(Outcome::Done)
        }
    }
}

/// The operations that cannot fail.
async fn tend(file: &DaxFile, task: &Task, op: &Op) {
    let range = op.bytes();
    match op.kind {
        OpKind::Fsync | OpKind::Fdatasync => file.fsync(task).await,
        OpKind::Msync | OpKind::SyncRange | OpKind::Writeback => file.sync_range(task, range).await,
        OpKind::DontNeed | OpKind::EndIo => {}
        OpKind::Reopen => file.reopen(task).await,
        OpKind::Evict => file.invalidate(task, range).await,
        OpKind::MemoryFailure => file.memory_failure(task, op.off).await,
        other => unreachable!("{other} can fail"),
    }
}

/// The work of a background lane. Only syncing is any: I/O ends at once, and entries are not reclaimed.
pub(super) async fn background(file: &DaxFile, task: &Task) {
    match task.lane() {
        LaneId::FLUSHER => file.flusher(task).await,
        _ => Event::default().wait(task).await,
    }
}
