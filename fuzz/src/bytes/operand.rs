//! Operands: in full, or as a step from something that matters.

use super::stream::{Input, Output};
use oracle::{Effect, Geometry, Op, OpKind, Shape};
use std::ops::Range;

/// What a biased position is counted from.
#[derive(Clone, Copy)]
enum Base {
    Sector,
    Block,
    Page,
    Folio,
    EndOfFile,
    TouchedStart,
    TouchedEnd,
    TouchedInside,
    Anywhere,
}

use Base::{Anywhere, Block, EndOfFile, Folio, Page, Sector, TouchedEnd, TouchedInside, TouchedStart};

/// Forms of an operand, by number; the one behind the last is [`IN_FULL`].
const BASES: [Base; IN_FULL as usize] = [
    Page,
    Block,
    TouchedStart,
    EndOfFile,
    Page,
    Block,
    TouchedStart,
    EndOfFile,
    Page,
    Block,
    TouchedStart,
    EndOfFile,
    Page,
    Block,
    TouchedStart,
    TouchedEnd,
    Page,
    Block,
    TouchedStart,
    TouchedEnd,
    Sector,
    Folio,
    TouchedInside,
    TouchedEnd,
    Sector,
    Block,
    TouchedInside,
    TouchedEnd,
    Page,
    TouchedInside,
    Anywhere,
];

/// The form that gives operands as they are.
pub(super) const IN_FULL: u8 = 31;

/// Bytes added to start and end. Off by one is where the bugs are, but most ranges are whole.
const NUDGES: [(i64, i64); 16] = [
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 0),
    (1, 0),
    (-1, 0),
    (0, 1),
    (0, -1),
    (1, -1),
    (-3, 2),
    (3, -3),
];

/// How many ranges are remembered as touched.
const TOUCHED: usize = 4;

/// What operands refer to, kept up to date from the operations alone.
pub(super) struct Operands {
    sector: u64,
    block: u64,
    page: u64,
    folio: u64,
    /// Positions are drawn from the first so many bytes, so that ranges meet.
    window: u64,
    /// The size of the file, as far as the operations tell.
    size: u64,
    touched: [Range<u64>; TOUCHED],
    count: usize,
}

impl Operands {
    pub(super) fn new(geometry: &Geometry, window_pages: u32) -> Operands {
        let page = u64::from(geometry.page);
        let folio = page << geometry.max_order;
        Operands {
            sector: u64::from(geometry.sector()),
            block: u64::from(geometry.block),
            page,
            folio,
            window: (page * u64::from(window_pages))
                .max(2 * u64::from(geometry.block))
                .max(geometry.floor + 2 * page)
                .min(geometry.file_limit),
            size: geometry.floor,
            touched: std::array::from_fn(|n| n as u64 * page..(n as u64 + 1) * page),
            count: 0,
        }
    }

    /// Learns what `op` does to the size, and that its range is worth coming back to.
    #[inline]
    pub(super) fn note(&mut self, op: &Op) {
        let info = op.kind.info();
        let range = op.bytes();
        if info.shape == Shape::Size {
            self.size = op.off;
        } else if info.extends {
            self.size = self.size.max(range.end);
        }
        if matches!(info.effect, Effect::Write | Effect::Size) && !range.is_empty() {
            self.touched[self.count % TOUCHED] = range;
            self.count += 1;
        }
    }

    /// An operation of this kind with the operands that follow, not yet made to fit.
    #[inline]
    pub(super) fn decode(&self, input: &mut Input<'_>, kind: OpKind, form: u8) -> Op {
        let shape = kind.info().shape;
        if shape == Shape::Plain {
            return Op::plain(kind);
        }
        let Some(base) = BASES.get(form as usize) else { return decode_in_full(input, kind, shape) };
        let (which, how) = (input.byte(), input.byte());
        // An empty file has nothing to look at.
        let looks = kind.info().effect == Effect::Read || kind.info().mapped;
        let kind = if looks && self.size == 0 { OpKind::Write } else { kind };
        let nudge = NUDGES[(how >> 4) as usize];
        let mut start = self.point(*base, which);
        if looks && start > self.size {
            start %= self.size.max(1);
        }
        let at = start.saturating_add_signed(nudge.0);
        match shape {
            Shape::Plain | Shape::Size | Shape::Offset => Op::at(kind, at),
            // Every other cache control goes for the whole file: most of its uses need no aim.
            Shape::Range if kind.info().effect == Effect::Neutral && which & 1 == 0 => {
                Op::range(kind, 0, self.size.max(self.page))
            }
            Shape::Range | Shape::RangeReadable => {
                let end = (start + self.len(how & 15, start, which)).saturating_add_signed(nudge.1);
                let len = end.saturating_sub(at).max(1);
                let readable = if shape == Shape::RangeReadable { self.readable(input.byte(), len) } else { 0 };
                Op { kind, off: at, len, readable }
            }
        }
    }

    fn touched(&self, which: u8) -> &Range<u64> {
        &self.touched[which as usize % TOUCHED]
    }

    #[inline]
    fn point(&self, base: Base, which: u8) -> u64 {
        let multiple = |unit: u64| u64::from(which) % (self.window / unit).max(1) * unit;
        match base {
            Sector => multiple(self.sector),
            Block => multiple(self.block),
            Page => multiple(self.page),
            Folio => multiple(self.folio),
            EndOfFile => self.size,
            TouchedStart => self.touched(which).start,
            TouchedEnd => self.touched(which).end,
            TouchedInside => {
                let range = self.touched(which);
                range.start + (range.end - range.start) * u64::from(which >> 2) / 64
            }
            Anywhere => self.window * u64::from(which) / 256,
        }
    }

    #[inline]
    fn len(&self, how: u8, start: u64, which: u8) -> u64 {
        let len = match how {
            0 => self.block,
            1 => self.page,
            2 => 2 * self.page,
            3 => self.folio,
            4 => self.size.saturating_sub(start),
            5 => self.touched(which).end.saturating_sub(start),
            6 => self.touched(which).end - self.touched(which).start,
            7 => self.sector,
            8 => 1 + u64::from(which >> 5),
            9 => 3 * self.block,
            10 => self.page - start % self.page,
            11 => self.block - start % self.block,
            12 => 4 * self.page,
            13 => self.page / 2,
            14 => self.size.saturating_sub(start) + self.block,
            _ => 2 * self.block,
        };
        if len == 0 { self.block } else { len }
    }

    fn readable(&self, how: u8, len: u64) -> u64 {
        match how & 3 {
            0 => len / 2,
            1 => len - 1,
            2 => (len - 1) / self.block * self.block,
            _ => u64::from(how >> 2),
        }
    }
}

fn decode_in_full(input: &mut Input<'_>, kind: OpKind, shape: Shape) -> Op {
    let off = input.number();
    let len = if matches!(shape, Shape::Range | Shape::RangeReadable) { input.number() } else { 0 };
    let readable = if shape == Shape::RangeReadable { input.number() } else { 0 };
    Op { kind, off, len, readable }
}

/// Writes the operands of `op` in full.
pub(super) fn encode(output: &mut Output, op: &Op) {
    let shape = op.kind.info().shape;
    if shape != Shape::Plain {
        output.number(op.off);
    }
    if matches!(shape, Shape::Range | Shape::RangeReadable) {
        output.number(op.len);
    }
    if shape == Shape::RangeReadable {
        output.number(op.readable);
    }
}
