//! Import and export against a real store.

mod world;

use std::fmt::Write;
use std::ops::ControlFlow;

use tidewater_engine::operation::FieldKind;
use tidewater_engine::port::{ImportFault, ImportOptions, import};
use tidewater_engine::schema::{Schema, ValueType};
use tidewater_engine::space::Rank;
use tidewater_engine::store::{Durability, Edit, TransactionError, WriteError};
use tidewater_engine::value::Value;
use world::{SPACE, commits, exported, import_with, notes, store, store_of};

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.fold(String::new(), |mut text, number| {
        writeln!(text, r#"{{"id":"{number:06}","even":{},"n":{number},"tags":["a","b{number:06}"]}}"#, number % 2 == 0)
            .unwrap();
        text
    })
}

#[test]
fn what_was_imported_is_exported_byte_for_byte_and_every_type_survives() {
    let input = concat!(
        r#"{"id":"a","blob":{"$blob":{"hash":"abababababababababababababababababababababababababababababababab","length":3}},"bool":true,"bytes":{"$bytes":"AP8="},"float":1.0,"int":1,"list":["b","a","b"],"null":null}"#,
        "\n",
        r#"{"id":"b","inf":{"$float":"-inf"},"object":{"$object":{"$bytes":{"x":[{"$timestamp":-1}]}}},"ref":{"$ref":{"collection":"notes","id":"a"}},"vector":{"$vector":[0.1,-2.0]}}"#,
        "\n",
        r#"{"id":"c","tags":[]}"#,
        "\n",
        r#"{"id":"d","tags":["a","b"]}"#,
        "\n",
        r#"{"id":"é\n\"","text":"\u0001水"}"#,
        "\n"
    );
    for infer_schema in [true, false] {
        let first = store();
        let report = import_with(&first, input, &ImportOptions { infer_schema, ..notes() }).unwrap();
        assert_eq!((report.imported, report.inserted, report.lines, report.bytes), (5, 5, 5, input.len() as u64));
        assert_eq!(exported(&first), input);
        assert_eq!(exported(&first), input, "a second export");
        let second = store();
        import_with(&second, &exported(&first), &ImportOptions { infer_schema, ..notes() }).unwrap();
        assert_eq!(exported(&second), input);
    }
}

#[test]
fn records_come_in_commits_of_a_thousand_in_any_order_and_go_out_by_id() {
    let store = store();
    let input = lines(0..2_500);
    let reversed: String = input.lines().rev().flat_map(|line| [line, "\r\n", "\n"]).collect();
    let mut seen = Vec::new();
    let report = import(&store, format!("\u{feff}{reversed}").as_bytes(), &notes(), &mut |progress| {
        seen.push((progress.imported, progress.line));
        ControlFlow::Continue(())
    });
    assert_eq!(report.unwrap().imported, 2_500);
    assert_eq!(seen, [(1_000, 1_999), (2_000, 3_999), (2_500, 4_999)]);
    assert_eq!(commits(&store), 3);
    assert_eq!(exported(&store), input);
}

