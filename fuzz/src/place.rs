//! Where a file system under test is.

use mounts::{Medium, Mount, Recipe, Restart};
use oracle::TargetError;
use std::fmt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A directory on the file system to be tested.
#[derive(Clone, Debug)]
pub enum Place {
    /// One that somebody named.
    Dir(PathBuf),
    /// That of a file system made for this run. It is there as long as somebody has this.
    Made(Arc<Mount>),
}

impl Place {
    /// The directory, as seen by those who have entered the namespace, if there is one.
    pub fn dir(&self) -> &Path {
        match self {
            Place::Dir(dir) => dir,
            Place::Made(mount) => mount.dir(),
        }
    }

    /// The mounts to enter first: [`mounts::enter`].
    pub fn namespace(&self) -> Option<&Path> {
        match self {
            Place::Dir(_) => None,
            Place::Made(mount) => Some(mount.namespace()),
        }
    }

    /// The name of the file system, if it was made for this run.
    pub fn made(&self) -> Option<&'static str> {
        match self {
            Place::Dir(_) => None,
            Place::Made(mount) => Some(mount.recipe().mkfs.file_system.name()),
        }
    }

    /// The device it was made on, if it was made on one.
    pub fn device(&self) -> Option<&Path> {
        match self {
            Place::Dir(_) => None,
            Place::Made(mount) => mount.device(),
        }
    }

    /// Has the file system unmounted and mounted again: [`Mount::restart`].
    pub(crate) fn restart(&self, patience: Duration) -> Result<Restart, TargetError> {
        match self {
            Place::Dir(dir) => Err(TargetError::new(format!("{} is not ours to unmount", dir.display()))),
            Place::Made(mount) => mount.restart(patience).map_err(|trouble| TargetError::new(trouble.to_string())),
        }
    }

    /// Runs `work` in the directory, in a thread of its own if that takes other mounts.
    pub fn inside<R: Send>(&self, work: impl FnOnce(&Path) -> Result<R, TargetError> + Send) -> Result<R, TargetError> {
        let Place::Made(mount) = self else { return work(self.dir()) };
        let entered = || {
            mount.enter().map_err(|trouble| TargetError::new(trouble.to_string()))?;
            work(mount.dir())
        };
        thread::scope(|scope| scope.spawn(entered).join()).unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// The options that name the same place on the command line. They never say that something may be overwritten.
    pub fn options(&self) -> String {
        let mount = match self {
            Place::Dir(dir) => return format!("--dir {}", dir.display()),
            Place::Made(mount) => mount,
        };
        let Recipe { mkfs, on, size_bytes, .. } = mount.recipe();
        let mkfs = if mkfs.arguments.is_empty() { mkfs.to_string() } else { format!("'{mkfs}'") };
        let on = if *on == Medium::Loop { String::new() } else { format!(" --on {on}") };
        let usual = matches!(mount.recipe().on, Medium::Device(_)) || *size_bytes == Recipe::DEFAULT_SIZE_BYTES;
        let size = if usual { String::new() } else { format!(" --size {size_bytes}") };
        format!("--mkfs {mkfs}{on}{size}")
    }

    /// What it is, if its file system calls itself so.
    pub(crate) fn about(&self, file_system: &str) -> String {
        let Place::Made(mount) = self else { return file_system.to_owned() };
        let size = mount.recipe().size_bytes >> 20;
        match (&mount.recipe().on, mount.device()) {
            (Medium::Device(device), _) => format!("made on {}", device.display()),
            (_, Some(device)) => format!("made on {}, {size} MiB of memory", device.display()),
            (_, None) => format!("made of {size} MiB of memory"),
        }
    }

    /// An error of ours there. The directory of a made file system is not one that the user knows.
    pub(crate) fn trouble(&self, message: String) -> TargetError {
        match self {
            Place::Dir(_) => TargetError::new(message),
            Place::Made(mount) => {
                TargetError::new(format!("{self} of --mkfs, mounted on {}: {message}", mount.dir().display()))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Dir(dir) => dir.display().fmt(f),
            Place::Made(mount) => mount.recipe().fmt(f),
        }
    }
}
