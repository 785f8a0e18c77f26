//! Where the operations of a sequence come from.

/// Where the choices of a sequence come from.
pub(crate) trait Choices {
    fn next(&mut self) -> u64;

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

pub(crate) struct SplitMix(pub(crate) u64);

impl Choices for SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// Two bytes a choice; all zero after the last.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Bytes<'_> {
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

impl Choices for Bytes<'_> {
    fn next(&mut self) -> u64 {
        let (now, rest) = self.0.split_at(self.0.len().min(2));
        self.0 = rest;
        now.iter().fold(0, |word, &byte| word << 8 | u64::from(byte))
    }
}
