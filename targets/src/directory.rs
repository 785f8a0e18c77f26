//! A file in a directory that the user names, on whatever file system is mounted there.
//!
//! Needs no root. The file has no name, so nothing stays behind, however the process ends. What the file system
//! lacks is found out once, when the target is made; such operations then answer [`Outcome::Unsupported`] and change
//! nothing.

mod lane;
mod power;
mod probe;
mod trouble;

use ffi::{Aligned, File, Guarded, Mapping, Queue, Space, SyncRange};
use oracle::fill::fill_written;
use oracle::{Errno, Geometry, Op, OpId, OpKind, Outcome, Target, TargetError};
pub use power::{Made, Restart};
use power::{Open, Power};
use probe::Support;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a buffer holds before it is read into, every [`STALE_STEP`] bytes: even and not zero, so no operation
/// wrote it. A kernel that counts bytes it did not deliver is seen, though the buffer held the right ones before.
const STALE: u8 = 0xa4;
const STALE_STEP: usize = 512;

/// A file system under test, through one file in one of its directories.
pub struct DirectoryTarget {
    file: Open,
    /// The same file opened with `O_DIRECT`, where that is possible.
    direct: Option<File>,
    /// The shared mapping that lives across operations; covers the file limit of the last program.
    map: Option<Arc<Mapping>>,
    guarded: Guarded,
    /// For asynchronous writes, where there are any.
    queue: Option<Queue>,
    /// Where data to be written is made, aligned for direct I/O.
    scratch: Aligned,
    support: Support,
    dir: PathBuf,
    file_system: String,
    page: u64,
    /// The program allocated blocks that may lie beyond the end of the file.
    preallocated: bool,
    /// How to stop and start a file system that was made for the test.
    power: Option<Power>,
}

impl DirectoryTarget {
    /// Creates the file and finds out what the file system can do. The error says what is wrong with the
    /// directory and what to do about it.
    pub fn new(dir: &Path) -> Result<DirectoryTarget, TargetError> {
        let file = File::nameless(dir).map_err(|error| trouble::at_start(dir, error))?;
        DirectoryTarget::on(dir, file, None)
    }

    fn on(dir: &Path, file: File, power: Option<Power>) -> Result<DirectoryTarget, TargetError> {
        let trouble = |error| trouble::at_start(dir, error);
        // File systems without direct I/O refuse to open; the probe asks again and records it.
        let direct = file.reopen(true);
        let file_system = file.file_system().map_err(trouble)?.name();
        let mut queue = Queue::new();
        let support = Support::probe(&file, direct.as_ref(), queue.as_mut()).map_err(trouble)?;
        Ok(DirectoryTarget {
            direct: direct.ok(),
            map: None,
            guarded: Guarded::new(1).map_err(trouble)?,
            queue: queue.ok(),
            scratch: Aligned::default(),
            support,
            dir: dir.to_owned(),
            file_system,
            page: ffi::page_size(),
            preallocated: false,
            power,
            file: Open::new(file),
        })
    }

    /// The operations this file system does not have, each with the error it answers.
    pub fn lacks(&self) -> &[(OpKind, Errno)] {
        self.support.lacks()
    }

    /// Offsets and lengths of direct I/O must be multiples of so many bytes; zero if there is no direct I/O.
    pub fn direct_alignment(&self) -> u64 {
        self.support.direct_alignment
    }

    /// The type of the file system, `xfs`, or its magic number.
    pub fn file_system(&self) -> &str {
        &self.file_system
    }

    fn set_up(&mut self, geometry: &Geometry) -> ffi::Result<()> {
        if self.preallocated {
            // Cutting an empty file is a no-op on btrfs, even if there are blocks beyond its end.
            self.file.truncate(1)?;
            self.preallocated = false;
        }
        self.file.truncate(0)?;
        self.file.truncate(geometry.floor)?;
        let reach = geometry.file_limit.next_multiple_of(self.page);
        if self.support.lacking(OpKind::MapRead).is_none() && self.map.as_ref().map(|map| map.len()) != Some(reach) {
            self.map = Some(Arc::new(Mapping::shared(&self.file, reach)?));
        }
        if self.guarded.capacity() < geometry.file_limit {
            self.guarded = Guarded::new(geometry.file_limit)?;
        }
        Ok(())
    }

    fn reopen(&mut self) -> ffi::Result<()> {
        let reach = self.map.take().map(|map| map.len());
        let file = self.file.reopen(false)?;
        if self.direct.is_some() {
            self.direct = Some(self.file.reopen(true)?);
        }
        self.file = Open::new(file);
        if let Some(reach) = reach {
            self.map = Some(Arc::new(Mapping::shared(&self.file, reach)?));
        }
        Ok(())
    }

