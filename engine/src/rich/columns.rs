//! Decoding automerge's columns: only their one canonical spelling, and no more rows than a limit.
//!
//! A run-length column is a series of runs: a positive count and a value, a negative count and that many values, or zero
//! and a count of nulls. The canonical spelling has the longest possible runs, so checking neighbours is checking all.

use super::change::signed_leb128;
use crate::codec::{DecodeError, Reader};

/// Why a column is not canonical.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// More rows than the limit.
    #[error("more than {limit} rows")]
    Rows {
        /// The limit.
        limit: u64,
    },
    /// Not the canonical spelling of its rows.
    #[error("not in canonical form: {0}")]
    NotCanonical(&'static str),
    /// A value below 0 or beyond the largest counter.
    #[error("a counter out of range")]
    Counter,
    /// Fewer rows than operations.
    #[error("ends before the last operation")]
    Short,
    /// More rows than operations.
    #[error("goes on after the last operation")]
    Long,
    /// Bytes that do not decode.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// What a run-length column holds.
pub(super) trait Element<'a>: Copy + PartialEq {
    /// Reads one.
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;
}

impl Element<'_> for u64 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.varint()
    }
}

impl Element<'_> for i64 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        signed_leb128(reader)
    }
}

impl<'a> Element<'a> for &'a str {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.text()
    }
}

/// The run that is being read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Run<T> {
    /// Before the first.
    Start,
    Null,
    Value(T),
    /// A literal run, with its last value; `None` before its first, whose neighbour `Rle::before` knows.
    Literal(Option<T>),
}

/// A run-length column.
#[derive(Debug, Clone)]
pub(super) struct Rle<'a, T> {
    reader: Reader<'a>,
    run: Run<T>,
    left: u64,
    /// The last value before a literal run, which its first value must not repeat.
    before: Option<T>,
    /// Rows that may still come.
    room: u64,
    limit: u64,
    /// An absent column is all nulls.
    absent: bool,
    only_nulls: bool,
}

impl<'a, T: Element<'a>> Rle<'a, T> {
    pub fn new(bytes: Option<&'a [u8]>, limit: u64) -> Self {
        Self {
            reader: Reader::new(bytes.unwrap_or_default()),
            run: Run::Start,
            left: 0,
            before: None,
            room: limit,
            limit,
            absent: bytes.is_none(),
            only_nulls: true,
        }
    }

    /// Whether all rows were read. An absent column has as many as are asked for.
    pub fn at_end(&self) -> bool {
        self.left == 0 && self.reader.is_empty()
    }

    /// The next row.
    #[inline]
    pub fn next(&mut self) -> Result<Option<T>, ColumnError> {
        if self.left == 0 {
            if self.absent {
                return Ok(None);
            }
            self.start_run()?;
        }
        self.left -= 1;
        match &mut self.run {
            Run::Value(value) => Ok(Some(*value)),
            Run::Literal(last) => {
                let value = T::read(&mut self.reader)?;
                if last.or(self.before) == Some(value) {
                    return Err(ColumnError::NotCanonical("equal values apart"));
                }
                *last = Some(value);
                Ok(Some(value))
            }
            Run::Null | Run::Start => Ok(None),
        }
    }

    /// Ends the reading.
    pub fn finish(&self) -> Result<(), ColumnError> {
        match (self.at_end(), self.absent, self.only_nulls) {
            (false, ..) => Err(ColumnError::Long),
            (true, false, true) => Err(ColumnError::NotCanonical("a column of nulls")),
            (true, ..) => Ok(()),
        }
    }

    fn start_run(&mut self) -> Result<(), ColumnError> {
        if self.reader.is_empty() {
            return Err(ColumnError::Short);
        }
        let last = match self.run {
            Run::Value(value) => Some(value),
            Run::Literal(value) => value,
            Run::Start | Run::Null => None,
        };
        let count = signed_leb128(&mut self.reader)?;
        self.left = count.unsigned_abs();
        self.run = match count {
            0 if self.run == Run::Null => return Err(ColumnError::NotCanonical("two runs of nulls")),
            0 => {
                self.left = self.reader.varint()?;
                Run::Null
            }
            1 => return Err(ColumnError::NotCanonical("a run of one")),
            2.. => {
                let value = T::read(&mut self.reader)?;
                if last == Some(value) {
                    return Err(ColumnError::NotCanonical("equal values apart"));
                }
                Run::Value(value)
            }
            _ if matches!(self.run, Run::Literal(_)) => return Err(ColumnError::NotCanonical("two literal runs")),
            _ => {
                self.before = last;
                Run::Literal(None)
            }
        };
        self.only_nulls &= self.run == Run::Null;
        if self.left == 0 {
            return Err(ColumnError::NotCanonical("an empty run"));
        }
        self.room = self.room.checked_sub(self.left).ok_or(ColumnError::Rows { limit: self.limit })?;
        Ok(())
    }
}

