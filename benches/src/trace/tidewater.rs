//! The same editing in a text field of Tidewater: one replica per agent, entries delivered one way and only as far as the trace
//! says that the agent had seen.

use std::path::Path;
use std::sync::Arc;

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::Plane;
use tidewater_engine::schema::Schema;
use tidewater_engine::store::{Durability, Edit, Store, WriteError};
use tidewater_engine::value::{Fields, Value};

use super::{Patch, Trace};
use crate::contender::Outcome;
use crate::shared::Shared;

const COLLECTION: &str = "papers";
const DOCUMENT: &str = "paper";
const FIELD: &str = "text";
/// How much of a log is handed over at once, in bytes.
const BATCH_BYTES: usize = 1 << 20;

/// The text after all edits on every replica, and how many bytes the first replica's file has.
pub(crate) struct Replayed {
    pub(crate) content: Arc<str>,
    pub(crate) file_bytes: u64,
}

/// Replays `trace` in `folder` with commits of at most `batch` patches.
pub(crate) fn replay(trace: &Trace, batch: usize, folder: &Path) -> Outcome<Replayed> {
    let shared = Shared::new(trace.agents, folder)?;
    let stores = &shared.stores;
    let schema = Schema::from_json(br#"{"fields": {"text": {"kind": "text"}}}"#)?;
    stores[0].transaction(Durability::Local, |transaction| {
        transaction.set_schema(COLLECTION, &schema)?;
        let fields = Fields::from([(FIELD.into(), Value::String(trace.start.clone()))]);
        transaction.insert(COLLECTION, Some(DOCUMENT), fields).map(drop)
    })?;
    // How long each agent's log was after each of its batches, with how many transactions.
    let mut lengths: Vec<Vec<(usize, u64)>> = vec![vec![(0, 0)]; trace.agents];
    lengths[0][0].1 = length(&stores[0], &shared.space, &stores[0].writer())?;
    for agent in 1..trace.agents {
        deliver(&stores[0], &stores[agent], &shared.space, lengths[0][0].1)?;
    }
    for batch in trace.batches(batch) {
        let agent = batch[0].agent;
        for other in (0..trace.agents).filter(|other| *other != agent) {
            let seen = lengths[other].partition_point(|(transactions, _)| *transactions <= batch[0].seen[other]);
            deliver(&stores[other], &stores[agent], &shared.space, lengths[other][seen - 1].1)?;
        }
        // Every head that another replica needs is signed when the commit is durable; alone, a replica may leave that for later.
        let durability = if trace.agents > 1 { Durability::Local } else { Durability::Buffered };
        stores[agent].transaction(durability, |transaction| {
            let edits = batch.iter().flat_map(|one| &one.patches).map(|Patch(at, delete, insert)| {
                let edit = Edit::Splice { at: *at, delete: *delete, insert: insert.clone() };
                (FIELD.to_owned(), edit)
            });
            transaction.update(COLLECTION, DOCUMENT, edits.collect())?;
            Ok::<(), WriteError>(())
        })?;
        if trace.agents > 1 {
            let transactions = batch[batch.len() - 1].seen[agent] + 1;
            lengths[agent].push((transactions, length(&stores[agent], &shared.space, &stores[agent].writer())?));
        }
    }
    stores.iter().try_for_each(Store::flush)?;
    for from in 0..trace.agents {
        let all = length(&stores[from], &shared.space, &stores[from].writer())?;
        for to in (0..trace.agents).filter(|to| *to != from) {
            deliver(&stores[from], &stores[to], &shared.space, all)?;
        }
    }
    let content = content(&stores[0])?;
    for store in &stores[1..] {
        if store.digest(&shared.space)? != stores[0].digest(&shared.space)? {
            return Err("two replicas with the same entries differ".into());
        }
    }
    Ok(Replayed { content, file_bytes: shared.file_bytes(0)? })
}

fn content(store: &Store) -> Outcome<Arc<str>> {
    let document = store.snapshot()?.get(None, COLLECTION, DOCUMENT)?.ok_or("the document is gone")?;
    match document.fields.get(FIELD) {
        Some(Value::String(text)) => Ok(text.as_str().into()),
        other => Err(format!("the field is no text: {other:?}").into()),
    }
}

fn length(store: &Store, space: &SpaceId, writer: &WriterId) -> Outcome<u64> {
    Ok(store.vector(space, Plane::Data)?.length(writer))
}

/// Hands over the log of `from`'s writer, up to `length` entries.
fn deliver(from: &Store, to: &Store, space: &SpaceId, length: u64) -> Outcome<()> {
    let writer = from.writer();
    loop {
        let held = to.vector(space, Plane::Data)?.length(&writer);
        if held >= length {
            return Ok(());
        }
        let mut bytes = BATCH_BYTES;
        let batch = loop {
            let batch = from.read_log(space, Plane::Data, &writer, held, bytes)?.ok_or("a log ends too early")?;
            if batch.head.length <= length {
                break batch;
            }
            if bytes == 1 {
                return Err("no head ends where the trace needs one".into());
            }
            bytes = (bytes / 8).max(1);
        };
        to.receive(&batch)?;
    }
}
