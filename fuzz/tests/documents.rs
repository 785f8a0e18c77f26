//! What the documents show as output of `show` is what the program prints.
//!
//! After a change to the model or to `show`: `cargo test -p foliofuzz --test documents -- --ignored rewrite`.
#![cfg(feature = "faults")]

use faults::FAULTS;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Documents with shown output.
const DOCUMENTS: [&str; 2] = ["README.md", "docs/SEEDS.md"];

/// How the line before a shown output begins.
const PROMPT: &str = "$ cargo run --release -- ";

fn path(document: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(document)
}

fn output_of(args: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_foliofuzz")).args(args.split(' ')).current_dir(path("")).output();
    let output = output.unwrap();
    assert!(output.stderr.is_empty(), "{args}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The document with every shown output as the program prints it today, and how many there are.
fn printed_today(text: &str) -> (String, usize) {
    let (mut out, mut shown) = (String::new(), 0);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        if let Some(args) = line.strip_prefix(PROMPT).filter(|args| args.starts_with("show ")) {
            out.push_str(&output_of(args));
            out.push_str("```\n");
            lines.by_ref().find(|line| *line == "```").expect("a fence around shown output");
            shown += 1;
        }
    }
    (out, shown)
}

#[test]
fn documents_show_what_show_prints() {
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(path(document)).unwrap();
        let (today, shown) = printed_today(&text);
        assert!(shown > 0, "{document} shows nothing");
        let stale = text.lines().zip(today.lines()).find(|(before, after)| before != after);
        assert_eq!(stale, None, "{document} shows something else (left) than is printed (right)");
        assert_eq!(text, today, "{document}");
    }
}

#[test]
#[ignore = "writes to the documents"]
fn rewrite() {
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(path(document)).unwrap();
        std::fs::write(path(document), printed_today(&text).0).unwrap();
    }
}

#[test]
fn the_readme_counts_what_there_is() {
    let readme = std::fs::read_to_string(path("README.md")).unwrap();
    assert!(readme.contains(&format!("{} historical bugs can be armed", FAULTS.len())));
}
