//! `--mkfs` from outside. These tests need root, zram and loop devices, and the three mkfs.

mod made;
mod steering;
#[path = "../../targets/tests/steering/trace.rs"]
mod trace;

use made::{FOLIOFUZZ, Scratch, State, nothing, processes};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How many times a campaign is killed, if not as often as below.
const KILLS: &str = "FOLIOFUZZ_TEST_KILLS";

#[test]
#[ignore = "needs root"]
fn the_same_programs_run_on_every_file_system_and_nothing_is_left() {
    let scratch = Scratch::new("side-by-side");
    let before = State::now(&scratch.temporary());
    let words =
        ["--programs", "300", "--mkfs", "xfs -b size=1k", "--mkfs", "ext4", "--mkfs", "btrfs", "--mkfs", "tmpfs"];
    let summary = scratch.agrees(&words);
    assert_eq!(State::now(&scratch.temporary()), before, "it was not all given back when the command ended");
    nothing(scratch.test, &scratch.temporary(), &before, "the run");
    let targets = summary["targets"].as_array().unwrap();
    let names: Vec<&str> = targets.iter().map(|target| target["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["xfs -b size=1k", "ext4", "btrfs", "tmpfs"]);
    assert!(targets.iter().all(|target| target["programs"] == 300 && target["ops"].as_u64().unwrap() > 3000));
    assert_eq!(summary["in_common"], 300);

    let zram =
        scratch.agrees(&["--programs", "50", "--mkfs", "ext4", "--mkfs", "xfs", "--on", "zram", "--size", "400M"]);
    assert_eq!(zram["targets"][1]["name"], "xfs on zram");
    assert!(zram["targets"][1]["about"].as_str().unwrap().ends_with("400 MiB of memory"), "{zram}");
    assert_eq!(State::now(&scratch.temporary()), before);
}

/// Several lanes, a thread for each: who runs when is up to the kernel.
#[test]
#[ignore = "needs root"]
fn lanes_on_threads_agree_on_every_file_system() {
    let scratch = Scratch::new("threads");
    let systems = ["xfs", "xfs -b size=1k", "ext4", "ext4 -b 1024", "btrfs", "tmpfs"];
    let mkfs: Vec<&str> = systems.iter().flat_map(|system| ["--mkfs", system]).collect();
    let summary = scratch.agrees(&[&["--threads", "--programs", "500"], &mkfs[..]].concat());
    let targets = summary["targets"].as_array().unwrap();
    assert_eq!(targets.len(), systems.len());
    assert!(
        targets.iter().all(|target| target["programs"] == 500 && target["ops"].as_u64().unwrap() > 3000),
        "{summary}"
    );
}

/// What the seed has of crashes is there on file systems that can be shut down, and only there.
#[test]
#[ignore = "needs root"]
fn programs_with_crashes_agree_on_what_comes_up_again() {
    let scratch = Scratch::new("crashes");
    let before = State::now(&scratch.temporary());
    let kinds = "crash,fsync,write,mapwrite,dwrite,truncate,punch,fallocate";
    let made = ["--mkfs", "xfs", "--mkfs", "ext4 -b 1024", "--mkfs", "btrfs"];
    let words = [&["--programs", "2000", "--seconds", "300", "--ops", kinds], &made[..]].concat();
    let summary = scratch.agrees(&words);
    nothing(scratch.test, &scratch.temporary(), &before, "the run");
    let targets = summary["targets"].as_array().unwrap();
    assert!(targets.iter().all(|target| target["programs"] == 2000), "{summary}");
    let crashes: Vec<u64> = targets.iter().map(|target| target["crashes"].as_u64().unwrap()).collect();
    assert!(crashes[0] > 100 && crashes[0] == crashes[1] && crashes[2] == 0, "{crashes:?}");
    let about = targets[2]["about"].as_str().unwrap();
    assert!(about.ends_with("never crashes (this file system has no call that shuts it down)"), "{about}");
    for target in &targets[..2] {
        println!("{}: {} crashes a second", target["name"], target["crashes_per_second"]);
    }
}

/// What is in the first bytes of a device, which is where file systems begin.
fn beginning(device: &str) -> Vec<u8> {
    let mut bytes = vec![0; 128 << 10];
    File::open(device).unwrap().read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
#[ignore = "needs root"]
fn a_device_that_is_in_use_or_carries_something_is_refused() {
    let scratch = Scratch::new("devices");
    let (_device, path) = scratch.device();
    let run = |more: &[&str]| scratch.command(FOLIOFUZZ, &[&["run", "--no-model", "--on", &path], more].concat());
    let short = ["--programs", "20", "--on", path.as_str()];
    let agrees = |more: &[&str]| scratch.agrees(&[&short, more].concat());
    agrees(&["--mkfs", "xfs"]);

    let left = beginning(&path);
    let refused = |more: &[&str], why: &str| {
        assert_eq!(scratch.refused(run(more)), format!("{path} {why}"));
        assert!(beginning(&path) == left, "a device that is refused is not touched");
    };
    let xfs = format!("carries something already (xfs): if that may be lost, say --yes-destroy {path}");
    refused(&["--mkfs", "ext4"], &xfs);
    refused(&["--mkfs", "ext4", "--mkfs", "xfs"], "is for one file system: say --on once for each --mkfs");
    assert!(scratch.refused(run(&["--mkfs", "ext4", "--yes-destroy", "/dev/null"])).contains("no device of --on"));

    // Nobody may overwrite what is in use.
    let destroy = ["--mkfs", "ext4", "--yes-destroy", &path];
    const O_EXCL: i32 = 0o200;
    let held = OpenOptions::new().read(true).custom_flags(O_EXCL).open(&path).unwrap();
    refused(
        &destroy,
        "is in use, mounted elsewhere, as swap space or as a part of another device: free it first or name another device",
    );
    drop(held);
    std::thread::scope(|scope| {
        let mounted = scope.spawn(|| {
            ffi::unshare_mounts().unwrap();
            assert!(Command::new("mount").args([&path, "/mnt"]).status().unwrap().success());
            let said = scratch.refused(run(&destroy));
            assert_eq!(said, format!("{path} is mounted on /mnt: unmount it first or name another device"));
            assert!(Command::new("umount").arg("/mnt").status().unwrap().success());
        });
        mounted.join().unwrap();
    });
    agrees(&destroy);
    assert_ne!(beginning(&path), left);

    // Neither a partition table nor what follows `--` is overlooked.
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&[0; 128 << 10], 0).unwrap();
    file.write_all_at(&[0x55, 0xaa], 510).unwrap();
    file.write_all_at(&[0x80, 0, 1, 0, 0x83, 0, 2, 0, 1, 0, 0, 0, 0, 8, 0, 0], 446).unwrap();
    drop(file);
    assert!(scratch.refused(run(&["--mkfs", "xfs"])).contains("carries a partition table (dos)"));
    let smuggled = scratch.command(FOLIOFUZZ, &["run", "--mkfs", "btrfs", "--", &path]);
    assert_eq!(
        scratch.refused(smuggled),
        format!("the arguments for mkfs name a device with {path}: only --on may name one")
    );
    let nothing = scratch.command(FOLIOFUZZ, &["run", "--mkfs", "xfs", "--on", "/dev/null"]);
    assert!(scratch.refused(nothing).starts_with("/dev/null is not a block device"));
}

/// A command in which `hide` is done to the mounts first, which nobody else sees.
fn hiding(scratch: &Scratch, hide: &str, words: &[&str]) -> Command {
    let script = format!("{hide} && exec \"$@\"");
    scratch
        .command("unshare", &[&["--mount", "sh", "-c", &script, "sh", FOLIOFUZZ, "run", "--no-model"], words].concat())
}

#[test]
#[ignore = "needs root"]
fn what_is_missing_is_said_in_one_sentence() {
    let scratch = Scratch::new("missing");
    let says = |command: Command, expected: &str| assert_eq!(scratch.refused(command), expected);
    says(
        hiding(&scratch, "mount -t tmpfs none /usr/sbin", &["--mkfs", "btrfs"]),
        "mkfs.btrfs is not installed: it comes with the package btrfs-progs (apt-get install btrfs-progs)",
    );
    says(
        hiding(&scratch, "mount -t tmpfs none /sys/class", &["--mkfs", "xfs", "--on", "zram"]),
        "this kernel has no zram: modprobe zram, or leave out --on zram",
    );
    says(
        hiding(&scratch, "mount --bind /etc/passwd /dev/loop-control", &["--mkfs", "xfs"]),
        "this kernel has no loop devices: modprobe loop, or say --on zram",
    );
    let root = "making and mounting a file system needs root: run this as root, or mount one yourself and name a \
                directory on it with --dir";
    // /tmp/... may be closed to others; a copy in an open place is not.
    let program = std::env::temp_dir().join("foliofuzz-as-nobody");
    std::fs::copy(FOLIOFUZZ, &program).unwrap();
    let nobody = |words: &[&str]| {
        let become_nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
        let mut command = scratch.command("setpriv", &become_nobody);
        command.arg(&program).args(["run", "--no-model"]).args(words).current_dir("/").env("TMPDIR", "/tmp");
        command
    };
    says(nobody(&["--mkfs", "xfs"]), root);
    says(nobody(&["--mkfs", "ext4", "--on", "zram"]), root);
    let without = nobody(&["--programs", "20"]).output().unwrap();
    std::fs::remove_file(&program).unwrap();
    assert_eq!(without.status.code(), Some(0), "a directory needs no root: {without:?}");
    let too_small = scratch.command(FOLIOFUZZ, &["run", "--mkfs", "xfs", "--size", "64M"]);
    assert!(scratch.refused(too_small).contains("change its arguments or --size"));
}

#[test]
#[ignore = "needs root"]
fn files_are_replayed_and_minimized_and_speed_is_measured() {
    let scratch = Scratch::new("files");
    let file = scratch.dir.join("a.folio");
    let program =
        "foliofuzz 1\nexpect agree\n\npage 4096\nblock 4096\nfile_limit 65536\n\nlane 0\n  write off=0 len=1000\n";
    std::fs::write(&file, program).unwrap();
    let file = file.to_str().unwrap();
    for command in ["replay", "minimize"] {
        let output = scratch.foliofuzz(&[command, "--json", "--mkfs", "ext4", file, "--", "-b", "1024"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("\"found\":\"agree\""), "{output:?}");
    }
    let bench = scratch.foliofuzz(&["bench", "--json", "--no-model", "--seconds", "1", "--mkfs", "ext4"]);
    assert_eq!(bench.status.code(), Some(0), "{bench:?}");
    let line: serde_json::Value = serde_json::from_slice(&bench.stdout).unwrap();
    assert_eq!(
        (&line["directories"][0]["dir"], &line["directories"][0]["file_system"]),
        (&"ext4".into(), &"ext4".into())
    );
    let two = scratch.command(FOLIOFUZZ, &["replay", "--mkfs", "ext4", "--mkfs", "xfs", file]);
    assert_eq!(scratch.refused(two), "this runs on one file system at a time: say --mkfs once");
}

/// The model's corpus on the kernel: steered where there is a schedule, otherwise lane after lane.
#[test]
#[ignore = "needs root"]
fn seeds_and_what_once_went_wrong_agree_on_every_file_system() {
    let scratch = Scratch::new("corpus");
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let all = ["seeds", "regressions"].map(|dir| std::fs::read_dir(corpus.join(dir)).unwrap().flatten());
    let files: Vec<PathBuf> = all.into_iter().flatten().map(|entry| entry.path()).collect();
    assert!(files.len() > 60, "{}", files.len());
    for mkfs in ["xfs", "xfs -b size=1k", "ext4", "ext4 -b 1024", "ext4 -b 2048", "btrfs", "tmpfs"] {
        let output = scratch.command(FOLIOFUZZ, &["replay", "--mkfs", mkfs]).args(&files).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{mkfs}: {said}{}", String::from_utf8_lossy(&output.stderr));
        // Below each file stands what became of its schedule.
        assert_eq!(said.lines().filter(|line| !line.starts_with(' ')).count(), files.len(), "{said}");
    }
}

fn campaign(scratch: &Scratch, words: &[&str]) -> Child {
    let run = ["run", "--json", "--no-model", "--seed", "3", "--out", "findings"];
    scratch.command(FOLIOFUZZ, &[&run, words].concat()).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
#[ignore = "needs root"]
fn a_worker_that_dies_is_replaced_on_the_same_mount() {
    let scratch = Scratch::new("replaced");
    let before = State::now(&scratch.temporary());
    let campaign = campaign(&scratch, &["--seconds", "2", "--mkfs", "ext4"]);
    let begun = Instant::now();
    let worker = loop {
        assert!(begun.elapsed() < Duration::from_secs(10), "no worker was started");
        std::thread::sleep(Duration::from_millis(300));
        let found = processes(scratch.test);
        if let Some((worker, _)) = found.iter().find(|(_, line)| line.contains(" worker ")) {
            break *worker;
        }
    };
    assert!(Command::new("sh").args(["-c", &format!("kill -KILL {worker}")]).status().unwrap().success());
    let output = campaign.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [finding, summary] = &lines[..] else { panic!("one finding and a summary: {said}") };
    assert_eq!((&finding["target"], &finding["class"]), (&"ext4".into(), &"panic".into()));
    let programs = summary["targets"][0]["programs"].as_u64();
    assert!(programs > finding["program"].as_u64().map(|number| number + 1), "it did not go on: {said}");
    let reproducer = std::fs::read_to_string(scratch.dir.join(finding["path"].as_str().unwrap())).unwrap();
    assert!(reproducer.contains("# Replay: foliofuzz replay --mkfs ext4 panic-"), "{reproducer}");
    nothing(scratch.test, &scratch.temporary(), &before, "the campaign");
}

/// SIGKILL at any moment: while the keeper starts, during mkfs, at the mount, while programs run.
#[test]
#[ignore = "needs root"]
fn a_campaign_that_is_killed_leaves_nothing_and_the_next_one_works() {
    let scratch = Scratch::new("killed");
    let (_device, path) = scratch.device();
    let before = State::now(&scratch.temporary());
    let named = ["--mkfs", "xfs", "--on", &path, "--yes-destroy", &path];
    let kinds: [&[&str]; 5] = [
        &["--mkfs", "xfs"],
        &["--mkfs", "ext4", "--mkfs", "xfs", "--on", "zram"],
        &["--mkfs", "btrfs", "--mkfs", "tmpfs"],
        &named,
        &["--mkfs", "ext4", "--on", "zram"],
    ];
    let kills: u32 = std::env::var(KILLS).map_or(20, |text| text.parse().expect("a number of kills"));
    let mut random: u32 = 0x9e37_79b9;
    let mut draw = || {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        u64::from(random)
    };
    for (number, kind) in (0..kills).zip(kinds.iter().cycle()) {
        // Most of what there is to set up takes less than 100 ms: half of the kills are there.
        let longest_us = if draw() % 2 == 0 { 100_000 } else { 600_000 };
        let delay = Duration::from_micros(draw() % longest_us);
        let mut campaign = campaign(&scratch, &[&["--seconds", "20"], *kind].concat());
        std::thread::sleep(delay);
        campaign.kill().unwrap();
        let status = campaign.wait().unwrap();
        let what = format!("kill {number} after {delay:?} of {kind:?}");
        assert_eq!(status.code(), None, "{what}: it had ended already");
        nothing(scratch.test, &scratch.temporary(), &before, &what);
        scratch.agrees(&[&["--programs", "3"], *kind].concat());
        assert_eq!(State::now(&scratch.temporary()), before, "after the run that followed {what}");
    }
    println!("{kills} kills left nothing behind");
}
