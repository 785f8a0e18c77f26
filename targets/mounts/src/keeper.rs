//! The process that has a mount and gives everything back when its parent is gone.

use crate::device::Device;
use crate::recipe::{FileSystem, Mkfs, Recipe};
use crate::restart::{Restart, kernel_log};
use crate::{NEEDS_ROOT, Trouble, mkfs, system, trouble, wait_for};
use rustix::io::Errno;
use rustix::mount::{FsOpenFlags, MountFlags, UnmountFlags, fsopen, mount, unmount};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write, stdin};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What the keeper answers.
#[derive(Serialize, Deserialize)]
pub(crate) enum Reply {
    Mounted(Place),
    Refused {
        why: String,
    },
    /// To the [`Request`] of this number.
    Restarted {
        number: u64,
        restart: Restart,
    },
    /// To the [`Request`] of this number: there is no file system any more.
    Gone {
        number: u64,
        why: String,
    },
}

/// What the keeper is asked for once the file system is there: to unmount it and to mount it again.
#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    /// The answer has it, too, so that nobody takes one that came too late for his own.
    pub(crate) number: u64,
}

/// Where the file system is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The keeper's mounts, as a path in `/proc`.
    pub(crate) namespace: PathBuf,
    /// The mount point in there.
    pub(crate) dir: PathBuf,
    /// None for tmpfs.
    pub(crate) device: Option<PathBuf>,
}

/// Keeps one mount for the process at the other end of standard input, a socket made by [`crate::Mount::make`].
/// Returns when that process is gone and everything is given back.
///
/// The calling thread gets mounts of its own; so do processes and threads it starts.
pub fn serve() -> Result<(), Trouble> {
    // Whoever is told to stop stops using the mount first. SIGKILL is the exception.
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))
            .map_err(|error| trouble("ignoring signals", error))?;
    }
    let mut parent = Parent::on_standard_input().map_err(|error| trouble("the keeper's standard input", error))?;
    let Some(recipe) = parent.recipe()? else { return Ok(()) };
    match Kept::make(&recipe, &mut parent) {
        Ok((kept, place)) => {
            parent.say(&Reply::Mounted(place));
            while let Some(Request { number }) = parent.request() {
                let reply = match kept.restart(&recipe, &mut parent) {
                    Ok(restart) => Reply::Restarted { number, restart },
                    Err(trouble) => Reply::Gone { number, why: trouble.to_string() },
                };
                parent.say(&reply);
            }
            kept.give_back();
        }
        Err(trouble) => parent.say(&Reply::Refused { why: trouble.to_string() }),
    }
    Ok(())
}

/// The process a mount is kept for.
pub(crate) struct Parent {
    stream: UnixStream,
}

/// How long a look for the parent takes if it is there. It is the turn of everything that waits meanwhile.
const GLANCE: Duration = Duration::from_millis(5);

impl Parent {
    fn on_standard_input() -> std::io::Result<Parent> {
        Ok(Parent { stream: stdin().as_fd().try_clone_to_owned()?.into() })
    }

    /// None if the parent was gone before it said what it wants.
    fn recipe(&mut self) -> Result<Option<Recipe>, Trouble> {
        let mut line = String::new();
        BufReader::new(&self.stream).read_line(&mut line).map_err(|error| trouble("reading a recipe", error))?;
        let parse = |line: &str| serde_json::from_str(line).map_err(|error| trouble("reading a recipe", error));
        if line.ends_with('\n') { parse(&line).map(Some) } else { Ok(None) }
    }

    fn say(&mut self, reply: &Reply) {
        let line = serde_json::to_string(reply).unwrap_or_default();
        // A parent that is gone does not hear it; that shows when it is waited for.
        let _ = writeln!(self.stream, "{line}");
    }

    /// Whether the other end is closed. Says so at once, and that it is not after a moment.
    pub(crate) fn is_gone(&mut self) -> bool {
        let _ = self.stream.set_read_timeout(Some(GLANCE));
        match self.stream.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }

    /// Waits until there is something to do; none if the other end is closed.
    fn request(&mut self) -> Option<Request> {
        let _ = self.stream.set_read_timeout(None);
        let mut line = Vec::new();
        // Byte by byte: there may be another request behind it, if nobody waited for the answer to the last one.
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            match self.stream.read(&mut byte) {
                Ok(1) => line.push(byte[0]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return None,
            }
        }
        serde_json::from_slice(&line).ok()
    }
}

/// Unmounts when dropped, at once for everybody who looks; what is still open keeps the file system alive.
struct MountPoint(PathBuf);

impl Drop for MountPoint {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

/// How long is waited until files are closed, turns of 10 ms. A process that was killed takes a moment.
const PATIENCE: u32 = 300;

/// A mount and what it is on. The mount is dropped first.
struct Kept {
    mounted: MountPoint,
    device: Device,
}

impl Kept {
    /// From the cheap checks to what cannot be taken back.
    fn make(recipe: &Recipe, parent: &mut Parent) -> Result<(Kept, Place), Trouble> {
        ffi::unshare_mounts().map_err(|error| trouble("mounts of our own", system(error)))?;
        let Recipe { mkfs: Mkfs { file_system, arguments }, .. } = recipe;
        let maker = file_system.maker();
        match &maker {
            Some(maker) => {
                mkfs::refuse_devices(arguments)?;
                mkfs::find(maker.program, maker.package)?;
            }
            None if arguments.is_empty() => {}
            None => return Err(Trouble::new(format!("{} has no mkfs: leave out its arguments", file_system.name()))),
        }
        known_to_kernel(*file_system)?;
        let dir = mount_point()?;
        let device = Device::get(recipe, parent)?;
        let path = device.path();
        if let (Some(maker), Some(path)) = (&maker, &path) {
            mkfs::run(maker, recipe, path, parent)?;
        }
        let mounted = mount_on(&dir, recipe, path.as_deref())?;
        let task = rustix::thread::gettid().as_raw_nonzero();
        let namespace = format!("/proc/{}/task/{task}/ns/mnt", std::process::id()).into();
        Ok((Kept { mounted, device }, Place { namespace, dir, device: path }))
    }

