//! An open file and what can be asked of it.

use crate::error::{Error, Result, check};
use crate::memory::Guarded;
use crate::sys;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// An open file; closed when dropped. Offsets, lengths and sizes are bytes.
///
/// Calls that a signal interrupted before they did anything are made again. Short counts are handed on: whether
/// one is right is for the caller to judge.
#[derive(Debug)]
pub struct File {
    fd: OwnedFd,
}

/// How `fallocate` changes a range: fallocate(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Mode 0: allocate, raise the size to the range's end.
    Allocate,
    /// `FALLOC_FL_KEEP_SIZE`: allocate, leave the size.
    AllocateKeepSize,
    /// `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE`.
    Punch,
    /// `FALLOC_FL_ZERO_RANGE`: zero, raise the size to the range's end.
    Zero,
}

/// What `sync_file_range` does: sync_file_range(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncRange {
    /// Wait for writeback under way, start it for the rest, wait for that.
    WriteAndWait,
    /// Start writeback, do not wait.
    Start,
    /// Wait for writeback under way, start none.
    Wait,
}

/// What a file system saves when it is shut down: `XFS_IOC_GOINGDOWN`, `EXT4_IOC_SHUTDOWN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Everything: it is frozen first, which writes back all there is (`DEFAULT`).
    Flush = 0,
    /// What is in the log so far, which is forced (`LOGFLUSH`).
    LogFlush = 1,
    /// Nothing: what is on the device is what there is (`NOLOGFLUSH`).
    NoLogFlush = 2,
}

/// The file system a file is on: statfs(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Its type, `f_type`.
    pub magic: u64,
    /// Its block size, bytes.
    pub block: u64,
    /// Its blocks; 0 if there is no limit.
    pub blocks: u64,
    /// The blocks that are free for everybody.
    pub available: u64,
}

/// Magic numbers and names of common file systems (`linux/magic.h`).
const NAMES: [(u64, &str); 11] = [
    (0xef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x0102_1994, "tmpfs"),
    (0xf2f5_2010, "f2fs"),
    (0x2fc1_2fc1, "zfs"),
    (0xca45_1a4e, "bcachefs"),
    (0x794c_7630, "overlayfs"),
    (0x6573_5546, "fuse"),
    (0x6969, "nfs"),
    (0xff53_4d42, "cifs"),
];

impl FileSystem {
    /// Its name, or its magic number in hexadecimal.
    pub fn name(&self) -> String {
        let known = NAMES.iter().find(|(magic, _)| *magic == self.magic);
        known.map_or_else(|| format!("file system {:#x}", self.magic), |(_, name)| (*name).to_owned())
    }
}