#[test]
fn importing_again_changes_nothing_and_a_changed_record_only_its_fields() {
    let store = store();
    import_with(&store, &lines(0..50), &notes()).unwrap();
    let before = (commits(&store), store.digest(&SPACE).unwrap());
    let report = import_with(&store, &lines(0..50), &notes()).unwrap();
    assert_eq!((report.imported, report.unchanged), (50, 50));
    assert_eq!((commits(&store), store.digest(&SPACE).unwrap()), before);
    let report = import_with(&store, r#"{"id":"000007","more":1}"#, &notes()).unwrap();
    assert_eq!((report.inserted, report.updated), (0, 1));
    let document = store.snapshot().unwrap().get(None, "notes", "000007").unwrap().unwrap();
    assert_eq!((document.generation, document.fields.len()), (1, 4));
    assert!(exported(&store).contains(r#"{"id":"000007","even":false,"more":1,"n":7,"tags":["a","b000007"]}"#));
}

#[test]
fn a_bad_line_stops_the_import_and_it_can_be_resumed() {
    let broken = |bad: &str| format!("{}{bad}\n{}", lines(0..1_500), lines(1_500..1_600));
    let cases = [
        (r#"{"id": "x""#, "imported 1500, line 1501: column 11: the text ends inside a value"),
        (r#"[1]"#, "imported 1500, line 1501: column 1: expected an object"),
        (r#"{"id": []}"#, "imported 1500, line 1501: an id is a string or an int"),
        (r#"{"id":"x","n":1e999}"#, "line 1501: column 15: the number is beyond the range of a 64-bit float"),
        (r#"{"id":"x","n":{"$vector":["a"]}}"#, "line 1501: column 15: $vector: expected a list of numbers"),
    ];
    let large = format!(r#"{{"id":"x","n":"{}"}}"#, "x".repeat(Value::MAX_BYTES));
    // Found only once the commit is encoded.
    let late = [
        (r#"{"id":"x","":1}"#, "imported 1500, line 1501: a name has 1 to 256 bytes, this one has 0"),
        (&large, "imported 1500, line 1501: x: field n: the value takes 4194309 bytes"),
    ];
    for (bad, message) in cases.into_iter().chain(late) {
        let atomic = import_with(&store(), &broken(bad), &ImportOptions { atomic: true, ..notes() }).unwrap_err();
        assert_eq!((atomic.imported, atomic.line), (0, 1_501), "{atomic}");
        let store = store();
        let error = import_with(&store, &broken(bad), &notes()).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!((error.imported, error.line), (1_500, 1_501));
        assert_eq!(exported(&store), lines(0..1_500));
        let rest = ImportOptions { from_line: error.line + 1, ..notes() };
        let report = import_with(&store, &broken(bad), &rest).unwrap();
        assert_eq!((report.imported, report.inserted), (100, 100));
        assert_eq!(exported(&store), lines(0..1_600));
    }
}

#[test]
fn a_line_that_is_too_long_is_named_and_can_be_skipped() {
    let store = store();
    let input = format!("{}{{\"id\":\"long\",\"text\":\"{}\"}}\n{}", lines(0..2), "x".repeat(200), lines(2..3));
    let options = ImportOptions { line_bytes: 100, ..notes() };
    let error = import_with(&store, &input, &options).unwrap_err();
    assert_eq!(error.to_string(), "imported 2, line 3: the line has more than 100 bytes");
    import_with(&store, &input, &ImportOptions { from_line: 4, ..options }).unwrap();
    assert_eq!(exported(&store), lines(0..3));
}

#[test]
fn an_atomic_import_is_all_or_nothing() {
    let options = ImportOptions { atomic: true, ..notes() };
    let store = store();
    store
        .transaction(Durability::Local, |transaction| transaction.insert("others", Some("a"), Default::default()))
        .unwrap();
    let before = (commits(&store), store.digest(&SPACE).unwrap());
    for bad in ["{", r#"{"id":[]}"#, r#"{"id":"x","tags":["b","b"]}"#] {
        let error = import_with(&store, &format!("{}{bad}", lines(0..2_500)), &options).unwrap_err();
        assert_eq!((error.imported, error.line), (0, 2_501), "{error}");
        assert_eq!((commits(&store), store.digest(&SPACE).unwrap()), before);
        assert_eq!(store.snapshot().unwrap().schema(&SPACE, "notes").unwrap(), None);
        assert_eq!(exported(&store), "");
    }
    let mut calls = 0;
    let cancelled = import(&store, lines(0..2_500).as_bytes(), &options, &mut |_| {
        calls += 1;
        if calls == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(cancelled.unwrap_err().fault, ImportFault::Cancelled));
    assert_eq!((commits(&store), store.digest(&SPACE).unwrap()), before);
    let report = import_with(&store, &lines(0..2_500), &options).unwrap();
    assert_eq!(report.imported, 2_500);
    assert_eq!(commits(&store), before.0 + 3);
    assert_eq!(exported(&store), lines(0..2_500));
}

#[test]
fn a_cancelled_import_keeps_whole_commits_and_resumes() {
    let store = store();
    let error = import(&store, lines(0..2_500).as_bytes(), &notes(), &mut |_| ControlFlow::Break(())).unwrap_err();
    assert_eq!((error.imported, error.line), (1_000, 1_001));
    import_with(&store, &lines(0..2_500), &ImportOptions { from_line: error.line, ..notes() }).unwrap();
    assert_eq!(exported(&store), lines(0..2_500));
}

#[test]
fn a_schema_is_inferred_and_widened_when_later_records_need_it() {
    let store = store();
    let input = format!("{}{}\n", lines(0..1_200), r#"{"id":"x","even":"maybe","n":0.5}"#);
    let schema = import_with(&store, &input, &notes()).unwrap().schema.unwrap();
    assert_eq!(schema.fields["tags"].kind, FieldKind::Set);
    assert_eq!(schema.fields["n"].value_type, Some(ValueType::Float));
    assert_eq!(schema.fields["even"].value_type, None);
    assert_eq!(store.snapshot().unwrap().schema(&SPACE, "notes").unwrap(), Some(schema));
    assert_eq!(exported(&store), input);
    store
        .transaction(Durability::Local, |transaction| {
            transaction.update("notes", "000001", vec![("tags".to_owned(), Edit::Add(vec![Value::from("new")]))])
        })
        .unwrap();
    let tags = store.snapshot().unwrap().get(None, "notes", "000001").unwrap().unwrap().fields["tags"].clone();
    assert_eq!(tags.to_json(), r#"["a","b000001","new"]"#);
}

#[test]
fn what_was_inferred_never_loses_data() {
    let store = store();
    let input = format!("{}{}\n", lines(0..1_200), r#"{"id":"x","tags":["b","b"]}"#);
    let error = import_with(&store, &input, &notes()).unwrap_err();
    assert_eq!((error.imported, error.line), (1_200, 1_201));
    assert!(matches!(error.fault, ImportFault::Inferred { .. }), "{error}");
}

#[test]
fn nothing_is_inferred_without_the_rank_or_beside_documents_or_a_schema() {
    let writer = store_of(Rank::Writer);
    assert_eq!(import_with(&writer, &lines(0..10), &notes()).unwrap().schema, None);
    assert_eq!(import_with(&writer, &lines(10..20), &notes()).unwrap().schema, None);
    let plain = store();
    import_with(&plain, &lines(0..10), &ImportOptions { infer_schema: false, ..notes() }).unwrap();
    assert_eq!(import_with(&plain, &lines(10..20), &notes()).unwrap().schema, None);
    assert_eq!(exported(&plain), lines(0..20));
    let declared = store();
    let schema = Schema::from_json(br#"{"fields": {"n": {"type": "int", "required": true}}}"#).unwrap();
    declared.transaction(Durability::Local, |transaction| transaction.set_schema("notes", &schema)).unwrap();
    let error = import_with(&declared, &format!("{}{}", lines(0..10), r#"{"id":"x","n":"1"}"#), &notes()).unwrap_err();
    assert_eq!(error.to_string(), "imported 10, line 11: notes/x: field n: expected int, found a string");
    assert_eq!(exported(&declared), lines(0..10));
}

#[test]
fn records_without_an_id_get_one_by_time() {
    let store = store();
    let report = import_with(&store, "{\"n\":1}\n{\"n\":2}\n", &notes()).unwrap();
    assert_eq!(report.inserted, 2);
    let text = exported(&store);
    let ids: Vec<_> = text.lines().map(|line| line[7..33].to_owned()).collect();
    assert!(ids.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric())), "{ids:?}");
}

#[test]
fn a_space_that_may_not_be_written_to_is_a_clear_error() {
    let error = import_with(&store_of(Rank::Reader), &lines(0..10), &notes()).unwrap_err();
    assert!(matches!(error.fault, ImportFault::Write(WriteError::Forbidden { .. })), "{error}");
    assert_eq!((error.imported, error.line), (0, 1));
}

#[test]
fn nobody_elses_write_suffers_from_an_atomic_import_that_fails() {
    let store = store();
    let options = ImportOptions { atomic: true, ..notes() };
    let input = format!("{}{{", lines(0..1_500));
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..4)
            .map(|thread| {
                let store = &store;
                scope.spawn(move || {
                    (0..20).try_for_each(|number| {
                        let id = format!("{thread}-{number}");
                        store
                            .transaction(Durability::Local, |transaction| {
                                transaction.insert("others", Some(&id), Default::default())
                            })
                            .map(|_| ())
                    })
                })
            })
            .collect();
        for _ in 0..5 {
            assert!(import_with(&store, &input, &options).is_err());
        }
        for other in others {
            let outcome: Result<(), TransactionError<WriteError>> = other.join().unwrap();
            outcome.unwrap();
        }
    });
    assert_eq!(exported(&store), "");
    assert_eq!(commits(&store), 80);
}
