//! The files of a folder of the corpus.

use foliofuzz::Reproducer;
use std::path::{Path, PathBuf};

/// The folder of this name.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../corpus")).join(name)
}

/// Its reproducers by name, with their text.
pub(crate) fn read(name: &str) -> Vec<(PathBuf, String, Reproducer)> {
    let entries = std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "folio")).collect();
    assert!(!paths.is_empty(), "corpus/{name} is empty");
    paths.sort();
    let parse = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let reproducer = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, text, reproducer)
    };
    paths.into_iter().map(parse).collect()
}