    /// The file to read or write directly, if it has what `op` needs.
    fn direct_for(&self, op: &Op) -> Result<&File, Errno> {
        let aligned = (op.off | op.len) & (self.support.direct_alignment.max(1) - 1) == 0;
        self.direct.as_ref().filter(|_| aligned).ok_or(Errno::EINVAL)
    }

    /// Why this operation cannot be tried here, if it cannot.
    fn refuses(&self, op: &Op) -> Option<Errno> {
        let direct = || if op.kind.info().direct { self.direct_for(op).err() } else { None };
        self.support.lacking(op.kind).or_else(direct)
    }

    fn read(&mut self, op: &Op, buf: &mut Vec<u8>) -> ffi::Result<Outcome> {
        let len = op.len as usize;
        if buf.len() < len {
            buf.resize(len, STALE);
        }
        let room = &mut buf[..len];
        make_stale(room);
        match op.kind {
            OpKind::Read => self.file.pread(room, op.off).map(Outcome::Bytes),
            OpKind::MapRead => {
                let outcome = mapped(op, self.mapping().load(op.off, room));
                self.unless_full(op, outcome)
            }
            kind => {
                debug_assert_eq!(kind, OpKind::DirectRead);
                let bounce = self.scratch.first(len);
                make_stale(bounce);
                let direct = self.direct.as_ref().expect("direct_for has found it");
                let count = direct.pread(bounce, op.off)?;
                room[..count as usize].copy_from_slice(&bounce[..count as usize]);
                Ok(Outcome::Bytes(count))
            }
        }
    }

    /// Writes the file onto itself, as far as there is some: behind the end there would be nothing to read.
    fn write_from_map(&mut self, op: &Op) -> ffi::Result<Outcome> {
        let len = op.len.min(self.file.size()?.saturating_sub(op.off));
        Ok(match len {
            0 => Outcome::Bytes(0),
            len => Outcome::Bytes(self.mapping().pwrite_to(&self.file, op.off, len)?),
        })
    }

    fn write(&mut self, id: OpId, op: &Op) -> ffi::Result<Outcome> {
        if op.kind == OpKind::WriteFault {
            fill_written(self.guarded.last(op.readable), id, op.off);
            let count = self.file.pwrite_guarded(&self.guarded, op.readable, op.len, op.off)?;
            return self.unless_full(op, Outcome::Bytes(count));
        }
        let data = self.scratch.first(op.len as usize);
        fill_written(data, id, op.off);
        let outcome = match op.kind {
            OpKind::Write => Outcome::Bytes(self.file.pwrite(data, op.off)?),
            OpKind::WriteDsync => Outcome::Bytes(self.file.pwrite_dsync(data, op.off)?),
            OpKind::DirectWrite | OpKind::DirectWriteDsync => {
                let direct = self.direct.as_ref().expect("direct_for has found it");
                let synchronous = op.kind == OpKind::DirectWriteDsync;
                let write = if synchronous { ffi::File::pwrite_dsync } else { ffi::File::pwrite };
                Outcome::Bytes(write(direct, data, op.off)?)
            }
            OpKind::AioWrite => {
                let direct = self.direct.as_ref().expect("direct_for has found it");
                Outcome::Bytes(self.queue.as_mut().expect("it was made ready").write(direct, data, op.off)?)
            }
            kind => {
                debug_assert_eq!(kind, OpKind::MapWrite);
                mapped(op, self.map.as_ref().expect("start has made it").store(op.off, data))
            }
        };
        self.unless_full(op, outcome)
    }

    /// On a full file system a write is short, and an access to a hole raises SIGBUS (on tmpfs even a load): neither
    /// is what is tested.
    fn unless_full(&self, op: &Op, outcome: Outcome) -> ffi::Result<Outcome> {
        let due = if op.kind == OpKind::WriteFault { op.readable } else { op.len };
        if outcome == Outcome::Bytes(due) {
            return Ok(outcome);
        }
        let fs = self.file.file_system()?;
        let full = fs.blocks > 0 && fs.available * fs.block < trouble::LOW_SPACE;
        if full { Err(ffi::Error { call: "fstatfs", errno: Errno::ENOSPC.0 }) } else { Ok(outcome) }
    }

    fn mapping(&self) -> &Mapping {
        self.map.as_ref().expect("start has made it")
    }

    fn change_space(&mut self, op: &Op) -> ffi::Result<Outcome> {
        let space = match op.kind {
            OpKind::Fallocate => Space::Allocate,
            OpKind::KeepSize => Space::AllocateKeepSize,
            OpKind::Punch => Space::Punch,
            kind => {
                debug_assert_eq!(kind, OpKind::ZeroRange);
                Space::Zero
            }
        };
        self.preallocated |= op.kind == OpKind::KeepSize;
        self.file.fallocate(space, op.off, op.len).map(|()| Outcome::Done)
    }