/// A column of differences between neighbouring counters.
#[derive(Debug, Clone)]
pub(super) struct Delta<'a> {
    rle: Rle<'a, i64>,
    value: i64,
}

impl<'a> Delta<'a> {
    pub fn new(bytes: Option<&'a [u8]>, limit: u64) -> Self {
        Self { rle: Rle::new(bytes, limit), value: 0 }
    }

    /// The next row, between 0 and [`super::MAX_COUNTER`].
    #[inline]
    pub fn next(&mut self) -> Result<Option<u64>, ColumnError> {
        let Some(delta) = self.rle.next()? else { return Ok(None) };
        self.value = self.value.checked_add(delta).ok_or(ColumnError::Counter)?;
        match u64::try_from(self.value) {
            Ok(value) if value <= super::MAX_COUNTER => Ok(Some(value)),
            _ => Err(ColumnError::Counter),
        }
    }

    /// Ends the reading.
    pub fn finish(&self) -> Result<(), ColumnError> {
        self.rle.finish()
    }
}

/// A column of booleans: counts of equal values in turn, starting with false.
#[derive(Debug, Clone)]
pub(super) struct Booleans<'a> {
    reader: Reader<'a>,
    value: bool,
    left: u64,
    started: bool,
    room: u64,
    limit: u64,
}

impl<'a> Booleans<'a> {
    pub fn new(bytes: &'a [u8], limit: u64) -> Self {
        Self { reader: Reader::new(bytes), value: true, left: 0, started: false, room: limit, limit }
    }

    /// The next row.
    #[inline]
    pub fn next(&mut self) -> Result<bool, ColumnError> {
        while self.left == 0 {
            if self.reader.is_empty() {
                return Err(ColumnError::Short);
            }
            self.left = self.reader.varint()?;
            if self.left == 0 && self.started {
                return Err(ColumnError::NotCanonical("an empty run"));
            }
            self.room = self.room.checked_sub(self.left).ok_or(ColumnError::Rows { limit: self.limit })?;
            (self.started, self.value) = (true, !self.value);
        }
        self.left -= 1;
        Ok(self.value)
    }

    /// Ends the reading.
    pub fn finish(&self) -> Result<(), ColumnError> {
        if self.left == 0 && self.reader.is_empty() { Ok(()) } else { Err(ColumnError::Long) }
    }
}

