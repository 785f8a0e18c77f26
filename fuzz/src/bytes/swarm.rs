//! Swarm testing: every program has its own small, lopsided vocabulary.
//!
//! A program that uses all operations alike rarely does any of them often enough to matter. So a seed turns
//! about a third of them off and makes some of the others loud. Lanes that all do the same things rarely meet in
//! the way that matters either, so in some programs every lane has a vocabulary of its own.

use super::header::Profile;
use crate::program::is_buffered_write;
use oracle::{Effect, OPS, OpInfo, OpKind, Shape};

/// What the lanes of a program have to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    /// All lanes draw from one vocabulary.
    Alike,
    /// Every lane has its own.
    Own,
    /// One lane does direct I/O, the others go through the cache, all of it data and nothing else: what
    /// xfstests' generic/418 does.
    DirectBesideBuffered,
}

impl Cast {
    /// What two bits of the header say.
    pub(super) fn of_bits(bits: u8) -> Cast {
        [Cast::Alike, Cast::Alike, Cast::Own, Cast::DirectBesideBuffered][bits as usize & 3]
    }

    /// The vocabulary of each lane.
    pub(super) fn swarms(self, seed: u32, lanes: usize) -> Vec<Swarm> {
        // Whether I/O fails is one draw for all lanes, and so is whether it is asynchronous.
        let common = FAILING | ASYNC;
        let own = |lane: usize| (mix(seed, OPS.len() as u32 + lane as u32) & !common | seed & common).max(8);
        match self {
            _ if seed == Swarm::PLAIN || lanes == 1 => vec![Swarm::new(seed)],
            Cast::Alike => vec![Swarm::shared(seed)],
            Cast::Own => (0..lanes).map(|lane| Swarm::shared(own(lane))).collect(),
            Cast::DirectBesideBuffered => {
                let data = |row: &OpInfo| row.effect != Effect::Size && row.shape == Shape::Range && !row.mapped;
                let role = |lane: usize| {
                    move |row: &OpInfo| data(row) && (row.direct == (lane == 0)) && meets_others(seed, row)
                };
                (0..lanes).map(|lane| Swarm::drawn(own(lane), role(lane))).collect()
            }
        }
    }
}

/// Whether programs of several lanes with this seed draw the operation: asynchronous direct writes and buffered ones
/// exclude each other there, and left to themselves, the more frequent ones would nearly always come first.
fn meets_others(seed: u32, row: &OpInfo) -> bool {
    match seed & ASYNC == ASYNC {
        true => !is_buffered_write(row.kind),
        false => row.kind != OpKind::AioWrite,
    }
}

/// Which operation a byte stands for, and how much of the file is used.
pub(super) struct Swarm {
    kinds: [OpKind; 256],
    window_pages: u32,
}

/// How much louder than its weight in the table an operation gets.
const LOUDNESS: [u32; 8] = [1, 1, 2, 2, 4, 4, 8, 16];
const WINDOWS: [u32; 8] = [2, 3, 4, 4, 6, 8, 12, 16];

/// The low bits of a seed whose programs make I/O fail, all of them set: one program in eight. Where I/O fails much is
/// left open, so the others are judged more strictly.
pub(crate) const FAILING: u32 = 7;

/// The bits of a seed whose programs of several lanes write asynchronously, all of them set: one program in four.
const ASYNC: u32 = 0x18;

fn mix(seed: u32, n: u32) -> u32 {
    let x = (u64::from(seed) << 32 | u64::from(n)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x >> 32) as u32
}

impl Swarm {
    /// The seed with which a byte names an operation by its row in the table. The encoder uses it.
    pub(super) const PLAIN: u32 = 0;

    pub(super) fn new(seed: u32) -> Swarm {
        Swarm::drawn(seed, |_| true)
    }

    /// The vocabulary of one of several lanes.
    fn shared(seed: u32) -> Swarm {
        Swarm::drawn(seed, |row| meets_others(seed, row))
    }

    /// As [`Swarm::new`], of the operations that `admits` lets in.
    fn drawn(seed: u32, admits: impl Fn(&OpInfo) -> bool) -> Swarm {
        let window_pages = WINDOWS[mix(seed, u32::MAX) as usize % WINDOWS.len()];
        let mut kinds = [OpKind::Write; 256];
        if seed == Swarm::PLAIN {
            (kinds.iter_mut().zip(OPS.iter().cycle())).for_each(|(slot, row)| *slot = row.kind);
            return Swarm { kinds, window_pages: WINDOWS[WINDOWS.len() - 1] };
        }
        let mut weights = [0; OpKind::COUNT];
        for (row, weight) in OPS.iter().zip(&mut weights) {
            let draw = mix(seed, row.kind as u32);
            let fails = !row.kind.breaks_io() || seed & FAILING == FAILING;
            if fails && !draw.is_multiple_of(3) && admits(row) {
                *weight = u32::from(row.weight) * LOUDNESS[(draw >> 8) as usize % LOUDNESS.len()];
            }
        }
        // Without a writer every program would be an empty file. A lane that may not write looks.
        if weights[OpKind::DirectWrite as usize] == 0 {
            let can = |kind: &OpKind| admits(kind.info());
            let kind = [OpKind::Write, OpKind::DirectWrite].into_iter().find(can).unwrap_or(OpKind::Read);
            let weight = &mut weights[kind as usize];
            *weight = (*weight).max(u32::from(kind.info().weight));
        }
        let total: u32 = weights.iter().sum();
        let mut sum = 0;
        for (row, weight) in OPS.iter().zip(weights) {
            let slots = sum * 256 / total..(sum + weight) * 256 / total;
            kinds[slots.start as usize..slots.end as usize].fill(row.kind);
            sum += weight;
        }
        Swarm { kinds, window_pages }
    }

