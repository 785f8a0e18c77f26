//! A block device somebody named: whether it may be overwritten.

use crate::keeper::Parent;
use crate::{Trouble, mkfs, trouble};
use rustix::fs::{OFlags, major, minor};
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Refuses a device that is no block device or in use, and, unless it may be overwritten, one that carries anything
/// blkid(8) knows.
pub(crate) fn check(device: &Path, overwrite: bool, parent: &mut Parent) -> Result<(), Trouble> {
    let name = device.display();
    let meta = fs::metadata(device).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Trouble::new(format!("{name} does not exist: name a block device with --on")),
        _ => trouble(device.display(), error),
    })?;
    if !meta.file_type().is_block_device() {
        return Err(Trouble::new(format!(
            "{name} is not a block device: name one with --on, or a directory with --dir"
        )));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| trouble("/proc/self/mountinfo", error))?;
    if let Some(place) = mounted_at(&mounts, meta.rdev()) {
        return Err(Trouble::new(format!("{name} is mounted on {place}: unmount it first or name another device")));
    }
    drop(open_alone(device).map_err(|error| match error.kind() {
        ErrorKind::ResourceBusy => Trouble::new(format!(
            "{name} is in use, mounted elsewhere, as swap space or as a part of another device: free it first or name \
             another device"
        )),
        _ => trouble(device.display(), error),
    })?);
    if overwrite {
        return Ok(());
    }
    carried(device, parent)?.map_or(Ok(()), |what| {
        Err(Trouble::new(format!("{name} carries {what}: if that may be lost, say --yes-destroy {name}")))
    })
}

/// Succeeds only if nobody else has claimed the device: open(2), `O_EXCL` without `O_CREAT`.
pub(crate) fn open_alone(device: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(OFlags::EXCL.bits() as i32).open(device)
}

/// Where a device is mounted: proc_pid_mountinfo(5).
fn mounted_at(mountinfo: &str, device: u64) -> Option<&str> {
    let number = format!("{}:{}", major(device), minor(device));
    mountinfo.lines().find_map(|line| {
        let mut fields = line.split(' ');
        (fields.nth(2)? == number).then(|| fields.nth(1)).flatten()
    })
}

/// What blkid(8) sees there, in words; none if it is nothing it knows.
fn carried(device: &Path, parent: &mut Parent) -> Result<Option<String>, Trouble> {
    const NOTHING: i32 = 2;
    const SEVERAL: i32 = 8;
    let blkid = mkfs::find("blkid", "util-linux")?;
    let arguments = ["-p".into(), "-o".into(), "export".into(), device.into()];
    let (status, said) =
        mkfs::watch(blkid, &arguments, parent).map_err(|error| Trouble::new(format!("running blkid: {error}")))?;
    let value = |key| said.lines().find_map(|line| line.strip_prefix(key));
    match (status.code(), value("TYPE="), value("PTTYPE=")) {
        (Some(0), Some(kind), _) => Ok(Some(format!("something already ({kind})"))),
        (Some(0), _, Some(kind)) => Ok(Some(format!("a partition table ({kind})"))),
        (Some(0), ..) => Ok(Some("something already".to_owned())),
        (Some(SEVERAL), ..) => Ok(Some("signs of several file systems".to_owned())),
        (Some(NOTHING), ..) => Ok(None),
        _ => Err(Trouble::new(format!("blkid -p {}: {status}, {}", device.display(), said.trim()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::makedev;

    #[test]
    fn mountinfo_says_where_a_device_is_mounted() {
        let text = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                    31 22 7:3 / /mnt/a\\040b rw shared:5 - xfs /dev/loop3 rw\n";
        assert_eq!(mounted_at(text, makedev(7, 3)), Some("/mnt/a\\040b"));
        assert_eq!(mounted_at(text, makedev(254, 0)), Some("/"));
        assert_eq!(mounted_at(text, makedev(7, 0)), None);
    }
}
