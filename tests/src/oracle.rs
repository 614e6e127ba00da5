//! A naive second fold: from the set of all commits to what readers must see. It looks at all operations of a document at
//! once, with their full pasts, and asks of every two whether one saw the other. `docs/spec/fold.md` is what both folds follow.

mod engine;
mod logs;
mod rich;

use std::collections::{BTreeMap, BTreeSet};

use tidewater_engine::document::ConflictPolicy;
use tidewater_engine::id::WriterId;
use tidewater_engine::operation::{Action, FieldKind, FieldOp};
use tidewater_engine::value::{Fields, Value};

pub use engine::see;
pub use logs::{Commit, commits};

/// The kinds that [`crate::edits::SCHEMA`] declares, by collection and field. The other collection, `free`, has no schema.
pub const DECLARED: &[(&str, &str, FieldKind)] = &[
    ("declared", "counter", FieldKind::Counter),
    ("declared", "set", FieldKind::Set),
    ("declared", "text", FieldKind::Text),
    ("declared", "json", FieldKind::Json),
];

/// All documents of a space, folded naively.
#[derive(Debug)]
pub struct Oracle<'a> {
    documents: BTreeMap<(&'a str, &'a str), Vec<Done<'a>>>,
    declared: BTreeMap<(&'a str, &'a str), FieldKind>,
    policies: BTreeMap<(&'a str, &'a str), ConflictPolicy>,
}

/// What a reader must see of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The live generation and the shown fields; `None`: the document is not alive.
    pub live: Option<(u64, Fields)>,
    /// The concurrent values of fields, winner first.
    pub siblings: BTreeMap<String, Vec<Value>>,
    /// Fields with a hidden cell of another kind.
    pub kinds: BTreeSet<(String, FieldKind)>,
    /// Closed generations and fields with edits that no delete saw.
    pub deleted: BTreeSet<(u64, String)>,
}

impl Seen {
    /// Whether there is anything that people should look at.
    #[must_use]
    pub fn is_conflicted(&self) -> bool {
        !(self.siblings.is_empty() && self.kinds.is_empty() && self.deleted.is_empty())
    }
}

/// One operation on one document.
#[derive(Debug, Clone, Copy)]
struct Done<'a> {
    commit: &'a Commit,
    /// Its place among the operations of its commit.
    place: usize,
    generation: u64,
    action: &'a Action,
}

/// One operation on one cell.
#[derive(Debug, Clone, Copy)]
struct Write<'a> {
    done: Done<'a>,
    /// Its place among the writes of its operation.
    place: usize,
    field: &'a str,
    op: &'a FieldOp,
}

impl Done<'_> {
    fn saw(&self, other: &Done<'_>) -> bool {
        if self.commit.dot() == other.commit.dot() { other.place < self.place } else { self.commit.saw(other.commit) }
    }
}

impl<'a> Write<'a> {
    fn saw(&self, other: &Write<'a>) -> bool {
        let same = self.done.commit.dot() == other.done.commit.dot() && self.done.place == other.done.place;
        if same { other.place < self.place } else { self.done.saw(&other.done) }
    }

    fn precedence(&self) -> (i64, WriterId, u64) {
        (self.done.commit.timestamp_ms, self.done.commit.writer, self.done.commit.sequence)
    }
}

impl<'a> Oracle<'a> {
    /// Sorts the operations by document. `declared` names the kinds of fields that the schemas declare, by collection and field.
    #[must_use]
    pub fn new(commits: &'a [Commit], declared: &[(&'a str, &'a str, FieldKind)]) -> Self {
        let mut documents = BTreeMap::<_, Vec<Done<'a>>>::new();
        for commit in commits {
            for (place, operation) in commit.operations.iter().enumerate() {
                let name = (operation.collection.as_str(), operation.id.as_str());
                let done = Done { commit, place, generation: operation.generation, action: &operation.action };
                documents.entry(name).or_default().push(done);
            }
        }
        let declared = declared.iter().map(|(collection, field, kind)| ((*collection, *field), *kind)).collect();
        Self { documents, declared, policies: BTreeMap::new() }
    }

