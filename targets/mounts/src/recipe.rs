//! What is to be made, and on what.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The file systems that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum FileSystem {
    Xfs,
    Ext4,
    Btrfs,
    Tmpfs,
}

/// The program that makes a file system.
pub(crate) struct Maker {
    pub(crate) program: &'static str,
    /// The Debian package that has it.
    pub(crate) package: &'static str,
    /// Lets it overwrite what is there.
    pub(crate) force: &'static str,
}

impl FileSystem {
    const ALL: [FileSystem; 4] = [FileSystem::Xfs, FileSystem::Ext4, FileSystem::Btrfs, FileSystem::Tmpfs];

    /// As mount(8) has it.
    pub fn name(self) -> &'static str {
        match self {
            FileSystem::Xfs => "xfs",
            FileSystem::Ext4 => "ext4",
            FileSystem::Btrfs => "btrfs",
            FileSystem::Tmpfs => "tmpfs",
        }
    }

    /// None for tmpfs, which is there as soon as it is mounted.
    pub(crate) fn maker(self) -> Option<Maker> {
        let (program, package, force) = match self {
            FileSystem::Xfs => ("mkfs.xfs", "xfsprogs", "-f"),
            FileSystem::Ext4 => ("mkfs.ext4", "e2fsprogs", "-F"),
            FileSystem::Btrfs => ("mkfs.btrfs", "btrfs-progs", "-f"),
            FileSystem::Tmpfs => return None,
        };
        Some(Maker { program, package, force })
    }
}

impl FromStr for FileSystem {
    type Err = String;

    fn from_str(name: &str) -> Result<FileSystem, String> {
        let names = || FileSystem::ALL.map(FileSystem::name).join(", ");
        FileSystem::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| format!("one of {}", names()))
    }
}

/// A file system and the arguments its mkfs gets, in one line with spaces between: `xfs -b size=1k`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mkfs {
    /// The file system.
    pub file_system: FileSystem,
    /// For its mkfs, before the device.
    pub arguments: Vec<String>,
}

impl FromStr for Mkfs {
    type Err = String;

    fn from_str(line: &str) -> Result<Mkfs, String> {
        let (name, arguments) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
        let arguments = arguments.split_whitespace().map(str::to_owned).collect();
        Ok(Mkfs { file_system: name.parse()?, arguments })
    }
}

impl fmt::Display for Mkfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file_system.name())?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

/// What a file system is made on. For tmpfs it is memory in any case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Medium {
    /// Memory behind a loop device.
    Loop,
    /// A new zram device.
    Zram,
    /// A block device that is there.
    Device(PathBuf),
}

impl FromStr for Medium {
    type Err = String;

    fn from_str(text: &str) -> Result<Medium, String> {
        match text {
            "loop" => Ok(Medium::Loop),
            "zram" => Ok(Medium::Zram),
            path if path.starts_with('/') => Ok(Medium::Device(path.into())),
            _ => Err("loop, zram, or the path of a block device, which begins with /".to_owned()),
        }
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Medium::Loop => f.write_str("loop"),
            Medium::Zram => f.write_str("zram"),
            Medium::Device(path) => path.display().fmt(f),
        }
    }
}

/// All that has to be known to make a file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// Which one, and how.
    pub mkfs: Mkfs,
    /// On what.
    pub on: Medium,
    /// How large; a named device is as large as it is.
    pub size_bytes: u64,
    /// Make it on a named device though something is there already.
    pub overwrite: bool,
}

impl Recipe {
    /// Room for all of them: xfs takes at least 300 MiB.
    pub const DEFAULT_SIZE_BYTES: u64 = 512 << 20;
}

impl fmt::Display for Recipe {
    /// What to call it: `xfs -b size=1k on zram`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.on {
            Medium::Loop => write!(f, "{}", self.mkfs),
            on => write!(f, "{} on {on}", self.mkfs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mkfs_has_one_meaning_and_prints_as_it_was() {
        let parsed: Mkfs = "  xfs  -b size=1k ".parse().unwrap();
        assert_eq!((parsed.file_system, parsed.arguments.len()), (FileSystem::Xfs, 2));
        assert_eq!(parsed.to_string(), "xfs -b size=1k");
        assert_eq!(parsed.to_string().parse(), Ok(parsed));
        assert_eq!("ntfs".parse::<Mkfs>(), Err("one of xfs, ext4, btrfs, tmpfs".to_owned()));
        assert!("".parse::<Mkfs>().is_err());
    }

    #[test]
    fn a_medium_is_a_word_or_an_absolute_path() {
        assert_eq!("zram".parse(), Ok(Medium::Zram));
        assert_eq!("/dev/sdb".parse(), Ok(Medium::Device("/dev/sdb".into())));
        assert!("sdb".parse::<Medium>().is_err());
    }
}
