//! Writing documents.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::append::{append, data_key};
use super::group::Work;
use super::names::intern;
use super::overlay::Overlay;
use super::records::{schema_of, undecodable};
use super::source::View;
use super::state::DeclaredSchema;
use super::tables::WriteTables;
use super::{Durability, Inner, ReadError, TransactionError, WriteError};
use super::{rich_changes, rich_edits};
use crate::codec::DecodeError;
use crate::document::Document;
use crate::document::fold::Origin;
use crate::document::held::Held;
use crate::document::state::Dot;
use crate::id::{DocumentId, SpaceId};
use crate::log::Plane;
use crate::operation::{Action, CommitWriter, FieldKind, FieldOp, Operation};
use crate::query::{Found, Query};
use crate::schema::{SCHEMAS, Schema};
use crate::space::{Rank, SecretKey};
use crate::value::{Fields, Value};

/// One transaction being built. It reads its own writes.
pub struct Transaction<'store> {
    pub(super) work: Work<'store>,
    target: Option<Target>,
    commit: CommitWriter,
    timestamp_ms: i64,
}

/// Where a transaction writes.
struct Target {
    overlay: Overlay,
    /// The commit that this becomes.
    dot: Dot,
    key: SecretKey,
    /// Changes of schemas that this transaction made.
    schemas: std::collections::BTreeMap<String, Arc<Schema>>,
}

impl std::fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let space = self.target.as_ref().map(|target| target.overlay.space);
        f.debug_struct("Transaction").field("space", &space).field("operations", &self.commit.operations()).finish()
    }
}

/// Runs a closure as one transaction.
pub(super) fn run<T, E>(
    inner: &Inner,
    durability: Durability,
    body: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
) -> Result<T, TransactionError<E>> {
    inner.write(durability == Durability::Local, |work| {
        let timestamp_ms = inner.host.now_ms();
        let mut transaction = Transaction { work, target: None, commit: CommitWriter::default(), timestamp_ms };
        let value = body(&mut transaction).map_err(TransactionError::Aborted)?;
        transaction.commit()?;
        Ok(value)
    })
}

/// Runs a closure as one transaction after the other until it breaks, all of them in one storage transaction.
pub(super) fn run_many<T, E>(
    inner: &Inner,
    durability: Durability,
    mut body: impl FnMut(&mut Transaction<'_>) -> Result<ControlFlow<T>, E>,
) -> Result<T, TransactionError<E>> {
    inner.write_alone(durability == Durability::Local, |work| {
        let timestamp_ms = inner.host.now_ms();
        let mut transaction = Transaction { work, target: None, commit: CommitWriter::default(), timestamp_ms };
        let flow = body(&mut transaction).map_err(TransactionError::Aborted)?;
        transaction.commit()?;
        Ok(flow)
    })
}

/// A change to one field.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Edit {
    /// Writes the field: a register's value; a counter, set, text or json field moves to this value by the smallest edit.
    Set(Value),
    /// Removes the field.
    Clear,
    /// Counter: adds (a register that holds nothing becomes a counter).
    Increment(i64),
    /// Set: adds elements.
    Add(Vec<Value>),
    /// Set: removes elements.
    Remove(Vec<Value>),
    /// Text: at Unicode scalar position `at` removes `delete` scalars and inserts `insert`.
    Splice {
        /// Where, in Unicode scalar values.
        at: usize,
        /// How many scalars go.
        delete: usize,
        /// What comes.
        insert: String,
    },
    /// Json: writes the value at a path, making objects on the way. The empty path replaces all.
    Put {
        /// Where.
        path: Vec<PathSegment>,
        /// What.
        value: Value,
    },
    /// Json: inserts into a list before the index that ends the path.
    Insert {
        /// Where; the last segment is an index.
        path: Vec<PathSegment>,
        /// What.
        value: Value,
    },
    /// Json: removes what is at a path.
    Cut {
        /// Where.
        path: Vec<PathSegment>,
    },
}

/// One step into a json field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathSegment {
    /// A key of an object.
    Key(String),
    /// A position in a list, from 0.
    Index(usize),
}

