//! The system calls of a program and nothing else, to compare the judged program with.

use super::mix::LIMIT;
use ffi::{Aligned, File, Guarded, Mapping, Queue, Space, SyncRange};
use oracle::{Op, OpKind};
use std::path::Path;

/// The same system calls on the same ranges as the directory target makes: no data made, nothing compared.
pub(super) struct Raw {
    file: File,
    direct: Option<File>,
    map: Option<Mapping>,
    guarded: Guarded,
    queue: Option<Queue>,
    memory: Aligned,
    page: u64,
}

impl Raw {
    /// A file of its own beside the target's. What the file system lacks stays unset: the mixes leave out the
    /// operations that would need it.
    pub(super) fn new(dir: &Path) -> ffi::Result<Raw> {
        let file = File::nameless(dir)?;
        Ok(Raw {
            direct: file.reopen(true).ok(),
            map: Mapping::shared(&file, LIMIT).ok(),
            guarded: Guarded::new(LIMIT)?,
            queue: Queue::new().ok(),
            memory: Aligned::default(),
            page: ffi::page_size(),
            file,
        })
    }

    /// Runs a program on the empty file.
    pub(super) fn run(&mut self, ops: &[Op]) -> ffi::Result<()> {
        self.file.truncate(0)?;
        // Some have to fail (seeks beyond the end do); whether they may, the judged run finds out.
        for op in ops {
            let _ = self.call(op);
        }
        Ok(())
    }

    fn call(&mut self, op: &Op) -> ffi::Result<()> {
        match op.kind {
            OpKind::Read
            | OpKind::Write
            | OpKind::DirectRead
            | OpKind::DirectWrite
            | OpKind::AioWrite
            | OpKind::WriteFault
            | OpKind::WriteDsync
            | OpKind::DirectWriteDsync
            | OpKind::MapRead
            | OpKind::MapWrite
            | OpKind::WriteFromMap => self.transfer(op),
            OpKind::Truncate => self.file.truncate(op.off),
            OpKind::Fallocate => self.file.fallocate(Space::Allocate, op.off, op.len),
            OpKind::KeepSize => self.file.fallocate(Space::AllocateKeepSize, op.off, op.len),
            OpKind::Punch => self.file.fallocate(Space::Punch, op.off, op.len),
            OpKind::ZeroRange => self.file.fallocate(Space::Zero, op.off, op.len),
            OpKind::SeekData => self.file.seek_data(op.off).map(drop),
            OpKind::SeekHole => self.file.seek_hole(op.off).map(drop),
            OpKind::Stat => self.file.size().map(drop),
            OpKind::Reopen => self.reopen(),
            OpKind::FailAlloc | OpKind::FailWrite | OpKind::FailRead | OpKind::FailMap => Ok(()),
            OpKind::Msync
            | OpKind::Fsync
            | OpKind::Fdatasync
            | OpKind::SyncRange
            | OpKind::Writeback
            | OpKind::EndIo
            | OpKind::DontNeed
            | OpKind::Evict => self.sync(op),
            OpKind::Crash | OpKind::MemoryFailure => Ok(()),
        }
    }

    fn transfer(&mut self, op: &Op) -> ffi::Result<()> {
        // Enlarged once, as it would have to be zeroed anew each time it grows.
        let memory = &mut self.memory.first(LIMIT as usize)[..op.len as usize];
        let Raw { file, direct, map, guarded, queue, .. } = self;
        match (op.kind, direct, map) {
            (OpKind::Read, ..) => file.pread(memory, op.off),
            (OpKind::Write, ..) => file.pwrite(memory, op.off),
            (OpKind::WriteDsync, ..) => file.pwrite_dsync(memory, op.off),
            (OpKind::DirectWriteDsync, Some(direct), _) => direct.pwrite_dsync(memory, op.off),
            (OpKind::WriteFault, ..) => file.pwrite_guarded(guarded, op.readable, op.len, op.off),
            (OpKind::DirectRead, Some(direct), _) => direct.pread(memory, op.off),
            (OpKind::DirectWrite, Some(direct), _) => direct.pwrite(memory, op.off),
            (OpKind::AioWrite, Some(direct), _) => match queue {
                Some(queue) => queue.write(direct, memory, op.off),
                None => Ok(0),
            },
            (OpKind::MapRead, _, Some(map)) => Ok(map.load(op.off, memory)),
            (OpKind::WriteFromMap, _, Some(map)) => map.pwrite_to(file, op.off, op.len),
            (OpKind::MapWrite, _, Some(map)) => Ok(map.store(op.off, memory)),
            _ => Ok(0),
        }
        .map(drop)
    }

    /// Writeback and dropping of what is cached.
    fn sync(&mut self, op: &Op) -> ffi::Result<()> {
        match (op.kind, &self.map) {
            (OpKind::Msync, Some(map)) => map.msync(op.off, op.len),
            (OpKind::Fsync, _) => self.file.fsync(),
            (OpKind::Fdatasync, _) => self.file.fdatasync(),
            (OpKind::SyncRange, _) => self.file.sync_range(SyncRange::WriteAndWait, op.off, op.len),
            (OpKind::Writeback, _) => self.file.sync_range(SyncRange::Start, op.off, op.len),
            (OpKind::EndIo, _) => self.file.sync_range(SyncRange::Wait, 0, 0),
            (OpKind::DontNeed, _) => self.file.drop_cached(op.off, op.len),
            (OpKind::Evict, _) => {
                let from = op.off - op.off % self.page;
                self.file.drop_cached(from, (op.off + op.len).next_multiple_of(self.page) - from)
            }
            _ => Ok(()),
        }
    }

    fn reopen(&mut self) -> ffi::Result<()> {
        let was_mapped = self.map.take().is_some();
        let file = self.file.reopen(false)?;
        if self.direct.is_some() {
            self.direct = Some(self.file.reopen(true)?);
        }
        self.file = file;
        if was_mapped {
            self.map = Some(Mapping::shared(&self.file, LIMIT)?);
        }
        Ok(())
    }
}
