//! The records of the table: generated, the same in every run.

use serde_json::json;

/// A record of five fields beside its id.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) section: String,
    pub(crate) size: i64,
    pub(crate) score: f64,
    pub(crate) done: bool,
}

const WORDS: &[&str] = &[
    "amber", "basin", "coral", "delta", "ebb", "flood", "gull", "harbour", "inlet", "jetty", "kelp", "lagoon", "marsh",
    "neap", "oyster", "pier", "quay", "reef", "shoal", "tide", "undertow", "vessel", "wharf", "yawl",
];

impl Record {
    /// Record number `n`. Ids ascend with `n`.
    pub(crate) fn numbered(n: u64) -> Self {
        let mut random = Random::new(n);
        let words: Vec<&str> = (0..6).map(|_| WORDS[random.below(WORDS.len() as u64) as usize]).collect();
        Self {
            id: format!("record-{n:010}"),
            title: words.join(" "),
            section: WORDS[random.below(8) as usize].into(),
            size: random.below(1_000_000) as i64,
            score: random.below(10_000) as f64 / 100.0,
            done: random.below(4) == 0,
        }
    }

    /// The record as one line of NDJSON, without the newline.
    pub(crate) fn to_json(&self) -> String {
        let Self { id, title, section, size, score, done } = self;
        json!({"id": id, "title": title, "section": section, "size": size, "score": score, "done": done}).to_string()
    }
}

/// Records `from` to `to`.
pub(crate) fn records(from: u64, to: u64) -> Vec<Record> {
    (from..to).map(Record::numbered).collect()
}

/// How large the first `count` records are as NDJSON, in bytes.
pub(crate) fn ndjson_bytes(count: u64) -> u64 {
    (0..count).map(|n| Record::numbered(n).to_json().len() as u64 + 1).sum()
}

/// SplitMix64: small, and the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is small beside 2^64.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_the_same_every_time_and_differ_from_each_other() {
        assert_eq!(Record::numbered(7), Record::numbered(7));
        assert_ne!(Record::numbered(7).title, Record::numbered(8).title);
        assert!(Record::numbered(7).id < Record::numbered(8).id);
    }
}
