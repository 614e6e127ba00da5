//! Reading lines of bounded length, many at a time.

use std::io::{self, BufRead, Read};
use std::ops::Range;

/// What some editors put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a line can't be read.
#[derive(Debug)]
pub(super) enum LineFault {
    /// It has more bytes than this.
    TooLong(usize),
    /// The input failed.
    Io(io::Error),
}

/// An input, line by line.
pub(super) struct Lines<R> {
    input: R,
    longest: usize,
    /// How many lines were read.
    pub number: u64,
    /// How many bytes were read.
    pub bytes: u64,
}

impl<R: BufRead> Lines<R> {
    /// Lines of at most `longest` bytes.
    pub(super) fn new(input: R, longest: usize) -> Self {
        Self { input, longest, number: 0, bytes: 0 }
    }

    /// Appends the next line to `text` and says where, without what ends it and without a byte order mark at the
    /// beginning of the input. `None` at the end.
    ///
    /// # Errors
    /// [`LineFault`]. [`Lines::number`] is then the number of the line at fault, and nothing is appended.
    pub(super) fn read(&mut self, text: &mut Vec<u8>) -> Result<Option<Range<usize>>, LineFault> {
        let start = text.len();
        // One byte more than the longest line and its end tells that a line is too long.
        let most = self.longest as u64 + 3;
        let read = self.input.by_ref().take(most).read_until(b'\n', text);
        let read = read.inspect_err(|_| text.truncate(start));
        self.number += u64::from(!matches!(read, Ok(0)));
        let read = read.map_err(LineFault::Io)?;
        self.bytes += read as u64;
        if read == 0 {
            return Ok(None);
        }
        let line = &text[start..];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mark = if self.number == 1 && line.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let range = start + mark..start + line.len();
        if range.len() > self.longest {
            text.truncate(start);
            return Err(LineFault::TooLong(self.longest));
        }
        Ok(Some(range))
    }

    /// Passes over lines of any length up to line `end`, which is the next one to be read.
    ///
    /// # Errors
    /// As the input fails.
    pub(super) fn skip_to(&mut self, end: u64) -> io::Result<()> {
        while self.number + 1 < end {
            let skipped = self.input.skip_until(b'\n')?;
            if skipped == 0 {
                break;
            }
            self.number += 1;
            self.bytes += skipped as u64;
        }
        Ok(())
    }
}

/// Consecutive lines that are not blank, with their numbers.
#[derive(Default)]
pub(super) struct Batch {
    pub text: Vec<u8>,
    pub lines: Vec<(u64, Range<usize>)>,
}

impl Batch {
    /// Reads on until `most_lines` lines or `most_bytes` bytes are there, or the input ends. False: it ended.
    ///
    /// # Errors
    /// As [`Lines::read`]; the lines before are kept.
    pub(super) fn fill<R: BufRead>(
        &mut self,
        input: &mut Lines<R>,
        most_lines: usize,
        most_bytes: usize,
    ) -> Result<bool, LineFault> {
        self.text.clear();
        self.lines.clear();
        while self.lines.len() < most_lines && self.text.len() < most_bytes {
            let Some(range) = input.read(&mut self.text)? else { return Ok(false) };
            if self.text[range.clone()].trim_ascii().is_empty() {
                self.text.truncate(range.start);
            } else {
                self.lines.push((input.number, range));
            }
        }
        Ok(true)
    }

    /// The text of a line.
    pub(super) fn line(&self, range: &Range<usize>) -> &[u8] {
        &self.text[range.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], longest: usize) -> Vec<Result<String, u64>> {
        let mut lines = Lines::new(input, longest);
        let mut text = Vec::new();
        let mut read = Vec::new();
        loop {
            match lines.read(&mut text) {
                Ok(Some(range)) => read.push(Ok(String::from_utf8(text[range].to_vec()).unwrap())),
                Ok(None) => return read,
                Err(_) => {
                    read.push(Err(lines.number));
                    return read;
                }
            }
        }
    }

    #[test]
    fn ends_of_lines_and_a_byte_order_mark_are_no_content() {
        let read = lines(b"\xef\xbb\xbfa\r\n\nb\n\xef\xbb\xbf", 9);
        assert_eq!(read, [Ok("a".into()), Ok(String::new()), Ok("b".into()), Ok("\u{feff}".into())]);
        assert!(lines(b"", 9).is_empty());
        assert_eq!(lines(b"a", 1), [Ok("a".to_owned())]);
    }

    #[test]
    fn a_line_that_is_too_long_is_an_error_before_it_is_read() {
        assert_eq!(lines(b"abc\nabcd\n", 3), [Ok("abc".to_owned()), Err(2)]);
        assert_eq!(lines(b"abc\r\n", 3), [Ok("abc".to_owned())]);
        let endless = io::BufReader::with_capacity(16, io::repeat(b'x'));
        let mut text = Vec::new();
        assert!(matches!(Lines::new(endless, 10).read(&mut text), Err(LineFault::TooLong(10))));
        assert!(text.capacity() < 1_000);
    }

    #[test]
    fn lines_of_any_length_are_passed_over() {
        let input = format!("{}\nb\nc", "x".repeat(1_000));
        let mut lines = Lines::new(input.as_bytes(), 9);
        let mut text = Vec::new();
        lines.skip_to(1).unwrap();
        assert_eq!((lines.number, lines.bytes), (0, 0));
        lines.skip_to(3).unwrap();
        assert_eq!((lines.number, lines.bytes), (2, 1_003));
        assert_eq!(lines.read(&mut text).ok().flatten().map(|range| text[range].to_vec()), Some(b"c".to_vec()));
        lines.skip_to(9).unwrap();
        assert_eq!(lines.number, 3, "there are no more");
    }

    #[test]
    fn a_batch_ends_at_its_limits_and_skips_blank_lines() {
        let mut input = Lines::new(&b"a\n \nb\n\t\r\nc\nd"[..], 9);
        let mut batch = Batch::default();
        let numbers = |batch: &Batch| batch.lines.iter().map(|(number, _)| *number).collect::<Vec<_>>();
        assert!(batch.fill(&mut input, 2, 100).unwrap());
        assert_eq!(numbers(&batch), [1, 3]);
        assert!(batch.fill(&mut input, 100, 1).unwrap());
        assert_eq!(numbers(&batch), [5]);
        assert!(!batch.fill(&mut input, 100, 100).unwrap());
        assert_eq!(numbers(&batch), [6]);
        assert_eq!(batch.line(&batch.lines[0].1), b"d");
        assert!(!batch.fill(&mut input, 100, 100).unwrap());
        assert!(batch.lines.is_empty());
    }
}
