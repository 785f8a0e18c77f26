//! What fuzz targets share: the property of the codecs, and replaying inputs without a fuzzer.

use crate::bytes::{decode, encode};
use crate::reproducer::{Expect, Reproducer};
use std::process::ExitCode;

/// Checks that these bytes, taken as a program and taken as text, lead to nothing that a form could lose.
///
/// # Panics
/// If something is lost. That is what a fuzzer looks for.
pub fn check_codecs(bytes: &[u8]) {
    let program = decode(bytes);
    assert_eq!(program.validate(), Ok(()), "{program:#?}");
    assert_eq!(decode(&encode(&program)), program, "bytes lost something");
    check_text(&Reproducer { comment: Vec::new(), fault: None, expect: Expect::Agree, trace: None, program });
    if let Some(reproducer) = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()) {
        check_text(&reproducer);
    }
}

fn check_text(reproducer: &Reproducer) {
    let text = reproducer.to_string();
    let again: Reproducer = text.parse().unwrap_or_else(|error| panic!("{error}, in\n{text}"));
    assert_eq!(&again, reproducer, "text lost something");
    assert_eq!(again.to_string(), text);
}

/// Runs `target` on the files named on the command line: what a fuzz target does in a build without a fuzzer.
pub fn replay(target: impl Fn(&[u8])) -> ExitCode {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    if files.is_empty() {
        eprintln!("expected files to replay; to fuzz, use `cargo fuzz run`");
        return ExitCode::from(2);
    }
    for file in files {
        match std::fs::read(&file) {
            Ok(bytes) => target(&bytes),
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::SUCCESS
}
