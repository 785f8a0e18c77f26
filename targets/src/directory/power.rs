//! Crashes of a file system that was made for the test.
//!
//! It is shut down by its own system call, which saves as much as [`Loss`] says; then everything of it is closed, and
//! whoever has made it unmounts it and mounts it again. The file has a name here: by that it is found afterwards.

use super::{DirectoryTarget, trouble};
use ffi::{File, Mapping, Shutdown};
use oracle::{Errno, Loss, OpId, Outcome, Target, TargetError};
use std::ops::Deref;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who has made the file system, and can unmount it and mount it again.
pub trait Restart: Send {
    /// Does that; nobody has a file open there. The inner error is that the file system did not come up: what mount(2)
    /// answered, and what there is to say about it. A new one is there in its place then.
    ///
    /// # Errors
    /// If it could not be tried, or there is no file system now.
    fn restart(&mut self) -> Result<Result<(), (Errno, String)>, TargetError>;
}

/// A file system that was made for the test.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// What it calls itself.
    pub file_system: &'a str,
    /// The block device it is on; none for tmpfs.
    pub device: Option<&'a Path>,
}

impl Made<'_> {
    /// What stat(2) has for files on it, where it is one that can be shut down.
    fn number(&self) -> Option<u64> {
        let device = self.device.filter(|_| CAN_STOP.contains(&self.file_system))?;
        std::fs::metadata(device).ok().map(|meta| meta.rdev())
    }
}

/// A file, but for the time in which its file system is down.
pub(super) struct Open(Option<File>);

impl Open {
    pub(super) fn new(file: File) -> Open {
        Open(Some(file))
    }
}

impl Deref for Open {
    type Target = File;

    fn deref(&self) -> &File {
        self.0.as_ref().expect("start has opened it")
    }
}

/// What a file system that can crash needs besides.
pub(super) struct Power {
    restart: Box<dyn Restart>,
    path: PathBuf,
    /// The number of its device, if it can be shut down.
    device: Option<u64>,
    /// Its block size, bytes.
    unit: u64,
    evidence: Option<String>,
}

/// The file systems that can be shut down.
const CAN_STOP: [&str; 2] = ["xfs", "ext4"];

/// The name of the file; it is in nobody else's way on a file system of our own.
const NAME: &str = "foliofuzz.dat";

impl Power {
    pub(super) fn unit(&self) -> Option<u64> {
        self.device.map(|_| self.unit)
    }

    /// Whether the file is on the file system that was made. What is under the mount point may be anybody's.
    fn is_ours(&self, file: &File) -> bool {
        let number = || std::fs::File::from(file.as_fd().try_clone_to_owned()?).metadata().map(|meta| meta.dev());
        self.device.is_some() && number().ok() == self.device
    }

    pub(super) fn evidence(&self) -> Option<String> {
        self.evidence.clone()
    }

    /// A new file under the name, which is on the device when this returns.
    fn create(&self) -> ffi::Result<File> {
        const ENOENT: i32 = 2;
        match File::unlink(&self.path) {
            Err(error) if error.errno != ENOENT => return Err(error),
            _ => {}
        }
        let file = File::create(&self.path)?;
        file.fsync()?;
        Ok(file)
    }
}

impl Drop for Power {
    fn drop(&mut self) {
        // On a device that somebody named the file system stays, as empty as it was made.
        let _ = File::unlink(&self.path);
    }
}

