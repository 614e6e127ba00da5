//! The one binary layout of everything this crate signs, stores or sends: fixed order, varint lengths, every list bounded.
//!
//! Numbers are unsigned LEB128 in their shortest form, byte strings are preceded by their length, arrays of known size
//! are not. A decoder must consume all of its input, so every value has exactly one encoding.

use tidewater_engine::id::{DeviceId, EpochId, Incarnation, SpaceId, WriterId};
use tidewater_engine::log::Plane;
use tidewater_engine::space::Rank;

use crate::identity::IdentityId;

/// Why bytes are not what they should be. Always the fault of whoever made them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

pub(crate) type Decoded<T> = Result<T, Malformed>;

/// Something with one canonical layout.
pub(crate) trait Codec: Sized {
    fn encode(&self, out: &mut Vec<u8>);
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self>;

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }

    /// Decodes all of `bytes`: left-over bytes are an error.
    fn from_bytes(bytes: &[u8]) -> Decoded<Self> {
        let mut reader = Reader { bytes };
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// Reads from the front of a slice.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn finish(self) -> Decoded<()> {
        if self.bytes.is_empty() { Ok(()) } else { Err(Malformed("bytes are left over")) }
    }

    pub(crate) fn take(&mut self, count: usize) -> Decoded<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(Malformed("it ends too early"))?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// All that is left.
    pub(crate) fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("N bytes were taken"))
    }

    pub(crate) fn byte(&mut self) -> Decoded<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn bool(&mut self) -> Decoded<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("a truth value is neither 0 nor 1")),
        }
    }

    /// An unsigned number in its shortest LEB128 form.
    pub(crate) fn number(&mut self) -> Decoded<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(Malformed("a number is too large"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                let shortest = byte != 0 || shift == 0;
                return if shortest { Ok(value) } else { Err(Malformed("a number is longer than it needs to be")) };
            }
        }
        Err(Malformed("a number is too large"))
    }

    /// Milliseconds since 1970 UTC.
    pub(crate) fn time(&mut self) -> Decoded<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn count(&mut self, limit: usize) -> Decoded<usize> {
        usize::try_from(self.number()?)
            .ok()
            .filter(|count| *count <= limit)
            .ok_or(Malformed("a length is over its limit"))
    }

    pub(crate) fn bytes(&mut self, limit: usize) -> Decoded<&'a [u8]> {
        let count = self.count(limit)?;
        self.take(count)
    }

    pub(crate) fn text(&mut self, limit: usize) -> Decoded<String> {
        let bytes = self.bytes(limit)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed("a text is not UTF-8"))
    }

    pub(crate) fn list<T: Codec>(&mut self, limit: usize) -> Decoded<Vec<T>> {
        let count = self.count(limit)?;
        // Grows with what is really there: a lying count costs nothing.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(T::decode(self)?);
        }
        Ok(items)
    }

    pub(crate) fn option<T: Codec>(&mut self) -> Decoded<Option<T>> {
        if self.bool()? { T::decode(self).map(Some) } else { Ok(None) }
    }
}

pub(crate) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_time(out: &mut Vec<u8>, time_ms: i64) {
    out.extend_from_slice(&time_ms.to_be_bytes());
}

pub(crate) fn put_list<T: Codec>(out: &mut Vec<u8>, items: &[T]) {
    put_number(out, items.len() as u64);
    items.iter().for_each(|item| item.encode(out));
}

pub(crate) fn put_option<T: Codec>(out: &mut Vec<u8>, item: Option<&T>) {
    out.push(u8::from(item.is_some()));
    if let Some(item) = item {
        item.encode(out);
    }
}

macro_rules! array_codec {
    ($($name:ident),*) => {$(
        impl Codec for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0);
            }
            fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
                reader.array().map(Self)
            }
        }
    )*};
}
array_codec!(SpaceId, DeviceId, EpochId, Incarnation, IdentityId);

impl Codec for WriterId {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bytes());
    }
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self::from_bytes(&reader.array()?))
    }
}

impl Codec for Plane {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        match reader.byte()? {
            0 => Ok(Self::Control),
            1 => Ok(Self::Data),
            _ => Err(Malformed("no such plane")),
        }
    }
}

impl Codec for Rank {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        match reader.byte()? {
            1 => Ok(Self::Relay),
            2 => Ok(Self::Reader),
            3 => Ok(Self::Writer),
            4 => Ok(Self::Admin),
            5 => Ok(Self::Owner),
            _ => Err(Malformed("no such rank")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_encoding() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, value);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.number(), Ok(value));
            reader.finish().unwrap();
        }
        for wrong in [&[0x80, 0][..], &[0xff; 10], &[0xff; 11], &[0x80], &[], &[0x81, 0x80, 0]] {
            assert!(Reader::new(wrong).number().is_err(), "{wrong:x?}");
        }
    }

    #[test]
    fn a_lying_count_is_refused_without_cost() {
        let mut bytes = Vec::new();
        put_number(&mut bytes, 1 << 40);
        assert!(Reader::new(&bytes).list::<SpaceId>(100).is_err());
        bytes.clear();
        put_number(&mut bytes, 1 << 40);
        assert_eq!(Reader::new(&bytes).list::<SpaceId>(usize::MAX), Err(Malformed("it ends too early")));
        assert_eq!(SpaceId::from_bytes(&[0; 33]), Err(Malformed("bytes are left over")));
    }

    #[test]
    fn every_rank_and_plane_has_its_number() {
        for (number, rank) in
            [Rank::Relay, Rank::Reader, Rank::Writer, Rank::Admin, Rank::Owner].into_iter().enumerate()
        {
            assert_eq!(rank.to_bytes(), [number as u8 + 1]);
            assert_eq!(Rank::from_bytes(&rank.to_bytes()), Ok(rank));
        }
        assert!(Rank::from_bytes(&[0]).is_err() && Rank::from_bytes(&[6]).is_err());
        for plane in [Plane::Control, Plane::Data] {
            assert_eq!(Plane::from_bytes(&plane.to_bytes()), Ok(plane));
        }
        assert!(Plane::from_bytes(&[2]).is_err());
    }

    #[test]
    fn what_is_over_its_limit_or_no_text_is_refused() {
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, b"four");
        assert_eq!(Reader::new(&bytes).text(4), Ok("four".to_owned()));
        assert_eq!(Reader::new(&bytes).text(3), Err(Malformed("a length is over its limit")));
        assert_eq!(Reader::new(&[1, 0xff]).text(4), Err(Malformed("a text is not UTF-8")));
        assert_eq!((Reader::new(&[0]).bool(), Reader::new(&[1]).bool()), (Ok(false), Ok(true)));
        assert!(Reader::new(&[2]).bool().is_err());
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_too_large_and_a_padded_one_too_long() {
        let longest = [[0xff; 9].as_slice(), &[1]].concat();
        assert_eq!(Reader::new(&longest).number(), Ok(u64::MAX));
        let larger = [[0xff; 9].as_slice(), &[2]].concat();
        assert_eq!(Reader::new(&larger).number(), Err(Malformed("a number is too large")));
        assert_eq!(Reader::new(&[0x80, 0]).number(), Err(Malformed("a number is longer than it needs to be")));
        assert_eq!(Reader::new(&[0x80, 1]).number(), Ok(128));
        assert_eq!(Reader::new(&[0]).number(), Ok(0));
    }
}
