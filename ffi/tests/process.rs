//! What two processes share: counters, and the end.

use ffi::{SharedPage, die_with_parent};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Runs one of the ignored tests below as a process of its own.
fn child(test: &str, page: &SharedPage) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test])
        .env("FOLIOFUZZ_TEST_PAGE", page.for_child().unwrap().to_string())
        .env("FOLIOFUZZ_TEST_PARENT", std::process::id().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// In a process that [`child`] started: the shared page, and the process that must not die first. A run of all
/// ignored tests starts the children without these; they have nothing to do then.
fn inherited() -> Option<(SharedPage, u32)> {
    let number = |variable| std::env::var(variable).ok()?.parse::<u32>().ok();
    let page = SharedPage::inherited(number("FOLIOFUZZ_TEST_PAGE")? as i32).unwrap();
    Some((page, number("FOLIOFUZZ_TEST_PARENT")?))
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what} did not come about");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_parent_sees_how_far_a_hanging_child_came() {
    let page = SharedPage::create().unwrap();
    let mut child = child("child_counts_and_hangs", &page);
    wait_for("the count", || page.words()[7].load(Ordering::Acquire) == 1000);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(page.words()[7].load(Ordering::Acquire), 1000);
}

#[test]
#[ignore = "the child of another test"]
fn child_counts_and_hangs() {
    let Some((page, parent)) = inherited() else { return };
    die_with_parent(parent).unwrap();
    for _ in 0..1000 {
        page.words()[7].fetch_add(1, Ordering::AcqRel);
    }
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_child_dies_with_its_parent() {
    let page = SharedPage::create().unwrap();
    let mut parent = child("child_starts_another", &page);
    wait_for("the grandchild", || page.words()[0].load(Ordering::Acquire) != 0);
    let grandchild = format!("/proc/{}/stat", page.words()[0].load(Ordering::Acquire));
    assert!(std::fs::exists(&grandchild).unwrap());
    parent.kill().unwrap();
    parent.wait().unwrap();
    // A zombie that nobody collects is dead as well.
    wait_for("the grandchild's death", || {
        std::fs::read_to_string(&grandchild).map_or(true, |stat| stat.contains(") Z "))
    });
}

#[test]
#[ignore = "the child of another test"]
fn child_starts_another() {
    let Some((page, _)) = inherited() else { return };
    child("grandchild_hangs", &page).wait().unwrap();
}

#[test]
#[ignore = "the grandchild of another test"]
fn grandchild_hangs() {
    let Some((page, parent)) = inherited() else { return };
    die_with_parent(parent).unwrap();
    page.words()[0].store(std::process::id().into(), Ordering::Release);
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_descriptor_that_is_no_page_is_refused() {
    let file = std::fs::File::open("/proc/self/stat").unwrap();
    assert!(SharedPage::inherited(std::os::fd::AsRawFd::as_raw_fd(&file)).is_err());
    assert!(SharedPage::inherited(-1).is_err());
    assert!(SharedPage::inherited(9999).is_err());
}

#[test]
fn the_wrong_parent_is_noticed() {
    let no_parent_of_ours = std::process::id();
    const ESRCH: i32 = 3;
    // Asking ties this process to its real parent, which outlives the test run anyway.
    assert_eq!(die_with_parent(no_parent_of_ours).unwrap_err().errno, ESRCH);
}
