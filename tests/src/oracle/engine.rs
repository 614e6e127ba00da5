//! What the engine says of a document, in the oracle's form.

use std::collections::{BTreeMap, BTreeSet};

use tidewater_engine::document::Conflict;
use tidewater_engine::id::{DocumentId, SpaceId};
use tidewater_engine::store::Snapshot;

use super::Seen;

/// What the engine says, in the oracle's form.
///
/// # Panics
/// When a read fails.
#[must_use]
pub fn see(snapshot: &Snapshot, space: Option<&SpaceId>, collection: &str, id: &str) -> Seen {
    let document = snapshot.get(space, collection, id).expect("a read");
    let document_id = DocumentId::new(id).expect("an id");
    let conflicts = snapshot.conflicts(space, collection, &document_id).expect("conflicts");
    if let Some(document) = &document {
        assert_eq!(document.conflicted, !conflicts.is_empty(), "{collection}/{id}: {conflicts:?}");
    }
    let mut seen = Seen {
        live: document.map(|document| (document.generation, document.fields)),
        siblings: BTreeMap::new(),
        kinds: BTreeSet::new(),
        deleted: BTreeSet::new(),
    };
    for conflict in conflicts {
        match conflict {
            Conflict::Siblings { field, values, .. } => {
                seen.siblings.insert(field, values.into_iter().map(|sibling| sibling.value).collect());
            }
            Conflict::Kind { field, hidden, .. } => {
                seen.kinds.insert((field, hidden));
            }
            Conflict::EditedWhileDeleted { generation, field, .. } => {
                seen.deleted.insert((generation, field));
            }
            other => panic!("a conflict the oracle does not know: {other:?}"),
        }
    }
    seen
}