fn c_path(call: &'static str, path: &Path) -> Result<CString> {
    const EINVAL: i32 = 22;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Error { call, errno: EINVAL })
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl File {
    fn own(call: &'static str, answer: i64) -> Result<File> {
        let fd = check(call, answer)? as i32;
        // SAFETY: the shim has just opened this descriptor, and nobody else has it.
        Ok(File { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    fn raw(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// Creates a file that must not exist yet and opens it for reading and writing.
    pub fn create(path: &Path) -> Result<File> {
        let path = c_path("open", path)?;
        // SAFETY: the path ends with a zero byte and outlives the call.
        File::own("open", unsafe { sys::shim_create(path.as_ptr()) })
    }

    /// Opens a file that is there for reading and writing.
    pub fn open(path: &Path) -> Result<File> {
        let path = c_path("open", path)?;
        // SAFETY: the path ends with a zero byte and outlives the call.
        File::own("open", unsafe { sys::shim_open(path.as_ptr()) })
    }

    /// Stops the whole file system that the file is on: until it is unmounted it fails with EIO, and it saves no more
    /// than `how` says. ENOTTY where there is no such call. Needs `CAP_SYS_ADMIN`.
    pub fn shutdown(&self, how: Shutdown) -> Result<()> {
        // SAFETY: the shim hands the kernel a pointer to its own argument; the descriptor is open.
        check("shutdown", unsafe { sys::shim_shutdown(self.raw(), how as u32) }).map(drop)
    }

    /// Creates a file in `dir` that has no name, so that it goes with the process, however that ends: open(2) with
    /// `O_TMPFILE`. Where the file system has no such thing (network and FUSE file systems mostly), the file has a
    /// name of ours for the moment between two calls.
    pub fn nameless(dir: &Path) -> Result<File> {
        const NOT_THERE: [i32; 4] = [95, 38, 21, 22]; // EOPNOTSUPP, ENOSYS, EISDIR, EINVAL
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let c_dir = c_path("open", dir)?;
        // SAFETY: the path ends with a zero byte and outlives the call.
        match File::own("open", unsafe { sys::shim_create_nameless(c_dir.as_ptr()) }) {
            Err(error) if NOT_THERE.contains(&error.errno) => {
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let path = dir.join(format!("foliofuzz-{}-{number}.dat", std::process::id()));
                let file = File::create(&path)?;
                File::unlink(&path).map(|()| file)
            }
            other => other,
        }
    }

    /// Opens the same file once more, with `O_DIRECT` or without. Goes through `/proc/self/fd`, so the file may
    /// have lost its name.
    pub fn reopen(&self, direct: bool) -> Result<File> {
        // SAFETY: no pointers; the descriptor is open.
        File::own("open", unsafe { sys::shim_reopen(self.raw(), direct.into()) })
    }

    /// Takes the name from a file.
    pub fn unlink(path: &Path) -> Result<()> {
        let path = c_path("unlink", path)?;
        // SAFETY: the path ends with a zero byte and outlives the call.
        check("unlink", unsafe { sys::shim_unlink(path.as_ptr()) }).map(drop)
    }

    /// Reads at `off`, without moving the file position: pread(2). Returns how many bytes were read.
    pub fn pread(&self, buf: &mut [u8], off: u64) -> Result<u64> {
        // SAFETY: the kernel writes at most `buf.len()` bytes, all inside `buf`.
        let answer = unsafe { sys::shim_pread(self.raw(), buf.as_mut_ptr().cast(), buf.len() as u64, off) };
        check("pread", answer)
    }

    /// Writes at `off`, without moving the file position: pwrite(2). Returns how many bytes were written.
    pub fn pwrite(&self, buf: &[u8], off: u64) -> Result<u64> {
        // SAFETY: the kernel reads at most `buf.len()` bytes, all inside `buf`.
        let answer = unsafe { sys::shim_pwrite(self.raw(), buf.as_ptr().cast(), buf.len() as u64, off) };
        check("pwrite", answer)
    }

    /// As [`File::pwrite`], and waits until what was written is on the device: pwritev2(2) with `RWF_DSYNC`.
    pub fn pwrite_dsync(&self, buf: &[u8], off: u64) -> Result<u64> {
        // SAFETY: the kernel reads at most `buf.len()` bytes, all inside `buf`.
        let answer = unsafe { sys::shim_pwrite_dsync(self.raw(), buf.as_ptr().cast(), buf.len() as u64, off) };
        check("pwritev2", answer)
    }

    /// Writes `len` bytes at `off` from memory whose first `readable` bytes are the last readable ones of
    /// `buf`; behind them the kernel finds nothing. Returns how many bytes were written.
    ///
    /// # Panics
    /// If `readable` or `len - readable` is more than `buf` was made for.
    pub fn pwrite_guarded(&self, buf: &Guarded, readable: u64, len: u64, off: u64) -> Result<u64> {
        let from = buf.before_guard(readable, len);
        // SAFETY: the `len` bytes belong to the guarded memory; those that cannot be read make the call fail.
        check("pwrite", unsafe { sys::shim_pwrite(self.raw(), from.cast(), len, off) })
    }

    /// Sets the size: ftruncate(2).
    pub fn truncate(&self, size: u64) -> Result<()> {
        // SAFETY: no pointers; the descriptor is open.
        check("ftruncate", unsafe { sys::shim_ftruncate(self.raw(), size) }).map(drop)
    }

    /// Allocates, punches or zeroes `[off, off + len)`: fallocate(2).
    pub fn fallocate(&self, space: Space, off: u64, len: u64) -> Result<()> {
        let zero = (space == Space::Zero).into();
        let punch = (space == Space::Punch).into();
        let keep_size = matches!(space, Space::Punch | Space::AllocateKeepSize).into();
        // SAFETY: no pointers; the descriptor is open.
        check("fallocate", unsafe { sys::shim_fallocate(self.raw(), zero, punch, keep_size, off, len) }).map(drop)
    }

    /// Writes everything to the device and waits: fsync(2).
    pub fn fsync(&self) -> Result<()> {
        // SAFETY: no pointers; the descriptor is open.
        check("fsync", unsafe { sys::shim_fsync(self.raw()) }).map(drop)
    }

    /// Writes the data to the device and waits: fdatasync(2).
    pub fn fdatasync(&self) -> Result<()> {
        // SAFETY: no pointers; the descriptor is open.
        check("fdatasync", unsafe { sys::shim_fdatasync(self.raw()) }).map(drop)
    }

    /// Writeback of `[off, off + len)`; a length of 0 reaches to the end of the file: sync_file_range(2).
    pub fn sync_range(&self, sync: SyncRange, off: u64, len: u64) -> Result<()> {
        let (before, write, after) = match sync {
            SyncRange::WriteAndWait => (1, 1, 1),
            SyncRange::Start => (0, 1, 0),
            SyncRange::Wait => (1, 0, 0),
        };
        // SAFETY: no pointers; the descriptor is open.
        let answer = unsafe { sys::shim_sync_file_range(self.raw(), before, write, after, off, len) };
        check("sync_file_range", answer).map(drop)
    }

    /// Drops what is cached of `[off, off + len)` and clean; a length of 0 reaches to the end of the file:
    /// posix_fadvise(2) with `POSIX_FADV_DONTNEED`.
    pub fn drop_cached(&self, off: u64, len: u64) -> Result<()> {
        // SAFETY: no pointers; the descriptor is open.
        check("posix_fadvise", unsafe { sys::shim_fadvise_dontneed(self.raw(), off, len) }).map(drop)
    }

    /// The first position from `off` on that holds data: lseek(2) with `SEEK_DATA`.
    pub fn seek_data(&self, off: u64) -> Result<u64> {
        // SAFETY: no pointers; the descriptor is open.
        check("lseek", unsafe { sys::shim_seek_data(self.raw(), off) })
    }

    /// The first position from `off` on that is a hole, the end of file being one: lseek(2) with `SEEK_HOLE`.
    pub fn seek_hole(&self, off: u64) -> Result<u64> {
        // SAFETY: no pointers; the descriptor is open.
        check("lseek", unsafe { sys::shim_seek_hole(self.raw(), off) })
    }

    /// The size: fstat(2).
    pub fn size(&self) -> Result<u64> {
        // SAFETY: no pointers; the descriptor is open.
        check("fstat", unsafe { sys::shim_size(self.raw()) })
    }

    /// The alignments of memory and of offsets that direct I/O needs, as far as the file system says so:
    /// statx(2) with `STATX_DIOALIGN`.
    pub fn direct_alignment(&self) -> Result<Option<(u32, u32)>> {
        let (mut memory, mut offset) = (0, 0);
        // SAFETY: both pointers are to locals that outlive the call.
        check("statx", unsafe { sys::shim_direct_alignment(self.raw(), &mut memory, &mut offset) })?;
        Ok((memory != 0 && offset != 0).then_some((memory, offset)))
    }

    /// The file system this file is on: fstatfs(2).
    pub fn file_system(&self) -> Result<FileSystem> {
        let mut fs = FileSystem { magic: 0, block: 0, blocks: 0, available: 0 };
        let FileSystem { magic, block, blocks, available } = &mut fs;
        // SAFETY: all pointers are to fields of a local that outlives the call.
        check("fstatfs", unsafe { sys::shim_file_system(self.raw(), magic, block, blocks, available) })?;
        Ok(fs)
    }
}
