//! Running mkfs.

use crate::Trouble;
use crate::keeper::Parent;
use crate::recipe::{Maker, Recipe};
use rustix::fs::{MemfdFlags, memfd_create};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Where these programs are, whatever the user's `PATH` says.
const SYSTEM_PATH: &str = "/usr/sbin:/sbin:/usr/local/sbin";

/// The path of a program, or what to install.
pub(crate) fn find(program: &str, package: &str) -> Result<PathBuf, Trouble> {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":");
    path.push(SYSTEM_PATH);
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file());
    found.ok_or_else(|| {
        Trouble::new(format!(
            "{program} is not installed: it comes with the package {package} (apt-get install {package})"
        ))
    })
}

/// Nothing but `--on` names a device: what is there would be lost without a question.
pub(crate) fn refuse_devices(arguments: &[String]) -> Result<(), Trouble> {
    let is_device = |word: &str| {
        let by_tag = ["UUID", "LABEL", "PARTUUID", "PARTLABEL"].contains(&word);
        by_tag || fs::metadata(word).is_ok_and(|meta| meta.file_type().is_block_device())
    };
    let mut words = arguments.iter().flat_map(|argument| argument.split(['=', ',']));
    words.find(|word| is_device(word)).map_or(Ok(()), |word| {
        Err(Trouble::new(format!("the arguments for mkfs name a device with {word}: only --on may name one")))
    })
}

/// Makes the file system on `device`. Ends early, with an error that nobody hears, if the parent does.
pub(crate) fn run(maker: &Maker, recipe: &Recipe, device: &Path, parent: &mut Parent) -> Result<(), Trouble> {
    let force = !matches!(recipe.on, crate::Medium::Device(_)) || recipe.overwrite;
    let mut arguments = vec![OsString::from("-q")];
    arguments.extend(force.then(|| maker.force.into()));
    arguments.extend(recipe.mkfs.arguments.iter().map(OsString::from));
    arguments.push(device.into());
    let (status, said) = watch(find(maker.program, maker.package)?, &arguments, parent)
        .map_err(|error| Trouble::new(format!("running {}: {error}", maker.program)))?;
    if status.success() {
        return Ok(());
    }
    // How it would have to be called is a screen full.
    let lines = said.lines().map(str::trim).take_while(|line| !line.to_lowercase().starts_with("usage"));
    let said = lines.filter(|line| !line.is_empty()).take(3).collect::<Vec<_>>().join("; ");
    let arguments = arguments.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    Err(Trouble::new(format!("{} {arguments} failed, change its arguments or --size: {said}", maker.program)))
}

/// What a program that may take its time said on standard error, and how it ended. It is killed when the parent ends.
pub(crate) fn watch(
    program: PathBuf,
    arguments: &[OsString],
    parent: &mut Parent,
) -> std::io::Result<(ExitStatus, String)> {
    // A file in memory takes all that is said; a pipe would have to be read meanwhile.
    let mut said = File::from(memfd_create("foliofuzz-said", MemfdFlags::CLOEXEC)?);
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said.try_clone()?);
    let mut child = command.spawn()?;
    let status = loop {
        if parent.is_gone() {
            child.kill()?;
            break child.wait()?;
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
    };
    said.rewind()?;
    let mut bytes = Vec::new();
    said.read_to_end(&mut bytes)?;
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_may_not_name_devices() {
        let refused = |line: &str| {
            let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            refuse_devices(&arguments).is_err()
        };
        assert!(!refused("-b size=1k -m reflink=0,crc=1 -L UUIDs"));
        assert!(refused("-J device=UUID=3e6be9de-8139-11d1-9106-a43f08d823a6"));
        let mut devices = fs::read_dir("/sys/block").into_iter().flatten().flatten();
        let there =
            devices.find_map(|entry| Some(Path::new("/dev").join(entry.file_name())).filter(|dev| dev.exists()));
        if let Some(device) = there {
            assert!(refused(&format!("-l logdev={},size=64m", device.display())));
            assert!(refused(&device.display().to_string()));
        }
    }

    #[test]
    fn a_program_that_is_missing_is_named_with_its_package() {
        let message = find("mkfs.foliofuzz", "foliofuzz-progs").unwrap_err().to_string();
        assert!(message.starts_with("mkfs.foliofuzz is not installed: it comes with the package foliofuzz-progs"));
    }
}