    #[inline]
    pub(super) fn kind(&self, byte: u8) -> OpKind {
        self.kinds[byte as usize]
    }

    /// The draw for a person: every operation that is on with its share, loudest first, and how much of the file
    /// is used.
    pub(super) fn describe(&self) -> String {
        let share = |kind: OpKind| 100 * self.kinds.iter().filter(|other| **other == kind).count() / self.kinds.len();
        let mut shares: Vec<(usize, &str)> = OPS.iter().map(|row| (share(row.kind), row.name)).collect();
        shares.sort_by(|a, b| b.cmp(a));
        let on = shares.iter().filter(|(share, _)| *share > 0).map(|(share, name)| format!("{name} {share} %"));
        format!("{} in the first {} pages", on.collect::<Vec<_>>().join(", "), self.window_pages)
    }

    pub(super) fn window_pages(&self) -> u32 {
        self.window_pages
    }
}

/// How many seeds are tried for one that has the operations wanted.
const DRAWS: u32 = 256;

/// The next seed of a draw in which the operations that the profile needs are all on.
pub fn constrain_draw(seed: u32, profile: &Profile) -> u32 {
    let Profile::Model(needs) = profile else { return seed };
    if needs.ops.is_empty() {
        return seed;
    }
    let kinds: Vec<OpKind> = needs.ops.iter().filter_map(|name| OpKind::from_name(name)).collect();
    let has_all = |seed: &u32| {
        let swarm = if needs.lanes > 1 { Swarm::shared(*seed) } else { Swarm::new(*seed) };
        kinds.iter().all(|kind| swarm.kinds.contains(kind))
    };
    (0..DRAWS).map(|n| seed.wrapping_add(n)).find(has_all).unwrap_or(seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use faults::FAULTS;

    #[test]
    fn a_draw_turns_about_a_third_of_the_operations_off_and_always_leaves_a_writer() {
        let mut present = 0;
        for seed in 1..=1000 {
            let swarm = Swarm::new(seed);
            let on = |kind: OpKind| swarm.kinds.contains(&kind);
            assert!(on(OpKind::Write) || on(OpKind::DirectWrite), "seed {seed}");
            present += OPS.iter().filter(|row| on(row.kind)).count();
        }
        let share = present as f64 / (1000 * OPS.len()) as f64;
        assert!((0.45..0.75).contains(&share), "{share}");
    }

    #[test]
    fn with_direct_io_in_one_lane_the_others_go_through_the_cache() {
        for seed in 1..=100 {
            let swarms = Cast::DirectBesideBuffered.swarms(seed, 3);
            for (lane, swarm) in swarms.iter().enumerate() {
                assert!(swarm.kinds.iter().all(|kind| kind.info().direct == (lane == 0)), "seed {seed} lane {lane}");
            }
            assert!(swarms[0].kinds.contains(&OpKind::DirectWrite), "seed {seed}");
        }
        assert_eq!(Cast::DirectBesideBuffered.swarms(Swarm::PLAIN, 3).len(), 1);
        assert_eq!(Cast::Own.swarms(7, 1).len(), 1);
    }

    #[test]
    fn the_plain_seed_names_every_operation_by_its_row() {
        let swarm = Swarm::new(Swarm::PLAIN);
        assert!(OPS.iter().all(|row| swarm.kind(row.kind as u8) == row.kind));
    }

    #[test]
    fn a_constrained_draw_has_the_operations_a_fault_needs() {
        for row in FAULTS.iter().filter(|row| !row.needs.ops.is_empty()) {
            for seed in 1..=100_u32 {
                let seed = seed.wrapping_mul(0x9e37_79b1);
                let seed = constrain_draw(seed, &Profile::Model(row.needs));
                let swarm = if row.needs.lanes > 1 { Swarm::shared(seed) } else { Swarm::new(seed) };
                for name in row.needs.ops {
                    let kind = OpKind::from_name(name).unwrap_or_else(|| panic!("{}: {name} is no operation", row.id));
                    assert!(swarm.kinds.contains(&kind), "{} {name}", row.id);
                }
            }
        }
    }
}
