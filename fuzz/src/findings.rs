//! The directory of findings: each one written at once, each one once.

use crate::finding::{Finding, file_name};
use oracle::{Class, Divergence, TargetError};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where reproducers go.
#[derive(Debug)]
pub struct Findings {
    dir: PathBuf,
    /// How often each kind of divergence was looked at.
    looks: Mutex<BTreeMap<Kind, u32>>,
    kept: Mutex<Vec<PathBuf>>,
}

/// Target, class, and what the report says without its numbers.
type Kind = (String, Class, String);

/// A kind of divergence that was looked at so often is only counted from then on.
const LOOKS: u32 = 4;

impl Findings {
    /// Findings go to `dir`, which is made when the first one is written.
    pub fn new(dir: &Path) -> Findings {
        Findings { dir: dir.to_owned(), looks: Mutex::default(), kept: Mutex::default() }
    }

    /// Whether a divergence is worth minimizing. After a few like it the time is better spent on other programs.
    pub fn is_worth_a_look(&self, target: &str, divergence: &Divergence) -> bool {
        let mut all = self.looks.lock();
        let gist = divergence.detail.lines().next().unwrap_or_default().split('[').next().unwrap_or_default();
        let gist = gist.chars().filter(|c| !c.is_ascii_digit()).collect();
        let looks = all.entry((target.to_owned(), divergence.class, gist)).or_insert(0);
        *looks += 1;
        *looks <= LOOKS
    }

    /// Writes a finding, unless the directory has one with the same class and the same operations.
    pub fn keep(&self, finding: &Finding) -> Result<Option<PathBuf>, TargetError> {
        let trouble = |error| TargetError::new(format!("writing to {}: {error}", self.dir.display()));
        let path = self.dir.join(file_name(&finding.reproducer));
        let mut kept = self.kept.lock();
        if path.exists() {
            return Ok(None);
        }
        fs::create_dir_all(&self.dir).map_err(trouble)?;
        fs::write(&path, finding.reproducer.to_string()).map_err(trouble)?;
        kept.push(path.clone());
        Ok(Some(path))
    }

    /// What was written, in order.
    pub fn kept(&self) -> Vec<PathBuf> {
        self.kept.lock().clone()
    }
}
