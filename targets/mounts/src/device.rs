//! What a file system is made on, from the moment it is there until it is free again.

use crate::keeper::Parent;
use crate::recipe::{FileSystem, Medium, Recipe};
use crate::zram::Zram;
use crate::{Trouble, named, system, trouble, wait_for};
use ffi::LoopDevice;
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub(crate) enum Device {
    /// tmpfs needs none.
    Memory,
    Loop(LoopDevice),
    Zram(Zram),
    Named(PathBuf),
}

/// How long a device is waited for whose file system is unmounted, turns of 10 ms.
const PATIENCE: u32 = 500;

impl Device {
    pub(crate) fn get(recipe: &Recipe, parent: &mut Parent) -> Result<Device, Trouble> {
        match (recipe.mkfs.file_system, &recipe.on) {
            (FileSystem::Tmpfs, Medium::Loop) => Ok(Device::Memory),
            (FileSystem::Tmpfs, on) => Err(Trouble::new(format!("tmpfs is memory: leave out --on {on}"))),
            (_, Medium::Loop) => attach(recipe.size_bytes).map(Device::Loop),
            (_, Medium::Zram) => Zram::add(recipe.size_bytes).map(Device::Zram),
            (_, Medium::Device(path)) => {
                named::check(path, recipe.overwrite, parent).map(|()| Device::Named(path.clone()))
            }
        }
    }

    pub(crate) fn path(&self) -> Option<PathBuf> {
        match self {
            Device::Memory => None,
            Device::Loop(device) => Some(format!("/dev/loop{}", device.number).into()),
            Device::Zram(device) => Some(device.path()),
            Device::Named(path) => Some(path.clone()),
        }
    }

    /// Gives it back and waits until it is free, so that whoever waits for this process finds nothing left.
    pub(crate) fn free(self) {
        match self {
            Device::Memory => {}
            Device::Loop(device) => {
                let image = format!("/sys/block/loop{}/loop/backing_file", device.number);
                drop(device);
                wait_for(PATIENCE, || !Path::new(&image).exists());
            }
            Device::Zram(device) => drop(device),
            Device::Named(path) => drop(wait_for(PATIENCE, || named::open_alone(&path).is_ok())),
        }
    }
}

/// A loop device over memory that has no name and goes with its last user. It takes no more than is written to it.
fn attach(size_bytes: u64) -> Result<LoopDevice, Trouble> {
    let image =
        memfd_create("foliofuzz", MemfdFlags::CLOEXEC).map_err(|error| trouble("memory for an image", error))?;
    let image = File::from(image);
    image.set_len(size_bytes).map_err(|error| trouble("memory for an image", error))?;
    LoopDevice::attach(&image).map_err(|error| {
        let error = system(error);
        // ENODEV, ENXIO, ENOTTY have no kind of their own.
        let missing = error.kind() == ErrorKind::NotFound || [6, 19, 25].contains(&error.raw_os_error().unwrap_or(0));
        match (missing, error.kind()) {
            (true, _) => Trouble::new("this kernel has no loop devices: modprobe loop, or say --on zram"),
            (_, ErrorKind::InvalidInput) => {
                Trouble::new("loop devices of this kernel cannot detach themselves: that takes Linux 5.8, or --on zram")
            }
            _ => trouble("a loop device", error),
        }
    })
}