impl<'store> Transaction<'store> {
    /// Writes go to `space` from here on, instead of home.
    ///
    /// # Errors
    /// [`WriteError::TwoSpaces`] once another space was written; [`WriteError::Forbidden`] without the rank or the keys.
    pub fn in_space(&mut self, space: SpaceId) -> Result<(), WriteError> {
        if let Some(target) = &self.target
            && target.overlay.space == space
        {
            return Ok(());
        }
        if self.commit.operations() > 0 {
            let first = self.target.as_ref().map_or(space, |target| target.overlay.space);
            return Err(WriteError::TwoSpaces { first, second: space });
        }
        let key = data_key(&self.work, &space)?;
        let writer = self.work.inner.writer;
        let log = self.work.log_mut(&space, Plane::Data, &writer)?;
        let dot = Dot { writer: log.slot, sequence: log.length() };
        let overlay = Overlay::new(space);
        self.target = Some(Target { overlay, dot, key, schemas: std::collections::BTreeMap::new() });
        Ok(())
    }

    /// The space that this transaction writes to.
    ///
    /// # Errors
    /// [`WriteError::NoHome`] when none was named and the database has no home.
    pub fn space(&mut self) -> Result<SpaceId, WriteError> {
        Ok(self.target()?.overlay.space)
    }

    fn target(&mut self) -> Result<&mut Target, WriteError> {
        if self.target.is_none() {
            let home = self.work.state.home.ok_or(WriteError::NoHome)?;
            self.in_space(home)?;
        }
        Ok(self.target.as_mut().expect("made above"))
    }

    /// The place of this transaction's commit in the log, and its time in milliseconds since 1970 UTC.
    pub(super) fn commit_stamp(&mut self) -> Result<(Dot, i64), WriteError> {
        Ok((self.target()?.dot, self.timestamp_ms))
    }

    fn reading_space(&self) -> Option<SpaceId> {
        self.target.as_ref().map(|target| target.overlay.space).or(self.work.state.home)
    }

    fn view(&self) -> View<'_, WriteTables<'store>> {
        View {
            tables: &self.work.tables,
            state: self.work.state,
            cells: &self.work.inner.cells,
            overlay: self.target.as_ref().map(|target| &target.overlay),
            committed: false,
        }
    }

    /// The document in the transaction's space, own writes included.
    ///
    /// # Errors
    /// As `Snapshot::get`.
    pub fn get(&mut self, collection: &str, id: &str) -> Result<Option<Document>, ReadError> {
        let Some(space) = self.reading_space() else { return Ok(None) };
        let view = self.view();
        let Some(slot) = view.state.names.slot(collection) else { return Ok(None) };
        let space = view.space(&space)?;
        match view.document_state(space, slot, id)? {
            Some(state) => view.document(space, slot, id, &state),
            None => Ok(None),
        }
    }

    /// Plans and runs a query over the transaction's space, own writes included.
    ///
    /// # Errors
    /// As `Snapshot::find`.
    pub fn find(&mut self, query: &Query) -> Result<Found, ReadError> {
        let mut query = query.clone();
        query.spaces = Some(self.reading_space().into_iter().collect());
        crate::query::find(&self.view(), &query)
    }

    /// Inserts a document; without an id it gets a time-ordered one. The schema's kinds decide what a field becomes;
    /// undeclared fields are registers.
    ///
    /// # Errors
    /// [`WriteError::Exists`], [`WriteError::Schema`], [`WriteError::Invalid`], and as [`Transaction::in_space`].
    pub fn insert(&mut self, collection: &str, id: Option<&str>, fields: Fields) -> Result<DocumentId, WriteError> {
        let id = match id {
            Some(id) => document_id(id)?,
            None => {
                let mut random = [0; 10];
                self.work.inner.host.fill_random(&mut random);
                DocumentId::time_ordered(self.timestamp_ms, random)
            }
        };
        check_collection(collection)?;
        let schema = self.schema(collection)?;
        let fields = match &schema {
            Some(schema) => schema.check_insert(collection, id.as_str(), fields)?,
            None => fields,
        };
        let (live, last) = self
            .of(collection, id.as_str(), |document| Ok((document.live_generation()?, document.last_generation()?)))?;
        if live.is_some() {
            return Err(WriteError::Exists { collection: collection.to_owned(), id });
        }
        let generation = last + 1;
        let mut edits = Vec::with_capacity(fields.len());
        let mut rich = Vec::new();
        for (name, value) in fields {
            match kind_of(schema.as_deref(), &name) {
                Some(kind @ (FieldKind::Text | FieldKind::Json)) => rich.push((name, kind, Edit::Set(value))),
                kind => edits.push((name, first_value(kind.unwrap_or(FieldKind::Register), value)?)),
            }
        }
        self.apply(collection, &id, generation, Action::Insert(edits))?;
        for (name, kind, edit) in rich {
            rich_edits::edit(self, collection, &id, &name, kind, &edit)?;
        }
        Ok(id)
    }

