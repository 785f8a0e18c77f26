//! One line being read, and what to say when it does not read.

use std::fmt;

/// Where a text stops being a reproducer, and what would have been right there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column, in characters, from 1.
    pub column: usize,
    /// One sentence.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

/// A line and how far it has been read.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    line: usize,
    text: &'a str,
    /// Byte offset of what is read next.
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: usize, text: &'a str) -> Cursor<'a> {
        let mut cursor = Cursor { line, text, at: 0 };
        cursor.skip_blanks();
        cursor
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// An error at the next word.
    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        let column = self.text[..self.at].chars().count() + 1;
        ParseError { line: self.line, column, message: message.into() }
    }

    /// The next word without reading it: up to a blank, or up to and without a comma.
    pub(super) fn peek(&self) -> &'a str {
        let rest = self.rest();
        &rest[..rest.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(rest.len())]
    }

    pub(super) fn advance(&mut self, word: &str) {
        self.at += word.len();
        self.skip_blanks();
    }

    /// The next word; `expected` says what it should be.
    pub(super) fn word(&mut self, expected: &str) -> Result<&'a str, ParseError> {
        let word = self.peek();
        if word.is_empty() {
            return Err(self.error(format!("expected {expected}")));
        }
        self.advance(word);
        Ok(word)
    }

    /// Reads `prefix` if it comes next.
    pub(super) fn accept(&mut self, prefix: &str) -> bool {
        let accepted = self.rest().starts_with(prefix);
        if accepted {
            self.advance(prefix);
        }
        accepted
    }

    pub(super) fn expect(&mut self, prefix: &str, example: &str) -> Result<(), ParseError> {
        if self.accept(prefix) {
            return Ok(());
        }
        Err(self.error(format!("expected `{prefix}`, as in `{example}`")))
    }

    /// A word that `lookup` knows, chosen from `names`. Errors suggest the nearest one.
    pub(super) fn name<T>(
        &mut self,
        what: &str,
        names: impl Iterator<Item = &'static str>,
        lookup: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ParseError> {
        let word = self.peek();
        let Some(found) = lookup(word) else { return Err(self.unknown(what, names)) };
        self.advance(word);
        Ok(found)
    }

    /// Says that the next word is not `what`, and which one it may have meant.
    pub(super) fn unknown(&self, what: &str, names: impl Iterator<Item = &'static str>) -> ParseError {
        let word = self.peek();
        if word.is_empty() {
            return self.error(format!("expected {what}"));
        }
        let hint = nearest(word, names).map_or(String::new(), |name| format!("; did you mean `{name}`?"));
        self.error(format!("expected {what}, found `{}`{hint}", shown(word)))
    }

    /// A number no larger than `max`.
    pub(super) fn number(&mut self, max: u64) -> Result<u64, ParseError> {
        let word = self.peek();
        let (digits, radix) = word.strip_prefix("0x").map_or((word, 10), |hex| (hex, 16));
        if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
            return Err(self.error("expected a number, decimal or after `0x` hexadecimal"));
        }
        match u64::from_str_radix(digits, radix) {
            Ok(number) if number <= max => {
                self.advance(word);
                Ok(number)
            }
            _ => Err(self.error(format!("expected a number of at most {max}"))),
        }
    }

    /// `key=` and a number.
    pub(super) fn operand(&mut self, key: &str, max: u64, example: &str) -> Result<u64, ParseError> {
        self.expect(key, example)?;
        self.expect("=", example)?;
        self.number(max)
    }

    pub(super) fn end(&self) -> Result<(), ParseError> {
        if self.at_end() {
            return Ok(());
        }
        Err(self.error(format!("expected the end of the line, found `{}`", shown(self.peek()))))
    }
}

/// As much of a word as an error message has room for.
fn shown(word: &str) -> &str {
    word.char_indices().nth(40).map_or(word, |(end, _)| &word[..end])
}

/// The name closest to `word`, if one is close enough to have been meant. Of two, the one as long as it is.
pub fn nearest(word: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let word: Vec<char> = word.chars().take(64).collect();
    let close = 1 + word.len() / 3;
    let ranked = names.map(|name| (distance(&word, name), name.len().abs_diff(word.len()), name));
    ranked.filter(|(far, ..)| *far <= close).min().map(|(.., name)| name)
}

/// How many letters must be put in, taken out, replaced or swapped with their neighbour.
fn distance(from: &[char], to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut cost = (rows[i][j] + usize::from(a != b)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                cost = cost.min(rows[i - 1][j - 1] + 1);
            }
            row.push(cost);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_meant() {
        let names = || ["write", "read", "writeback", "fsync", "fdatasync"].into_iter();
        assert_eq!(nearest("wirte", names()), Some("write"));
        assert_eq!(nearest("writebak", names()), Some("writeback"));
        assert_eq!(nearest("fsnyc", names()), Some("fsync"));
        assert_eq!(nearest("collapse", names()), None);
    }

    #[test]
    fn columns_count_characters() {
        let mut cursor = Cursor::new(3, "  ää 12x");
        assert_eq!(cursor.word("a word"), Ok("ää"));
        let error = cursor.number(9).unwrap_err();
        assert_eq!((error.line, error.column), (3, 6));
    }
}
