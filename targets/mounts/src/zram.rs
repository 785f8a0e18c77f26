//! zram devices, which somebody has to remove.

use crate::{Trouble, trouble, wait_for};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

const CONTROL: &str = "/sys/class/zram-control";

/// A zram device of our own. Dropping it removes it, and waits for that until nobody uses it any more.
pub(crate) struct Zram {
    number: u32,
}

impl Zram {
    pub(crate) fn add(size_bytes: u64) -> Result<Zram, Trouble> {
        let added = fs::read_to_string(format!("{CONTROL}/hot_add")).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Trouble::new("this kernel has no zram: modprobe zram, or leave out --on zram"),
            _ => trouble("adding a zram device", error),
        })?;
        let number = added.trim().parse().map_err(|_| Trouble::new(format!("{CONTROL}/hot_add says {added:?}")))?;
        let zram = Zram { number };
        zram.set("disksize", &size_bytes.to_string()).map_err(|error| trouble("the size of a zram device", error))?;
        if !wait_for(100, || zram.path().exists()) {
            let path = zram.path();
            return Err(Trouble::new(format!("{} did not appear: mount devtmpfs on /dev", path.display())));
        }
        Ok(zram)
    }

    pub(crate) fn path(&self) -> PathBuf {
        format!("/dev/zram{}", self.number).into()
    }

    fn set(&self, attribute: &str, value: &str) -> std::io::Result<()> {
        fs::write(format!("/sys/block/zram{}/{attribute}", self.number), value)
    }

    fn try_remove(&self) -> std::io::Result<()> {
        self.set("reset", "1")?;
        fs::write(format!("{CONTROL}/hot_remove"), self.number.to_string())
    }
}

impl Drop for Zram {
    fn drop(&mut self) {
        // Busy as long as a process has a file open there. One that hangs in the kernel does so for ever, perhaps;
        // as long this process stays, as there is nobody else who knows whose device it is.
        let pauses_ms = [2, 5, 10, 20, 50, 100, 200].into_iter().chain(std::iter::repeat(1000));
        for pause in pauses_ms {
            if self.try_remove().is_ok() || !fs::exists(format!("/sys/block/zram{}", self.number)).unwrap_or(true) {
                return;
            }
            sleep(Duration::from_millis(pause));
        }
    }
}