    /// Changes fields of an existing document.
    ///
    /// # Errors
    /// [`WriteError::Missing`], [`WriteError::Schema`], [`WriteError::Invalid`] for an edit that does not fit the field's kind.
    pub fn update(&mut self, collection: &str, id: &str, edits: Vec<(String, Edit)>) -> Result<(), WriteError> {
        let id = document_id(id)?;
        let schema = self.schema(collection)?;
        let missing = || WriteError::Missing { collection: collection.to_owned(), id: id.clone() };
        let generation = self.live_generation(collection, id.as_str())?.ok_or_else(missing)?;
        let mut plain: Vec<(String, FieldOp)> = Vec::new();
        for (name, edit) in edits {
            // What an edit means depends on what the earlier ones of its field left.
            if plain.iter().any(|(field, _)| *field == name) {
                let edits = std::mem::take(&mut plain);
                self.apply(collection, &id, generation, Action::Edit(edits))?;
            }
            let kind = self.kind_for(schema.as_deref(), collection, id.as_str(), &name, &edit)?;
            check_against(schema.as_deref(), collection, id.as_str(), &name, &edit)?;
            if matches!(kind, FieldKind::Text | FieldKind::Json) {
                rich_edits::edit(self, collection, &id, &name, kind, &edit)?;
                continue;
            }
            for operation in self.plain_edit(collection, id.as_str(), &name, kind, edit)? {
                let again = plain.iter().any(|(field, other)| *field == name && other.kind() == operation.kind());
                if again {
                    let edits = std::mem::take(&mut plain);
                    self.apply(collection, &id, generation, Action::Edit(edits))?;
                }
                plain.push((name.clone(), operation));
            }
        }
        if plain.is_empty() { Ok(()) } else { self.apply(collection, &id, generation, Action::Edit(plain)) }
    }

    /// Inserts the document, or sets the given fields of the existing one. True: inserted.
    ///
    /// # Errors
    /// As [`Transaction::insert`] and [`Transaction::update`].
    pub fn upsert(&mut self, collection: &str, id: &str, fields: Fields) -> Result<bool, WriteError> {
        document_id(id)?;
        check_collection(collection)?;
        if self.live_generation(collection, id)?.is_none() {
            self.insert(collection, Some(id), fields)?;
            return Ok(true);
        }
        self.update(collection, id, fields.into_iter().map(|(name, value)| (name, Edit::Set(value))).collect())?;
        Ok(false)
    }

    /// Deletes a document. False: there was none.
    ///
    /// # Errors
    /// As [`Transaction::in_space`].
    pub fn delete(&mut self, collection: &str, id: &str) -> Result<bool, WriteError> {
        let id = document_id(id)?;
        let Some(generation) = self.live_generation(collection, id.as_str())? else { return Ok(false) };
        rich_edits::finish(self, collection, &id)?;
        self.apply(collection, &id, generation, Action::Delete)?;
        Ok(true)
    }

    /// Brings the last closed generation of a deleted document back, with edits that the delete did not see.
    ///
    /// # Errors
    /// [`WriteError::Exists`] when it is alive, [`WriteError::Missing`] when it never was.
    pub fn restore(&mut self, collection: &str, id: &str) -> Result<(), WriteError> {
        let id = document_id(id)?;
        let (live, last) = self
            .of(collection, id.as_str(), |document| Ok((document.live_generation()?, document.last_generation()?)))?;
        if live.is_some() {
            return Err(WriteError::Exists { collection: collection.to_owned(), id });
        }
        let restorable = self.of(collection, id.as_str(), Held::restorable)?;
        if restorable.is_empty() {
            return Err(WriteError::Missing { collection: collection.to_owned(), id });
        }
        for continues in restorable {
            self.apply(collection, &id, last + 1, Action::Restore { continues })?;
        }
        Ok(())
    }

