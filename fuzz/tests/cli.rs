//! The command line from outside.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn foliofuzz() -> Command {
    Command::new(env!("CARGO_BIN_EXE_foliofuzz"))
}

/// An empty directory of this test.
fn scratch(test: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

const LOST: &str = "\
foliofuzz 1
fault punch-partial-page-not-zeroed
expect content

page 256
block 256
file_limit 1024

lane 0
  stat
  write off=0 len=1000
  fsync
  punch off=100 len=300
  read off=0 len=1000
";

#[test]
fn a_campaign_on_the_model_agrees_and_counts_its_programs() {
    let dir = scratch("campaign");
    let args = ["run", "--json", "--seed", "1", "--programs", "200", "--jobs", "2", "--dir"];
    let output =
        foliofuzz().args(args).arg(&dir).args(["--ops", "read,write,punch"]).current_dir(&dir).output().unwrap();
    assert_eq!(code(&output), 0, "{output:?}");
    let summary: serde_json::Value = serde_json::from_str(text(&output.stdout)).unwrap();
    let targets = summary["targets"].as_array().unwrap();
    assert_eq!(targets.len(), 2);
    assert!(targets.iter().all(|target| target["programs"] == 200 && target["ops"].as_u64().unwrap() > 100));
    assert!(!dir.join("findings").exists());
}

#[cfg(feature = "faults")]
#[test]
fn a_file_is_replayed_minimized_and_shown() {
    let dir = scratch("files");
    let file = dir.join("lost.folio");
    std::fs::write(&file, LOST).unwrap();
    let run = |args: &[&str]| foliofuzz().args(args).arg(&file).output().unwrap();
    let replayed = run(&["replay"]);
    assert_eq!(code(&replayed), 1);
    assert!(text(&replayed.stdout).contains("content, as expected"), "{replayed:?}");
    assert_eq!(code(&run(&["replay", "--check"])), 0);
    assert_eq!(code(&run(&["replay", "--no-fault"])), 0);
    assert_eq!(code(&run(&["replay", "--fault", "A01"])), 0);
    let minimized = run(&["minimize"]);
    let small: foliofuzz::Reproducer = text(&minimized.stdout).parse().unwrap();
    assert_eq!((code(&minimized), small.program.op_count()), (1, 2), "{small}");
    let shown = run(&["show"]);
    assert_eq!(code(&shown), 1);
    assert!(text(&shown.stdout).contains("0.3 punch off=100 len=300"), "{}", text(&shown.stdout));
}

#[test]
fn a_file_becomes_bytes_and_the_bytes_the_same_program() {
    let dir = scratch("convert");
    let file = dir.join("lost.folio");
    std::fs::write(&file, LOST).unwrap();
    let convert = |from: &Path, to: &str| {
        let output = foliofuzz().args(["convert", "--out"]).arg(dir.join(to)).arg(from).output().unwrap();
        assert_eq!(code(&output), 0, "{output:?}");
    };
    convert(&file, "there");
    convert(&dir.join("there/lost.bytes"), "back");
    let back: foliofuzz::Reproducer = std::fs::read_to_string(dir.join("back/lost.folio")).unwrap().parse().unwrap();
    assert_eq!(back.program, LOST.parse::<foliofuzz::Reproducer>().unwrap().program);
    let replayed = foliofuzz().arg("replay").arg(dir.join("there/lost.bytes")).output().unwrap();
    assert_eq!(code(&replayed), 0, "{replayed:?}");
}

#[test]
fn what_is_wrong_with_a_file_is_said_in_one_line() {
    let dir = scratch("wrong");
    let file = dir.join("wrong.folio");
    std::fs::write(&file, LOST.replace("punch off", "pnuch off")).unwrap();
    let output = foliofuzz().arg("replay").arg(&file).output().unwrap();
    let expected = format!(
        "foliofuzz: {}: line 13, column 3: expected an operation or a keyword, found `pnuch`; did you mean `punch`?\n",
        file.display()
    );
    assert_eq!((code(&output), text(&output.stderr)), (2, expected.as_str()));
    let missing = foliofuzz().args(["run", "--no-model", "--dir", "/nonexistent/dir"]).output().unwrap();
    assert_eq!(code(&missing), 2);
    assert!(text(&missing.stderr).starts_with("foliofuzz: "), "{missing:?}");
}

#[cfg(feature = "faults")]
#[test]
fn a_hunt_finds_a_fault_and_writes_its_reproducer() {
    let dir = scratch("hunt");
    let output = foliofuzz().args(["hunt", "F06", "--seeds", "3", "--out"]).arg(&dir).output().unwrap();
    assert_eq!(code(&output), 0, "{output:?}");
    let files: Vec<PathBuf> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    let check = foliofuzz().args(["replay", "--check"]).args(&files).output().unwrap();
    assert_eq!(code(&check), 0, "{check:?}");
}

/// What still shows its fault keeps its program and what was written by hand; what does not is hunted again.
#[cfg(feature = "faults")]
#[test]
fn a_refresh_renews_traces_and_hunts_only_what_is_lost() {
    let dir = scratch("refresh");
    let refresh = || {
        let args = ["hunt", "F06", "--json", "--refresh", "--out"];
        let output = foliofuzz().args(args).arg(&dir).output().unwrap();
        let line = serde_json::from_slice::<serde_json::Value>(&output.stdout);
        (code(&output), line.unwrap_or_default())
    };
    let (status, hunted) = refresh();
    assert_eq!((status, hunted["found"].as_u64()), (0, Some(1)), "there was nothing to refresh: {hunted}");
    let path = dir.join("F06-punch-partial-page-not-zeroed.folio");
    let fresh = std::fs::read_to_string(&path).unwrap();
    let trace = fresh.lines().find(|line| line.starts_with("trace ")).unwrap();
    let by_hand = "# By hand.\n#\n";
    let stale = by_hand.to_owned() + &fresh.replace(trace, "trace 0x1").replace("# Shows: ", "# Shows: once ");
    std::fs::write(&path, stale).unwrap();
    let (status, line) = refresh();
    assert_eq!((status, line["refreshed"].as_bool(), line["changed"].as_bool()), (0, Some(true), Some(true)));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), by_hand.to_owned() + &fresh);
    assert_eq!(refresh().1["changed"].as_bool(), Some(false));

    let lost: String = fresh
        .lines()
        .filter(|line| !line.trim_start().starts_with("punch"))
        .fold(String::new(), |text, line| text + line + "\n");
    std::fs::write(&path, lost).unwrap();
    let (status, line) = refresh();
    assert_eq!((status, line["found"].as_u64()), (0, Some(1)), "{line}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), fresh);

    std::fs::write(
        &path,
        fresh.replace("fault punch-partial-page-not-zeroed", "fault stale-iomap-write-vs-writeback-reclaim"),
    )
    .unwrap();
    assert_eq!(refresh().0, 2);
}

