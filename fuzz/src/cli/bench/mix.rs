//! The programs that are measured on a directory.

use oracle::{OPS, Op, OpKind, Shape};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde::Serialize;

/// No operation reaches beyond this offset: fsx's default.
pub(super) const LIMIT: u64 = 256 * 1024;
/// The longest range: fsx's default.
const LONGEST: u64 = 64 * 1024;
/// Granule of direct I/O, as [`oracle::Geometry::sector`] has it with pages of 4 KiB.
const SECTOR: u64 = 512;

/// Which operations, in which proportions.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mix {
    /// Those that fsx and fsx-rs have both.
    Shared,
    /// All there are, with the weights of the table.
    All,
}

/// The operations that fsx and fsx-rs share, in their proportions.
const SHARED: [OpKind; 9] = [
    OpKind::Read,
    OpKind::Read,
    OpKind::Write,
    OpKind::Write,
    OpKind::MapRead,
    OpKind::MapWrite,
    OpKind::Truncate,
    OpKind::Fallocate,
    OpKind::Punch,
];

impl Mix {
    /// In the order of the report.
    pub(super) const ALL: [Mix; 2] = [Mix::Shared, Mix::All];

    /// What the report calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Mix::Shared => "fsx's operations",
            Mix::All => "all operations",
        }
    }

    /// Its operations, each as often as its weight.
    pub(super) fn kinds(self) -> Vec<OpKind> {
        match self {
            Mix::Shared => SHARED.to_vec(),
            // No directory can crash.
            Mix::All => OPS
                .iter()
                .filter(|row| row.kind != OpKind::Crash && !row.kind.breaks_io())
                .flat_map(|row| vec![row.kind; row.weight.into()])
                .collect(),
        }
    }

    /// `count` operations that are not among `left_out`. Direct ones stand at multiples of `direct`, bytes.
    pub(super) fn program(self, seed: u64, count: usize, direct: u64, left_out: &[OpKind]) -> Vec<Op> {
        let kinds: Vec<OpKind> = self.kinds().into_iter().filter(|kind| !left_out.contains(kind)).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let direct = direct.max(SECTOR);
        (0..count).map(|_| operation(&mut rng, &kinds, direct)).collect()
    }
}

fn below(rng: &mut ChaCha8Rng, end: u64) -> u64 {
    rng.next_u64() % end
}

fn operation(rng: &mut ChaCha8Rng, kinds: &[OpKind], direct: u64) -> Op {
    let kind = kinds[below(rng, kinds.len() as u64) as usize];
    let unit = if kind.info().direct { direct } else { 1 };
    let off = below(rng, LIMIT / unit) * unit;
    let len = (below(rng, LONGEST) + 1).next_multiple_of(unit).min(LIMIT - off);
    match kind.info().shape {
        Shape::Plain => Op::plain(kind),
        Shape::Size | Shape::Offset => Op::at(kind, off),
        Shape::Range => Op::range(kind, off, len),
        Shape::RangeReadable => Op { readable: below(rng, len), ..Op::range(kind, off, len) },
    }
}