    /// Unmounts, and mounts again: the file system recovers from what its log has. If it does not, the same is made
    /// once more in its place. The error is that this did not work either, or that somebody has a file open there.
    fn restart(&self, recipe: &Recipe, parent: &mut Parent) -> Result<Restart, Trouble> {
        let dir = &self.mounted.0;
        let unmounted = || !matches!(unmount(dir, UnmountFlags::empty()), Err(Errno::BUSY));
        if !wait_for(PATIENCE, unmounted) {
            return Err(Trouble::new(format!(
                "{} cannot be unmounted, some process has a file open there",
                recipe.mkfs
            )));
        }
        let path = self.device.path();
        if let Some(path) = &path {
            forget_cached(path)?;
        }
        let Err(errno) = mount_again(dir, recipe, path.as_deref()) else { return Ok(Restart::Up) };
        let log = path.as_deref().map_or_else(String::new, kernel_log);
        if let (Some(maker), Some(path)) = (recipe.mkfs.file_system.maker(), &path) {
            mkfs::run(&maker, recipe, path, parent)?;
        }
        mount_again(dir, recipe, path.as_deref()).map_err(|errno| trouble("mounting a new file system", errno))?;
        Ok(Restart::Refused { errno: errno.raw_os_error(), log })
    }

    fn give_back(self) {
        drop(self.mounted);
        self.device.free();
    }
}

/// fsopen(2) loads the module if there is one. Kernels before 5.2 have no such call: there the mount fails instead.
fn known_to_kernel(file_system: FileSystem) -> Result<(), Trouble> {
    match fsopen(file_system.name(), FsOpenFlags::FSOPEN_CLOEXEC) {
        Err(Errno::NODEV) => Err(not_in_kernel(file_system)),
        Err(Errno::PERM) => Err(Trouble::new(NEEDS_ROOT)),
        _ => Ok(()),
    }
}

fn not_in_kernel(file_system: FileSystem) -> Trouble {
    let name = file_system.name();
    Trouble::new(format!("this kernel has no {name}: load its module (modprobe {name}) or boot a kernel that has it"))
}

/// Drops what is cached of a device. This process has a loop device open, so its cache would outlive the file system:
/// blocks that were changed and never written, which share a page with the superblock for example, would be there again
/// after the crash that lost them.
fn forget_cached(device: &Path) -> Result<(), Trouble> {
    let trouble = |error| trouble(device.display(), error);
    let file = std::fs::File::open(device).map_err(trouble)?;
    ffi::forget_cached(&file).map_err(|error| trouble(system(error)))
}

/// A directory that only this process sees differently.
fn mount_point() -> Result<PathBuf, Trouble> {
    let mut candidates = ["/mnt".into(), std::env::temp_dir()].into_iter();
    candidates.find(|dir| dir.is_dir()).ok_or_else(|| Trouble::new("there is no directory to mount on: make /mnt"))
}

fn mount_again(dir: &Path, recipe: &Recipe, device: Option<&Path>) -> rustix::io::Result<()> {
    let size = CString::new(format!("size={}", recipe.size_bytes)).unwrap_or_default();
    let options = if device.is_none() { Some(size.as_c_str()) } else { None };
    let source = device.unwrap_or(Path::new("foliofuzz"));
    mount(source, dir, recipe.mkfs.file_system.name(), MountFlags::empty(), options)
}

fn mount_on(dir: &Path, recipe: &Recipe, device: Option<&Path>) -> Result<MountPoint, Trouble> {
    let file_system = recipe.mkfs.file_system;
    let mounted = mount_again(dir, recipe, device);
    mounted.map(|()| MountPoint(dir.to_owned())).map_err(|error| match error {
        Errno::NODEV => not_in_kernel(file_system),
        Errno::PERM => Trouble::new(NEEDS_ROOT),
        _ => Trouble::new(format!(
            "this kernel refuses to mount {} ({error}), mostly for what mkfs was asked for: try other arguments, the \
             kernel log says why",
            recipe.mkfs
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_there_until_its_end_of_the_socket_is_closed() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut parent = Parent { stream: ours };
        assert!(!parent.is_gone());
        drop(theirs);
        assert!(parent.is_gone());
        assert!(parent.request().is_none());
        assert!(parent.recipe().unwrap().is_none());
    }

    #[test]
    fn a_file_system_the_kernel_lacks_is_named_with_what_to_do() {
        let expected = "this kernel has no btrfs: load its module (modprobe btrfs) or boot a kernel that has it";
        assert_eq!(not_in_kernel(FileSystem::Btrfs).to_string(), expected);
    }
}
