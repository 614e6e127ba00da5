//! What has to be reached: a share of each crate, and more of the parts where what is not tried costs most.

use super::table::{Reached, Share};

/// The crates that are measured, and what each is held to.
pub(super) const CRATES: [(&str, Floor); 2] =
    [("engine", Floor::new(9_700, 9_300)), ("sync", Floor::new(9_700, 9_000))];

/// The least share of lines, and of branches, in hundredths of a percent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Floor {
    lines: usize,
    branches: usize,
}

impl Floor {
    const fn new(lines: usize, branches: usize) -> Self {
        Self { lines, branches }
    }

    /// What of it is not reached, in words.
    pub(super) fn missed(self, name: &str, reached: &Reached) -> Option<String> {
        let [lines, branches] = [reached.lines, reached.branches].map(Share::basis_points);
        let percent = |points: usize| points as f64 / 100.0;
        (lines < self.lines || branches < self.branches).then(|| {
            format!("{name}: at least {} % of lines and {} % of branches", percent(self.lines), percent(self.branches))
        })
    }
}

/// Files of both crates that are held to more.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) floor: Floor,
    /// What their paths begin with.
    files: &'static [&'static str],
}

/// Bytes to values and back; what checks the entries and the membership of others; keys, seals and signatures; what
/// opens a file after whatever happened to it.
pub(super) const PARTS: [Part; 4] = [
    Part {
        name: "codecs",
        floor: Floor::new(9_900, 10_000),
        files: &[
            "engine/src/codec.rs",
            "engine/src/document/record",
            "engine/src/log/header.rs",
            "engine/src/log/seal/frame.rs",
            "engine/src/operation/codec",
            "engine/src/query/cursor.rs",
            "engine/src/schema/codec.rs",
            "engine/src/value/encode.rs",
            "engine/src/value/json",
            "sync/src/armor.rs",
            "sync/src/codec.rs",
            "sync/src/identity/card.rs",
            "sync/src/session/message.rs",
            "sync/src/space/operation.rs",
            "sync/src/ticket.rs",
        ],
    },
    Part {
        name: "gate",
        floor: Floor::new(9_950, 9_970),
        files: &[
            "engine/src/log/head.rs",
            "engine/src/log/run.rs",
            "engine/src/log/tree",
            "engine/src/rich/change.rs",
            "engine/src/rich/columns.rs",
            "engine/src/rich/gate",
            "engine/src/rich/operations.rs",
            "engine/src/space.rs",
            "engine/src/store/receive.rs",
            "sync/src/membership",
        ],
    },
    Part {
        name: "crypto",
        floor: Floor::new(9_700, 10_000),
        files: &[
            "engine/src/log/seal.rs",
            "sync/src/device.rs",
            "sync/src/identity.rs",
            "sync/src/identity/certificate.rs",
            "sync/src/keys.rs",
        ],
    },
    Part {
        name: "recovery",
        floor: Floor::new(9_500, 9_000),
        files: &[
            "engine/src/store/era.rs",
            "engine/src/store/file.rs",
            "engine/src/store/group.rs",
            "engine/src/store/lease.rs",
            "engine/src/store/pages",
        ],
    },
];

impl Part {
    pub(super) fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| path.starts_with(file))
    }
}
