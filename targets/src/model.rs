//! The model: the Rust page cache with a small file system on a simulated device, or a file without a page cache on
//! persistent memory.

mod dax;

use faults::FaultSet;
use iomap::UserBuffer;
use iomap::seek::Whence;
use lanes::{LaneId, Task};
use oracle::{Class, Divergence, Errno, Geometry, Op, OpId, OpKind, Outcome, fill};
use pagecache::{Broken, Cursor, Error, Sizes};
pub use simfs::{Choose, Question, Wreck};
use simfs::{Config, DaxFile, Failing, File};
use std::sync::Arc;

/// One file of the model, for one program.
#[derive(Debug)]
pub struct Model {
    file: AnyFile,
    page: u64,
}

#[derive(Debug)]
enum AnyFile {
    Cached(Box<Cached>),
    Dax(Box<DaxFile>),
}

/// Whether what is written to the device stays there whatever happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// It does. There is no crash.
    Lasting,
    /// It has a volatile cache, and metadata is logged: a crash loses what was not flushed.
    Volatile,
}

impl Model {
    /// A new file of size [`Geometry::floor`] with nothing in it.
    pub fn new(geometry: &Geometry, medium: Medium, faults: FaultSet) -> Arc<Model> {
        let file = match geometry.flavour {
            oracle::Flavour::Dax => AnyFile::Dax(Box::new(dax::new_file(geometry, faults))),
            _ => AnyFile::Cached(Box::new(Cached::new(geometry, medium, faults))),
        };
        Arc::new(Model { file, page: u64::from(geometry.page) })
    }

    /// What is left if the machine stops now; `choose` says how much of what may be lost is kept, one of `0..n`.
    /// None if it cannot: the medium is lasting, or the flavour has no answer to a crash.
    pub fn crash(&self, choose: &mut Choose<'_>) -> Option<Wreck> {
        self.cached()?.file.crash(choose)
    }

    /// The file that comes up after a crash, in the same configuration.
    ///
    /// # Panics
    /// If the file cannot crash.
    pub fn recover(&self, wreck: Wreck) -> Arc<Model> {
        let Some(cached) = self.cached() else { unreachable!("it has not crashed") };
        let file = AnyFile::Cached(Box::new(cached.recover(wreck)));
        Arc::new(Model { file, page: self.page })
    }

    /// The bytes of the file as they are on the device, and nowhere else.
    pub fn content_on_device(&self) -> Vec<u8> {
        match &self.file {
            AnyFile::Cached(cached) => cached.file.content_on_device(),
            AnyFile::Dax(file) => file.content_on_device(),
        }
    }

    fn cached(&self) -> Option<&Cached> {
        match &self.file {
            AnyFile::Cached(cached) => Some(cached),
            AnyFile::Dax(_) => None,
        }
    }

    /// The page size of its mappings.
    pub fn page_size(&self) -> u64 {
        self.page
    }

    /// The size of the file now.
    pub fn size(&self) -> u64 {
        match &self.file {
            AnyFile::Cached(cached) => cached.file.size(),
            AnyFile::Dax(file) => file.size(),
        }
    }

    /// Performs an operation; what it reads goes into `buf`.
    pub async fn execute(&self, task: &Task, id: OpId, op: &Op, buf: &mut Vec<u8>) -> Outcome {
        let performed = match &self.file {
            AnyFile::Cached(cached) => cached.perform(task, id, op, buf).await,
            AnyFile::Dax(file) => dax::perform(file, task, id, op, buf).await,
        };
        match performed {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Errno(errno(error)),
        }
    }

    /// The work of a background lane: which one, the task says. Never returns.
    pub async fn background(&self, task: &Task) {
        match &self.file {
            AnyFile::Cached(cached) => cached.background(task).await,
            AnyFile::Dax(file) => dax::background(file, task).await,
        }
    }

    /// From here on no I/O fails that has not failed yet.
    pub fn heal(&self) {
        if let Some(cached) = self.cached() {
            cached.file.heal();
        }
    }

    /// Brings everything to the device and empties the cache; what the fsync for it answered.
    pub async fn settle(&self, task: &Task) -> Outcome {
        match &self.file {
            AnyFile::Cached(cached) => cached.settle(task).await,
            AnyFile::Dax(file) => {
                file.settle(task).await;
                Outcome::Done
            }
        }
    }

    /// Checks what must hold of cache and file system; `at_rest`, after [`Model::settle`], also counters and what
    /// the device has.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, at_rest: bool) -> Result<(), Divergence> {
        let checked = match (&self.file, at_rest) {
            (AnyFile::Cached(cached), true) => cached.file.check_at_rest(),
            (AnyFile::Cached(cached), false) => cached.file.check(),
            (AnyFile::Dax(file), true) => file.check_at_rest(),
            (AnyFile::Dax(file), false) => file.check(),
        };
        checked.map_err(|Broken { accounting, message }| Divergence {
            class: if accounting { Class::Accounting } else { Class::Invariant },
            op: None,
            offset: None,
            detail: message,
        })
    }
}

