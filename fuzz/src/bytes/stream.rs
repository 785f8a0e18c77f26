//! Bytes in, bytes out, and whole numbers in as few of them as they need.

/// The bytes not read yet. Behind their end there are zeros without end.
pub(super) struct Input<'a> {
    rest: &'a [u8],
}

/// First bytes from here on say how many bytes the number takes.
const LONG: u8 = 248;

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Input<'a> {
        Input { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    pub(super) fn take(&mut self, len: u64) -> &'a [u8] {
        let len = len.min(self.rest.len() as u64) as usize;
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }

    pub(super) fn word(&mut self) -> u32 {
        u32::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    pub(super) fn long_word(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A number: itself if it is below 248, else its length in bytes and then its bytes.
    pub(super) fn number(&mut self) -> u64 {
        let first = self.byte();
        if first < LONG {
            return u64::from(first);
        }
        let mut bytes = [0; 8];
        bytes[..=(first - LONG) as usize].fill_with(|| self.byte());
        u64::from_le_bytes(bytes)
    }
}

/// Bytes written so far.
pub(super) struct Output {
    bytes: Vec<u8>,
}

impl Output {
    pub(super) fn new() -> Output {
        Output { bytes: Vec::new() }
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn word(&mut self, word: u32) {
        self.put(&word.to_le_bytes());
    }

    pub(super) fn long_word(&mut self, word: u64) {
        self.put(&word.to_le_bytes());
    }

    pub(super) fn number(&mut self, number: u64) {
        if number < u64::from(LONG) {
            return self.byte(number as u8);
        }
        let len = 8 - number.leading_zeros() as usize / 8;
        self.byte(LONG + (len - 1) as u8);
        self.put(&number.to_le_bytes()[..len]);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in (0..64).flat_map(|bit| [1 << bit, (1u64 << bit) - 1, !0 >> bit]).chain([247, 248, 255, 256]) {
            let mut output = Output::new();
            output.number(number);
            let bytes = output.finish();
            let mut input = Input::new(&bytes);
            assert_eq!(input.number(), number);
            assert!(input.is_empty());
        }
    }
}
