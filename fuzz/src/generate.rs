//! Fresh random programs: bytes for the one decoder, laid out so that random ones are worth running.

use crate::bytes::{HEADER_LEN, Profile, Strategy, constrain, constrain_draw};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Where fresh programs come from: a seed, and what is wanted of them.
#[derive(Clone, Copy, Debug)]
pub struct Generator {
    /// Programs with equal seeds and numbers are equal.
    pub seed: u64,
    /// The sizes wanted.
    pub profile: Profile,
    /// How lanes are scheduled; mostly stall-PCT if nothing is said.
    pub strategy: Option<Strategy>,
}

/// Most operations of a fresh program. Long ones meet more states, in short ones a change point is more likely to
/// fall where it matters, and they run faster.
const LENGTHS: [u32; 4] = [12, 24, 24, 32];

/// Masks for the gaps between change points. A program passes some hundred places, so most gaps must be shorter than
/// what a byte can say, or nearly all change points would come after its end.
const PACES: [u8; 4] = [15, 31, 63, 127];

impl Generator {
    /// Replaces `bytes` by those of program `number`.
    pub fn fill(&self, number: u64, bytes: &mut Vec<u8>) {
        // Every program has a stream of its own: the 17th can be had without the 16 before it.
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(number);
        bytes.clear();
        let mut header = [0; HEADER_LEN];
        rng.fill_bytes(&mut header);
        constrain(&mut header, &self.profile);
        bytes.extend_from_slice(&header);
        let [swarm, shape] = [rng.next_u32(), rng.next_u32()];
        bytes.extend_from_slice(&constrain_draw(swarm, &self.profile).to_le_bytes());
        let strategy = self.strategy.unwrap_or_else(|| Strategy::of_byte(shape as u8));
        schedule_bytes(&mut rng, strategy, bytes);
        let [most, count] = [LENGTHS[(shape >> 8 & 3) as usize], shape >> 10];
        let ops = 2 + count % (most - 1);
        extend(&mut rng, bytes, 4 * ops as usize);
    }
}

fn schedule_bytes(rng: &mut ChaCha8Rng, strategy: Strategy, bytes: &mut Vec<u8>) {
    bytes.push(strategy.byte());
    match strategy {
        Strategy::Sequential => {}
        Strategy::Pct => {
            let draw = rng.next_u32();
            let len = 16 + draw as u8 % 65;
            bytes.push(len);
            let from = bytes.len();
            extend(rng, bytes, len as usize);
            let pace = PACES[(draw >> 8) as usize % PACES.len()];
            bytes[from + 2..].iter_mut().step_by(2).for_each(|gap| *gap &= pace);
        }
        Strategy::Rare => {
            extend(rng, bytes, 8);
            bytes.push(rng.next_u32() as u8 % 64);
        }
        Strategy::Uniform => extend(rng, bytes, 8),
        Strategy::RoundRobin => bytes.push(rng.next_u32() as u8 % 32),
    }
}

fn extend(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>, len: usize) {
    let from = bytes.len();
    bytes.resize(from + len, 0);
    rng.fill_bytes(&mut bytes[from..]);
}