/// A file with a page cache.
#[derive(Debug)]
struct Cached {
    file: File,
    flavour: oracle::Flavour,
    /// The open file descriptions of the user lanes and of the checker, by lane.
    open: [Cursor; LaneId::CHECKER.0 as usize + 1],
    config: Config,
}

impl Cached {
    fn new(geometry: &Geometry, medium: Medium, faults: FaultSet) -> Cached {
        let flavour = match geometry.flavour {
            oracle::Flavour::Xfs => simfs::Flavour::Xfs,
            oracle::Flavour::Xfs58 => simfs::Flavour::Xfs58,
            oracle::Flavour::Ext4 => simfs::Flavour::Ext4,
            oracle::Flavour::Gfs2 => simfs::Flavour::Gfs2,
            oracle::Flavour::Gfs2Journaled => simfs::Flavour::Gfs2Journaled,
            oracle::Flavour::Dax => unreachable!("there is no page cache"),
        };
        let sector = u64::from(geometry.sector().min(geometry.block));
        let config = Config {
            sizes: Sizes::new(u64::from(geometry.page), u64::from(geometry.block), geometry.max_order),
            flavour,
            memory_pages: u64::from(geometry.memory_pages),
            readahead_pages: u64::from(geometry.readahead_pages),
            stable_pages: geometry.stable_pages,
            limit: geometry.file_limit,
            garbage: fill::fill_garbage,
            volatile: (medium == Medium::Volatile).then_some(sector),
            faults,
        };
        Cached::of(File::new(&config, geometry.floor), geometry.flavour, config)
    }

    fn of(file: File, flavour: oracle::Flavour, config: Config) -> Cached {
        let open = std::array::from_fn(|_| file.open());
        Cached { file, flavour, open, config }
    }

    fn recover(&self, wreck: Wreck) -> Cached {
        Cached::of(File::recover(&self.config, wreck), self.flavour, self.config)
    }

    /// The description of the file that the lane has open.
    fn open(&self, task: &Task) -> &Cursor {
        &self.open[task.lane().0 as usize]
    }

    async fn perform(&self, task: &Task, id: OpId, op: &Op, buf: &mut Vec<u8>) -> Result<Outcome, Error> {
        if let Some(errno) = self.lacks(op.kind) {
            return Ok(Outcome::Unsupported(errno));
        }
        let file = &self.file;
        let open = self.open(task);
        let range = op.bytes();
        let done = |()| Outcome::Done;
        match op.kind {
            OpKind::Read => file.read(task, range, room(buf, op)).await.map(Outcome::Bytes),
            OpKind::DirectRead => file.direct_read(task, range, room(buf, op)).await.map(Outcome::Bytes),
            OpKind::MapRead => file.load(task, range, room(buf, op)).await.map(|n| mapped(n, op)),
            OpKind::WriteFromMap => file.write_from_map(task, range).await.map(Outcome::Bytes),
            OpKind::Write | OpKind::WriteFault => {
                let bytes = written(buf, id, op);
                let readable = if op.kind == OpKind::WriteFault { op.readable as usize } else { bytes.len() };
                file.write(task, op.off, UserBuffer::new(bytes, readable)).await.map(Outcome::Bytes)
            }
            OpKind::WriteDsync => {
                let bytes = written(buf, id, op);
                let buffer = UserBuffer::new(bytes, bytes.len());
                file.write_dsync(task, open, op.off, buffer).await.map(Outcome::Bytes)
            }
            OpKind::DirectWrite => {
                file.direct_write(task, None, op.off, written(buf, id, op)).await.map(Outcome::Bytes)
            }
            OpKind::AioWrite => file.aio_write(task, op.off, written(buf, id, op)).await.map(Outcome::Bytes),
            OpKind::DirectWriteDsync => {
                file.direct_write(task, Some(open), op.off, written(buf, id, op)).await.map(Outcome::Bytes)
            }
            OpKind::MapWrite => file.store(task, op.off, written(buf, id, op)).await.map(|n| mapped(n, op)),
            OpKind::Truncate => file.truncate(task, op.off).await.map(done),
            OpKind::Fallocate => file.fallocate(task, range, true).await.map(done),
            OpKind::KeepSize => file.fallocate(task, range, false).await.map(done),
            OpKind::Punch => file.punch(task, range).await.map(done),
            OpKind::ZeroRange => file.zero(task, range).await.map(done),
            OpKind::Fsync | OpKind::Fdatasync => file.fsync(task, open, 0..u64::MAX).await.map(done),
            OpKind::Msync => file.fsync(task, open, range).await.map(done),
            OpKind::SeekData => file.seek(task, op.off, Whence::Data).await.map(Outcome::Position),
            OpKind::SeekHole => file.seek(task, op.off, Whence::Hole).await.map(Outcome::Position),
            OpKind::Stat => Ok(Outcome::Position(file.size())),
            // Whoever runs the lanes stops the machine, with `Model::crash`. No lane can.
            OpKind::Crash => Ok(Outcome::Unsupported(Errno::EOPNOTSUPP)),
            OpKind::SyncRange => file.sync_range(task, open, range).await.map(done),
            OpKind::DontNeed
            | OpKind::Reopen
            | OpKind::Writeback
            | OpKind::EndIo
            | OpKind::Evict
            | OpKind::FailAlloc
            | OpKind::FailWrite
            | OpKind::FailRead
            | OpKind::FailMap => {
                self.tend(task, op).await;
                Ok(Outcome::Done)
            }
            OpKind::MemoryFailure => unreachable!("files with a page cache lack it"),
        }
    }