/// Which rows of a boolean column are true, as ascending ends of runs: `(end, value)`.
pub(super) fn boolean_runs(bytes: &[u8]) -> Result<Vec<(u64, bool)>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let (mut runs, mut end, mut value) = (Vec::new(), 0u64, false);
    while !reader.is_empty() {
        end = end.saturating_add(reader.varint()?);
        runs.push((end, value));
        value = !value;
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(bytes: &[u8], count: usize) -> Result<Vec<Option<u64>>, ColumnError> {
        let mut column = Rle::<u64>::new(Some(bytes), 100);
        let rows = (0..count).map(|_| column.next()).collect::<Result<_, _>>()?;
        column.finish().map(|()| rows)
    }

    #[test]
    fn runs_literals_and_nulls_are_read() {
        assert_eq!(rows(&[2, 7, 0x7e, 8, 9, 0, 1], 5), Ok(vec![Some(7), Some(7), Some(8), Some(9), None]));
        let mut absent = Rle::<u64>::new(None, 0);
        assert_eq!(absent.next(), Ok(None));
        assert_eq!(absent.finish(), Ok(()));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        let not_canonical: &[&[u8]] = &[
            &[1, 7, 0, 4],             // a run of one
            &[2, 7, 3, 7],             // two runs of the same value
            &[2, 7, 0x7f, 7, 2, 8],    // a literal that repeats the run before it
            &[0x7e, 7, 7, 3, 8],       // equal values in a literal
            &[0x7f, 7, 2, 7, 2, 8],    // a run that repeats the literal before it
            &[0x7f, 7, 0x7f, 8, 3, 9], // two literals
            &[0, 2, 0, 2, 0x7f, 1],    // two runs of nulls
            &[0, 5],                   // nothing but nulls
            &[0, 0, 5, 7],             // no nulls
        ];
        for bytes in not_canonical {
            assert!(matches!(rows(bytes, 5), Err(ColumnError::NotCanonical(_))), "{bytes:?}: {:?}", rows(bytes, 5));
        }
        assert_eq!(rows(&[5, 7], 4), Err(ColumnError::Long));
        assert_eq!(rows(&[5, 7], 6), Err(ColumnError::Short));
        assert_eq!(rows(&[0xe5, 0, 7], 1), Err(ColumnError::Rows { limit: 100 }));
        assert_eq!(rows(&[0x85, 0, 7], 5), Err(ColumnError::Decode(DecodeError::Varint)));
    }

    #[test]
    fn differences_lead_to_counters_only() {
        let first = |bytes: &[u8]| Delta::new(Some(bytes), 10).next();
        // One literal; then 2^31 and one more, as signed numbers, -1, and no value at all.
        assert_eq!(first(&[0x7f, 0x80, 0x80, 0x80, 0x80, 8]), Ok(Some(crate::rich::MAX_COUNTER)));
        assert_eq!(first(&[0x7f, 0x81, 0x80, 0x80, 0x80, 8]), Err(ColumnError::Counter));
        assert_eq!(first(&[0x7f, 0x7f]), Err(ColumnError::Counter));
        assert_eq!(first(&[0, 1]), Ok(None));
        // 1, and from there as far as a number goes.
        let mut column = Delta::new(Some(&[0x7e, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]), 10);
        assert_eq!(column.next(), Ok(Some(1)));
        assert_eq!(column.next(), Err(ColumnError::Counter));
    }

    #[test]
    fn booleans_start_with_false_and_have_no_empty_runs() {
        let mut column = Booleans::new(&[0, 1, 2], 10);
        assert_eq!((0..3).map(|_| column.next().unwrap()).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(column.finish(), Ok(()));
        let mut column = Booleans::new(&[1, 0, 2], 10);
        assert_eq!(column.next(), Ok(false));
        assert!(matches!(column.next(), Err(ColumnError::NotCanonical(_))));
        assert_eq!(Booleans::new(&[11], 10).next(), Err(ColumnError::Rows { limit: 10 }));
        for longer in [&[2][..], &[1, 1]] {
            let mut column = Booleans::new(longer, 10);
            assert_eq!(column.next(), Ok(false));
            assert_eq!(column.finish(), Err(ColumnError::Long), "{longer:?}");
        }
        assert_eq!(boolean_runs(&[0, 1, 2]), Ok(vec![(0, false), (1, true), (3, false)]));
    }
}
