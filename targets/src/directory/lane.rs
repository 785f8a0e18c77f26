//! The same file for several threads, and operations that can be stopped half way.

use super::power::Open;
use super::{DirectoryTarget, make_stale, trouble};
use ffi::{Aligned, Guarded, PausableBuffer, Pausing, Queue, Supervisor, WriteOrder};
use oracle::fill::fill_written;
use oracle::{Effect, Op, OpId, OpKind, Outcome, TargetError};

impl DirectoryTarget {
    /// The same file for another thread, with descriptors of its own. All share the mapping, until one reopens the
    /// file. To be called after [`Target::start`](oracle::Target::start), and dropped before the next.
    pub fn lane(&mut self) -> Result<DirectoryTarget, TargetError> {
        // What another thread allocates behind the end of the file goes, too, when the next program starts.
        self.preallocated = true;
        self.open_again().map_err(|error| trouble::at_start(&self.dir, error))
    }

    fn open_again(&self) -> ffi::Result<DirectoryTarget> {
        let direct = self.direct.as_ref().map(|_| self.file.reopen(true)).transpose()?;
        Ok(DirectoryTarget {
            file: Open::new(self.file.reopen(false)?),
            direct,
            map: self.map.clone(),
            guarded: Guarded::new(self.guarded.capacity())?,
            // Made when it is needed: to give one back takes the kernel milliseconds.
            queue: None,
            scratch: Aligned::default(),
            support: self.support.clone(),
            dir: self.dir.clone(),
            file_system: self.file_system.clone(),
            page: self.page,
            preallocated: false,
            // One of them all is enough to crash.
            power: None,
        })
    }

    /// What reclaim does: drops all of the file that is clean from the cache, mapped or not.
    pub fn evict(&self) -> Result<Outcome, TargetError> {
        let letting_go = self.map.as_ref().map_or(Ok(()), |map| map.let_go());
        let evict = letting_go.and_then(|()| self.file.drop_cached(0, 0)).map(|()| Outcome::Done);
        evict.or_else(|error| trouble::in_operation(&self.dir, &Op::range(OpKind::Evict, 0, 0), error))
    }

    /// When buffered writes here ask for their source pages. What is in the file is lost.
    pub fn write_order(&self, pausing: &Pausing) -> Result<WriteOrder, TargetError> {
        WriteOrder::of(&self.file, pausing).map_err(|error| trouble::at_start(&self.dir, error))
    }

    /// Whether the operation is a call with a buffer of the caller's, which can be one that stops it.
    pub fn can_stop(&self, op: &Op) -> bool {
        const STOP: [OpKind; 7] = [
            OpKind::Read,
            OpKind::Write,
            OpKind::WriteDsync,
            OpKind::DirectRead,
            OpKind::DirectWrite,
            OpKind::DirectWriteDsync,
            OpKind::AioWrite,
        ];
        STOP.contains(&op.kind) && self.refuses(op).is_none()
    }

    /// Gives the buffer what the operation writes, or what it is to read over. Its pages are pages of the file.
    pub fn fill(&self, id: OpId, op: &Op, supervisor: &mut Supervisor) -> Result<(), TargetError> {
        let mut bytes = vec![0; op.len as usize];
        match op.kind.info().effect {
            Effect::Read => make_stale(&mut bytes),
            _ => fill_written(&mut bytes, id, op.off),
        }
        supervisor.fill(op.off % self.page, &bytes).map_err(|error| TargetError::new(error.to_string()))
    }

    /// As [`Target::execute`](oracle::Target::execute), with this buffer. For operations that can stop.
    pub fn execute_with(
        &mut self,
        op: &Op,
        buf: &mut Vec<u8>,
        buffer: &PausableBuffer,
    ) -> Result<Outcome, TargetError> {
        self.transfer(op, buf, buffer).or_else(|error| trouble::in_operation(&self.dir, op, error))
    }

    /// What the operation needs and a lane does not have from the start.
    pub(super) fn make_ready(&mut self, op: &Op) -> ffi::Result<()> {
        if op.kind == OpKind::AioWrite && self.queue.is_none() {
            self.queue = Some(Queue::new()?);
        }
        Ok(())
    }

    fn transfer(&mut self, op: &Op, buf: &mut Vec<u8>, buffer: &PausableBuffer) -> ffi::Result<Outcome> {
        self.make_ready(op)?;
        let file = if op.kind.info().direct { self.direct.as_ref().unwrap_or(&self.file) } else { &self.file };
        let Op { off, len, .. } = *op;
        let count = match op.kind {
            OpKind::Write | OpKind::DirectWrite => buffer.pwrite_to(file, 0, len, off)?,
            OpKind::WriteDsync | OpKind::DirectWriteDsync => buffer.pwrite_dsync_to(file, 0, len, off)?,
            OpKind::AioWrite => buffer.submit_to(self.queue.as_mut().expect("it was made ready"), file, 0, len, off)?,
            kind => {
                debug_assert!(matches!(kind, OpKind::Read | OpKind::DirectRead), "{kind} cannot stop");
                let count = buffer.pread_from(file, 0, len, off)?;
                buf.resize(len as usize, 0);
                // Pages behind what was read may be missing still.
                buffer.load(0, &mut buf[..count.min(len) as usize]);
                return Ok(Outcome::Bytes(count));
            }
        };
        self.unless_full(op, Outcome::Bytes(count))
    }
}
