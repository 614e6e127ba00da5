//! Canonical bytes: the few shapes that every stored and signed layout is made of.
//!
//! A varint is unsigned LEB128 in its shortest form; a signed number is zigzag-mapped to one; bytes and text carry
//! their length as a varint. [`Reader`] refuses every other spelling, so what decodes encodes to the same bytes again.

/// The longest varint, in bytes.
pub const MAX_VARINT_BYTES: usize = 10;

/// Why bytes are not the canonical encoding of anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end too early, or announce more than there is.
    #[error("the bytes end too early")]
    Truncated,
    /// Bytes follow the end.
    #[error("{count} bytes follow the end")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// A varint is not in its shortest form, or exceeds 64 bits.
    #[error("a varint is not in its shortest form, or exceeds 64 bits")]
    Varint,
    /// Text is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// A tag that this software does not know.
    #[error("unknown tag {tag:#04x}")]
    Tag {
        /// The tag.
        tag: u8,
    },
    /// A limit is exceeded.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A value has another, canonical encoding, or may not be encoded at all.
    #[error("{why}")]
    NotCanonical {
        /// Which rule is broken.
        why: &'static str,
    },
}

/// Appends `number` as a varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends `number` as a zigzag varint: small magnitudes of either sign are short.
#[inline]
pub fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_varint(out, (number << 1 ^ number >> 63) as u64);
}

/// Appends the length of `bytes` as a varint, then `bytes`.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads canonical bytes from front to back. It borrows, allocates nothing, and never reads past the end.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    /// How many bytes were read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.length - self.rest.len()
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether all was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A reader of what comes next, and of no more than `max_bytes` of it. This reader stays where it is.
    #[must_use]
    pub fn window(&self, max_bytes: usize) -> Self {
        Self::new(&self.rest[..self.rest.len().min(max_bytes)])
    }

    /// Checks that all was read.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] when something is left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing { count: self.rest.len() }) }
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] at the end.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A varint.
    ///
    /// # Errors
    /// [`DecodeError::Varint`] when it is not in its shortest form or exceeds 64 bits, [`DecodeError::Truncated`].
    #[inline]
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut number = u64::from(first & 0x7f);
        for index in 1..MAX_VARINT_BYTES {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                let fits = index < MAX_VARINT_BYTES - 1 || byte == 1;
                return if byte != 0 && fits { Ok(number) } else { Err(DecodeError::Varint) };
            }
        }
        Err(DecodeError::Varint)
    }

    /// A zigzag varint.
    ///
    /// # Errors
    /// As [`Reader::varint`].
    #[inline]
    pub fn signed(&mut self) -> Result<i64, DecodeError> {
        let mapped = self.varint()?;
        Ok((mapped >> 1) as i64 ^ -((mapped & 1) as i64))
    }

    /// A varint that counts things of at least `least_bytes` bytes each. A count that the rest cannot hold is
    /// refused, so an allocation by the count is bounded by the input.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] for a count that the rest cannot hold, and as [`Reader::varint`].
    #[inline]
    pub fn count(&mut self, least_bytes: usize) -> Result<usize, DecodeError> {
        let count = usize::try_from(self.varint()?).map_err(|_| DecodeError::Truncated)?;
        if count > self.rest.len() / least_bytes.max(1) {
            return Err(DecodeError::Truncated);
        }
        Ok(count)
    }

    /// Bytes behind their length.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], and as [`Reader::varint`].
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.count(1)?;
        self.take(length)
    }

    /// Text behind its length.
    ///
    /// # Errors
    /// [`DecodeError::Utf8`], and as [`Reader::bytes`].
    #[inline]
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Utf8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip_at_every_length() {
        let edges = (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit]).chain([u64::MAX]);
        for number in edges {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.varint(), Ok(number));
            assert_eq!(reader.finish(), Ok(()));
            for end in 0..bytes.len() {
                assert_eq!(Reader::new(&bytes[..end]).varint(), Err(DecodeError::Truncated));
            }
        }
    }

    #[test]
    fn signed_numbers_round_trip_and_small_ones_are_short() {
        for number in [0, -1, 1, -64, 63, 64, i64::MIN, i64::MAX] {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, number);
            assert_eq!(Reader::new(&bytes).signed(), Ok(number));
            assert_eq!(bytes.len() == 1, (-64..64).contains(&number), "{number}");
        }
    }

    #[test]
    fn longer_spellings_and_more_than_64_bits_are_refused() {
        let too_large = [&[0xff; 9][..], &[2]].concat();
        let endless = [0xff; 11];
        for bytes in [&[0x80, 0][..], &[0xff, 0x80, 0], &too_large, &endless] {
            assert_eq!(Reader::new(bytes).varint(), Err(DecodeError::Varint), "{bytes:x?}");
        }
        assert_eq!(Reader::new(&[&[0xff; 9][..], &[1]].concat()).varint(), Ok(u64::MAX));
    }

    #[test]
    fn lengths_and_counts_beyond_the_end_are_refused_before_anything_is_allocated() {
        let mut huge = Vec::new();
        put_varint(&mut huge, u64::MAX);
        assert_eq!(Reader::new(&huge).bytes(), Err(DecodeError::Truncated));
        assert_eq!(Reader::new(&[3, 1, 2]).bytes(), Err(DecodeError::Truncated));
        assert_eq!(Reader::new(&[2, 0, 0, 0]).count(2), Err(DecodeError::Truncated));
        assert_eq!(Reader::new(&[2, 0, 0, 0, 0]).count(2), Ok(2));
        assert_eq!(Reader::new(&[1, 0xff]).text(), Err(DecodeError::Utf8));
    }
}
