//! Reading the text form.

use super::VERSION;
use super::cursor::{Cursor, ParseError};
use super::items::{anchor, expect, fault, flavour, op, schedule, sharing};
use crate::program::{Invalid, Program};
use crate::reproducer::{Expect, Reproducer};
use faults::Fault;
use lanes::{LaneId, Schedule};
use oracle::{Flavour, Geometry, OPS, Op, OpKind, Sharing};

/// Reads a reproducer.
pub fn parse(text: &str) -> Result<Reproducer, ParseError> {
    let mut lines = text.lines().enumerate().map(|(n, line)| (n + 1, line));
    let mut comment = Vec::new();
    loop {
        let Some((number, line)) = lines.next() else { return Err(Cursor::new(1, "").error(NO_VERSION)) };
        if let Some(words) = line.trim_start().strip_prefix('#') {
            comment.push(words.strip_prefix(' ').unwrap_or(words).trim_end().to_owned());
        } else if !line.trim().is_empty() {
            version(Cursor::new(number, line))?;
            break;
        }
    }
    let mut parser = Parser::default();
    for (number, line) in lines {
        let cursor = Cursor::new(number, line);
        if !cursor.at_end() && !cursor.rest().starts_with('#') {
            parser.line(number, cursor)?;
        }
    }
    parser.finish(comment)
}

const NO_VERSION: &str = "expected `foliofuzz 1`, which begins every reproducer";

fn version(mut cursor: Cursor<'_>) -> Result<(), ParseError> {
    if cursor.peek() != "foliofuzz" {
        return Err(cursor.error(NO_VERSION));
    }
    cursor.advance("foliofuzz");
    let at = cursor;
    match cursor.number(u64::MAX)? {
        VERSION => cursor.end(),
        other => Err(at.error(format!("expected version {VERSION}, this is a file of version {other}"))),
    }
}

const KEYWORDS: [&str; 17] = [
    "fault",
    "expect",
    "trace",
    "page",
    "block",
    "max_order",
    "memory_pages",
    "readahead_pages",
    "stable_pages",
    "flavour",
    "file_limit",
    "sharing",
    "floor",
    "stripe",
    "lane",
    "schedule",
    "at",
];

/// What has been read so far.
#[derive(Default)]
struct Parser {
    fault: Option<Fault>,
    expect: Option<Expect>,
    trace: Option<u64>,
    /// Sizes by their position in [`KEYWORDS`], as far as they are numbers.
    sizes: [Option<u64>; KEYWORDS.len()],
    flavour: Option<Flavour>,
    sharing: Option<Sharing>,
    lanes: Vec<Vec<Op>>,
    /// The line of every operation, for errors found at the end.
    op_lines: Vec<Vec<usize>>,
    schedule: Option<Schedule>,
    /// The first line that is not about the file but about the program, and the last line read.
    first_size: usize,
    last: usize,
}

impl Parser {
    fn line(&mut self, number: usize, mut cursor: Cursor<'_>) -> Result<(), ParseError> {
        self.last = number;
        let word = cursor.peek();
        if OpKind::from_name(word).is_some() {
            return self.op(number, cursor);
        }
        let Some(keyword) = KEYWORDS.iter().position(|k| *k == word) else {
            let names = OPS.iter().map(|row| row.name).chain(KEYWORDS);
            return Err(cursor.unknown("an operation or a keyword", names));
        };
        let start = cursor;
        cursor.advance(word);
        let twice = match word {
            "fault" => self.fault.replace(fault(&mut cursor)?).is_some(),
            "expect" => self.expect.replace(expect(&mut cursor)?).is_some(),
            "trace" => self.trace.replace(cursor.number(u64::MAX)?).is_some(),
            "flavour" => self.flavour.replace(flavour(&mut cursor)?).is_some(),
            "sharing" => self.sharing.replace(sharing(&mut cursor)?).is_some(),
            "lane" => return self.lane(cursor),
            "schedule" => self.schedule.replace(schedule(&mut cursor)?).is_some(),
            "at" => return self.anchor(start, cursor),
            size => {
                if self.first_size == 0 {
                    self.first_size = number;
                }
                self.sizes[keyword].replace(cursor.number(largest(size))?).is_some()
            }
        };
        if twice { Err(start.error(format!("expected `{word}` only once"))) } else { cursor.end() }
    }