#[test]
fn tables_are_printed_and_a_closed_pipe_is_no_error() {
    let ops = foliofuzz().arg("ops").output().unwrap();
    assert_eq!(text(&ops.stdout).lines().count(), oracle::OPS.len() + 1);
    let faults = foliofuzz().arg("faults").output().unwrap();
    assert!(text(&faults.stdout).contains("stale-iomap-write-vs-writeback-reclaim"));
    for row in faults::UNARMED {
        assert!(text(&faults.stdout).contains(row.why), "{}", row.id);
    }
    let mut child = foliofuzz().arg("faults").stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn programs_of_a_seed_can_be_had_with_their_weights() {
    let draw = |args: &[&str]| {
        let output = foliofuzz().arg("draw").args(args).output().unwrap();
        assert_eq!(code(&output), 0, "{output:?}");
        text(&output.stdout).to_owned()
    };
    let program: foliofuzz::Reproducer = draw(&["--seed", "7", "3"]).parse().unwrap();
    assert!(program.program.op_count() >= 2);
    let weights = draw(&["--seed", "7", "--weights", "5", "2"]);
    let lines: Vec<&str> = weights.lines().collect();
    assert_eq!(lines.len(), 5);
    let [number, shares] = lines[1].trim_start().split_once(' ').map(|(number, shares)| [number, shares]).unwrap();
    assert_eq!(number, "3");
    assert_eq!(program.comment, [format!("Drawn as program 3 of seed 7: {shares}")]);
}

/// The worker processes of a campaign.
fn workers_of(campaign: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{campaign}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    children.flat_map(|pids| pids.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// Starts a campaign, sends `signal` to its worker, and gives what the campaign said in the end.
fn campaign_with_signal(test: &str, signal: &str) -> (Output, PathBuf) {
    let dir = scratch(test);
    let mut command = foliofuzz();
    command.args(["run", "--json", "--no-model", "--seconds", "4", "--patience", "0.5", "--seed", "3"]);
    command.args(["--ops", "read,write,stat", "--dir"]).arg(&dir).current_dir(&dir);
    let campaign = command.stdout(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    let worker = loop {
        assert!(begun.elapsed() < Duration::from_secs(3), "no worker was started");
        // The first milliseconds go into starting it.
        std::thread::sleep(Duration::from_millis(500));
        if let Some(worker) = workers_of(campaign.id()).first() {
            break *worker;
        }
    };
    send(signal, worker);
    (campaign.wait_with_output().unwrap(), dir)
}

/// Through the shell's own `kill`: not every system has a program of that name.
fn send(signal: &str, process: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill {signal} {process}")]).status().unwrap();
    assert!(sent.success());
}

fn findings(output: &Output) -> Vec<serde_json::Value> {
    let lines = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &serde_json::Value| line["event"] == "finding").collect()
}

fn programs(output: &Output) -> u64 {
    let last = text(&output.stdout).lines().last().unwrap();
    serde_json::from_str::<serde_json::Value>(last).unwrap()["targets"][0]["programs"].as_u64().unwrap()
}

#[test]
fn a_worker_that_dies_is_a_verdict_and_the_campaign_goes_on() {
    let (output, dir) = campaign_with_signal("dies", "-KILL");
    assert_eq!(code(&output), 1, "{output:?}");
    let findings = findings(&output);
    assert_eq!(findings.len(), 1, "{output:?}");
    assert_eq!(findings[0]["class"], "panic");
    assert!(findings[0]["detail"].as_str().unwrap().contains("signal: 9"), "{output:?}");
    let reproducer = std::fs::read_to_string(dir.join(findings[0]["path"].as_str().unwrap())).unwrap();
    // The file says which program it came from, and that program can be had again.
    let number = findings[0]["program"].to_string();
    let args = ["draw", "--kernel", "--seed", "3", "--ops", "read,write,stat", &number];
    let drawn = foliofuzz().args(args).output().unwrap();
    let head = text(&drawn.stdout).lines().next().unwrap();
    assert!(head.starts_with(&format!("# Drawn as program {number} of seed 3: ")), "{head}");
    assert!(reproducer.contains(head), "{reproducer}");
    let last = findings[0]["program"].as_u64().unwrap();
    assert!(programs(&output) > last + 1, "the campaign did not go on: {output:?}");
}

#[test]
fn a_worker_that_hangs_is_a_verdict_and_the_campaign_goes_on() {
    let (output, _) = campaign_with_signal("hangs", "-STOP");
    let findings = findings(&output);
    assert_eq!(findings.len(), 1, "{output:?}");
    assert_eq!(findings[0]["class"], "hang");
    let last = findings[0]["program"].as_u64().unwrap();
    assert!(programs(&output) > last + 1, "the campaign did not go on: {output:?}");
}

#[test]
fn ctrl_c_ends_a_campaign_with_its_summary() {
    let dir = scratch("interrupt");
    let mut command = foliofuzz();
    command.args(["run", "--json", "--seconds", "60", "--dir"]).arg(&dir).args(["--ops", "write,read"]);
    let campaign = command.current_dir(&dir).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    let begun = Instant::now();
    send("-INT", campaign.id());
    let output = campaign.wait_with_output().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "it took {:?}", begun.elapsed());
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(programs(&output) > 0);
}

/// One line of JSON for each file, with what it promises and what it did.
#[cfg(feature = "faults")]
#[test]
fn replay_speaks_json() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let file = format!("{root}/corpus/faults/A06-stale-zero-progress-ends-write.folio");
    let json = |args: &[&str]| {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_foliofuzz")).arg("replay").args(args).output().unwrap();
        (output.status.code(), serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap())
    };
    let (code, line) = json(&["--json", &file]);
    assert_eq!((code, line["found"].as_str(), line["expected"].as_str()), (Some(1), Some("size"), Some("size")));
    assert_eq!(line["stale"].as_bool(), Some(false));
    let (code, line) = json(&["--json", "--no-fault", &file]);
    assert_eq!((code, line["found"].as_str(), line["expected"].as_str()), (Some(0), Some("agree"), None));
}

/// The same as what people read: who did what when, and the smaller file.
#[cfg(feature = "faults")]
#[test]
fn show_and_minimize_speak_json() {
    let dir = scratch("json");
    let file = dir.join("lost.folio");
    std::fs::write(&file, LOST).unwrap();
    let json = |args: &[&str]| {
        let output = foliofuzz().args(args).arg("--json").arg(&file).output().unwrap();
        (code(&output), serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap())
    };
    let (code, shown) = json(&["show"]);
    assert_eq!((code, shown["found"].as_str(), shown["fault"].as_str()), (1, Some("content"), Some("F06")));
    let events = shown["timeline"].as_array().unwrap();
    let punch = events.iter().find(|event| event["text"] == "0.3 punch off=100 len=300").unwrap();
    assert_eq!(punch["lane"], "0");
    assert!(events.iter().any(|event| event["lane"] == "end-io"), "{shown}");
    let (code, fine) = json(&["show", "--no-fault"]);
    assert_eq!((code, fine["found"].as_str(), &fine["detail"]), (0, Some("agree"), &serde_json::Value::Null));

    let (code, small) = json(&["minimize"]);
    assert_eq!((code, small["found"].as_str(), small["ops"].as_u64()), (1, Some("content"), Some(2)), "{small}");
    assert_eq!(small["minimal"].as_bool(), Some(true));
    let reproducer: foliofuzz::Reproducer = small["reproducer"].as_str().unwrap().parse().unwrap();
    assert_eq!(reproducer.program.op_count(), 2);
    let (code, fine) = json(&["minimize", "--no-fault"]);
    assert_eq!((code, fine["found"].as_str(), &fine["reproducer"]), (0, Some("agree"), &serde_json::Value::Null));
}

/// A worker that cannot do its work has shown nothing: that is no program that agrees, and it is said once.
#[test]
fn trouble_with_a_directory_is_one_sentence() {
    let dir = scratch("trouble");
    let file = dir.join("lost.folio");
    std::fs::write(&file, LOST.replace("fault punch-partial-page-not-zeroed\n", "")).unwrap();
    let minimize = |dir: &Path| foliofuzz().args(["minimize", "--patience", "5", "--dir"]).arg(dir).arg(&file).output();
    assert_eq!(code(&minimize(&dir).unwrap()), 0, "a real file system does not have this bug");
    let output = minimize(Path::new("/proc")).unwrap();
    assert_eq!((code(&output), text(&output.stderr).lines().count()), (2, 1), "{output:?}");
}

#[test]
fn all_short_programs_crash_and_every_state_is_sound() {
    let dir = scratch("crash");
    let output = foliofuzz().args(["crash", "--steps", "1", "--json"]).current_dir(&dir).output().unwrap();
    assert_eq!(code(&output), 0, "{output:?}");
    let summary: serde_json::Value = serde_json::from_str(text(&output.stdout)).unwrap();
    assert_eq!((&summary["programs"], &summary["complete"]), (&300.into(), &true.into()));
    assert!(summary["states"].as_u64().unwrap() > 1_000);
    assert!(!dir.join("findings").exists());
    assert_eq!(code(&foliofuzz().args(["crash", "--steps", "4"]).output().unwrap()), 2);
}

#[cfg(feature = "faults")]
#[test]
fn an_armed_bug_is_found_behind_a_short_program() {
    let dir = scratch("crash-fault");
    let output = foliofuzz().args(["crash", "--fault", "A25"]).current_dir(&dir).output().unwrap();
    assert_eq!(code(&output), 1, "{output:?}");
    let found = dir.join("findings/A25-fsync-misses-size-or-conversion.folio");
    let replayed = foliofuzz().args(["replay", "--check"]).arg(&found).output().unwrap();
    assert_eq!(code(&replayed), 0, "{replayed:?}");
}

/// Not how fast it is, only that every kind of program can be measured.
#[test]
fn bench_measures_whatever_programs_there_are() {
    let dir = scratch("bench");
    let output = foliofuzz().args(["bench", "--json", "--seconds", "2", "--dir"]).arg(&dir).output().unwrap();
    assert_eq!(code(&output), 0, "{output:?}");
    let line: serde_json::Value = serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap();
    assert!(line.to_string().contains("flat"), "{line}");
}

/// Where system calls cannot be paused it says why, in a sentence, and fails.
#[test]
fn bench_measures_what_a_pause_costs_or_says_why_not() {
    let dir = scratch("bench-pauses");
    let output =
        foliofuzz().args(["bench", "--pauses", "--json", "--seconds", "1", "--dir"]).arg(&dir).output().unwrap();
    match ffi::Pausing::probe() {
        Ok(_) => {
            assert_eq!(code(&output), 0, "{output:?}");
            let line: serde_json::Value = serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap();
            let [plain, paused] = ["write_us", "paused_us"].map(|key| line[0][key].as_f64().unwrap());
            assert!(0.0 < plain && plain < paused, "{line}");
        }
        Err(cannot) => {
            assert_eq!(code(&output), 2, "{output:?}");
            assert!(text(&output.stderr).contains(&cannot.to_string()), "{output:?}");
        }
    }
}
