//! How often the kernel passed a tracepoint.

use mounts::Mount;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Counts one tracepoint on one device, in an instance of tracefs of its own.
pub(crate) struct Tracepoint {
    instance: PathBuf,
}

const TRACEFS: &str = "/sys/kernel/tracing";

impl Tracepoint {
    /// `event` is a path below `events`. The error is a kernel that has no such tracepoint; all else is a panic.
    pub(crate) fn on(mount: &Mount, event: &str) -> Result<Tracepoint, String> {
        if !fs::read_to_string("/proc/filesystems").unwrap().contains("\ttracefs\n") {
            return Err("this kernel has no tracefs".to_owned());
        }
        // The mounts are the keeper's and go with it.
        let status = Command::new("mount").args(["-t", "tracefs", "nodev", TRACEFS]).status().expect("mount is there");
        assert!(status.success(), "tracefs cannot be mounted");
        if !Path::new(TRACEFS).join("events").join(event).exists() {
            return Err(format!("this kernel has no tracepoint {event}"));
        }
        let instance = format!("{TRACEFS}/instances/foliofuzz-{}", std::process::id());
        fs::create_dir(&instance).unwrap();
        let tracepoint = Tracepoint { instance: instance.into() };
        let device = mount.device().expect("xfs is on a device").file_name().unwrap();
        let numbers = fs::read_to_string(Path::new("/sys/class/block").join(device).join("dev")).unwrap();
        let (major, minor) = numbers.trim().split_once(':').unwrap();
        let device = (major.parse::<u32>().unwrap() << 20) | minor.parse::<u32>().unwrap();
        let event = tracepoint.instance.join("events").join(event);
        fs::write(event.join("filter"), format!("dev == {device}")).unwrap();
        fs::write(event.join("enable"), "1").unwrap();
        Ok(tracepoint)
    }

    /// How often it was passed since the last time this was asked.
    pub(crate) fn passed(&self) -> usize {
        let trace = self.instance.join("trace");
        let lines = fs::read_to_string(&trace).unwrap();
        fs::write(&trace, "").unwrap();
        lines.lines().filter(|line| !line.starts_with('#')).count()
    }
}

impl Drop for Tracepoint {
    fn drop(&mut self) {
        let removed = fs::remove_dir(&self.instance);
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}