    fn lane(&mut self, mut cursor: Cursor<'_>) -> Result<(), ParseError> {
        let next = self.lanes.len();
        let at = cursor;
        if cursor.number(u64::MAX)? != next as u64 {
            return Err(at.error(format!("expected lane {next}, lanes come in order")));
        }
        if next == LaneId::MAX_USERS {
            return Err(at.error("expected at most 7 lanes"));
        }
        self.lanes.push(Vec::new());
        self.op_lines.push(Vec::new());
        cursor.end()
    }

    fn op(&mut self, number: usize, mut cursor: Cursor<'_>) -> Result<(), ParseError> {
        let (Some(ops), Some(lines), None) = (self.lanes.last_mut(), self.op_lines.last_mut(), &self.schedule) else {
            return Err(cursor.error("expected `lane 0` or another lane before its operations"));
        };
        ops.push(op(&mut cursor)?);
        lines.push(number);
        cursor.end()
    }

    fn anchor(&mut self, start: Cursor<'_>, mut cursor: Cursor<'_>) -> Result<(), ParseError> {
        let Some(Schedule::Anchored(anchors)) = &mut self.schedule else {
            return Err(start.error("expected `schedule anchored` before the first `at`"));
        };
        anchors.push(anchor(&mut cursor)?);
        cursor.end()
    }

    fn size(&self, keyword: &str) -> Option<u64> {
        KEYWORDS.iter().position(|k| *k == keyword).and_then(|n| self.sizes[n])
    }

    fn geometry(&self) -> Result<Geometry, ParseError> {
        let need = |keyword: &str| {
            let missing =
                || Cursor::new(self.last.max(1), "").error(format!("expected a line `{keyword} N` before the end"));
            self.size(keyword).ok_or_else(missing)
        };
        let mut geometry = Geometry {
            page: need("page")? as u32,
            block: need("block")? as u32,
            max_order: 0,
            memory_pages: self.size("memory_pages").unwrap_or(0) as u16,
            readahead_pages: self.size("readahead_pages").unwrap_or(0) as u16,
            stable_pages: self.size("stable_pages") == Some(1),
            flavour: self.flavour.unwrap_or(Flavour::Xfs),
            sharing: self.sharing.unwrap_or_default(),
            file_limit: need("file_limit")?,
            floor: self.size("floor").unwrap_or(0),
            stripe: self.size("stripe").unwrap_or(0) as u32,
        };
        let sound = geometry.page > 0 && geometry.block > 0;
        let smallest = || if sound { u64::from(geometry.min_order()) } else { 0 };
        geometry.max_order = self.size("max_order").unwrap_or_else(smallest) as u8;
        Ok(geometry)
    }

    fn finish(self, comment: Vec<String>) -> Result<Reproducer, ParseError> {
        let geometry = self.geometry()?;
        let schedule = self.schedule.unwrap_or_default();
        let program = Program { geometry, lanes: self.lanes, schedule };
        program.validate().map_err(|Invalid { op, rule }| {
            let line = match op {
                Some(id) => self.op_lines[id.lane as usize][id.index as usize],
                None => self.first_size,
            };
            ParseError { line, column: 1, message: rule.to_owned() }
        })?;
        Ok(Reproducer {
            comment,
            fault: self.fault,
            expect: self.expect.unwrap_or(Expect::Agree),
            trace: self.trace,
            program,
        })
    }
}

/// Largest number the field of this name holds; whether it makes sense is for [`Program::validate`] to say.
fn largest(size: &str) -> u64 {
    match size {
        "stable_pages" => 1,
        "max_order" => u64::from(u8::MAX),
        "memory_pages" | "readahead_pages" => u64::from(u16::MAX),
        "page" | "block" | "stripe" => u64::from(u32::MAX),
        _ => u64::MAX,
    }
}
