//! Records: written straight and by the fold, read whole and field by field.

use std::collections::BTreeSet;

use super::lazy::LazyState;
use super::*;
use crate::document::fold::{CellEdit, Origin};
use crate::document::held::Held;
use crate::document::state::supersede;
use crate::id::DocumentId;
use crate::operation::{Action, FieldOp, Operation};
use crate::value::sample::Sampler;

/// An operation as a replica may meet it, in one of three generations. One in so many is rarer than an edit of registers in the first.
fn operation(sampler: &mut Sampler, rarely: usize) -> Operation {
    let write = |sampler: &mut Sampler| match sampler.below(6 * rarely) {
        0 => FieldOp::Clear,
        1 => FieldOp::Add(sampler.below(9) as i64),
        2 => FieldOp::include(vec![sampler.value(1), sampler.value(1)]),
        3 => FieldOp::exclude(vec![sampler.value(0)]),
        4 => FieldOp::Text(vec![1]),
        _ => FieldOp::Set(sampler.value(2)),
    };
    let mut writes: Vec<(String, FieldOp)> = Vec::new();
    for _ in 0..sampler.below(4) + 1 {
        let (name, write) = (sampler.below(6).to_string(), write(sampler));
        if writes.iter().all(|(other, before)| *other != name || before.kind() != write.kind()) {
            writes.push((name, write));
        }
    }
    let (generation, action) = match sampler.below(6 * rarely) {
        0 => (2, Action::Restore { continues: 1 }),
        1 => (1 + sampler.below(3) as u64, Action::Delete),
        2 | 3 => (1 + sampler.below(3) as u64, Action::Insert(writes)),
        4 => (1 + sampler.below(3) as u64, Action::Edit(writes)),
        _ => (1, Action::Edit(writes)),
    };
    Operation { collection: "c".to_owned(), id: DocumentId::new("d").unwrap(), generation, action }
}

fn slots(operation: &Operation) -> Vec<(u32, &FieldOp)> {
    match &operation.action {
        Action::Insert(writes) | Action::Edit(writes) => {
            writes.iter().map(|(name, write)| (name.parse::<u32>().unwrap() * 40, write)).collect()
        }
        _ => Vec::new(),
    }
}

/// The fold, and nothing but the fold.
fn fold(state: &mut DocumentState, operation: &Operation, origin: &Origin<'_>) {
    match &operation.action {
        Action::Insert(_) => state.open(operation.generation, None),
        Action::Edit(_) => {}
        Action::Restore { continues } => state.open(operation.generation, Some(*continues)),
        Action::Delete => state.close(operation.generation, origin),
    }
    let before = state.commits();
    for (field, write) in slots(operation) {
        state.edit(operation.generation, field, &CellEdit::of(write), origin);
    }
    let named = state.commits();
    let is_named = |dot| named.iter().any(|(other, _)| *other == dot);
    supersede(&mut state.older, before.into_iter().map(|(dot, _)| dot), is_named, origin.dot);
}

fn record(state: &DocumentState) -> Vec<u8> {
    let mut out = Vec::new();
    state.encode(&mut out).unwrap();
    out
}

#[test]
fn writing_plainly_gives_the_bytes_that_folding_and_encoding_gives() {
    let (mut plainly, mut decoded) = (0, 0);
    for round in 0..2_000 {
        let mut sampler = Sampler::new(round);
        let (mut held, mut state) = (Held::Nothing, DocumentState::default());
        let alone = sampler.below(2) == 0;
        let mut touched = BTreeSet::new();
        for step in 0..12u64 {
            let mut operation = operation(&mut sampler, if alone { 40 } else { 2 });
            if step == 0 && alone {
                operation.generation = 1;
                operation.action = Action::Insert(match operation.action {
                    Action::Insert(writes) | Action::Edit(writes) => writes,
                    _ => Vec::new(),
                });
            }
            let dot = Dot { writer: sampler.below(3) as u32, sequence: step / 2 * 300 };
            // A commit's timestamp is a function of its dot.
            let timestamp_ms = 1_000 - dot.sequence as i64 * i64::from(dot.writer) * 7;
            let blind = sampler.below(4) as u32;
            let saw = move |other: Dot| alone || other == dot || other.writer != blind;
            let origin = Origin { dot, timestamp_ms, saw: &saw };
            held.fold(&operation, &slots(&operation), &origin).unwrap();
            fold(&mut state, &operation, &origin);
            touched.insert(dot);
            assert_eq!(*held.state().unwrap(), state, "round {round}, step {step}: {operation:?}");
            let stored = held.record().unwrap().into_owned();
            assert_eq!(stored, record(&state), "round {round}, step {step}: {operation:?}");
            plainly += u32::from(matches!(held, Held::Record(_)));
            decoded += u32::from(matches!(held, Held::State(_)));
            let (touches, rows) = LazyState::new(&stored, Slots::CHECKED).unwrap().touches().unwrap();
            assert_eq!((touches.len(), rows), (touched.len(), 0), "round {round}, step {step}");
            assert!(touches.iter().all(|dot| touched.contains(dot)), "round {round}, step {step}");
            // Every commit starts from what is stored.
            held = Held::Record(stored);
        }
    }
    assert!(plainly > 5_000 && decoded > 5_000, "{plainly} {decoded}");
}

