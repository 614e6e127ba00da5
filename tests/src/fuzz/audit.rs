//! Target: exported audit trails. What is changed is never taken for the same history, whoever signs the file anew.

use std::sync::OnceLock;

use ed25519_dalek::SigningKey;
use tidewater_sync::{AuditReport, verify_audit};

use super::people::{open, people};
use super::{Memory, Target};
use crate::trail::{ENTRY, LOG, Trail};

pub(super) const TARGET: Target = Target {
    name: "audit",
    run,
    seeds,
    input_bytes_max: 16_384,
    memory: Memory { fixed: 64 << 20, per_byte: 1 << 10 },
    executions: 600,
};

/// The exports of Ada's device: with the control key, and sealed.
fn exports() -> &'static [Vec<u8>] {
    static EXPORTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    EXPORTS.get_or_init(|| {
        let ada = open(&people().ada, 71);
        let export = |sealed| {
            let mut file = Vec::new();
            ada.export_audit(&people().space, sealed, &mut file).expect("an export");
            file
        };
        vec![export(false), export(true)]
    })
}

fn run(input: &[u8]) -> bool {
    let honest = exports().iter().any(|export| export == input);
    let as_it_is = verify_audit(input, None);
    assert_eq!(as_it_is.is_ok(), honest, "only what was exported is taken: {as_it_is:?}");
    let trail = Trail::of(input);
    let Ok(report) = verify_audit(&*trail.signed_by(&SigningKey::from_bytes(&[9; 32])), None) else { return honest };
    let own = |export: &Vec<u8>| verify_audit(&**export, None).expect("an honest export");
    let [open, sealed] = [own(&exports()[0]), own(&exports()[1])];
    if report.digest == open.digest {
        // Of several heads of one log the last one vouches for all of it.
        let content = |file: &[u8]| {
            let records = Trail::of(file).records.into_iter();
            records.filter(|(kind, _)| [LOG, ENTRY].contains(kind)).collect::<Vec<_>>()
        };
        assert_eq!(content(input), content(&exports()[0]), "one digest, and other entries");
        let said = |report: &AuditReport| report.meaning.clone().map(|meaning| (meaning.trail, meaning.members));
        assert!(said(&report) == said(&open) || said(&report) == said(&sealed), "one digest, and another meaning");
    }
    true
}

fn seeds() -> Vec<Vec<u8>> {
    exports().to_vec()
}
