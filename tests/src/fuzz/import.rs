//! Target: import of newline-delimited JSON. What was imported is exported, and imported again it is the same.

use std::ops::ControlFlow;

use tidewater_engine::port::{ExportOptions, ImportFault, ImportOptions, export, import};
use tidewater_engine::store::Store;

use super::{Memory, Target};
use crate::shared_space::SharedSpace;

pub(super) const TARGET: Target = Target {
    name: "import",
    run,
    seeds,
    input_bytes_max: 4_096,
    memory: Memory { fixed: 48 << 20, per_byte: 4_096 },
    executions: 400,
};

/// The first byte says how; the rest is the input.
fn run(input: &[u8]) -> bool {
    let Some((how, input)) = input.split_first() else { return false };
    let shared = SharedSpace::new(6, 1);
    let options = ImportOptions {
        id_field: [Some("id"), None, Some("key")][usize::from(how % 3)].map(str::to_owned),
        atomic: how & 8 != 0,
        infer_schema: how & 16 == 0,
        commit_records: if how & 32 == 0 { 2 } else { 1_000 },
        line_bytes: 2_048,
        ..ImportOptions::new("notes")
    };
    let imported = import(shared.store(0), input, &options, &mut |_| ControlFlow::Continue(()));
    if let Err(error) = &imported {
        let of_the_input = !matches!(error.fault, ImportFault::Io(_) | ImportFault::Cancelled);
        assert!(of_the_input, "an input led to {error}");
    }
    let written = exported(shared.store(0));
    let again = SharedSpace::new(6, 1);
    let options = ImportOptions { infer_schema: false, ..ImportOptions::new("notes") };
    let reimported = import(again.store(0), &*written, &options, &mut |_| ControlFlow::Continue(()));
    let text = String::from_utf8_lossy(&written);
    assert!(reimported.is_ok(), "what was exported is not imported: {}: {text}", reimported.expect_err("not ok"));
    assert_eq!(String::from_utf8_lossy(&exported(again.store(0))), text, "an export that is not the same again");
    imported.is_ok_and(|report| report.imported > 0)
}

fn exported(store: &Store) -> Vec<u8> {
    let mut written = Vec::new();
    let options = ExportOptions { collection: "notes".into(), spaces: None };
    let snapshot = store.snapshot().expect("a snapshot");
    export(&snapshot, &mut written, &options, &mut |_| ControlFlow::Continue(())).expect("an export");
    written
}

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "\0{\"id\": \"n1\", \"title\": \"Milk\"}\n{\"id\": 7, \"title\": null}\r\n\n{\"id\": \"n1\", \"size\": 3}\n",
        "\u{1}\u{feff}{\"title\": \"Milk\", \"tags\": [\"a\", {\"$bytes\": \"AAA=\"}]}\n{\"size\": 1.5}",
        "\u{a}{\"key\": \"k\", \"id\": 3, \"size\": 1}\n{\"key\": \"l\", \"size\": \"x\"}\n",
        "\u{10}{\"id\": \"n1\", \"deep\": [[[[1]]]]}\n{\"id\": \"\"}\n",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
