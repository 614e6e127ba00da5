//! The total order of a result, and the bytes that stand for a document's place in it.

use super::filter::{FieldNames, Subject};
use super::path::ID;
use super::source::Candidate;
use super::{Nulls, Order, Query};
use crate::id::SpaceId;
use crate::store::ReadError;
use crate::value::{Value, order_key, string_prefix_key};

/// Ends the id's key: nothing that [`string_prefix_key`] appends contains it.
const ID_END: [u8; 2] = [0, 0];

impl Order {
    /// Least first.
    #[must_use]
    pub fn ascending(path: impl Into<String>) -> Self {
        Self { path: path.into(), descending: false, nulls: Nulls::default() }
    }

    /// Greatest first.
    #[must_use]
    pub fn descending(path: impl Into<String>) -> Self {
        Self { path: path.into(), descending: true, nulls: Nulls::default() }
    }
}

/// One key of a total order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SortKey<'q> {
    pub path: &'q str,
    pub descending: bool,
    pub nulls: Nulls,
}

impl SortKey<'_> {
    /// Appends the bytes that sort `value` as this key says. No key's bytes are the beginning of another's.
    pub fn put(&self, value: &Value, out: &mut Vec<u8>) {
        let null = matches!(value, Value::Null);
        match self.nulls {
            Nulls::Least => {}
            Nulls::First => out.push(u8::from(!null)),
            Nulls::Last => out.push(u8::from(null)),
        }
        let start = out.len();
        order_key(value, out);
        self.turn(&mut out[start..]);
    }

    /// As [`SortKey::put`], from the value's order key, for a key whose nulls are the least.
    pub fn put_order_key(&self, key: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(key);
        self.turn(&mut out[start..]);
    }

    /// Appends the bytes that sort an id as this key says.
    pub fn put_id(&self, id: &str, out: &mut Vec<u8>) {
        let start = out.len();
        string_prefix_key(id, out);
        out.extend_from_slice(&ID_END);
        self.turn(&mut out[start..]);
    }

    /// The order key that [`SortKey::put`] made `bytes` from.
    pub fn order_key(&self, bytes: &[u8]) -> Vec<u8> {
        let marker = usize::from(self.nulls != Nulls::Least);
        let mut key = bytes.get(marker..).unwrap_or_default().to_vec();
        self.turn(&mut key);
        key
    }

    /// The id that [`SortKey::put_id`] made `bytes` from; `None` when it made no such bytes.
    pub fn id(&self, bytes: &[u8]) -> Option<String> {
        let mut key = bytes.to_vec();
        self.turn(&mut key);
        let mut escaped = key.strip_suffix(&ID_END)?.get(1..)?.iter();
        let mut id = Vec::new();
        while let Some(byte) = escaped.next() {
            id.push(*byte);
            if *byte == 0 && *escaped.next()? != u8::MAX {
                return None;
            }
        }
        String::from_utf8(id).ok()
    }

    /// Inverts `bytes` if greater comes first.
    pub fn turn(&self, bytes: &mut [u8]) {
        if self.descending {
            bytes.iter_mut().for_each(|byte| *byte = !*byte);
        }
    }

    /// Whether keys in byte order, or backwards when descending, put nulls where this key wants them.
    pub fn has_natural_nulls(&self) -> bool {
        match self.nulls {
            Nulls::Least => true,
            Nulls::First => !self.descending,
            Nulls::Last => self.descending,
        }
    }
}

/// The keys that order a query's result totally but for the space: what comes after the id is left out, what comes
/// twice too, and the id is last, in the direction of the key before it.
pub(crate) fn total_order(query: &Query) -> Vec<SortKey<'_>> {
    let mut keys: Vec<SortKey<'_>> = Vec::new();
    for Order { path, descending, nulls } in &query.order {
        if path == ID {
            keys.push(SortKey { path, descending: *descending, nulls: Nulls::Least });
            return keys;
        }
        if keys.iter().all(|key| key.path != path) {
            keys.push(SortKey { path, descending: *descending, nulls: *nulls });
        }
    }
    let descending = keys.last().is_some_and(|key| key.descending);
    keys.push(SortKey { path: ID, descending, nulls: Nulls::Least });
    keys
}

