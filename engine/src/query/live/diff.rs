//! The difference of two results: removals, then as few moves as there can be, then additions, then changes.

use std::collections::BTreeMap;

use super::Delta;
use crate::document::Document;
use crate::id::{DocumentId, SpaceId};

type Key<'d> = (&'d DocumentId, &'d SpaceId);

/// The steps from `old` to `new`.
pub(super) fn diff(old: &[Document], new: &[Document]) -> Vec<Delta> {
    let (old_at, new_at) = (positions(old), positions(new));
    let mut deltas = Vec::new();
    let gone = old.iter().enumerate().rev().filter(|(_, document)| !new_at.contains_key(&key(document)));
    deltas.extend(gone.map(|(index, Document { id, space, .. })| Delta::Removed {
        id: id.clone(),
        space: *space,
        index,
    }));
    let staying = old.iter().filter_map(|document| new_at.get(&key(document)).copied()).collect();
    deltas.extend(moves(staying).into_iter().map(|(position, from, to)| Delta::Moved {
        id: new[position].id.clone(),
        space: new[position].space,
        from,
        to,
    }));
    for (index, document) in new.iter().enumerate() {
        if !old_at.contains_key(&key(document)) {
            deltas.push(Delta::Added { document: document.clone(), index });
        }
    }
    for (index, document) in new.iter().enumerate() {
        if old_at.get(&key(document)).is_some_and(|at| old[*at] != *document) {
            deltas.push(Delta::Changed { document: document.clone(), index });
        }
    }
    deltas
}

fn key(document: &Document) -> Key<'_> {
    (&document.id, &document.space)
}

fn positions(documents: &[Document]) -> BTreeMap<Key<'_>, usize> {
    documents.iter().enumerate().map(|(position, document)| (key(document), position)).collect()
}

/// The moves that sort a list of distinct numbers: which number, from where, to where. Whatever is on a longest rising
/// subsequence stays; every other number moves once, to just behind its predecessor.
fn moves(mut list: Vec<usize>) -> Vec<(usize, usize, usize)> {
    let mut staying = rising(&list).into_iter().peekable();
    let mut sorted = list.clone();
    sorted.sort_unstable();
    let mut predecessor = None;
    let mut moves = Vec::new();
    for number in sorted {
        if staying.next_if_eq(&number).is_none() {
            let at = |number: usize, list: &[usize]| list.iter().position(|other| *other == number);
            let Some(from) = at(number, &list) else { continue };
            list.remove(from);
            let to = predecessor.and_then(|predecessor| at(predecessor, &list)).map_or(0, |position| position + 1);
            list.insert(to, number);
            moves.push((number, from, to));
        }
        predecessor = Some(number);
    }
    moves
}

/// A longest rising subsequence.
fn rising(list: &[usize]) -> Vec<usize> {
    // For every length, where the least last number of a rising subsequence of that length is.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![None; list.len()];
    for (position, number) in list.iter().enumerate() {
        let length = ends.partition_point(|end| list[*end] < *number);
        before[position] = length.checked_sub(1).map(|shorter| ends[shorter]);
        match ends.get_mut(length) {
            Some(end) => *end = position,
            None => ends.push(position),
        }
    }
    let mut rising: Vec<usize> = std::iter::successors(ends.last().copied(), |position| before[*position])
        .map(|position| list[position])
        .collect();
    rising.reverse();
    rising
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::memory::{document, space};
    use crate::value::sample::Sampler;
    use crate::value::{Fields, Value};

    fn replay(documents: &mut Vec<Document>, delta: Delta) {
        match delta {
            Delta::Added { document, index } => documents.insert(index, document),
            Delta::Changed { document, index } => {
                assert_eq!(key(&documents[index]), key(&document));
                documents[index] = document;
            }
            Delta::Moved { id, space, from, to } => {
                let moved = documents.remove(from);
                assert_eq!(key(&moved), (&id, &space));
                documents.insert(to, moved);
            }
            Delta::Removed { id, space, index } => {
                assert_eq!(key(&documents.remove(index)), (&id, &space));
            }
        }
    }

    fn sample(sampler: &mut Sampler) -> Vec<Document> {
        let mut all: Vec<_> = (0..10).map(|number| (number % 2, number / 2)).collect();
        let mut taken = Vec::new();
        for _ in 0..sampler.below(11) {
            let (number, id) = all.swap_remove(sampler.below(all.len()));
            let fields: Fields = [("n".to_owned(), Value::Int(sampler.below(2) as i64))].into();
            taken.push(document(space(number), &id.to_string(), fields));
        }
        taken
    }

    #[test]
    fn the_deltas_turn_the_old_result_into_the_new_one_and_are_minimal() {
        for seed in 0..10_000 {
            let mut sampler = Sampler::new(seed);
            let (old, new) = (sample(&mut sampler), sample(&mut sampler));
            let deltas = diff(&old, &new);
            let count = |is: fn(&Delta) -> bool| deltas.iter().filter(|delta| is(delta)).count();
            let staying: Vec<_> = old.iter().filter(|o| new.iter().any(|n| key(n) == key(o))).collect();
            assert_eq!(count(|delta| matches!(delta, Delta::Removed { .. })), old.len() - staying.len());
            assert_eq!(count(|delta| matches!(delta, Delta::Added { .. })), new.len() - staying.len());
            let changed = staying.iter().filter(|o| !new.contains(o)).count();
            assert_eq!(count(|delta| matches!(delta, Delta::Changed { .. })), changed);
            let at = |document: &Document| new.iter().position(|other| key(other) == key(document)).unwrap();
            let order: Vec<_> = staying.into_iter().map(at).collect();
            let moved = count(|delta| matches!(delta, Delta::Moved { .. }));
            assert_eq!(moved, order.len() - longest_rising(&order), "seed {seed}: {order:?}");

            let mut replayed = old.clone();
            deltas.into_iter().for_each(|delta| replay(&mut replayed, delta));
            assert_eq!(replayed, new, "seed {seed}");
        }
    }

    /// By trying every last number.
    fn longest_rising(list: &[usize]) -> usize {
        let mut lengths: Vec<usize> = Vec::new();
        for (position, number) in list.iter().enumerate() {
            let before = (0..position).filter(|earlier| list[*earlier] < *number).map(|earlier| lengths[earlier]);
            lengths.push(before.max().unwrap_or(0) + 1);
        }
        lengths.into_iter().max().unwrap_or(0)
    }
}
