//! Schedules of the model on file systems made for the purpose.

use crate::made::{FOLIOFUZZ, Scratch};
use crate::trace::Tracepoint;
use faults::{FaultSet, Needs};
use foliofuzz::bytes::{Profile, decode};
use foliofuzz::generate::Generator;
use foliofuzz::steered::{Fate, Moment, Steered, is_steered, steer};
use foliofuzz::{Reproducer, Runner};
use mounts::{Medium, Mount, Recipe};
use std::path::Path;
use std::process::Command;
use targets::directory::DirectoryTarget;

const EVERY: [&str; 6] = ["xfs", "xfs -b size=1k", "ext4", "ext4 -b 1024", "btrfs", "tmpfs"];

/// Makes a file system and runs `body` where it is mounted.
fn on(mkfs: &str, body: impl Fn(&Mount, &mut DirectoryTarget) + Sync) {
    let mut keeper = Command::new(FOLIOFUZZ);
    keeper.arg("keeper");
    let size_bytes = Recipe::DEFAULT_SIZE_BYTES;
    let recipe = Recipe { mkfs: mkfs.parse().unwrap(), on: Medium::Loop, size_bytes, overwrite: false };
    let mount = Mount::make(keeper, recipe).unwrap_or_else(|trouble| panic!("{trouble}"));
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            mount.enter().unwrap();
            body(&mount, &mut DirectoryTarget::new(mount.dir()).unwrap());
        });
        assert!(inside.join().is_ok(), "{mkfs}");
    });
}

fn steered(target: &mut DirectoryTarget, program: &foliofuzz::Program) -> Steered {
    let file_system = target.file_system().to_owned();
    let steered = steer(target, program, Some(&file_system), |_: Moment| {}).unwrap();
    assert_eq!(steered.verdict.divergence, None, "{file_system}: {program:#?}\n{:#?}", steered.switches);
    steered
}

/// A reproducer minimized on the model reaches its window on the kernel.
#[test]
#[ignore = "needs root"]
fn the_stale_iomap_of_the_corpus_is_reached_on_xfs() {
    const REPLAYS: usize = 100;
    let _scratch = Scratch::new("stale");
    let file = "../corpus/faults/A01-stale-iomap-write-vs-writeback-reclaim.folio";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let program = text.parse::<Reproducer>().unwrap().program;
    on("xfs", |mount, target| {
        let tracepoint = Tracepoint::on(mount, "xfs/xfs_iomap_invalid");
        let mut stale = 0;
        for _ in 0..REPLAYS {
            let Steered { times, switches, .. } = steered(target, &program);
            assert_eq!((times, switches.len(), &switches[0].fate), (16, 1, &Fate::Honoured));
            stale += tracepoint.as_ref().map_or(0, |tracepoint| usize::from(tracepoint.passed() > 0));
        }
        match &tracepoint {
            Ok(_) => assert!(stale >= REPLAYS * 95 / 100, "{stale} of {REPLAYS} replays reached the window"),
            Err(why) => println!("whether the window was reached is not known: {why}"),
        }
        println!("{stale} of {REPLAYS} replays reached the window, and all bytes are there");
    });
}

/// Runs this program with `replay` and gives what was said of its switches.
fn fates(scratch: &Scratch, mkfs: &str, lanes: &str, schedule: &str) -> Vec<String> {
    let file = scratch.dir.join("a.folio");
    let geometry = "page 256\nblock 256\nfile_limit 8192\nfloor 4096\nstripe 1024";
    std::fs::write(
        &file,
        format!("foliofuzz 1\nexpect agree\n\n{geometry}\n\n{lanes}\nschedule anchored\n{schedule}\n"),
    )
    .unwrap();
    let output = scratch.foliofuzz(&["replay", "--json", "--mkfs", mkfs, file.to_str().unwrap()]);
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!((output.status.code(), &line["found"]), (Some(0), &"agree".into()), "{mkfs}: {line}");
    let switches = line["switches"].as_array().unwrap();
    switches.iter().map(|switch| format!("{} {}", switch["fate"], switch["notes"]).replace('"', "")).collect()
}

#[test]
#[ignore = "needs root"]
fn a_replay_says_of_every_switch_whether_it_was_honoured() {
    let scratch = Scratch::new("fates");
    let lanes = "lane 0\n  write off=0 len=1024\n  read off=0 len=1024\n\nlane 1\n  write off=1024 len=1024\n  stat\n";
    for mkfs in EVERY {
        let told = |schedule: &str| fates(&scratch, mkfs, lanes, schedule);
        // Between operations, and before the call.
        assert_eq!(told("at 0.0 START #1 run 1\nat 0.1 R0 #1 run flusher"), ["Honoured []", "Honoured []"], "{mkfs}");
        // In a write, at three of its pages; another write waits for its end, once it has begun.
        let write = told("at 0.0 W3 #1 run flusher\nat 0.0 W13 #1 run flusher, end-io, reclaim\nat 0.0 W13 #2 run 1");
        assert_eq!(
            write,
            ["Honoured []", "Honoured []", "Honoured [1.0 write off=16384 len=16384 blocks here]"],
            "{mkfs}"
        );
        // In a read, which holds off writes on xfs alone.
        let read = told("at 0.1 R5 #2 run 1");
        let waits = if mkfs.starts_with("xfs") { "[1.0 write off=16384 len=16384 blocks here]" } else { "[]" };
        assert_eq!(read, [format!("Honoured {waits}")], "{mkfs}");
        // Where nothing stops.
        let not = told(
            "at 0.0 W9 #1 run 1\nat flusher.0 B3 #1 run 0\nat 0.0 W13 #4 run 1\nat 0.7 NEXT #1 run 1\nat 0.0 W3 #1 pick 1",
        );
        let reasons = ["a folio is locked", "in the background", "all of the buffer", "no such operation", "chooses"];
        assert_eq!(not.len(), reasons.len());
        for (not, reason) in not.iter().zip(reasons) {
            assert!(not.starts_with("{NotHonoured:") && not.contains(reason), "{mkfs}: {not}");
        }
    }
}

/// Whatever the model does under any schedule, its threads do on the kernel, as far as they can be stopped.
#[test]
#[ignore = "needs root"]
fn schedules_of_random_programs_agree_on_every_file_system() {
    let programs = std::env::var("FOLIOFUZZ_TEST_PROGRAMS").map_or(60, |text| text.parse().expect("a number"));
    let _scratch = Scratch::new("random");
    let needs = Needs { lanes: 2, ..Needs::ANY };
    let generator = Generator { seed: 11, profile: Profile::Model(needs), strategy: None };
    for mkfs in EVERY {
        on(mkfs, |_, target| {
            let (mut runner, mut bytes, mut honoured, mut others) = (Runner::new(), Vec::new(), 0, 0);
            for number in 0..programs {
                generator.fill(number, &mut bytes);
                let program = runner.anchored(&decode(&bytes), FaultSet::NONE);
                if is_steered(&program) {
                    let fates = steered(target, &program).switches.into_iter().map(|switch| switch.fate);
                    let (good, bad): (Vec<Fate>, Vec<Fate>) = fates.partition(|fate| *fate == Fate::Honoured);
                    (honoured, others) = (honoured + good.len(), others + bad.len());
                }
            }
            println!("{mkfs}: {honoured} switches honoured, {others} nearly or not");
            assert!(honoured as u64 > programs / 2, "{mkfs}: only {honoured} switches were honoured");
        });
    }
}
