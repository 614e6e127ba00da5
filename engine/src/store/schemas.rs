//! Declared schemas, kept in memory beside the documents that declare them, and the indexes that follow them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ReadError;
use super::conflicts;
use super::group::Work;
use super::indexing::{build, index_prefix};
use super::names::{Names, intern};
use super::records::{Showing, document_key, id_of, load_state};
use super::state::{DeclaredSchema, SpaceState, State};
use super::tables::Tables;
use crate::id::SpaceId;
use crate::schema::{Index, SCHEMAS, Schema};

/// The name whose slot numbers an index. Two declarations of the same fields are one index.
fn index_name(collection: &str, index: &Index) -> String {
    format!("{collection}\0{}", index.fields.join(","))
}

/// Loads the schemas of every space.
pub(crate) fn load(tables: &impl Tables, state: &mut State) -> Result<(), ReadError> {
    let Some(schemas) = state.names.slot(SCHEMAS) else { return Ok(()) };
    let names = state.names.clone();
    for space in state.spaces.values_mut() {
        let space = Arc::make_mut(space);
        for row in tables.documents().prefixed(&document_key(schemas, space.slot, ""))? {
            let row = row?;
            let id = id_of(row.key()).ok_or_else(|| tables.documents().damaged(row.key()))?;
            let declared = read(tables, &names, space, id.as_str())?;
            if let (Some(schema), Some(collection)) = (declared, names.slot(id.as_str())) {
                let index_slots = schema
                    .indexes
                    .iter()
                    .filter_map(|(name, index)| Some((name.clone(), names.slot(&index_name(id.as_str(), index))?)))
                    .collect();
                space.schemas.insert(collection, Arc::new(DeclaredSchema { schema: Arc::new(schema), index_slots }));
            }
        }
    }
    Ok(())
}

/// The schema that a space's documents declare for a collection, as far as it can be understood.
fn read(
    tables: &impl Tables,
    names: &Names,
    space: &SpaceState,
    collection: &str,
) -> Result<Option<Schema>, ReadError> {
    let Some(schemas) = names.slot(SCHEMAS) else { return Ok(None) };
    let Some(state) = load_state(tables, names, &document_key(schemas, space.slot, collection))? else {
        return Ok(None);
    };
    let showing = Showing { names, schema: None, rich: None };
    Ok(showing.live(&state)?.map(|(_, fields, _)| Schema::from_fields(&fields)))
}

/// After the schema document of `collection` changed: the new schema counts, indexes that went are dropped, new ones built.
pub(crate) fn follow(work: &mut Work<'_>, space_id: &SpaceId, collection: &str) -> Result<(), ReadError> {
    let slot = intern(&mut work.state.names, &mut work.tables, collection)?;
    let space = work.space(space_id)?.clone();
    let old = space.schemas.get(&slot).cloned();
    let Some(schema) = read(&work.tables, &work.state.names, &space, collection)? else {
        work.space_mut(space_id)?.schemas.remove(&slot);
        drop_indexes(work, &space, old.iter().flat_map(|old| old.index_slots.values()))?;
        return conflicts::rebuild(work, space_id, slot);
    };
    let mut index_slots = BTreeMap::new();
    for (name, index) in &schema.indexes {
        let slot = intern(&mut work.state.names, &mut work.tables, &index_name(collection, index))?;
        index_slots.insert(name.clone(), slot);
    }
    let old_slots: Vec<u32> = old.iter().flat_map(|old| old.index_slots.values().copied()).collect();
    // A changed kind or policy changes what an index shows, so then every index is built again.
    let shows = |schema: &Schema| -> Vec<_> {
        schema.fields.iter().map(|(name, field)| (name.clone(), field.kind, field.conflict)).collect()
    };
    let kinds = |schema: &Schema| -> Vec<_> { shows(schema).into_iter().map(|(name, kind, _)| (name, kind)).collect() };
    let same_kinds = old.as_ref().is_some_and(|old| kinds(&old.schema) == kinds(&schema));
    let shows_the_same = old.as_ref().is_some_and(|old| shows(&old.schema) == shows(&schema));
    let kept = |slot: &u32| shows_the_same && old_slots.contains(slot) && index_slots.values().any(|new| new == slot);
    let gone: Vec<u32> = old_slots.iter().filter(|slot| !kept(slot)).copied().collect();
    drop_indexes(work, &space, gone.iter())?;
    let mut built = Vec::new();
    let declared = Arc::new(DeclaredSchema { schema: Arc::new(schema), index_slots: index_slots.clone() });
    work.space_mut(space_id)?.schemas.insert(slot, declared.clone());
    for (name, index) in &declared.schema.indexes {
        let index_slot = index_slots[name];
        if !kept(&index_slot) && !built.contains(&index_slot) {
            build(work, space_id, slot, (index, index_slot))?;
            built.push(index_slot);
        }
    }
    if !same_kinds {
        conflicts::rebuild(work, space_id, slot)?;
    }
    work.changed.collections.insert(collection.into());
    Ok(())
}

fn drop_indexes<'s>(
    work: &mut Work<'_>,
    space: &SpaceState,
    slots: impl Iterator<Item = &'s u32>,
) -> Result<(), ReadError> {
    for slot in slots {
        work.tables.indexes.remove_prefixed(&index_prefix(*slot, space.slot))?;
    }
    Ok(())
}
