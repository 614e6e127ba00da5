//! Slots: small local numbers that stand for writers and for the names of collections and fields in stored records.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ReadError;
use super::tables::{Tables, WriteTable, WriteTables, damaged};
use crate::document::record::Slots;
use crate::document::view::Writers;
use crate::id::WriterId;

const NAME: u8 = 1;
const WRITER: u8 = 2;

/// Every slot that is given out. Slots are never taken back.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Names {
    slots: BTreeMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
    writer_slots: BTreeMap<WriterId, u32>,
    writers: Vec<WriterId>,
}

impl Names {
    pub fn load(tables: &impl Tables) -> Result<Self, ReadError> {
        let mut names = Self::default();
        for row in tables.names().prefixed(&[NAME])? {
            let row = row?;
            check_slot(row.key(), names.names.len())?;
            let name: Arc<str> = std::str::from_utf8(row.value()?).map_err(|_| damaged("names", row.key()))?.into();
            names.slots.insert(name.clone(), next_slot(names.names.len()));
            names.names.push(name);
        }
        for row in tables.names().prefixed(&[WRITER])? {
            let row = row?;
            check_slot(row.key(), names.writers.len())?;
            let bytes = row.value()?.try_into().map_err(|_| damaged("names", row.key()))?;
            let writer = WriterId::from_bytes(bytes);
            names.writer_slots.insert(writer, next_slot(names.writers.len()));
            names.writers.push(writer);
        }
        Ok(names)
    }

    pub fn slot(&self, name: &str) -> Option<u32> {
        self.slots.get(name).copied()
    }

    /// The slot of `name`, found at once when it was first used right after the name of `before`: the fields of a
    /// collection's documents come in the same order again and again.
    pub fn slot_after(&self, before: u32, name: &str) -> Option<u32> {
        let next = before.saturating_add(1);
        let is_next = self.names.get(next as usize).is_some_and(|known| **known == *name);
        if is_next { Some(next) } else { self.slot(name) }
    }

    pub fn name(&self, slot: u32) -> &Arc<str> {
        &self.names[slot as usize]
    }

    /// The name, to be given away. (`to_string` would go through formatting.)
    pub fn owned(&self, slot: u32) -> String {
        String::from(&**self.name(slot))
    }

    pub fn writer_at(&self, slot: u32) -> Option<&WriterId> {
        self.writers.get(slot as usize)
    }

    pub fn writer_slot(&self, writer: &WriterId) -> Option<u32> {
        self.writer_slots.get(writer).copied()
    }

    /// How many slots were given out.
    pub fn slots(&self) -> Slots {
        Slots { names: self.names.len(), writers: self.writers.len() }
    }

    /// Every name by slot.
    pub fn all_names(&self) -> impl Iterator<Item = (u32, &Arc<str>)> {
        (0..).zip(&self.names)
    }
}

impl Writers for Names {
    fn writer(&self, slot: u32) -> &WriterId {
        &self.writers[slot as usize]
    }
}

/// The slot of `name`, given out now if it has none.
pub(crate) fn intern(names: &mut Arc<Names>, tables: &mut WriteTables<'_>, name: &str) -> Result<u32, ReadError> {
    match names.slot(name) {
        Some(slot) => Ok(slot),
        None => add(names, tables, name),
    }
}

/// As [`intern`], for a name that may follow that of `before`: see [`Names::slot_after`].
pub(crate) fn intern_after(
    names: &mut Arc<Names>,
    tables: &mut WriteTables<'_>,
    before: u32,
    name: &str,
) -> Result<u32, ReadError> {
    match names.slot_after(before, name) {
        Some(slot) => Ok(slot),
        None => add(names, tables, name),
    }
}

fn add(names: &mut Arc<Names>, tables: &mut WriteTables<'_>, name: &str) -> Result<u32, ReadError> {
    let names = Arc::make_mut(names);
    let slot = next_slot(names.names.len());
    put(&mut tables.names, NAME, slot, name.as_bytes())?;
    let name: Arc<str> = name.into();
    names.slots.insert(name.clone(), slot);
    names.names.push(name);
    Ok(slot)
}

/// The slot of `writer`, given out now if it has none.
pub(crate) fn intern_writer(
    names: &mut Arc<Names>,
    tables: &mut WriteTables<'_>,
    writer: &WriterId,
) -> Result<u32, ReadError> {
    if let Some(slot) = names.writer_slot(writer) {
        return Ok(slot);
    }
    let names = Arc::make_mut(names);
    let slot = next_slot(names.writers.len());
    put(&mut tables.names, WRITER, slot, &writer.to_bytes())?;
    names.writer_slots.insert(*writer, slot);
    names.writers.push(*writer);
    Ok(slot)
}

fn put(table: &mut WriteTable<'_>, kind: u8, slot: u32, value: &[u8]) -> Result<(), ReadError> {
    let mut key = [kind; 5];
    key[1..].copy_from_slice(&slot.to_be_bytes());
    table.insert(&key, value)
}

/// Slots are given out in order, without gaps.
fn check_slot(key: &[u8], expected: usize) -> Result<(), ReadError> {
    let in_order = key.get(1..) == Some(&next_slot(expected).to_be_bytes()[..]);
    if in_order { Ok(()) } else { Err(damaged("names", key)) }
}

fn next_slot(count: usize) -> u32 {
    u32::try_from(count).expect("fewer than 2^32 names fit the memory of any machine")
}
