//! `--mkfs`: file systems made for one run.

use super::{Result, trouble};
use clap::Args;
use foliofuzz::place::Place;
use mounts::{Medium, Mkfs, Mount, Recipe};
use oracle::TargetError;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Several file systems are asked for by several `--mkfs`. The arguments for a mkfs are in the same word, so that it is
/// never in question whose they are; those behind `--` are for the frequent case of one file system.
#[derive(Args)]
pub(super) struct Making {
    /// Make a file system for this run and test it: xfs, ext4, btrfs or tmpfs, and what its mkfs is to be told, as in
    /// --mkfs 'xfs -b size=1k'; repeatable; needs root, leaves nothing behind
    #[arg(long, value_name = "FS", group = "real")]
    mkfs: Vec<Mkfs>,
    /// With --mkfs: what it is made on: loop is memory behind a loop device, zram is compressed memory, and a path that
    /// of a block device. Once for every --mkfs, or once for all [default: loop]
    #[arg(long, value_name = "loop|zram|DEVICE", requires = "mkfs")]
    on: Vec<Medium>,
    /// With --mkfs: how large, in bytes or as 600M or 2G; memory is taken as it is written to
    #[arg(long, value_name = "SIZE", requires = "mkfs", value_parser = bytes, default_value = "512M")]
    size: u64,
    /// With --on DEVICE: overwrite what that device carries
    #[arg(long, value_name = "DEVICE", requires = "on")]
    yes_destroy: Vec<PathBuf>,
    /// With one --mkfs: what its mkfs is to be told, as in --mkfs xfs -- -b size=1k
    #[arg(last = true, value_name = "ARGUMENT", requires = "mkfs")]
    mkfs_arguments: Vec<String>,
}

impl Default for Making {
    fn default() -> Making {
        let size = Recipe::DEFAULT_SIZE_BYTES;
        Making { mkfs: Vec::new(), on: Vec::new(), size, yes_destroy: Vec::new(), mkfs_arguments: Vec::new() }
    }
}

/// A number of bytes, with K, M or G for powers of 1024.
fn bytes(text: &str) -> std::result::Result<u64, String> {
    let (digits, shift) = match text.trim_end_matches(['k', 'K', 'm', 'M', 'g', 'G']) {
        digits if digits.len() == text.len() => (digits, 0),
        digits if digits.len() + 1 < text.len() => (text, 0),
        digits => (
            digits,
            ["k", "m", "g"].iter().position(|unit| text.to_lowercase().ends_with(unit)).map_or(0, |n| 10 * (n + 1)),
        ),
    };
    let number = digits.parse().ok().and_then(|number: u64| number.checked_mul(1 << shift));
    number.filter(|number| *number > 0).ok_or_else(|| "a number of bytes, or a number with K, M or G".to_owned())
}

impl Making {
    /// How many file systems are to be made.
    pub(super) fn count(&self) -> usize {
        self.mkfs.len()
    }

    /// Makes and mounts them all. They are gone when the places are.
    pub(super) fn places(&self) -> Result<Vec<Place>> {
        let program = std::env::current_exe().map_err(|error| trouble("the path of this program", error))?;
        let make = |recipe| {
            let mut keeper = Command::new(&program);
            keeper.arg("keeper");
            let mount = Mount::make(keeper, recipe).map_err(|trouble| TargetError::new(trouble.to_string()))?;
            Ok(Place::Made(Arc::new(mount)))
        };
        self.recipes()?.into_iter().map(make).collect()
    }

    fn recipes(&self) -> Result<Vec<Recipe>> {
        let count = self.mkfs.len();
        if count > 1 && !self.mkfs_arguments.is_empty() {
            return Err(TargetError::new(format!(
                "what is behind -- may be for any of {count} file systems: write it into --mkfs, as in --mkfs 'xfs -b \
                 size=1k'"
            )));
        }
        if self.on.len() > 1 && self.on.len() != count {
            let ons = self.on.len();
            let sentence =
                format!("--on {ons} times for {count} --mkfs: say it once for all, or once for each of them");
            return Err(TargetError::new(sentence));
        }
        let on = |number: usize| self.on.get(number).or(self.on.first()).unwrap_or(&Medium::Loop);
        self.refuse_twice((0..count).map(on))?;
        let recipe = |(number, mkfs): (usize, &Mkfs)| {
            let mut mkfs = mkfs.clone();
            mkfs.arguments.extend(self.mkfs_arguments.iter().cloned());
            let on = on(number).clone();
            let overwrite = if let Medium::Device(device) = &on { self.may_destroy(device) } else { false };
            Recipe { mkfs, on, size_bytes: self.size, overwrite }
        };
        Ok(self.mkfs.iter().enumerate().map(recipe).collect())
    }

    /// One device is for one file system, and what may be destroyed is one of them.
    fn refuse_twice<'a>(&self, media: impl Iterator<Item = &'a Medium>) -> Result<()> {
        let mut devices: Vec<PathBuf> = Vec::new();
        for medium in media {
            let Medium::Device(device) = medium else { continue };
            let name = device.display();
            if devices.contains(&real(device)) {
                return Err(TargetError::new(format!("{name} is for one file system: say --on once for each --mkfs")));
            }
            devices.push(real(device));
        }
        self.yes_destroy.iter().find(|device| !devices.contains(&real(device))).map_or(Ok(()), |device| {
            Err(TargetError::new(format!("--yes-destroy {0} is about no device of --on", device.display())))
        })
    }

    fn may_destroy(&self, device: &Path) -> bool {
        self.yes_destroy.iter().any(|named| real(named) == real(device))
    }
}

/// The device itself: it may have been named by one of its links.
fn real(device: &Path) -> PathBuf {
    device.canonicalize().unwrap_or_else(|_| device.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!([bytes("4096"), bytes("600M"), bytes("2g")], [Ok(4096), Ok(600 << 20), Ok(2 << 30)]);
        for bad in ["", "M", "0", "1KM", "1.5G", "-1", "99999999999999G"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
        assert_eq!(Making::default().size, bytes("512M").unwrap());
    }
}
