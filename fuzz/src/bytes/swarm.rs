//! Swarm testing: every program has its own small, lopsided vocabulary.
//!
//! A program that uses all operations alike rarely does any of them often enough to matter. So a seed turns
//! about a third of them off and makes some of the others loud.

use oracle::{OPS, OpKind};

/// Which operation a byte stands for, and how much of the file is used.
pub(super) struct Swarm {
    kinds: [OpKind; 256],
    window_pages: u32,
}

/// How much louder than its weight in the table an operation gets.
const LOUDNESS: [u32; 8] = [1, 1, 2, 2, 4, 4, 8, 16];
const WINDOWS: [u32; 8] = [2, 3, 4, 4, 6, 8, 12, 16];

fn mix(seed: u32, n: u32) -> u32 {
    let x = (u64::from(seed) << 32 | u64::from(n)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x >> 32) as u32
}

impl Swarm {
    /// The seed with which a byte names an operation by its row in the table. The encoder uses it.
    pub(super) const PLAIN: u32 = 0;

    pub(super) fn new(seed: u32) -> Swarm {
        let window_pages = WINDOWS[mix(seed, u32::MAX) as usize % WINDOWS.len()];
        let mut kinds = [OpKind::Write; 256];
        if seed == Swarm::PLAIN {
            (kinds.iter_mut().zip(OPS.iter().cycle())).for_each(|(slot, row)| *slot = row.kind);
            return Swarm { kinds, window_pages: WINDOWS[WINDOWS.len() - 1] };
        }
        let mut weights = [0; OpKind::COUNT];
        for (row, weight) in OPS.iter().zip(&mut weights) {
            let draw = mix(seed, row.kind as u32);
            if !draw.is_multiple_of(3) {
                *weight = u32::from(row.weight) * LOUDNESS[(draw >> 8) as usize % LOUDNESS.len()];
            }
        }
        // Without a writer every program would be an empty file.
        if weights[OpKind::DirectWrite as usize] == 0 {
            let write = &mut weights[OpKind::Write as usize];
            *write = (*write).max(u32::from(OpKind::Write.info().weight));
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_plain_seed_names_every_operation_by_its_row() {
        let swarm = Swarm::new(Swarm::PLAIN);
        assert!(OPS.iter().all(|row| swarm.kind(row.kind as u8) == row.kind));
    }
}
