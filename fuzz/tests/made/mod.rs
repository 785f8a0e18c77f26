//! Runs with file systems of their own: their directory, their processes, and what they may leave behind.

use ffi::LoopDevice;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub(crate) const FOLIOFUZZ: &str = env!("CARGO_BIN_EXE_foliofuzz");
/// Every process of a run has this in its environment.
const MARK: &str = "FOLIOFUZZ_TEST_RUN";

/// What can be left behind: mounts, loop devices with their images, zram devices, cgroups and files with our name,
/// temporary files.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    mounts: String,
    devices: BTreeSet<String>,
    files: BTreeSet<PathBuf>,
}

fn entries(dir: impl AsRef<Path>) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn device(block: PathBuf) -> Option<String> {
    let image = std::fs::read_to_string(block.join("loop/backing_file")).ok();
    let zram = name(&block).starts_with("zram").then(|| std::fs::read_to_string(block.join("disksize")).ok()).flatten();
    image.or(zram).map(|what| format!("{} {}", name(&block), what.trim()))
}

impl State {
    /// As it is now; `temporary` is the directory for temporary files of the runs.
    pub(crate) fn now(temporary: &Path) -> State {
        let cgroups = || entries("/sys/fs/cgroup").filter(|path| path.is_dir()).flat_map(entries);
        let places = ["/dev/shm", "/run", "/mnt"].into_iter().flat_map(entries);
        let ours = places.chain(cgroups()).filter(|path| name(path).contains("foliofuzz"));
        State {
            mounts: std::fs::read_to_string("/proc/self/mounts").unwrap(),
            devices: entries("/sys/block").filter_map(device).collect(),
            files: entries(temporary).chain(ours).collect(),
        }
    }
}

/// The processes of the run with this mark, and their command lines.
pub(crate) fn processes(mark: &str) -> Vec<(u32, String)> {
    let text = |path: PathBuf| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "));
    let variable = format!("{MARK}={mark} ");
    let of_run = |path: PathBuf| {
        let id = name(&path).parse().ok()?;
        // What is dead already, and not collected yet, has no environment.
        text(path.join("environ")).is_ok_and(|all| all.contains(&variable)).then(|| {
            let line = text(path.join("cmdline")).unwrap_or_default();
            (id, line)
        })
    };
    entries("/proc").filter_map(of_run).collect()
}

/// Waits until no process of the run is there and everything is as it was `before`.
#[track_caller]
pub(crate) fn nothing(mark: &str, temporary: &Path, before: &State, what: &str) {
    let begun = Instant::now();
    loop {
        let (processes, now) = (processes(mark), State::now(temporary));
        if processes.is_empty() && now == *before {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{what} left something behind: processes {processes:?}\nbefore {before:?}\nnow {now:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One test at a time: they look at all that is mounted and attached.
static ALONE: Mutex<()> = Mutex::new(());

/// The directory of a test, with one for temporary files in it.
pub(crate) struct Scratch {
    _alone: MutexGuard<'static, ()>,
    pub(crate) test: &'static str,
    pub(crate) dir: PathBuf,
}

impl Scratch {
    pub(crate) fn new(test: &'static str) -> Scratch {
        let _alone = ALONE.lock();
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("tmp")).unwrap();
        Scratch { _alone, test, dir }
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// This command with these arguments, one word each.
    pub(crate) fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(words).current_dir(&self.dir).env(MARK, self.test).env("TMPDIR", self.temporary());
        command
    }

    pub(crate) fn foliofuzz(&self, words: &[&str]) -> Output {
        self.command(FOLIOFUZZ, words).output().unwrap()
    }

    /// A short run without the model that has to agree. What it said.
    #[track_caller]
    pub(crate) fn agrees(&self, words: &[&str]) -> serde_json::Value {
        let run = ["run", "--json", "--no-model", "--seed", "1"];
        let output = self.foliofuzz(&[&run, words].concat());
        assert_eq!(output.status.code(), Some(0), "{words:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A command that is refused in one line.
    #[track_caller]
    pub(crate) fn refused(&self, mut command: Command) -> String {
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{command:?}: {said}");
        said.trim_end().strip_prefix("foliofuzz: ").unwrap_or(&said).to_owned()
    }

    /// An empty block device over a file that is nowhere.
    pub(crate) fn device(&self) -> (LoopDevice, String) {
        let image = self.dir.join("image");
        let file = File::options().create_new(true).read(true).write(true).open(&image).unwrap();
        std::fs::remove_file(&image).unwrap();
        file.set_len(400 << 20).unwrap();
        let device = LoopDevice::attach(&file).unwrap();
        let path = format!("/dev/loop{}", device.number);
        (device, path)
    }
}
