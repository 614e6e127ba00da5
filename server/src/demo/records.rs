//! Generated records: packages that look believable and depend on each other. The same number gives the same records.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Value as Json, json};

const FIRST: &[&str] = &["amber", "basalt", "cedar", "delta", "ember", "fjord", "garnet", "harbor", "iris", "juniper"];
const SECOND: &[&str] = &["archive", "codec", "fonts", "graph", "index", "kernel", "mail", "net", "parser", "shell"];
const SECTIONS: &[&str] = &["admin", "doc", "games", "libs", "math", "net", "science", "utils"];
const TAGS: &[&str] =
    &["role::program", "role::plugin", "interface::graphical", "interface::commandline", "use::viewing"];

/// The most dependencies of one record.
const MAX_DEPENDS: u64 = 6;

/// Writes `count` records to a new file, one JSON object a line.
pub(super) fn write(path: &Path, count: u64) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut random = Random(0);
    for number in 0..count {
        writeln!(out, "{}", record(number, &mut random))?;
    }
    out.flush()
}

fn name(number: u64) -> String {
    let words = (FIRST.len() * SECOND.len()) as u64;
    let pick = |list: &[&'static str], at: u64| list[(at % list.len() as u64) as usize];
    let (first, second) = (pick(FIRST, number), pick(SECOND, number / FIRST.len() as u64));
    format!("{first}-{second}-{}", number / words + 1)
}

fn record(number: u64, random: &mut Random) -> Json {
    let depends: Vec<String> = match number {
        0 => Vec::new(),
        _ => (0..random.below(MAX_DEPENDS)).map(|_| name(random.below(number))).collect(),
    };
    let tags: Vec<&str> = TAGS.iter().copied().filter(|_| random.below(3) == 0).collect();
    let name = name(number);
    json!({
        "id": name,
        "version": format!("{}.{}.{}", random.below(9), random.below(20), random.below(50)),
        "section": SECTIONS[random.below(SECTIONS.len() as u64) as usize],
        "size": random.below(50_000_000),
        "essential": random.below(100) == 0,
        "description": format!("Generated package number {number}: {}", name.replace('-', " ")),
        "depends": depends,
        "tags": tags,
    })
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn records_are_the_same_every_time_and_have_ids_of_their_own() {
        let made = || -> Vec<Json> {
            let mut random = Random(0);
            (0..500).map(|number| record(number, &mut random)).collect()
        };
        assert_eq!(made(), made());
        let ids: BTreeSet<String> = made().iter().map(|record| record["id"].to_string()).collect();
        assert_eq!(ids.len(), 500);
    }
}