/// A total order, ready to place candidates.
#[derive(Debug)]
pub(crate) struct Sorter<'q> {
    keys: Vec<(SortKey<'q>, Subject<'q>)>,
    last: SortKey<'q>,
}

impl<'q> Sorter<'q> {
    /// Takes the keys of [`total_order`].
    pub fn new(keys: &[SortKey<'q>], fields: &mut FieldNames) -> Self {
        let (last, keys) = keys.split_last().expect("a total order ends with the id");
        Self { keys: keys.iter().map(|key| (*key, fields.subject(key.path))).collect(), last: *last }
    }

    /// Appends a candidate's place: every key, the id, the space. The byte order of places is the order of the result.
    /// Puts the length of every key and of the id into `lengths`. `sole_key` is the order key of the one value that the query
    /// orders by, if it is known: then the candidate is not asked.
    pub fn place(
        &self,
        candidate: &dyn Candidate,
        sole_key: Option<&[u8]>,
        space: &SpaceId,
        out: &mut Vec<u8>,
        lengths: &mut Vec<u32>,
    ) -> Result<(), ReadError> {
        lengths.clear();
        for (key, subject) in &self.keys {
            let start = out.len();
            match sole_key {
                Some(known) => key.put_order_key(known, out),
                None => subject.read(candidate, |value| key.put(value.unwrap_or(&Value::Null), out))?,
            }
            lengths.push((out.len() - start) as u32);
        }
        let start = out.len();
        self.last.put_id(candidate.id(), out);
        lengths.push((out.len() - start) as u32);
        let start = out.len();
        out.extend_from_slice(space.as_bytes());
        self.last.turn(&mut out[start..]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::sample::Sampler;

    #[test]
    fn the_order_is_total_and_says_nothing_twice() {
        let by = |order: Vec<Order>| Query { order, ..Query::all("c") };
        let paths = |query: &Query| -> Vec<(String, bool)> {
            total_order(query).iter().map(|key| (key.path.to_owned(), key.descending)).collect()
        };
        assert_eq!(paths(&by(vec![])), [("id".to_owned(), false)]);
        let twice = by(vec![Order::ascending("a"), Order::descending("b"), Order::descending("a")]);
        assert_eq!(paths(&twice), [("a".to_owned(), false), ("b".to_owned(), true), ("id".to_owned(), true)]);
        let past_id = by(vec![Order::descending("id"), Order::ascending("a")]);
        assert_eq!(paths(&past_id), [("id".to_owned(), true)]);
    }

    #[test]
    fn keys_sort_as_they_say_and_give_back_what_they_were_made_from() {
        for seed in 0..20_000 {
            let mut sampler = Sampler::new(seed);
            let (a, b) = (sampler.value(1), sampler.value(1));
            let nulls = [Nulls::Least, Nulls::First, Nulls::Last][sampler.below(3)];
            let key = SortKey { path: "a", descending: sampler.below(2) == 0, nulls };
            let bytes = |value: &Value| {
                let mut out = Vec::new();
                key.put(value, &mut out);
                out
            };
            let natural = if key.descending { b.total_cmp(&a) } else { a.total_cmp(&b) };
            let is_null = |value: &Value| matches!(value, Value::Null);
            let expected = match nulls {
                Nulls::Least => natural,
                Nulls::First => is_null(&b).cmp(&is_null(&a)).then(natural),
                Nulls::Last => is_null(&a).cmp(&is_null(&b)).then(natural),
            };
            assert_eq!(bytes(&a).cmp(&bytes(&b)), expected, "seed {seed}: {key:?} {a:?} {b:?}");

            let mut plain = Vec::new();
            order_key(&a, &mut plain);
            assert_eq!(key.order_key(&bytes(&a)), plain, "seed {seed}");

            let (id, mut placed) = (sampler.text(), Vec::new());
            key.put_id(&id, &mut placed);
            assert_eq!(key.id(&placed), Some(id), "seed {seed}");
        }
    }
}
