//! Target: cursors, as texts and behind their check.

use data_encoding::BASE64URL_NOPAD;
use tidewater_engine::query::{Cursor, Filter, Order, Query};
use xxhash_rust::xxh3::xxh3_64;

use super::filter::snapshot;
use super::{Memory, Target};

pub(super) const TARGET: Target = Target {
    name: "cursor",
    run,
    seeds,
    input_bytes_max: 2_048,
    memory: Memory { fixed: 1 << 20, per_byte: 64 },
    executions: 8_000,
};

fn queries() -> [Query; 4] {
    let query = || Query::all("indexed").limit(3);
    [
        query(),
        query().order_by(Order::descending("size")),
        query().order_by(Order::ascending("title")).order_by(Order::descending("size")),
        query().filter(Filter::eq("title", "Note 1".into())).order_by(Order::ascending("tags")),
    ]
}

fn run(input: &[u8]) -> bool {
    let mut behind = input.to_vec();
    behind.extend_from_slice(&(xxh3_64(input) as u32).to_le_bytes());
    let texts = [String::from_utf8_lossy(input).into_owned(), BASE64URL_NOPAD.encode(&behind)];
    let mut taken = false;
    for text in texts {
        let Ok(cursor) = text.parse::<Cursor>() else { continue };
        assert_eq!(cursor.to_string(), text, "a cursor is written as it was read");
        for query in queries() {
            if let Ok(found) = snapshot().find(&query.after(cursor.clone())) {
                assert!(found.cursors.iter().all(|next| next.0 > cursor.0), "{text}: a page begins before its cursor");
                taken = true;
            }
        }
    }
    taken
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for query in queries() {
        let cursors = snapshot().find(&query).expect("a page").cursors;
        for cursor in cursors.iter().take(2) {
            let bytes = BASE64URL_NOPAD.decode(cursor.to_string().as_bytes()).expect("a cursor's text");
            seeds.push(bytes[..bytes.len() - 4].to_vec());
        }
    }
    seeds
}
