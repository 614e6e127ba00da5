//! Names of cells, and the automerge actors derived from them.

use automerge::ActorId;

use crate::id::{DocumentId, SpaceId, WriterId};
use crate::operation::FieldKind;

/// Domain separation of actor ids.
const ACTOR_CONTEXT: &str = "tidewater 2026 automerge actor of a cell";

/// One text or json cell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellName {
    /// The space.
    pub space: SpaceId,
    /// The collection's name.
    pub collection: String,
    /// The document.
    pub id: DocumentId,
    /// The document's generation.
    pub generation: u64,
    /// The field's name.
    pub field: String,
    /// [`FieldKind::Text`] or [`FieldKind::Json`].
    pub kind: FieldKind,
}

/// The automerge actor under which `writer` changes `cell`: 32 bytes that nobody else's changes of any cell carry.
#[must_use]
pub fn actor_id(cell: &CellName, writer: &WriterId) -> ActorId {
    let mut hasher = blake3::Hasher::new_derive_key(ACTOR_CONTEXT);
    hasher.update(&cell.space.0);
    hasher.update(&writer.to_bytes());
    for text in [&cell.collection, cell.id.as_str(), &cell.field] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.update(&cell.generation.to_le_bytes());
    hasher.update(&[cell.kind as u8]);
    ActorId::from(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::id::{DeviceId, Incarnation};

    #[test]
    fn every_part_of_the_name_and_the_writer_changes_the_actor() {
        let cell = CellName {
            space: SpaceId([1; 32]),
            collection: "notes".into(),
            id: DocumentId::new("a").unwrap(),
            generation: 1,
            field: "body".into(),
            kind: FieldKind::Text,
        };
        let writer = WriterId { device: DeviceId([2; 32]), incarnation: Incarnation([3; 8]) };
        let actors: BTreeSet<_> = [
            (cell.clone(), writer),
            (CellName { space: SpaceId([9; 32]), ..cell.clone() }, writer),
            (CellName { collection: "note".into(), ..cell.clone() }, writer),
            (CellName { collection: "note".into(), id: DocumentId::new("sa").unwrap(), ..cell.clone() }, writer),
            (CellName { id: DocumentId::new("b").unwrap(), ..cell.clone() }, writer),
            (CellName { generation: 2, ..cell.clone() }, writer),
            (CellName { field: "title".into(), ..cell.clone() }, writer),
            (CellName { kind: FieldKind::Json, ..cell.clone() }, writer),
            (cell.clone(), WriterId { device: DeviceId([9; 32]), ..writer }),
            (cell.clone(), WriterId { incarnation: Incarnation([9; 8]), ..writer }),
        ]
        .iter()
        .map(|(cell, writer)| actor_id(cell, writer))
        .collect();
        assert_eq!(actors.len(), 10);
    }
}
