//! The digest of a space: one hash over its documents in a form that holds nothing local.
//!
//! Collections by name, documents by id, generations, fields by name, cells by kind, stamps by writer id: values,
//! siblings, sums and elements with the full ids of the commits they came from, and what text and json show.

use super::names::Names;
use super::records::{RichReader, document_key};
use super::source::View;
use super::state::SpaceState;
use super::tables::ReadTables;
use super::{Published, ReadError};
use crate::codec;
use crate::document::state::{Cell, DocumentState, Stamp};
use crate::document::view::Writers;
use crate::id::SpaceId;
use crate::rich::Cache;
use crate::value::{Value, ValueError};

const CONTEXT: &str = "tidewater 2026 digest of a space v1";

pub(super) fn digest(published: &Published, cells: &Cache, id: &SpaceId) -> Result<[u8; 32], ReadError> {
    let view = View { tables: &*published.tables, state: &published.state, cells, overlay: None, committed: true };
    let space = view.space(id)?;
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(id.as_bytes());
    let mut collections: Vec<_> =
        space.counts.keys().map(|slot| (published.state.names.name(*slot).clone(), *slot)).collect();
    collections.sort();
    let mut canonical = Vec::new();
    for (name, slot) in collections {
        let prefix = document_key(slot, space.slot, "");
        for row in published.tables.documents.prefixed(&prefix)? {
            let row = row?;
            let wrong = || published.tables.documents.damaged(row.key());
            let document = std::str::from_utf8(&row.key()[prefix.len()..]).map_err(|_| wrong())?;
            let state = DocumentState::decode(row.value()?, published.state.names.slots()).map_err(|_| wrong())?;
            canonical.clear();
            codec::put_bytes(&mut canonical, name.as_bytes());
            codec::put_bytes(&mut canonical, document.as_bytes());
            write_document(&mut canonical, &view, space, slot, document, &state)?.map_err(|_| wrong())?;
            hasher.update(&(canonical.len() as u64).to_be_bytes());
            hasher.update(&canonical);
        }
    }
    Ok(*hasher.finalize().as_bytes())
}

fn write_document(
    out: &mut Vec<u8>,
    view: &View<'_, ReadTables>,
    space: &SpaceState,
    collection: u32,
    id: &str,
    state: &DocumentState,
) -> Result<Result<(), ValueError>, ReadError> {
    let names = &*view.state.names;
    codec::put_varint(out, state.generations.len() as u64);
    for (number, generation) in &state.generations {
        codec::put_varint(out, *number);
        out.push(u8::from(generation.opened) | u8::from(generation.closed) << 1);
        codec::put_varint(out, generation.continues.len() as u64);
        generation.continues.iter().for_each(|earlier| codec::put_varint(out, *earlier));
    }
    let mut fields: Vec<_> = state.fields.iter().map(|(slot, cells)| (names.name(*slot), *slot, cells)).collect();
    fields.sort_by_key(|(name, ..)| *name);
    let chain = state.live_generation().map(|generation| state.chain(generation)).unwrap_or_default();
    for (name, slot, cells) in fields {
        codec::put_bytes(out, name.as_bytes());
        for cell in cells {
            out.push(cell.kind() as u8);
            if let Err(error) = write_cell(out, cell, names) {
                return Ok(Err(error));
            }
            let shown = cell.tips().any(|tip| chain.binary_search(&tip.generation).is_ok());
            if let Cell::Rich { kind, .. } = cell
                && shown
            {
                let value = view.cells_of(space, collection, id).rich(slot, *kind, &chain)?;
                if let Err(error) = value.encode(out) {
                    return Ok(Err(error));
                }
            }
        }
    }
    Ok(Ok(()))
}

fn write_cell(out: &mut Vec<u8>, cell: &Cell, names: &Names) -> Result<(), ValueError> {
    match cell {
        Cell::Register(siblings) => {
            let mut written = Vec::with_capacity(siblings.len());
            for (stamp, value) in siblings {
                written.push((stamp_bytes(stamp, names), value_bytes(value)?));
            }
            written.sort();
            codec::put_varint(out, written.len() as u64);
            written.iter().for_each(|(stamp, value)| out.extend([stamp, value].into_iter().flatten()));
        }
        Cell::Counter { sums, tips } => {
            codec::put_varint(out, sums.len() as u64);
            for (generation, sum) in sums {
                codec::put_varint(out, *generation);
                out.extend_from_slice(&sum.to_be_bytes());
            }
            write_stamps(out, tips, names);
        }
        Cell::Set { elements, tips } => {
            codec::put_varint(out, elements.len() as u64);
            for (value, adds) in elements {
                out.extend(value_bytes(value)?);
                write_stamps(out, adds, names);
            }
            write_stamps(out, tips, names);
        }
        Cell::Rich { tips, .. } => write_stamps(out, tips, names),
    }
    Ok(())
}

fn value_bytes(value: &Value) -> Result<Vec<u8>, ValueError> {
    let mut out = Vec::new();
    value.encode(&mut out)?;
    Ok(out)
}

fn stamp_bytes(stamp: &Stamp, names: &Names) -> Vec<u8> {
    let mut out = names.writer(stamp.dot.writer).to_bytes().to_vec();
    out.extend_from_slice(&stamp.dot.sequence.to_be_bytes());
    out.extend_from_slice(&stamp.timestamp_ms.to_be_bytes());
    out.extend_from_slice(&stamp.generation.to_be_bytes());
    out.push(u8::from(stamp.covered) | u8::from(stamp.stale) << 1);
    out
}

fn write_stamps(out: &mut Vec<u8>, stamps: &[Stamp], names: &Names) {
    let mut written: Vec<_> = stamps.iter().map(|stamp| stamp_bytes(stamp, names)).collect();
    written.sort();
    codec::put_varint(out, written.len() as u64);
    written.iter().for_each(|stamp| out.extend(stamp));
}
