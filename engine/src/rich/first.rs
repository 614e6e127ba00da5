//! The first change of a text, written without automerge: most texts are written once, with their document.

use automerge::{ActorId, ChangeHash};

use super::change::{CHANGE_CHUNK, MAGIC, Summary, sha256};
use super::operations::{
    ACTION, INSERT, KEY_ACTOR, KEY_COUNTER, OBJECT_ACTOR, OBJECT_COUNTER, PRED_COUNT, VALUE, VALUE_META,
};
use super::{Made, genesis};
use crate::codec::{put_bytes, put_varint};
use crate::operation::FieldKind;

/// The counter after the genesis operation.
const START_OP: u64 = 2;
/// The type of a string, in the low bits of a value's type and length.
const STRING: u64 = 6;
/// The action that puts a scalar.
const PUT: u64 = 1;

/// The change by which `actor` puts `text` into an empty cell: the same bytes as automerge's.
pub(super) fn change(actor: &ActorId, text: &[char]) -> Made {
    let count = text.len() as u64;
    let inserts = [&[0][..], &varint(count)].concat();
    let value: String = text.iter().collect();
    let elements = START_OP..START_OP + count.saturating_sub(1);
    let columns: [(u32, Vec<u8>); 9] = [
        (OBJECT_ACTOR, runs(text.iter().map(|_| Some(1)), put_varint)),
        (OBJECT_COUNTER, runs(text.iter().map(|_| Some(1)), put_varint)),
        // The first character stands at the head, each other one after the one before it.
        (KEY_ACTOR, runs([None].into_iter().chain(elements.clone().map(|_| Some(0))), put_varint)),
        (KEY_COUNTER, runs(differences([0].into_iter().chain(elements)), put_leb)),
        (INSERT, inserts.clone()),
        (ACTION, runs(text.iter().map(|_| Some(PUT)), put_varint)),
        (VALUE_META, runs(text.iter().map(|one| Some((one.len_utf8() as u64) << 4 | STRING)), put_varint)),
        (VALUE, value.into_bytes()),
        (PRED_COUNT, runs(text.iter().map(|_| Some(0)), put_varint)),
    ];

    let deps = vec![genesis::hash(FieldKind::Text)];
    let mut content = varint(1);
    content.extend_from_slice(&deps[0].0);
    put_bytes(&mut content, actor.to_bytes());
    for number in [1, START_OP, 0, 0, 1] {
        // Seq, first counter, time, length of the message, count of other actors.
        put_varint(&mut content, number);
    }
    put_bytes(&mut content, &genesis::ACTOR);
    let present = || columns.iter().filter(|(_, data)| !data.is_empty());
    put_varint(&mut content, present().count() as u64);
    for (column, data) in present() {
        put_varint(&mut content, u64::from(*column));
        put_varint(&mut content, data.len() as u64);
    }
    present().for_each(|(_, data)| content.extend_from_slice(data));

    let mut hashed = vec![CHANGE_CHUNK];
    put_bytes(&mut hashed, &content);
    let hash: ChangeHash = sha256(&hashed);
    let bytes = [&MAGIC, &hash.0[..4], &hashed].concat();
    let max_op = START_OP + count - 1;
    let actor = actor.clone();
    let summary = Summary { hash, actor, seq: 1, start_op: START_OP, max_op, deps, reaches: Vec::new(), inserts };
    Made { bytes, summary }
}

/// The differences between neighbours, the first one's from 0.
fn differences(counters: impl Iterator<Item = u64>) -> impl Iterator<Item = Option<i64>> {
    let mut before = 0;
    counters.map(move |counter| {
        let difference = counter as i64 - before;
        before = counter as i64;
        Some(difference)
    })
}

/// A run-length column; empty when there is nothing but nulls.
fn runs<T: Copy + PartialEq>(rows: impl Iterator<Item = Option<T>>, put: impl Fn(&mut Vec<u8>, T)) -> Vec<u8> {
    let mut runs: Vec<(Option<T>, u64)> = Vec::new();
    for row in rows {
        match runs.last_mut() {
            Some((value, count)) if *value == row => *count += 1,
            _ => runs.push((row, 1)),
        }
    }
    let mut out = Vec::new();
    if runs.iter().all(|(value, _)| value.is_none()) {
        return out;
    }
    for run in runs.chunk_by(|a, b| is_literal(a) && is_literal(b)) {
        match run {
            [(None, count)] => {
                put_leb(&mut out, 0);
                put_varint(&mut out, *count);
            }
            [(Some(value), count)] if *count > 1 => {
                put_leb(&mut out, *count as i64);
                put(&mut out, *value);
            }
            literals => {
                put_leb(&mut out, -(literals.len() as i64));
                literals.iter().filter_map(|(value, _)| *value).for_each(|value| put(&mut out, value));
            }
        }
    }
    out
}

fn is_literal<T>((value, count): &(Option<T>, u64)) -> bool {
    value.is_some() && *count == 1
}

fn varint(number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, number);
    out
}

/// A signed LEB128 number, as automerge writes them.
fn put_leb(out: &mut Vec<u8>, mut number: i64) {
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        let rest_is_sign = number == if byte & 0x40 == 0 { 0 } else { -1 };
        out.push(if rest_is_sign { byte } else { byte | 0x80 });
        if rest_is_sign {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use automerge::transaction::{CommitOptions, Transactable};
    use automerge::{AutoCommit, Change, ROOT, ReadDoc};

    use super::*;
    use crate::codec::Reader;
    use crate::rich::change::signed_leb128;
    use crate::value::sample::Sampler;

    #[test]
    fn the_bytes_are_automerges() {
        let mut random = Sampler::new(9);
        let actor = ActorId::from([7; 32]);
        for round in 0..400 {
            let letters = 1 + random.below(5);
            let length = 1 + if round < 40 { random.below(4) } else { random.below(300) };
            let text: Vec<char> = (0..length).map(|_| "abé水🦀".chars().nth(random.below(letters)).unwrap()).collect();
            let mut document = AutoCommit::new().with_actor(actor.clone());
            document.apply_changes([Change::from_bytes(genesis::bytes(FieldKind::Text).to_vec()).unwrap()]).unwrap();
            let (_, object) = document.get(ROOT, genesis::ROOT_KEY).unwrap().unwrap();
            document.splice_text(&object, 0, 0, &text.iter().collect::<String>()).unwrap();
            document.commit_with(CommitOptions::default().with_time(0));
            let theirs = document.get_last_local_change().unwrap();
            let made = change(&actor, &text);
            assert_eq!(made.bytes, theirs.raw_bytes(), "round {round}: {text:?}");
            let summary = made.summary;
            assert_eq!(
                (summary.hash, summary.max_op, summary.deps),
                (theirs.hash(), theirs.max_op(), theirs.deps().into())
            );
        }
    }

    #[test]
    fn signed_numbers_read_back() {
        for number in (0..63).flat_map(|bit| [1 << bit, -(1 << bit), (1 << bit) - 1]).chain([i64::MIN, i64::MAX]) {
            let mut bytes = Vec::new();
            put_leb(&mut bytes, number);
            assert_eq!(signed_leb128(&mut Reader::new(&bytes)), Ok(number));
        }
    }
}