#[test]
fn a_record_reads_as_the_state_it_was_written_from() {
    for round in 0..2_000 {
        let mut sampler = Sampler::new(round);
        let mut state = DocumentState::default();
        for step in 0..1 + sampler.below(10) as u64 {
            let operation = operation(&mut sampler, 2);
            let origin =
                Origin { dot: Dot { writer: 7, sequence: step << 40 }, timestamp_ms: i64::MIN, saw: &|_| step % 3 > 0 };
            fold(&mut state, &operation, &origin);
        }
        let bytes = record(&state);
        assert_eq!(DocumentState::decode(&bytes, Slots::CHECKED).unwrap(), state, "round {round}");
        let lazy = LazyState::new(&bytes, Slots::CHECKED).unwrap();
        assert_eq!(lazy.live_generation(), state.live_generation());
        assert_eq!(lazy.last_generation(), state.last_generation());
        assert_eq!(lazy.restorable(), state.restorable());
        let mut fields = lazy.fields();
        let mut seen = Vec::new();
        while let Some((slot, field)) = fields.next().unwrap() {
            assert_eq!(lazy.cells(&field).unwrap(), state.fields[&slot], "round {round}");
            let found = lazy.field(slot).unwrap().unwrap();
            assert_eq!(lazy.cells(&found).unwrap(), state.fields[&slot], "round {round}");
            for chain in [&[1][..], &[1, 2], &[3]] {
                if let Some(mut value) = lazy.plain_value(&field, chain) {
                    let [Cell::Register(siblings)] = &state.fields[&slot][..] else { panic!("{slot} is not plain") };
                    assert_eq!(siblings[0].1, Value::decode(&mut value).unwrap());
                    assert!(chain.contains(&siblings[0].0.generation), "round {round}");
                }
            }
            seen.push(slot);
        }
        assert!(seen.iter().eq(state.fields.keys()), "round {round}");
        assert!(lazy.field(1).unwrap().is_none());
        for generation in 1..4 {
            assert_eq!(*lazy.chain(generation), state.chain(generation), "round {round}");
        }
        for length in 0..bytes.len() {
            // Cut off anywhere: another state or an error, never a panic.
            let _ = DocumentState::decode(&bytes[..length], Slots::CHECKED);
        }
    }
}

#[test]
fn a_plain_document_takes_few_bytes_beside_its_values() {
    let id = DocumentId::new("d").unwrap();
    let writes = vec![("3".to_owned(), FieldOp::Set(Value::Bool(true))), ("1".to_owned(), FieldOp::Set(Value::Int(7)))];
    let insert =
        Operation { collection: "c".to_owned(), id: id.clone(), generation: 1, action: Action::Insert(writes) };
    let mut held = Held::Nothing;
    let origin = Origin { dot: Dot { writer: 2, sequence: 300 }, timestamp_ms: 64, saw: &|_| true };
    held.fold(&insert, &slots(&insert), &origin).unwrap();
    // Version; the first generation; 5 bytes of commits: writer, sequence, timestamp; fields 40 and 120 with their values.
    let expected = [2, 0, 5, 2, 0xac, 2, 0x80, 1, 0xa0, 1, 0x87, 0xe0, 3, 2];
    assert_eq!(*held.record().unwrap(), expected);
    let edit = Action::Edit(vec![("1".to_owned(), FieldOp::Set(Value::Int(8)))]);
    let edit = Operation { action: edit, ..insert };
    let origin = Origin { dot: Dot { writer: 2, sequence: 301 }, timestamp_ms: 66, saw: &|_| true };
    held.fold(&edit, &slots(&edit), &origin).unwrap();
    // No commit is left without a stamp. Two commits, the edit's first: the other's timestamp is 2 ms before it, and field 120 names it by its position.
    let expected = [2, 0, 9, 2, 0xad, 2, 0x84, 1, 2, 0xac, 2, 3, 0xa0, 1, 0x88, 0xe2, 3, 1, 2];
    assert_eq!(*held.record().unwrap(), expected);
}

