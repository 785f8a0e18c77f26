//! What a run may leave behind, and processes that belong to it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Every process of a run has this in its environment.
pub(crate) const MARK: &str = "FOLIOFUZZ_TEST_RUN";

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
