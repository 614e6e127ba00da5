//! Writing registers straight into a record, where that is all that an operation does and nobody else wrote at the same time.
//! The record is, byte for byte, the one that folding and encoding the state gives.

use std::collections::BTreeMap;

use super::{
    Commits, Field, Slots, Start, VERSION, commit_at, next_field, put_commits, put_outline, put_plain, read_commits,
    read_dots, start,
};
use crate::codec::DecodeError;
use crate::document::fold::Origin;
use crate::document::state::{Dot, Generation, supersede};
use crate::value::Value;

/// Registers by the slots of their fields.
pub(crate) type Sets<'s> = [(u32, &'s Value)];

/// The record of a document that nothing named before, after an insert of registers. `sets` ascend.
/// `None`: it takes the fold, for a value that can't be encoded, or a field that is set twice.
pub(crate) fn inserted(generation: u64, sets: &Sets<'_>, origin: &Origin<'_>) -> Option<Vec<u8>> {
    if !ascend(sets) {
        return None;
    }
    let mut out = Vec::with_capacity(128);
    out.push(VERSION);
    let generations = (generation != 1).then(|| [(generation, Generation::first())].into());
    let older = if sets.is_empty() { &[origin.dot][..] } else { &[] };
    put_outline(&mut out, generations.as_ref(), older, 0);
    let commit = [(origin.dot, origin.timestamp_ms)];
    put_commits(&mut out, commit[..sets.len().min(1)].iter());
    for (slot, value) in sets {
        put_plain(&mut out, *slot, 0);
        value.encode(&mut out).ok()?;
    }
    Some(out)
}

/// The record after an edit of registers in `generation`. `sets` ascend.
/// `None`: it takes the fold, because the record holds more than plain fields or is in another generation, or the edit did
/// not see a value that it replaces; or as [`inserted`].
///
/// # Errors
/// A record that does not decode.
pub(crate) fn edited(
    record: &[u8],
    generation: u64,
    sets: &Sets<'_>,
    origin: &Origin<'_>,
) -> Result<Option<Vec<u8>>, DecodeError> {
    let Start { generations, older, older_rows, mut commits, mut fields } = start(record)?;
    let last = generations.as_ref().and_then(|all| all.last_key_value()).map_or(1, |(last, _)| *last);
    if last != generation || !ascend(sets) {
        return Ok(None);
    }
    let mut commits = read_commits(&mut commits, Slots::CHECKED)?;
    let own = commits.iter().position(|(dot, _)| *dot == origin.dot).unwrap_or(commits.len());
    if own == commits.len() {
        commits.push((origin.dot, origin.timestamp_ms));
    }
    let mut merged = Merged {
        generations,
        older: read_dots(older, Slots::CHECKED)?,
        older_rows,
        commits,
        own,
        rows: Vec::with_capacity(8 + sets.len()),
    };
    let mut sets = sets.iter().peekable();
    while let Some((slot, field)) = next_field(&mut fields, Slots::CHECKED)? {
        let Field::Plain { commit, value } = field else { return Ok(None) };
        while let Some((new, value)) = sets.next_if(|(new, _)| *new < slot) {
            merged.set(*new, value);
        }
        match sets.next_if(|(new, _)| *new == slot) {
            Some(_) if !planted!(PlainWriteBlind) && !(origin.saw)(commit_at(&merged.commits, commit)?.0) => {
                return Ok(None);
            }
            Some((_, value)) => merged.set(slot, value),
            None => merged.rows.push((slot, commit, Content::Stored(value))),
        }
    }
    sets.for_each(|(new, value)| merged.set(*new, value));
    Ok(merged.encode())
}

/// A record with the edit in it.
struct Merged<'a> {
    generations: Option<BTreeMap<u64, Generation>>,
    older: Vec<Dot>,
    older_rows: u32,
    commits: Commits,
    /// The position of the edit's own commit.
    own: usize,
    /// Fields: slot, position among the commits, value.
    rows: Vec<(u32, usize, Content<'a>)>,
}

enum Content<'a> {
    Stored(&'a [u8]),
    New(&'a Value),
}

impl<'a> Merged<'a> {
    fn set(&mut self, slot: u32, value: &'a Value) {
        self.rows.push((slot, self.own, Content::New(value)));
    }

    /// Commits that no field names any more go; the others stand in the order in which the fields first name them.
    fn encode(mut self) -> Option<Vec<u8>> {
        let mut places = vec![usize::MAX; self.commits.len()];
        let mut named = Vec::with_capacity(self.commits.len());
        let mut bytes = 32 + self.commits.len() * 12;
        for (_, commit, content) in &self.rows {
            let place = places.get_mut(*commit)?;
            if *place == usize::MAX {
                *place = named.len();
                named.push(self.commits[*commit]);
            }
            bytes += if let Content::Stored(value) = content { value.len() + 4 } else { 16 };
        }
        if named.len() < self.commits.len() || !self.older.is_empty() {
            let before = self.commits.iter().map(|(dot, _)| *dot);
            let is_named = |dot| named.iter().any(|(other, _)| *other == dot);
            supersede(&mut self.older, before, is_named, self.commits[self.own].0);
        }
        let mut out = Vec::with_capacity(bytes);
        out.push(VERSION);
        put_outline(&mut out, self.generations.as_ref(), &self.older, self.older_rows);
        put_commits(&mut out, named.iter());
        for (slot, commit, content) in &self.rows {
            put_plain(&mut out, *slot, places[*commit]);
            match content {
                Content::Stored(value) => out.extend_from_slice(value),
                Content::New(value) => value.encode(&mut out).ok()?,
            }
        }
        Some(out)
    }
}

fn ascend(sets: &Sets<'_>) -> bool {
    sets.is_sorted_by(|(before, _), (after, _)| before < after)
}
