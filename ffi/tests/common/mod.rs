//! A file without a name in the directory for temporary files.
#![allow(dead_code, reason = "each test file uses its own part")]

use ffi::File;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) const PAGE: u64 = 4096;

pub(crate) fn path() -> std::path::PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("foliofuzz-ffi-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    std::env::temp_dir().join(name)
}

pub(crate) fn scratch() -> File {
    File::nameless(&std::env::temp_dir()).unwrap()
}

/// `len` bytes none of which is zero and which differ from their neighbours.
pub(crate) fn pattern(len: u64) -> Vec<u8> {
    (0..len).map(|at| (at % 251 + 1) as u8).collect()
}
