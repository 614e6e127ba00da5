//! Records that are none: the import names the line and the column, keeps what came before, and nothing at all when it is
//! atomic.

use serde_json::json;
use tidewater_tests::program::Desk;

/// A line, and what is said of it.
const WRONG: &[(&str, &str)] = &[
    (r#"{"id":"x","a":1,"a":2}"#, "column 17: the key \"a\" comes twice"),
    (r#"{"id":"x","a":1e400}"#, "column 15: the number is beyond the range of a 64-bit float"),
    (r#"{"id":"x","a":"\ud800"}"#, "column 16: not an escape of JSON, or half of a surrogate pair"),
    (r#"{"id":"x","a":"\udc00\ud800"}"#, "column 16: not an escape of JSON, or half of a surrogate pair"),
    (r#"{"id":"x","a":"\q"}"#, "column 16: not an escape of JSON"),
    (r#"{"id":"x","a":9223372036854775808}"#, "column 15: the integer exceeds 64 bits"),
    (r#"{"id":"x","a":-9223372036854775809}"#, "column 15: the integer exceeds 64 bits"),
    (r#"{"id":"x","a":NaN}"#, "column 15: expected a value"),
    (r#"{"id":"x","a":-Infinity}"#, "column 16: expected a digit"),
    (r#"{"id":"x","a":01}"#, "without leading zeros"),
    (r#"{"id":"x","a":.5}"#, "column 15: expected a value"),
    (r#"{"id":"x","a":tru}"#, "column 15: expected a value"),
    ("{\"id\":\"x\",\"a\":\"\t\"}", "column 16: a control character in a string"),
    ("{'id':'x'}", "column 2: expected a key in quotes"),
    (r#"{"id":"x"} {"id":"y"}"#, "column 12: expected the end"),
    (r#"{"id":"x","a":[1,]}"#, "column 18: expected a value"),
    (r#"{"id":"x""#, "column 10: the text ends inside a value"),
    ("\u{feff}{\"id\":\"x\"}", "column 1: expected an object"),
    ("null", "column 1: expected an object"),
    (r#"{"id":{}}"#, "an id is a string or an int"),
    (r#"{"id":""}"#, "a document id has 1 to 512 bytes, this one has 0"),
    (r#"{"id":"x","":1}"#, "a name has 1 to 256 bytes, this one has 0"),
    (r#"{"id":"x","a":{"$timestamp":"noon"}}"#, "$timestamp: expected whole milliseconds since 1970"),
];

#[test]
fn each_line_that_is_no_record_is_named_with_its_column() {
    let desk = Desk::with_database();
    for (number, (line, said)) in WRONG.iter().enumerate() {
        let collection = format!("c{number}");
        let import = ["import", "-c", &collection];
        let lines = format!("{{\"id\":\"before\"}}\n{line}\n{{\"id\":\"after\"}}\n");
        let atomic = desk.run_with("a", &[&import[..], &["--atomic"]].concat(), lines.as_bytes());
        atomic.assert_refused(1, said);
        assert!(atomic.err.contains("imported 0, line 2: ") && atomic.err.contains("nothing was stored"), "{atomic:?}");
        desk.run("a", &["export", "-c", &collection]).assert_refused(3, "no collection");
        let ran = desk.run_with("a", &import, lines.as_bytes());
        ran.assert_refused(1, said);
        assert!(ran.err.contains("imported 1, line 2: ") && ran.err.contains("--from-line 2"), "{ran:?}");
        assert_eq!(desk.run("a", &["export", "-c", &collection]).out, "{\"id\":\"before\"}\n");
    }
}

#[test]
fn what_is_too_much_is_named_and_what_is_not_text_too() {
    let desk = Desk::with_database();
    let deep = |open: &str, close: &str| {
        format!("{{\"id\":\"x\",\"a\":{}{}}}", open.repeat(100_000), close.repeat(100_000)).into_bytes()
    };
    let cases: &[(Vec<u8>, &str)] = &[
        (deep("[", "]"), "lists and objects nest at most 64 deep"),
        (deep("{\"a\":", "}"), "lists and objects nest at most 64 deep"),
        (vec![b'x'; 17 << 20], "the line has more than 16777216 bytes"),
        (vec![0; 17 << 20], "the line has more than 16777216 bytes"),
        (
            format!("{{\"id\":\"x\",\"a\":\"{}\"}}", "x".repeat(5 << 20)).into_bytes(),
            "x: field a: the value takes 5242885 bytes, at most 4194304 are allowed",
        ),
        (format!("{{\"id\":\"{}\"}}", "x".repeat(513)).into_bytes(), "this one has 513"),
        (b"{\"id\":\"x\",\"a\":\"\xff\"}".to_vec(), "column 16: not UTF-8"),
        (b"SQLite format 3\0".to_vec(), "column 1: expected an object"),
    ];
    for (line, said) in cases {
        let input = [b"{\"id\":\"before\"}\n", &line[..], b"\n"].concat();
        let ran = desk.run_with("a", &["import", "-c", "r"], &input);
        ran.assert_refused(1, said);
        assert!(ran.err.contains("imported 1, line 2: "), "{ran:?}");
    }
}

#[test]
fn what_editors_and_other_systems_add_is_taken() {
    let desk = Desk::with_database();
    let input = "\u{feff}{\"id\":\"a\"}\r\n\r\n  {\"id\":\"b\"}  \n\n{\"id\":\"c\",\"n\":-9223372036854775808}";
    let imported = desk.run_with("a", &["import", "-c", "r", "--json"], input.as_bytes()).json();
    assert_eq!((&imported["inserted"], &imported["lines"]), (&json!(3), &json!(5)));
}