    /// The error of an operation that the file system does not have.
    fn lacks(&self, kind: OpKind) -> Option<Errno> {
        use oracle::Flavour::{Gfs2, Gfs2Journaled, Xfs58};
        match (self.flavour, kind) {
            (Gfs2 | Gfs2Journaled, OpKind::ZeroRange) => Some(Errno::EOPNOTSUPP),
            (Gfs2Journaled, OpKind::Fallocate | OpKind::KeepSize | OpKind::Punch) => Some(Errno::EOPNOTSUPP),
            (Gfs2Journaled, kind) if kind.info().direct => Some(Errno::EINVAL),
            // The handler for a page cache is another one, and not in the model.
            (_, OpKind::MemoryFailure) => Some(Errno::EOPNOTSUPP),
            // Their new blocks count as written before they are: a write that fails shows what the device held.
            (Gfs2 | Gfs2Journaled | Xfs58, OpKind::FailWrite | OpKind::FailMap) => Some(Errno::EOPNOTSUPP),
            _ => None,
        }
    }

    /// The operations that cannot fail.
    async fn tend(&self, task: &Task, op: &Op) {
        let (file, range) = (&self.file, op.bytes());
        match op.kind {
            OpKind::DontNeed => file.dont_need(task, range).await,
            OpKind::Reopen => file.reopen(task, self.open(task)).await,
            OpKind::Writeback => file.start_writeback(task, range).await,
            OpKind::EndIo => file.wait_writeback(task).await,
            OpKind::Evict => file.reclaim(task, range).await,
            OpKind::FailAlloc => file.run_out_of_space(task),
            OpKind::FailWrite => file.fail(Failing::Write),
            OpKind::FailRead => file.fail(Failing::Read),
            OpKind::FailMap => file.fail(Failing::Map),
            other => unreachable!("{other} can fail"),
        }
    }

    async fn background(&self, task: &Task) {
        match task.lane() {
            LaneId::FLUSHER => self.file.flusher(task).await,
            LaneId::END_IO => self.file.end_io(task).await,
            LaneId::RECLAIM => self.file.reclaimer(task).await,
            LaneId::DIRECT => self.file.direct_worker(task).await,
            lane => unreachable!("lane {lane} is no background lane"),
        }
    }

    async fn settle(&self, task: &Task) -> Outcome {
        let synced = self.file.settle(task, self.open(task)).await;
        synced.map_or_else(|error| Outcome::Errno(errno(error)), |()| Outcome::Done)
    }
}

/// Room for what `op` reads. What it held before means nothing, so it is not cleared.
fn room<'a>(buf: &'a mut Vec<u8>, op: &Op) -> &'a mut [u8] {
    buf.resize(op.len as usize, 0);
    buf
}

/// What `op` writes.
fn written<'a>(buf: &'a mut Vec<u8>, id: OpId, op: &Op) -> &'a [u8] {
    let bytes = room(buf, op);
    fill::fill_written(bytes, id, op.off);
    bytes
}

fn mapped(accessed: u64, op: &Op) -> Outcome {
    if accessed < op.len { Outcome::Sigbus(accessed) } else { Outcome::Bytes(accessed) }
}

fn errno(error: Error) -> Errno {
    match error {
        Error::Io => Errno::EIO,
        Error::NoData => Errno::ENXIO,
        Error::BadAddress => Errno::EFAULT,
        Error::Busy => Errno::EBUSY,
        Error::Again => Errno::EAGAIN,
        Error::Exists => Errno::EEXIST,
        Error::NoSpace => Errno::ENOSPC,
        Error::Bus => Errno::EFAULT,
    }
}