impl DirectoryTarget {
    /// As [`DirectoryTarget::new`], on a file system that was made for the test and is mounted on `dir`: it can crash
    /// if it is one that can be shut down, xfs or ext4.
    ///
    /// # Errors
    /// As there, and if another file system is mounted on `dir`.
    pub fn made(dir: &Path, made: Made<'_>, restart: Box<dyn Restart>) -> Result<DirectoryTarget, TargetError> {
        let trouble = |error| trouble::at_start(dir, error);
        let mut restart = restart;
        let probe = match File::nameless(dir) {
            // Whoever was here before was killed between two steps of a crash.
            Err(error) if Errno(error.errno) == Errno::EIO => {
                drop(restart.restart()?);
                File::nameless(dir)
            }
            other => other,
        };
        let probe = probe.map_err(trouble)?;
        let found = probe.file_system().map_err(trouble)?;
        let power = Power { restart, path: dir.join(NAME), device: made.number(), unit: found.block, evidence: None };
        if found.name() != made.file_system || power.device.is_some() && !power.is_ours(&probe) {
            let (dir, made) = (dir.display(), made.file_system);
            return Err(TargetError::new(format!("the {made} that was made is not mounted on {dir} any more")));
        }
        if power.unit().is_none() {
            return DirectoryTarget::on(dir, probe, Some(power));
        }
        let file = power.create().map_err(trouble)?;
        DirectoryTarget::on(dir, file, Some(power))
    }

    /// Why there are no crashes; none if there are.
    pub fn cannot_crash(&self) -> Option<&'static str> {
        match &self.power {
            None => Some("only what --mkfs has made is shut down"),
            Some(power) if power.unit().is_none() => Some("this file system has no call that shuts it down"),
            Some(_) => None,
        }
    }

    /// Stops the file system and starts it again.
    pub(super) fn crash(&mut self, id: OpId) -> Result<Outcome, TargetError> {
        if self.crash_unit().is_none() {
            return Ok(Outcome::Unsupported(Errno::EOPNOTSUPP));
        }
        let how = match Loss::of(id) {
            Loss::Unwritten => Shutdown::NoLogFlush,
            Loss::Data => Shutdown::LogFlush,
            Loss::Nothing => Shutdown::Flush,
        };
        if !self.power.as_ref().is_some_and(|power| power.is_ours(&self.file)) {
            let dir = self.dir.display();
            return Err(TargetError::new(format!("what is mounted on {dir} is not ours to shut down")));
        }
        // While the file is open: close(2) may write back.
        if let Err(error) = self.file.shutdown(how) {
            return Ok(self.failed(error, format!("shutting down ({how:?})")));
        }
        let (direct, reach) = (self.direct.is_some(), self.map.as_ref().map(|map| map.len()));
        self.power_down();
        if let Some(failed) = self.power_cycle()? {
            return Ok(failed);
        }
        Ok(match self.come_up(direct, reach) {
            Ok(()) => Outcome::Done,
            Err(error) => self.failed(error, format!("the file after a crash ({how:?})")),
        })
    }

    fn failed(&mut self, error: ffi::Error, what: String) -> Outcome {
        if let Some(power) = &mut self.power {
            power.evidence = Some(format!("{what}: {error}"));
        }
        Outcome::Errno(Errno(error.errno))
    }

    /// Closes everything.
    pub(super) fn power_down(&mut self) {
        (self.map, self.direct, self.file) = (None, None, Open(None));
    }

    /// Has the file system mounted again. What the crash answers if it did not come up.
    pub(super) fn power_cycle(&mut self) -> Result<Option<Outcome>, TargetError> {
        let Some(power) = &mut self.power else { return Ok(None) };
        power.evidence = None;
        Ok(power.restart.restart()?.err().map(|(errno, why)| {
            power.evidence = Some(why);
            Outcome::Errno(errno)
        }))
    }

    fn come_up(&mut self, direct: bool, reach: Option<u64>) -> ffi::Result<()> {
        let Some(power) = &self.power else { return Ok(()) };
        self.file = Open::new(File::open(&power.path)?);
        self.direct = direct.then(|| self.file.reopen(true)).transpose()?;
        self.map = reach.map(|reach| Mapping::shared(&self.file, reach).map(Arc::new)).transpose()?;
        Ok(())
    }

    /// A program begins: makes a new file if the last one was lost.
    pub(super) fn power_up(&mut self) -> Result<(), TargetError> {
        let Some(power) = &mut self.power else { return Ok(()) };
        power.evidence = None;
        if self.file.0.is_some() {
            return Ok(());
        }
        let dir = &self.dir;
        let file = power.create().map_err(|error| trouble::at_start(dir, error))?;
        self.direct = file.reopen(true).ok();
        self.file = Open::new(file);
        Ok(())
    }
}