    /// Declares a collection's schema in the transaction's space, in place of the one it had.
    ///
    /// # Errors
    /// [`WriteError::Forbidden`] below rank admin, [`WriteError::Invalid`] for a schema that contradicts itself.
    pub fn set_schema(&mut self, collection: &str, schema: &Schema) -> Result<(), WriteError> {
        check_collection(collection)?;
        let space = self.space()?;
        let device = self.work.inner.writer.device;
        if self.work.space(&space)?.table.rank(&device) < Some(Rank::Admin) {
            return Err(super::append::forbidden(&space, "changing a schema needs rank admin"));
        }
        schema.check().map_err(|error| WriteError::Invalid { why: error.to_string() })?;
        let id = document_id(collection)?;
        let fields = schema.to_fields();
        let (live, last) =
            self.of(SCHEMAS, collection, |document| Ok((document.live_generation()?, document.last_generation()?)))?;
        let next = last + 1;
        match live {
            None => {
                let edits = fields.into_iter().map(|(name, value)| (name, FieldOp::Set(value))).collect();
                self.apply(SCHEMAS, &id, next, Action::Insert(edits))?;
            }
            Some(generation) => {
                let old = self.get(SCHEMAS, collection)?.map(|document| document.fields).unwrap_or_default();
                let gone = old.keys().filter(|name| !fields.contains_key(*name));
                let mut edits: Vec<_> = gone.map(|name| (name.clone(), FieldOp::Clear)).collect();
                let new = fields.into_iter().filter(|(name, value)| old.get(name) != Some(value));
                edits.extend(new.map(|(name, value)| (name, FieldOp::Set(value))));
                if !edits.is_empty() {
                    self.apply(SCHEMAS, &id, generation, Action::Edit(edits))?;
                }
            }
        }
        self.target()?.schemas.insert(collection.to_owned(), Arc::new(schema.clone()));
        Ok(())
    }

    /// The schema that a collection has in the transaction's space, as this transaction left it.
    pub(super) fn schema(&mut self, collection: &str) -> Result<Option<Arc<Schema>>, WriteError> {
        let target = self.target()?;
        if let Some(schema) = target.schemas.get(collection) {
            return Ok(Some(schema.clone()));
        }
        let space = target.overlay.space;
        let Some(slot) = self.work.state.names.slot(collection) else { return Ok(None) };
        let declared: Option<&DeclaredSchema> = schema_of(self.work.space(&space)?, slot);
        Ok(declared.map(|declared| declared.schema.clone()))
    }

    /// What `ask` finds in the document.
    pub(super) fn of<T>(
        &mut self,
        collection: &str,
        id: &str,
        ask: impl FnOnce(&Held) -> Result<T, DecodeError>,
    ) -> Result<T, WriteError> {
        Ok(ask(&self.changing(collection, id)?.held).map_err(undecodable(id))?)
    }

    pub(super) fn live_generation(&mut self, collection: &str, id: &str) -> Result<Option<u64>, WriteError> {
        self.of(collection, id, Held::live_generation)
    }

    /// The document, ready to be changed.
    pub(super) fn changing(&mut self, collection: &str, id: &str) -> Result<&mut super::overlay::Changing, WriteError> {
        self.target()?;
        let slot = intern(&mut self.work.state.names, &mut self.work.tables, collection)?;
        let target = self.target.as_mut().expect("made above");
        Ok(target.overlay.document(&self.work, slot, id)?)
    }

    /// Writes an operation into the commit and folds it into the overlay, or does neither.
    pub(super) fn apply(
        &mut self,
        collection: &str,
        id: &DocumentId,
        generation: u64,
        action: Action,
    ) -> Result<(), WriteError> {
        let operation = Operation { collection: collection.to_owned(), id: id.clone(), generation, action };
        let timestamp_ms = self.timestamp_ms;
        self.target()?;
        let target = self.target.as_mut().expect("made above");
        let origin = Origin { dot: target.dot, timestamp_ms, saw: &|_| true };
        let before = self.commit.mark();
        self.commit.push(&operation)?;
        target.overlay.fold(&mut self.work, &operation, &origin).inspect_err(|_| self.commit.back_to(before))?;
        Ok(())
    }

