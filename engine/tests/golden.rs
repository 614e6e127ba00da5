//! The log's formats, pinned byte for byte. A change of a file in `golden/` is a change of a format.
//!
//! `TIDEWATER_BLESS=1 cargo test -p tidewater-engine --test golden` rewrites the files. Before the first release a
//! change bumps the version in `docs/spec/log.md`; after it, old files stay and new ones are added beside them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use ed25519_dalek::{Signer, SigningKey};
use tidewater_engine::id::{DeviceId, EpochId, Incarnation, SpaceId, WriterId};
use tidewater_engine::log::seal::{EntryDraft, Opener, Sealed, Sealer};
use tidewater_engine::log::tree::leaf_hash;
use tidewater_engine::log::{Frontier, Header, Place, Plane, Prefix, head_message, verify_head};
use tidewater_engine::space::SecretKey;

type Vectors = BTreeMap<&'static str, Vec<u8>>;

/// Bytes that count up from `start`: wrong orders and offsets show.
fn counting<const N: usize>(start: u8) -> [u8; N] {
    std::array::from_fn(|at| start.wrapping_add(at as u8))
}

fn device_key() -> SigningKey {
    SigningKey::from_bytes(&counting(0x10))
}

fn writer() -> WriterId {
    WriterId { device: DeviceId(device_key().verifying_key().to_bytes()), incarnation: Incarnation(counting(0xe0)) }
}

fn place(sequence: u64) -> Place {
    Place { space: SpaceId(counting(0x40)), plane: Plane::Data, writer: writer(), sequence }
}

fn other(first: u8, length: u64) -> (WriterId, Prefix) {
    let writer = WriterId { device: DeviceId(counting(first)), incarnation: Incarnation(counting(first)) };
    (writer, Prefix { length, root: counting(first ^ 0xff) })
}

fn header() -> Header {
    Header {
        timestamp_ms: 1_750_000_000_123,
        first: true,
        last: false,
        epoch: EpochId(counting(0x60)),
        salt: counting(0x80),
        dependencies: vec![other(1, 1), other(2, 300)],
        control: vec![other(3, 70_000)],
        body_length: 1024,
        body_hash: counting(0xa0),
    }
}

fn draft() -> EntryDraft {
    EntryDraft {
        timestamp_ms: 1_750_000_000_123,
        first: true,
        last: true,
        dependencies: vec![other(1, 1)],
        control: vec![other(3, 2)],
    }
}

fn epoch_key() -> SecretKey {
    SecretKey::new(counting(0xc0))
}

fn seal(chunk: &[u8]) -> Sealed {
    Sealer::new().seal(&place(5), draft(), &epoch_key(), counting(0xf0), chunk).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the crate knows no environment, its test may")]
fn blessing() -> bool {
    std::env::var_os("TIDEWATER_BLESS").is_some()
}

/// Compares `vectors` with the file, or rewrites it.
fn check(file: &str, vectors: &Vectors) {
    let path = path(file);
    if blessing() {
        let mut text = String::from("# Golden vectors, hexadecimal. See engine/tests/golden.rs.\n");
        for (name, bytes) in vectors {
            let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            writeln!(text, "{name} {hex}").unwrap();
        }
        std::fs::write(&path, text).unwrap();
    }
    let expected = read(file);
    assert_eq!(expected.keys().collect::<Vec<_>>(), vectors.keys().collect::<Vec<_>>(), "{file}");
    for (name, bytes) in vectors {
        assert_eq!(&expected[*name], bytes, "{file}: {name} changed; TIDEWATER_BLESS=1 rewrites the file");
    }
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

fn read(file: &str) -> BTreeMap<String, Vec<u8>> {
    let text = std::fs::read_to_string(path(file)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let line = |line: &str| {
        let (name, hex) = line.split_once(' ').unwrap_or((line, ""));
        let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        (name.to_owned(), bytes.collect())
    };
    lines.map(line).collect()
}

#[test]
fn header_and_place() {
    let bare = Header { first: false, last: true, dependencies: vec![], control: vec![], ..header() };
    check(
        "header.txt",
        &Vectors::from([
            ("place", place(0x0102_0304_0506_0708).to_bytes().to_vec()),
            ("header", header().encode()),
            ("header-without-lists", bare.encode()),
        ]),
    );
    for (name, expected) in [("header", header()), ("header-without-lists", bare)] {
        assert_eq!(Header::decode(&read("header.txt")[name]), Ok(expected), "{name}");
    }
}

#[test]
fn leaves_and_roots() {
    let mut frontier = Frontier::default();
    let mut roots = frontier.root().to_vec();
    for sequence in 0..9 {
        frontier.append(leaf_hash(&place(sequence), &header().encode()));
        roots.extend(frontier.root());
    }
    let vectors = Vectors::from([
        ("leaf-0", leaf_hash(&place(0), &header().encode()).to_vec()),
        ("roots-of-0-to-9", roots),
        ("frontier-of-9", frontier.encode()),
    ]);
    check("tree.txt", &vectors);
    assert_eq!(Frontier::decode(&read("tree.txt")["frontier-of-9"]), Ok(frontier));
}

#[test]
fn head() {
    let prefix = Prefix { length: 0x0102_0304_0506, root: counting(0xa0) };
    let message = head_message(&SpaceId(counting(0x40)), Plane::Data, &writer(), &prefix);
    let signature = device_key().sign(&message).to_bytes();
    check("head.txt", &Vectors::from([("message", message), ("signature", signature.to_vec())]));
    let signature = read("head.txt")["signature"].as_slice().try_into().unwrap();
    assert!(verify_head(&SpaceId(counting(0x40)), Plane::Data, &writer(), &prefix, &signature));
}

const SHORT: &[u8] = b"a document";

#[test]
fn sealed_entry() {
    let sealed = seal(SHORT);
    check("sealed.txt", &Vectors::from([("header", sealed.header), ("body", sealed.body)]));
    assert_eq!(open("sealed.txt"), SHORT);
}

/// The bytes that zstd gives are not part of the format, so this file is only opened.
#[test]
fn compressed_entry() {
    let chunk = "a document that repeats itself ".repeat(20);
    if blessing() {
        let sealed = seal(chunk.as_bytes());
        check("compressed.txt", &Vectors::from([("header", sealed.header), ("body", sealed.body)]));
    }
    assert!(read("compressed.txt")["body"].len() < chunk.len() / 4);
    assert_eq!(open("compressed.txt"), chunk.as_bytes());
}

fn open(file: &str) -> Vec<u8> {
    let vectors = read(file);
    let header = Header::decode(&vectors["header"]).unwrap();
    Opener::new().open(&place(5), &header, &vectors["header"], &vectors["body"], &epoch_key()).unwrap()
}
