//! What a file system can do, found out by doing it once.

use super::trouble::is_ours;
use ffi::{Aligned, File, Mapping, Queue, Space, SyncRange};
use oracle::{Errno, OpKind};

/// The operations a file system lacks, and the alignment of its direct I/O.
#[derive(Clone)]
pub(super) struct Support {
    lacking: [Option<Errno>; OpKind::COUNT],
    list: Vec<(OpKind, Errno)>,
    /// Bytes; zero if there is no direct I/O.
    pub(super) direct_alignment: u64,
}

/// How much is allocated, written and mapped, bytes; the largest alignment that is tried.
const SAMPLE: u64 = 4096;

impl Support {
    /// Tries everything on `file`, which is empty, and leaves it empty. Fails only if the file cannot be used at
    /// all, for want of space for example.
    pub(super) fn probe(
        file: &File,
        direct: Result<&File, &ffi::Error>,
        queue: Result<&mut Queue, &mut ffi::Error>,
    ) -> ffi::Result<Support> {
        let mut support = Support { lacking: [None; OpKind::COUNT], list: Vec::new(), direct_alignment: 0 };
        file.truncate(SAMPLE)?;
        let space = [
            (OpKind::Fallocate, Space::Allocate),
            (OpKind::KeepSize, Space::AllocateKeepSize),
            (OpKind::Punch, Space::Punch),
            (OpKind::ZeroRange, Space::Zero),
        ];
        for (kind, mode) in space {
            support.record(&[kind], file.fallocate(mode, 0, SAMPLE))?;
        }
        let sync = [OpKind::SyncRange, OpKind::Writeback, OpKind::EndIo];
        support.record(&sync, file.sync_range(SyncRange::WriteAndWait, 0, SAMPLE))?;
        support.record(&[OpKind::DontNeed, OpKind::Evict], file.drop_cached(0, SAMPLE))?;
        support.record(&[OpKind::SeekHole, OpKind::SeekData], file.seek_hole(0).map(drop))?;
        support.record(&[OpKind::Reopen], file.reopen(false).map(drop))?;
        let mapped = [OpKind::MapRead, OpKind::MapWrite, OpKind::Msync, OpKind::WriteFromMap];
        support.record(&mapped, Mapping::shared(file, SAMPLE).and_then(|map| map.msync(0, SAMPLE)))?;
        let aio = queue.map_err(|error| *error).and_then(|queue| {
            let (direct, mut memory) = (direct.map_err(|error| *error)?, Aligned::default());
            queue.write(direct, memory.first(SAMPLE as usize), 0)
        });
        support.record(&[OpKind::AioWrite], aio.map(drop))?;
        let alignment = direct.map_err(|error| *error).and_then(direct_alignment);
        support.direct_alignment = *alignment.as_ref().unwrap_or(&0);
        support.record(&[OpKind::DirectRead, OpKind::DirectWrite, OpKind::DirectWriteDsync], alignment.map(drop))?;
        // A kernel that does not know the flag knows it for no kind of I/O.
        let dsync = file.pwrite_dsync(&[1], 0).map(drop);
        support.record(&[OpKind::WriteDsync, OpKind::DirectWriteDsync], dsync)?;
        file.truncate(0)?;
        Ok(support)
    }

    fn record(&mut self, kinds: &[OpKind], result: ffi::Result<()>) -> ffi::Result<()> {
        match result {
            Ok(()) => {}
            Err(error) if is_ours(Errno(error.errno)) => return Err(error),
            Err(error) => {
                for kind in kinds {
                    self.lacking[*kind as usize] = Some(Errno(error.errno));
                    self.list.push((*kind, Errno(error.errno)));
                }
            }
        }
        Ok(())
    }

    /// The error of an operation that is not there; none if it is.
    #[inline]
    pub(super) fn lacking(&self, kind: OpKind) -> Option<Errno> {
        self.lacking[kind as usize]
    }

    pub(super) fn lacks(&self) -> &[(OpKind, Errno)] {
        &self.list
    }
}

/// The smallest power of two at which direct reads and writes are accepted. What the file system says of itself
/// (statx(2)) would be stricter: several do an unaligned request through the page cache, and that has to be right
/// as well.
fn direct_alignment(direct: &File) -> ffi::Result<u64> {
    let mut memory = Aligned::default();
    let mut align = 1;
    loop {
        let data = memory.first(align as usize);
        let tried = direct.pwrite(data, align).and_then(|_| direct.pread(data, align));
        match tried {
            Ok(_) => return Ok(align),
            Err(error) if error.errno != Errno::EINVAL.0 || align == SAMPLE => return Err(error),
            Err(_) => align *= 2,
        }
    }
}