    /// The kind of cell that an edit acts on: the declared one, else the one that the field shows, else what the edit asks for.
    fn kind_for(
        &mut self,
        schema: Option<&Schema>,
        collection: &str,
        id: &str,
        name: &str,
        edit: &Edit,
    ) -> Result<FieldKind, WriteError> {
        if let Some(kind) = kind_of(schema, name) {
            return Ok(kind);
        }
        let asked = match edit {
            Edit::Set(_) | Edit::Clear => None,
            Edit::Increment(_) => Some(FieldKind::Counter),
            Edit::Add(_) | Edit::Remove(_) => Some(FieldKind::Set),
            Edit::Splice { .. } => Some(FieldKind::Text),
            Edit::Put { .. } | Edit::Insert { .. } | Edit::Cut { .. } => Some(FieldKind::Json),
        };
        if let Some(kind) = asked {
            return Ok(kind);
        }
        let slot = intern(&mut self.work.state.names, &mut self.work.tables, name)?;
        let names = self.work.state.names.clone();
        let shown = self.of(collection, id, |document| document.shown_kind(slot, &*names))?;
        Ok(shown.unwrap_or(FieldKind::Register))
    }

    /// An edit of a register, counter or set as operations.
    fn plain_edit(
        &mut self,
        collection: &str,
        id: &str,
        name: &str,
        kind: FieldKind,
        edit: Edit,
    ) -> Result<Vec<FieldOp>, WriteError> {
        let wrong =
            |what: &str| WriteError::Invalid { why: format!("{collection}/{id}: {name} is a {kind:?}; {what}") };
        Ok(match (kind, edit) {
            (FieldKind::Register, Edit::Set(value)) => vec![FieldOp::Set(value)],
            (FieldKind::Register, Edit::Clear) => vec![FieldOp::Clear],
            (FieldKind::Counter, Edit::Increment(0)) => Vec::new(),
            (FieldKind::Counter, Edit::Increment(amount)) => vec![FieldOp::Add(amount)],
            (FieldKind::Counter, Edit::Set(Value::Int(to))) => {
                let now = match self.shown(collection, id, name)? {
                    Some(Value::Int(now)) => Some(now),
                    _ => None,
                };
                let amount = to.checked_sub(now.unwrap_or(0)).ok_or_else(|| wrong("that is too far from its value"))?;
                if now == Some(to) { Vec::new() } else { vec![FieldOp::Add(amount)] }
            }
            (FieldKind::Counter, Edit::Clear) => return Err(wrong("a counter can't be removed; set it to 0")),
            (FieldKind::Counter, _) => return Err(wrong("set it to an int, or increment it")),
            (FieldKind::Set, Edit::Add(values)) => non_empty(FieldOp::Include(distinct(values))),
            (FieldKind::Set, Edit::Remove(values)) => non_empty(FieldOp::Exclude(distinct(values))),
            (FieldKind::Set, Edit::Clear) if self.shown(collection, id, name)?.is_none() => Vec::new(),
            (FieldKind::Set, Edit::Clear) => self.move_set(collection, id, name, Vec::new())?,
            (FieldKind::Set, Edit::Set(Value::List(values))) => self.move_set(collection, id, name, values)?,
            (FieldKind::Set, _) => return Err(wrong("set it to a list, or add and remove elements")),
            (FieldKind::Register, _) => return Err(wrong("set or clear it")),
            (FieldKind::Text | FieldKind::Json, _) => Vec::new(),
        })
    }

    fn shown(&mut self, collection: &str, id: &str, name: &str) -> Result<Option<Value>, WriteError> {
        Ok(self.get(collection, id)?.and_then(|mut document| document.fields.remove(name)))
    }

    /// The smallest edits that make a set hold exactly `values`.
    fn move_set(
        &mut self,
        collection: &str,
        id: &str,
        name: &str,
        values: Vec<Value>,
    ) -> Result<Vec<FieldOp>, WriteError> {
        let wanted = distinct(values);
        let now = match self.shown(collection, id, name)? {
            Some(Value::List(now)) => now,
            _ => return Ok(vec![FieldOp::Include(wanted)]),
        };
        let holds = |list: &[Value], value: &Value| list.iter().any(|other| other.total_cmp(value).is_eq());
        let gone: Vec<Value> = now.iter().filter(|value| !holds(&wanted, value)).cloned().collect();
        let new: Vec<Value> = wanted.into_iter().filter(|value| !holds(&now, value)).collect();
        Ok([FieldOp::Exclude(gone), FieldOp::Include(new)].into_iter().flat_map(non_empty).collect())
    }

