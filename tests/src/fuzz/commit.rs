//! Target: commit streams, the operations of a commit.

use tidewater_engine::id::DocumentId;
use tidewater_engine::operation::{Action, FieldOp, Operation, decode_commit, encode_commit};
use tidewater_engine::value::Value;

use super::{Memory, Target};

pub(super) const TARGET: Target = Target {
    name: "commit",
    run,
    seeds,
    input_bytes_max: 4_096,
    // One byte of the stream can name a field of 256 bytes, and is decoded to a write that owns the name.
    memory: Memory { fixed: 64 << 10, per_byte: 800 },
    executions: 60_000,
};

fn run(input: &[u8]) -> bool {
    let Ok(operations) = decode_commit(input) else { return false };
    assert_eq!(encode_commit(&operations).as_deref(), Ok(input), "a commit has one encoding");
    operations.iter().all(|operation| operation.least_rank() as u8 > 0)
}

/// Operations of every kind.
pub(super) fn samples() -> Vec<Operation> {
    let operation = |collection: &str, id: &str, generation, action| Operation {
        collection: collection.to_owned(),
        id: DocumentId::new(id).expect("an id"),
        generation,
        action,
    };
    let fields = |fields: &[(&str, FieldOp)]| {
        fields.iter().map(|(name, write)| ((*name).to_owned(), write.clone())).collect::<Vec<_>>()
    };
    let values = || super::value::samples().into_iter();
    let registers = values().enumerate().map(|(number, value)| (format!("f{number}"), FieldOp::Set(value)));
    vec![
        operation("notes", "n1", 1, Action::Insert(fields(&[("title", FieldOp::Set("Milk".into()))]))),
        operation("notes", "n2", 1, Action::Insert(registers.collect())),
        operation(
            "notes",
            "n1",
            1,
            Action::Edit(fields(&[
                ("views", FieldOp::Add(-3)),
                ("tags", FieldOp::include(vec!["a".into(), "b".into()])),
                ("others", FieldOp::exclude(vec![Value::Int(1), Value::Float(1.5)])),
                ("title", FieldOp::Clear),
                ("none", FieldOp::Include(Vec::new())),
            ])),
        ),
        operation("notes", "n1", 1, Action::Delete),
        operation("notes", "n1", 2, Action::Restore { continues: 1 }),
        operation("notes", "n3", 3, Action::Edit(fields(&[("body", FieldOp::Text(vec![1, 2, 3]))]))),
        operation("tasks", "n3", 1, Action::Insert(fields(&[("tree", FieldOp::Json(vec![4, 5]))]))),
        operation("$schemas", "notes", 1, Action::Insert(Vec::new())),
    ]
}

fn seeds() -> Vec<Vec<u8>> {
    let samples = samples();
    let alone = samples.iter().map(std::slice::from_ref);
    alone.chain([&samples[..]]).map(|operations| encode_commit(operations).expect("a commit")).collect()
}
