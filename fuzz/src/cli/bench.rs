//! `bench`: how fast it is, and what the time goes into. What is compared takes turns in one run, so the ratios hold
//! on any machine; the figures do not.

mod cache;
mod directory;
mod index;
mod mix;
mod model;
mod pauses;
mod raw;
#[cfg(feature = "faults")]
mod strategies;

use super::mkfs::Making;
use super::style::{DIM, grouped, paint, say, table};
use super::{Ending, Result, trouble};
use clap::Args;
use directory::DirectorySpeed;
use foliofuzz::place::Place;
use mix::Mix;
use model::ModelSpeed;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use targets::directory::DirectoryTarget;

#[derive(Args)]
pub(super) struct Bench {
    /// Measure on the file system this directory is on; repeatable [default: without --mkfs, /dev/shm if that is
    /// memory, else that for temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Vec<PathBuf>,
    #[command(flatten)]
    making: Making,
    /// Leave out the model
    #[arg(long)]
    no_model: bool,
    /// Measure the page cache itself instead: its index against maps, cached reads against memcpy and pread
    #[arg(long, conflicts_with = "no_model")]
    cache: bool,
    /// Measure instead what it costs to stop a write half way and let it go on; needs the right to userfaultfd
    #[arg(long, conflicts_with_all = ["no_model", "cache"])]
    pauses: bool,
    /// Measure instead in how many programs each way of scheduling finds some faults; takes minutes
    #[cfg(feature = "faults")]
    #[arg(long, conflicts_with_all = ["no_model", "cache", "pauses", "dir", "mkfs", "seconds"])]
    strategies: bool,
    /// With --strategies: how many seeds
    #[cfg(feature = "faults")]
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// About how long, everything together
    #[arg(long, value_name = "N", default_value_t = 24.0)]
    seconds: f64,
    /// Which programs
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// One line of JSON with the same figures
    #[arg(long)]
    json: bool,
}

/// All that was measured.
#[derive(Serialize)]
struct Report {
    model: Option<ModelSpeed>,
    directories: Vec<DirectorySpeed>,
    /// Of this process, all of it; none where the kernel does not tell.
    peak_rss_bytes: Option<u64>,
}

impl Bench {
    pub(super) fn run(self) -> Result<Ending> {
        #[cfg(feature = "faults")]
        if self.strategies {
            let cells = strategies::measure(self.seed, self.seeds);
            self.say(&cells, |cells| strategies::print(cells))?;
            return Ok(Ending::Agree);
        }
        let mut places: Vec<Place> = self.dir.iter().cloned().map(Place::Dir).collect();
        places.extend(self.making.places()?);
        if places.is_empty() {
            places.push(Place::Dir(default_dir()));
        }
        if self.pauses {
            let share = self.seconds() / places.len() as u32;
            let measure = |place: &Place| place.inside(|dir| pauses::measure(dir, place.to_string(), share));
            self.say(&places.iter().map(measure).collect::<Result<Vec<_>>>()?, |speeds| pauses::print(speeds))?;
        } else if self.cache {
            let report = CacheReport {
                index: index::measure(),
                reads: places[0].inside(|dir| cache::measure(dir, self.seconds()))?,
                dir: places[0].to_string(),
            };
            self.say(&report, CacheReport::print)?;
        } else {
            self.say(&self.measure(&places)?, Report::print)?;
        }
        Ok(Ending::Agree)
    }

    fn say<R: Serialize>(&self, report: &R, print: impl Fn(&R)) -> Result<()> {
        if self.json {
            say(serde_json::to_string(report).map_err(|error| trouble("writing JSON", error))?);
        } else {
            print(report);
        }
        Ok(())
    }

    fn seconds(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.clamp(0.1, 1e6))
    }

    fn measure(&self, places: &[Place]) -> Result<Report> {
        let measurements = usize::from(!self.no_model) + places.len() * Mix::ALL.len();
        let share = self.seconds() / measurements as u32;
        // The directories come first: a user's typing error is not to be told after seconds of work.
        let mut directories = Vec::new();
        for place in places {
            for mix in Mix::ALL {
                let name = place.to_string();
                directories.push(place.inside(|dir| directory::measure(dir, name, mix, self.seed, share))?);
            }
        }
        let model = (!self.no_model).then(|| model::measure(self.seed, share));
        Ok(Report { model, directories, peak_rss_bytes: peak_rss() })
    }
}

/// What the page cache costs.
#[derive(Serialize)]
struct CacheReport {
    index: Vec<index::IndexSpeed>,
    reads: Vec<cache::ReadSpeed>,
    /// Where the file for pread is.
    dir: String,
}

impl CacheReport {
    fn print(&self) {
        index::print(&self.index);
        cache::print(&self.reads);
        say(paint(DIM, format!("pread reads a file in {}", self.dir)));
    }
}

impl Report {
    fn print(&self) {
        directory::print(&self.directories);
        if let Some(model) = &self.model {
            say("");
            model.print();
        }
        if let Some(bytes) = self.peak_rss_bytes {
            say(format!("\npeak resident memory {:.1} MiB", bytes as f64 / f64::from(1 << 20)));
        }
    }
}

/// Memory, where there is some to be had as a file system: system calls are fastest there, so that what judging adds
/// shows most.
fn default_dir() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let is_memory = DirectoryTarget::new(memory).is_ok_and(|target| target.file_system() == "tmpfs");
    if is_memory { memory.to_owned() } else { std::env::temp_dir() }
}

/// The most memory this process had resident at a time: proc(5), `VmHWM`.
fn peak_rss() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?;
    kib.parse().ok().map(|kib: u64| kib * 1024)
}

/// The middle one of `values`, of which there is at least one. Unlike the mean it does not care how long another
/// process took the processor away.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