#[test]
fn a_field_that_is_set_twice_takes_the_fold() {
    let twice = |value| [value, value + 1].map(|value| ("1".to_owned(), FieldOp::Set(Value::Int(value)))).to_vec();
    let (mut held, mut state) = (Held::Nothing, DocumentState::default());
    for (sequence, action) in [(1, Action::Insert(twice(1))), (2, Action::Edit(twice(3)))] {
        let id = DocumentId::new("d").unwrap();
        let operation = Operation { collection: "c".to_owned(), id, generation: 1, action };
        let origin = Origin { dot: Dot { writer: 2, sequence }, timestamp_ms: 64, saw: &|_| true };
        held.fold(&operation, &slots(&operation), &origin).unwrap();
        fold(&mut state, &operation, &origin);
        assert!(matches!(held, Held::State(_)), "{operation:?}");
        let stored = held.record().unwrap().into_owned();
        assert_eq!(stored, record(&state), "{operation:?}");
        held = Held::Record(stored);
    }
}

#[test]
fn a_record_of_many_commits_reads_as_it_was_written() {
    let (mut held, mut state) = (Held::Nothing, DocumentState::default());
    for step in 0..60u64 {
        let write = vec![((step % 50).to_string(), FieldOp::Set(Value::Int(step as i64)))];
        let action = if step == 0 { Action::Insert(write) } else { Action::Edit(write) };
        let id = DocumentId::new("d").unwrap();
        let operation = Operation { collection: "c".to_owned(), id, generation: 1, action };
        let origin = Origin { dot: Dot { writer: 2, sequence: step << 20 }, timestamp_ms: 64, saw: &|_| true };
        held.fold(&operation, &slots(&operation), &origin).unwrap();
        fold(&mut state, &operation, &origin);
        assert_eq!(*held.record().unwrap(), record(&state), "step {step}");
    }
    assert_eq!(state.commits().len(), 50);
    assert_eq!(DocumentState::decode(&held.record().unwrap(), Slots::CHECKED), Ok(state));
}

#[test]
fn another_version_and_a_generation_that_can_not_be_are_refused() {
    let mut state = DocumentState::default();
    [1, 3].into_iter().for_each(|generation| state.open(generation, None));
    let bytes = record(&state);
    // Version, twice the count of generations, the first one's number.
    assert_eq!(bytes[..3], [2, 4, 1]);
    assert_eq!(DocumentState::decode(&bytes, Slots::CHECKED), Ok(state));
    let greatest = [&[0xff; 9][..], &[1]].concat();
    let with = |version: u8, number: &[u8]| [&[version, 4][..], number, &bytes[3..]].concat();
    for wrong in [with(1, &[1]), with(3, &[1]), with(2, &[0]), with(2, &greatest)] {
        assert!(
            matches!(DocumentState::decode(&wrong, Slots::CHECKED), Err(DecodeError::NotCanonical { .. })),
            "{wrong:?}"
        );
        assert!(Held::stored(&wrong, Slots::CHECKED).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_record_with_a_slot_that_was_not_given_out_is_damaged() {
    let stamp =
        Stamp { dot: Dot { writer: 2, sequence: 7 }, timestamp_ms: 1, generation: 1, covered: false, stale: false };
    for older in [vec![], vec![Dot { writer: 2, sequence: 5 }]] {
        let mut state = DocumentState { older, ..DocumentState::default() };
        state.open(1, None);
        *state.cell_mut(3, FieldKind::Register) = Cell::Register(vec![(stamp, Value::Int(1))]);
        let bytes = record(&state);
        assert!(DocumentState::decode(&bytes, Slots { names: 4, writers: 3 }).is_ok_and(|read| read == state));
        assert!(Held::stored(&bytes, Slots { names: 4, writers: 3 }).is_ok());
        for slots in [Slots { names: 3, writers: 3 }, Slots { names: 4, writers: 2 }] {
            assert!(DocumentState::decode(&bytes, slots).is_err(), "{slots:?}");
            assert!(Held::stored(&bytes, slots).is_err(), "{slots:?}");
        }
        let lazy = LazyState::new(&bytes, Slots { names: 3, writers: 3 }).unwrap();
        assert!(lazy.field(3).is_err() && lazy.fields().next().is_err());
        let lazy = LazyState::new(&bytes, Slots { names: 4, writers: 2 }).unwrap();
        assert!(lazy.cells(&lazy.field(3).unwrap().unwrap()).is_err() && lazy.touches().is_err());
    }
}