    /// With a policy that the schema declares for a field.
    #[must_use]
    pub fn with_policy(mut self, collection: &'a str, field: &'a str, policy: ConflictPolicy) -> Self {
        self.policies.insert((collection, field), policy);
        self
    }

    /// Collection and id of every document that any operation names.
    pub fn names(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.documents.keys().copied()
    }

    /// What a reader must see of a document.
    #[must_use]
    pub fn see(&self, collection: &'a str, id: &'a str) -> Seen {
        let done = self.documents.get(&(collection, id)).map_or([].as_slice(), Vec::as_slice);
        let opened = |one: &&Done<'_>| matches!(one.action, Action::Insert(_) | Action::Restore { .. });
        let closed = |generation: u64| {
            done.iter().any(|one| one.generation == generation && matches!(one.action, Action::Delete))
        };
        let latest = done.iter().filter(opened).map(|one| one.generation).max();
        let live = latest.filter(|generation| !closed(*generation));
        let chain = live.map_or(BTreeSet::new(), |generation| chain(done, generation));
        let cells = cells(done);
        let mut seen = Seen {
            live: live.map(|generation| (generation, Fields::new())),
            siblings: BTreeMap::new(),
            kinds: BTreeSet::new(),
            deleted: BTreeSet::new(),
        };
        let fields: BTreeSet<&str> = cells.keys().map(|(field, _)| *field).collect();
        for field in fields {
            let here: Vec<(FieldKind, &Vec<Write<'a>>)> = cells
                .iter()
                .filter(|((name, _), _)| *name == field)
                .map(|((_, kind), writes)| (*kind, writes))
                .collect();
            let declared = self.declared.get(&(collection, field)).copied();
            let policy = self.policies.get(&(collection, field)).copied().unwrap_or_default();
            see_field(field, &here, declared, policy, &chain, &mut seen);
            for write in here.iter().flat_map(|(_, writes)| tips(writes)) {
                let generation = write.done.generation;
                let covered = done.iter().any(|one| {
                    matches!(one.action, Action::Delete) && generation <= one.generation && one.saw(&write.done)
                });
                if !covered && closed(generation) && !chain.contains(&generation) {
                    seen.deleted.insert((generation, field.to_owned()));
                }
            }
        }
        seen
    }
}

/// `generation` and all that it continues.
fn chain(done: &[Done<'_>], generation: u64) -> BTreeSet<u64> {
    let mut chain = BTreeSet::from([generation]);
    loop {
        let more: Vec<u64> = done
            .iter()
            .filter(|one| chain.contains(&one.generation))
            .filter_map(|one| match one.action {
                Action::Restore { continues } => Some(*continues),
                _ => None,
            })
            .filter(|earlier| !chain.contains(earlier))
            .collect();
        if more.is_empty() {
            return chain;
        }
        chain.extend(more);
    }
}

/// All writes, by field and kind.
fn cells<'a>(done: &[Done<'a>]) -> BTreeMap<(&'a str, FieldKind), Vec<Write<'a>>> {
    let mut cells = BTreeMap::<_, Vec<Write<'a>>>::new();
    for one in done {
        let (Action::Insert(writes) | Action::Edit(writes)) = one.action else { continue };
        for (place, (field, op)) in writes.iter().enumerate() {
            let write = Write { done: *one, place, field, op };
            cells.entry((write.field, op.kind())).or_default().push(write);
        }
    }
    cells
}

/// The writes of a cell that no later write of it has seen. What a clear leaves is nothing.
fn tips<'w, 'a>(writes: &'w [Write<'a>]) -> impl Iterator<Item = &'w Write<'a>> {
    let superseded = |write: &Write<'a>| writes.iter().any(|later| later.saw(write));
    writes.iter().filter(move |write| !superseded(write) && !matches!(write.op, FieldOp::Clear))
}