    /// Documents with edits of text or json that are not finished.
    pub(super) fn pending_documents(&self) -> Vec<(String, DocumentId)> {
        let names = &self.work.state.names;
        let looked_at = self.target.iter().flat_map(|target| target.overlay.all());
        let pending = looked_at
            .filter(|(_, changing)| changing.pending.values().any(|pending| pending.made.is_none()))
            .filter_map(|(slot, changing)| Some((names.owned(slot), DocumentId::new(&*changing.id).ok()?)));
        pending.collect()
    }

    /// Encodes, seals, appends, and writes documents and indexes.
    fn commit(mut self) -> Result<(), WriteError> {
        rich_edits::finish_all(&mut self)?;
        if self.commit.operations() == 0 {
            return Ok(());
        }
        let Some(mut target) = self.target.take() else { return Ok(()) };
        let stream = std::mem::take(&mut self.commit).finish()?;
        let space = target.overlay.space;
        append(&mut self.work, &space, Plane::Data, &stream, &target.key, self.timestamp_ms)?;
        let changes = target.overlay.take_changes()?;
        target.overlay.store(&mut self.work)?;
        let (space, writer) = (self.work.space(&space)?.clone(), self.work.inner.writer);
        for (chain, change, cell) in changes {
            rich_changes::record(&mut self.work, &space, &chain, &change, &writer, target.dot.sequence, Some(cell))?;
        }
        Ok(())
    }
}

/// The longest name of a collection, in bytes.
pub const COLLECTION_NAME_BYTES_MAX: usize = 256;

fn check_collection(name: &str) -> Result<(), WriteError> {
    if name.is_empty() || name.len() > COLLECTION_NAME_BYTES_MAX {
        let why =
            format!("a collection's name has 1 to {COLLECTION_NAME_BYTES_MAX} bytes, this one has {}", name.len());
        return Err(WriteError::Invalid { why });
    }
    if name.starts_with('$') || name.contains('\0') {
        let why = format!("{name:?} can't name a collection: names that start with $ are the database's own");
        return Err(WriteError::Invalid { why });
    }
    Ok(())
}

pub(super) fn document_id(id: &str) -> Result<DocumentId, WriteError> {
    DocumentId::new(id).map_err(|error| WriteError::Invalid { why: error.to_string() })
}

fn kind_of(schema: Option<&Schema>, name: &str) -> Option<FieldKind> {
    schema?.fields.get(name).map(|field| field.kind)
}

/// What an insert writes into a cell of that kind.
fn first_value(kind: FieldKind, value: Value) -> Result<FieldOp, WriteError> {
    Ok(match (kind, value) {
        (FieldKind::Counter, Value::Int(start)) => FieldOp::Add(start),
        (FieldKind::Counter, _) => return Err(WriteError::Invalid { why: "a counter starts with an int".to_owned() }),
        (FieldKind::Set, Value::List(values)) => FieldOp::Include(distinct(values)),
        (FieldKind::Set, _) => return Err(WriteError::Invalid { why: "a set starts with a list".to_owned() }),
        (_, value) => FieldOp::Set(value),
    })
}

fn check_against(
    schema: Option<&Schema>,
    collection: &str,
    id: &str,
    name: &str,
    edit: &Edit,
) -> Result<(), WriteError> {
    let Some(schema) = schema else { return Ok(()) };
    let checked = match edit {
        Edit::Set(value) => schema.check_value(name, value),
        Edit::Add(values) => schema.check_elements(name, values),
        Edit::Clear => schema.check_clear(name),
        _ => Ok(()),
    };
    checked.map_err(|violation| violation.into_error(collection, id))
}

/// In the total order, equal values once.
fn distinct(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by(Value::total_cmp);
    values.dedup_by(|a, b| a.total_cmp(b).is_eq());
    values
}

fn non_empty(operation: FieldOp) -> Vec<FieldOp> {
    match &operation {
        FieldOp::Include(values) | FieldOp::Exclude(values) if values.is_empty() => Vec::new(),
        _ => vec![operation],
    }
}
