//! Mount namespaces and loop devices.

use crate::error::{Result, check};
use crate::sys;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// Gives the calling thread mounts of its own: unshare(2) with `CLONE_NEWNS`, then mount(2) with
/// `MS_REC | MS_SLAVE`. They end with the last thread and process that has them. Needs `CAP_SYS_ADMIN`.
pub fn unshare_mounts() -> Result<()> {
    // SAFETY: no pointers; the calling thread sees other mounts and shares its working directory with nobody.
    check("unshare", unsafe { sys::shim_unshare_mounts() }).map(drop)
}

/// Gives the calling thread the mounts of another one, whose `/proc/PID/ns/mnt` is `namespace`: setns(2). Its working
/// directory is the root there. Needs `CAP_SYS_ADMIN`.
pub fn enter_mounts(namespace: &File) -> Result<()> {
    // SAFETY: no pointers; the descriptor is open.
    check("setns", unsafe { sys::shim_enter_mounts(namespace.as_raw_fd()) }).map(drop)
}

/// Writes what is cached of a block device and dirty, and drops what is cached and unused: `BLKFLSBUF`. Needs
/// `CAP_SYS_ADMIN`.
pub fn forget_cached(device: &File) -> Result<()> {
    // SAFETY: no pointers; the descriptor is open.
    check("BLKFLSBUF", unsafe { sys::shim_forget_cached(device.as_raw_fd()) }).map(drop)
}

/// A loop device over a file. It is free again when this value and everybody else who has it open are gone, however
/// that came: loop(4), `LO_FLAGS_AUTOCLEAR`.
#[derive(Debug)]
pub struct LoopDevice {
    /// The N of `/dev/loopN`.
    pub number: u32,
    _open: OwnedFd,
}

impl LoopDevice {
    /// Puts the next free loop device over `image`. Needs Linux 5.8 and root.
    pub fn attach(image: impl AsFd) -> Result<LoopDevice> {
        let mut number = 0;
        // SAFETY: the descriptor is open, and the pointer is to a local that outlives the call.
        let answer = unsafe { sys::shim_loop_attach(image.as_fd().as_raw_fd(), &mut number) };
        let fd = check("LOOP_CONFIGURE", answer)? as i32;
        // SAFETY: the shim has just opened this descriptor, and nobody else has it.
        Ok(LoopDevice { number, _open: unsafe { OwnedFd::from_raw_fd(fd) } })
    }
}