fn see_field(
    field: &str,
    cells: &[(FieldKind, &Vec<Write<'_>>)],
    declared: Option<FieldKind>,
    policy: ConflictPolicy,
    chain: &BTreeSet<u64>,
    seen: &mut Seen,
) {
    let stale = |kind: FieldKind, tip: &Write<'_>| {
        cells.iter().filter(|(other, _)| *other != kind).any(|(_, writes)| writes.iter().any(|write| write.saw(tip)))
    };
    let counting = |kind: FieldKind, writes: &Vec<Write<'_>>| {
        let here = tips(writes).filter(|tip| chain.contains(&tip.done.generation));
        here.map(|tip| (!stale(kind, tip), tip.precedence())).max()
    };
    let shown = cells
        .iter()
        .filter(|(kind, _)| declared.is_none_or(|declared| declared == *kind))
        .filter_map(|(kind, writes)| Some((counting(*kind, writes)?, *kind, writes)))
        .max_by_key(|(latest, ..)| *latest);
    let hidden = |shown: FieldKind| {
        cells
            .iter()
            .filter(move |(kind, _)| *kind != shown)
            .filter(|(kind, writes)| counting(*kind, writes).is_some_and(|(not_stale, _)| not_stale))
    };
    let Some((_, kind, writes)) = shown else { return };
    if let Some((_, fields)) = &mut seen.live {
        fields.insert(field.to_owned(), show(kind, writes, policy, chain));
    }
    if kind == FieldKind::Register {
        let values = ranked(writes, policy, chain);
        if values.len() > 1 {
            seen.siblings.insert(field.to_owned(), values);
        }
    }
    seen.kinds.extend(hidden(kind).map(|(kind, _)| (field.to_owned(), *kind)));
}

fn ranked(writes: &[Write<'_>], policy: ConflictPolicy, chain: &BTreeSet<u64>) -> Vec<Value> {
    let mut values: Vec<_> = tips(writes)
        .filter(|tip| chain.contains(&tip.done.generation))
        .filter_map(|tip| match tip.op {
            FieldOp::Set(value) => Some((tip.precedence(), value)),
            _ => None,
        })
        .collect();
    values.sort_by(|(one, _), (other, _)| other.cmp(one));
    match policy {
        ConflictPolicy::Max => values.sort_by(|(_, one), (_, other)| other.total_cmp(one)),
        ConflictPolicy::Min => values.sort_by(|(_, one), (_, other)| one.total_cmp(other)),
        _ => {}
    }
    values.into_iter().map(|(_, value)| value.clone()).collect()
}

fn show(kind: FieldKind, writes: &[Write<'_>], policy: ConflictPolicy, chain: &BTreeSet<u64>) -> Value {
    let here = || writes.iter().filter(|write| chain.contains(&write.done.generation));
    match kind {
        FieldKind::Register => {
            let mut values = ranked(writes, policy, chain);
            if policy != ConflictPolicy::KeepAll || values.len() == 1 {
                return values.swap_remove(0);
            }
            let mut all: Vec<Value> = values
                .into_iter()
                .flat_map(|value| if let Value::List(items) = value { items } else { vec![value] })
                .collect();
            all.sort_by(Value::total_cmp);
            all.dedup_by(|one, other| one.equals(other));
            Value::List(all)
        }
        FieldKind::Counter => {
            let sum: i128 = here().map(|write| if let FieldOp::Add(by) = write.op { i128::from(*by) } else { 0 }).sum();
            Value::Int(sum.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
        }
        FieldKind::Set => {
            let mentions = |write: &Write<'_>, value: &Value| match write.op {
                FieldOp::Include(values) | FieldOp::Exclude(values) => values.iter().any(|one| one.equals(value)),
                _ => false,
            };
            let mut shown: Vec<Value> = Vec::new();
            for write in here() {
                let FieldOp::Include(values) = write.op else { continue };
                let stays = |value: &&Value| !writes.iter().any(|later| later.saw(write) && mentions(later, value));
                shown.extend(values.iter().filter(stays).cloned());
            }
            shown.sort_by(Value::total_cmp);
            shown.dedup_by(|one, other| one.equals(other));
            Value::List(shown)
        }
        FieldKind::Text | FieldKind::Json => {
            let changes = here().filter_map(|write| match write.op {
                FieldOp::Text(bytes) | FieldOp::Json(bytes) => Some(bytes.clone()),
                _ => None,
            });
            rich::merged(kind, changes)
        }
    }
}