    /// Operations that change neither content nor size.
    fn neutral(&mut self, op: &Op) -> ffi::Result<Outcome> {
        let done = match op.kind {
            OpKind::SeekData => return self.file.seek_data(op.off).map(Outcome::Position),
            OpKind::SeekHole => return self.file.seek_hole(op.off).map(Outcome::Position),
            OpKind::Stat => return self.file.size().map(Outcome::Position),
            OpKind::Msync => self.mapping().msync(op.off, op.len),
            OpKind::Fsync => self.file.fsync(),
            OpKind::Fdatasync => self.file.fdatasync(),
            OpKind::SyncRange => self.file.sync_range(SyncRange::WriteAndWait, op.off, op.len),
            OpKind::Writeback => self.file.sync_range(SyncRange::Start, op.off, op.len),
            OpKind::EndIo => self.file.sync_range(SyncRange::Wait, 0, 0),
            OpKind::DontNeed => self.file.drop_cached(op.off, op.len),
            OpKind::Evict => {
                // The kernel drops whole pages only, and rounds inwards.
                let from = op.off - op.off % self.page;
                self.file.drop_cached(from, (op.off + op.len).next_multiple_of(self.page) - from)
            }
            OpKind::Reopen => self.reopen(),
            // Nothing here makes a device fail, or space run out.
            OpKind::FailAlloc | OpKind::FailWrite | OpKind::FailRead | OpKind::FailMap => {
                return Ok(Outcome::Unsupported(Errno::EOPNOTSUPP));
            }
            kind => unreachable!("{kind} changes the file"),
        };
        done.map(|()| Outcome::Done)
    }

    fn perform(&mut self, id: OpId, op: &Op, buf: &mut Vec<u8>) -> ffi::Result<Outcome> {
        match op.kind {
            OpKind::Read | OpKind::MapRead | OpKind::DirectRead => self.read(op, buf),
            OpKind::Write
            | OpKind::MapWrite
            | OpKind::DirectWrite
            | OpKind::AioWrite
            | OpKind::WriteFault
            | OpKind::WriteDsync
            | OpKind::DirectWriteDsync => self.write(id, op),
            OpKind::WriteFromMap => self.write_from_map(op),
            OpKind::Truncate => self.file.truncate(op.off).map(|()| Outcome::Done),
            OpKind::Fallocate | OpKind::KeepSize | OpKind::Punch | OpKind::ZeroRange => self.change_space(op),
            OpKind::Msync
            | OpKind::Fsync
            | OpKind::Fdatasync
            | OpKind::SyncRange
            | OpKind::DontNeed
            | OpKind::SeekData
            | OpKind::SeekHole
            | OpKind::Stat
            | OpKind::Reopen
            | OpKind::Writeback
            | OpKind::EndIo
            | OpKind::Evict
            | OpKind::FailAlloc
            | OpKind::FailWrite
            | OpKind::FailRead
            | OpKind::FailMap => self.neutral(op),
            OpKind::Crash => unreachable!("execute does it"),
            // Never tried: it concerns the machine, not the file.
            OpKind::MemoryFailure => Ok(Outcome::Unsupported(Errno::EOPNOTSUPP)),
        }
    }
}

impl Target for DirectoryTarget {
    fn name(&self) -> String {
        format!("{} at {}", self.file_system, self.dir.display())
    }

    fn start(&mut self, geometry: &Geometry) -> Result<(), TargetError> {
        self.power_up()?;
        let set_up = match self.set_up(geometry) {
            // The kernel has stopped it itself, or whoever was here before had no time to start it again.
            Err(error) if Errno(error.errno) == Errno::EIO && self.power.is_some() => {
                self.power_down();
                self.power_cycle()?;
                self.power_up()?;
                self.set_up(geometry)
            }
            other => other,
        };
        set_up.map_err(|error| trouble::at_start(&self.dir, error))
    }

    fn execute(&mut self, id: OpId, op: &Op, buf: &mut Vec<u8>) -> Result<Outcome, TargetError> {
        if let Some(errno) = self.refuses(op) {
            return Ok(Outcome::Unsupported(errno));
        }
        if op.kind == OpKind::Crash {
            return self.crash(id);
        }
        self.make_ready(op)
            .and_then(|()| self.perform(id, op, buf))
            .or_else(|error| trouble::in_operation(&self.dir, op, error))
    }

    fn crash_unit(&self) -> Option<u64> {
        self.power.as_ref().and_then(Power::unit)
    }

    fn evidence(&self) -> Option<String> {
        self.power.as_ref().and_then(Power::evidence)
    }

    fn page_size(&self) -> u64 {
        self.page
    }
}

fn make_stale(room: &mut [u8]) {
    room.iter_mut().step_by(STALE_STEP).for_each(|byte| *byte = STALE);
}

fn mapped(op: &Op, count: u64) -> Outcome {
    if count == op.len { Outcome::Bytes(count) } else { Outcome::Sigbus(count) }
}
