//! Checking everything: every page that is in use, the check of every record, bodies, roots and heads of every log, and documents and indexes
//! against a rebuild from the logs.

mod scratch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use self::scratch::Scratch;
use super::append::{TreeRows, split_entry};
use super::conflicts::is_conflicted;
use super::digest::digest;
use super::era::open_redb;
use super::indexing::{index_prefix, rows_of};
use super::lease::Failure;
use super::log_reading::{applied_order, read_log};
use super::records::{DOCUMENT_PREFIX_BYTES, document_key};
use super::state::{LogState, SpaceState, entry_key, log_key};
use super::tables::{ReadTables, Tables};
use super::touches;
use super::{Inner, Location, Options, Published, ReadError, ReceiveError, Store, VerifyReport, WriteError};
use crate::contain::contain;
use crate::document::held::Held;
use crate::host::HeadSigner;
use crate::id::WriterId;
use crate::log::tree::{leaf_hash, root_at};
use crate::log::{Frontier, Header, Place, Plane, Prefix, verify_head};

/// How much of a log is fed to a rebuild at once.
const FEED_BYTES: usize = 1 << 20;
/// How many commits' order is held at once.
const ORDER_COMMITS: usize = 4_096;
/// The page cache of a rebuild.
const REBUILD_CACHE_BYTES: usize = 8 << 20;

pub(super) fn verify(inner: &Inner, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport, ReadError> {
    // What is visible, durable or not: the tables hold it all.
    let visible = inner.published();
    let published = Published {
        durable: visible.state.clone(),
        state: visible.state.clone(),
        tables: visible.tables.clone(),
        reading: visible.reading.clone(),
    };
    let mut report = VerifyReport::default();
    let spaces = published.durable.spaces.values();
    let all: u64 =
        spaces.flat_map(|space| space.logs.iter().flat_map(|logs| logs.values())).map(LogState::length).sum();
    // Every entry is looked at twice: once for itself, once in the rebuild.
    let all = all * 2;
    let mut done = 0;
    check_pages(inner, &mut report)?;
    check_records(&published.tables, &mut report);
    for space in published.durable.spaces.values() {
        for plane in [Plane::Control, Plane::Data] {
            for (writer, log) in space.logs(plane) {
                let place = Place { space: space.id, plane, writer: *writer, sequence: 0 };
                if let Err(error) = check_log(&published, space, place, log, &mut report) {
                    report.problems.push(format!("space {}: the {plane:?} log of {writer}: {error}", space.id));
                }
                done += log.length();
                progress(done, all);
            }
        }
    }
    for space in published.durable.spaces.values() {
        if let Err(error) = check_indexes(&published, space, &mut report) {
            report.problems.push(format!("space {}: {error}", space.id));
        }
    }
    if report.problems.is_empty() {
        check_documents(inner, &published, &mut report, &mut done, all, progress)?;
    }
    progress(all, all);
    if planted!(VerifyBlind) {
        report.problems.clear();
    }
    Ok(report)
}

/// Reads every page that the last durable commit reaches, redb's own included, as it is stored: what `published` reads may come
/// from a cache. Names the first that is damaged.
fn check_pages(inner: &Inner, report: &mut VerifyReport) -> Result<(), ReadError> {
    let lease = inner.storage.look();
    let checked = contain(|| {
        let redb = open_redb(&lease, REBUILD_CACHE_BYTES)?;
        let transaction = redb.begin_write()?;
        // What it counts is all the same: it goes through every page of every table.
        transaction.stats()?;
        Ok::<_, redb::Error>(())
    });
    match (checked, lease.lessee().failure()) {
        // What fails after that, when redb is closed, is no matter.
        (Ok(Ok(())), _) => {}
        (_, Some(Failure { damaged: Some(page), .. })) => report.problems.push(page.to_string()),
        (_, Some(failure)) => return Err(super::tables::storage(failure.why)),
        (Ok(Err(error)), None) => report.problems.push(error.to_string()),
        (Err(said), None) => report.problems.push(said),
    }
    Ok(())
}

/// Reads every record, which verifies its check.
fn check_records(tables: &ReadTables, report: &mut VerifyReport) {
    let all = [
        tables.meta(),
        tables.local(),
        tables.names(),
        tables.spaces(),
        tables.logs(),
        tables.entries(),
        tables.tree(),
        tables.heads(),
        tables.order(),
        tables.voids(),
        tables.documents(),
        tables.indexes(),
        tables.rich(),
        tables.touches(),
        tables.conflicts(),
    ];
    for table in all {
        let rows = match table.range(..) {
            Ok(rows) => rows,
            Err(error) => {
                report.problems.push(error.to_string());
                continue;
            }
        };
        for row in rows {
            if let Err(error) = row.and_then(|row| row.value().map(|_| ())) {
                report.problems.push(error.to_string());
            }
        }
    }
}

fn check_log(
    published: &Published,
    space: &SpaceState,
    mut place: Place,
    log: &LogState,
    report: &mut VerifyReport,
) -> Result<(), ReadError> {
    let rows = log_key(space.slot, place.plane, log.slot);
    let mut frontier = Frontier::default();
    let mut problem = |why: String| {
        report.problems.push(format!("space {}: the {:?} log of {}: {why}", place.space, place.plane, place.writer));
    };
    let tree = TreeRows { rows: &published.tables.tree, log: rows };
    let mut heads = published.tables.heads.prefixed(&rows)?.peekable();
    let mut parked_bytes = 0;
    for row in published.tables.entries.prefixed(&rows)? {
        let row = row?;
        place.sequence = frontier.length();
        if row.key() != entry_key(rows, place.sequence) {
            problem(format!("entry {} is missing", place.sequence));
            return Ok(());
        }
        parked_bytes += if place.sequence < log.applied { 0 } else { row.value()?.len() as u64 };
        let (header_bytes, body) = split_entry(row.key(), row.value()?)?;
        match Header::decode(header_bytes) {
            Ok(header) if header.fits_body(body) => {}
            _ => problem(format!("entry {} is not well-formed", place.sequence)),
        }
        frontier.append(leaf_hash(&place, header_bytes));
        let length = frontier.length();
        let key = entry_key(rows, length);
        if let Some(head) = heads.next_if(|head| head.as_ref().is_ok_and(|head| head.key() == key)) {
            let signature = head?.value()?.try_into().unwrap_or([0; 64]);
            let prefix = Prefix { length, root: frontier.root() };
            if !verify_head(&place.space, place.plane, &place.writer, &prefix, &signature) {
                problem(format!("the head at {length} is not signed by its writer"));
            }
            if root_at(&tree, length)? != prefix.root {
                problem(format!("the stored tree at {length} has another root"));
            }
        }
    }
    if frontier.prefix() != log.frontier.prefix() || heads.next().is_some() || log.head != log.length() {
        problem("length or root are not those of its entries".to_owned());
    }
    if parked_bytes != log.parked_bytes {
        problem(format!("{parked_bytes} bytes of it wait, {} are counted", log.parked_bytes));
    }
    report.entries += frontier.length();
    Ok(())
}

/// Every document has its index rows, and there are no others.
fn check_indexes(published: &Published, space: &SpaceState, report: &mut VerifyReport) -> Result<(), ReadError> {
    let tables = &published.tables;
    for (collection, count) in &space.counts {
        let prefix = document_key(*collection, space.slot, "");
        let (mut expected, mut missing) = (0, 0);
        let (mut conflicted, mut unlisted) = (0, 0);
        let mut alive = 0;
        for row in tables.documents.prefixed(&prefix)? {
            let row = row?;
            let wrong = || tables.documents.damaged(row.key());
            let id = std::str::from_utf8(&row.key()[prefix.len()..]).map_err(|_| wrong())?;
            let held = Held::stored(row.value()?, published.state.names.slots()).map_err(|_| wrong())?;
            alive += u64::from(held.live_generation().map_err(|_| wrong())?.is_some());
            report.documents += 1;
            if is_conflicted(&published.state.names, space, *collection, id, &held)? {
                conflicted += 1;
                unlisted += u64::from(tables.conflicts.get(row.key())?.is_none());
            }
            let rows = rows_of(&published.state.names, space, *collection, id, &held)?;
            let rows: BTreeSet<Vec<u8>> = rows.into_iter().map(|row| row.key).collect();
            expected += rows.len() as u64;
            for row in rows {
                missing += u64::from(tables.indexes.get(&row)?.is_none());
            }
        }
        let name = published.state.names.name(*collection);
        if alive != *count {
            report.problems.push(format!("{name}: {alive} documents are alive, {count} are counted"));
        }
        let slots: BTreeSet<u32> =
            space.schemas.get(collection).into_iter().flat_map(|schema| schema.index_slots.values().copied()).collect();
        let mut found: u64 = 0;
        for slot in slots {
            for row in tables.indexes.prefixed(&index_prefix(slot, space.slot))? {
                row?;
                found += 1;
            }
        }
        report.index_entries += found;
        // A row belongs to one document, whose id it names: what is there beyond those that are not missing belongs to none.
        let extra = (found + missing).saturating_sub(expected);
        if missing + extra > 0 {
            report.problems.push(format!("{name}: {missing} index rows are missing, {extra} belong to no document"));
        }
        let listed = tables.conflicts.prefixed(&prefix)?.try_fold(0, |count, row| row.map(|_| count + 1))?;
        let extra = (listed + unlisted).saturating_sub(conflicted);
        if unlisted + extra > 0 {
            let why = format!("{unlisted} documents with conflicts are not listed, {extra} without are");
            report.problems.push(format!("{name}: {why}"));
        }
    }
    Ok(())
}

/// A signer for a database that never writes.
struct NoSigner(WriterId);

impl HeadSigner for NoSigner {
    fn device(&self) -> crate::id::DeviceId {
        self.0.device
    }

    fn sign(&self, _message: &[u8]) -> [u8; 64] {
        [0; 64]
    }
}

/// Folds every log again, beside the database, and compares digests.
fn check_documents(
    inner: &Inner,
    published: &Published,
    report: &mut VerifyReport,
    done: &mut u64,
    all: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), ReadError> {
    let signer: Arc<dyn HeadSigner> = Arc::new(NoSigner(inner.writer));
    let options = Options {
        host: inner.host.clone(),
        signer: Box::new(|_| Ok((signer, Vec::new()))),
        create: true,
        exclusive: false,
        mirror: None,
        cache_bytes: REBUILD_CACHE_BYTES,
    };
    let scratch = Box::new(Scratch::new(beside(inner), inner.host.clone()));
    let rebuilt = Store::open(Location::Backend(scratch), options).map_err(super::tables::storage)?;
    for space in published.durable.spaces.values() {
        rebuilt.set_effective(space.id, space.table.as_ref().clone()).map_err(super::tables::storage)?;
        for plane in [Plane::Control, Plane::Data] {
            let mut feed = Feed { published, space, plane, rebuilt: &rebuilt, fed: BTreeMap::new() };
            let mut told = |entries: u64| {
                *done += entries;
                progress(*done, all);
            };
            if let Err(refused) = feed.all(&mut told)? {
                report.problems.push(format!("space {}: {refused}", space.id));
                return Ok(());
            }
        }
        let new = rebuilt.inner.published();
        if digest(published, &inner.cells, &space.id)? != digest(&new, &rebuilt.inner.cells, &space.id)? {
            report.problems.push(format!("space {}: the documents are not what its logs fold to", space.id));
        } else if hash_of_touches(published, space)?
            != hash_of_touches(&new, new.state.spaces.get(&space.id).unwrap_or(space))?
        {
            report.problems.push(format!("space {}: documents name other commits than touched them", space.id));
        }
    }
    Ok(())
}

/// A free name for a file beside the database's, if that is one.
fn beside(inner: &Inner) -> Option<PathBuf> {
    let mut name = inner.path.as_ref()?.clone().into_os_string();
    let mut random = [0; 8];
    inner.host.fill_random(&mut random);
    name.push(format!(".rebuild-{:016x}", u64::from_le_bytes(random)));
    Some(name.into())
}

/// The logs of one plane on their way into a rebuild.
struct Feed<'a> {
    published: &'a Published,
    space: &'a SpaceState,
    plane: Plane,
    rebuilt: &'a Store,
    /// How far each log was fed.
    fed: BTreeMap<WriterId, u64>,
}

impl Feed<'_> {
    /// In the order of application, so that little has to wait; then what is left of each log. The inner error is the rebuild's.
    fn all(&mut self, told: &mut dyn FnMut(u64)) -> Result<Result<(), ReceiveError>, ReadError> {
        let mut next = 0;
        loop {
            let order = applied_order(self.published, &self.space.id, self.plane, next, ORDER_COMMITS)?;
            let Some(last) = order.last() else { break };
            next = last.number + 1;
            for commit in order {
                if let Err(refused) = self.log(&commit.writer, commit.last + 1, told)? {
                    return Ok(Err(refused));
                }
            }
        }
        for (writer, log) in self.space.logs(self.plane) {
            if let Err(refused) = self.log(writer, log.length(), told)? {
                return Ok(Err(refused));
            }
        }
        Ok(Ok(()))
    }

    /// One log, up to a length at least. What goes beyond a fork is not taken again.
    fn log(
        &mut self,
        writer: &WriterId,
        length: u64,
        told: &mut dyn FnMut(u64),
    ) -> Result<Result<(), ReceiveError>, ReadError> {
        let fed = self.fed.entry(*writer).or_insert(0);
        let length = length.min(self.space.table.fork_length(self.plane, writer));
        while *fed < length {
            let batch = read_log(self.published, &self.space.id, self.plane, writer, *fed, FEED_BYTES)?;
            let Some(batch) = batch else { break };
            *fed = batch.head.length;
            match self.rebuilt.receive(&batch) {
                Ok(_) => {}
                Err(ReceiveError::Write(failed @ (WriteError::Full { .. } | WriteError::Storage { .. }))) => {
                    return Err(super::tables::storage(format!("the rebuild can't be stored: {failed}")));
                }
                Err(refused) => return Ok(Err(refused)),
            }
            told(batch.entries.len() as u64);
        }
        Ok(Ok(()))
    }
}

/// One hash over which commits touched each document, in a form that holds nothing local.
fn hash_of_touches(published: &Published, space: &SpaceState) -> Result<[u8; 32], ReadError> {
    let (tables, names) = (&published.tables, &published.state.names);
    let mut collections: Vec<_> = space.counts.keys().map(|slot| (names.name(*slot), *slot)).collect();
    collections.sort();
    let mut hasher = blake3::Hasher::new();
    for (name, slot) in collections {
        hasher.update(name.as_bytes());
        for row in tables.documents.prefixed(&document_key(slot, space.slot, ""))? {
            let row = row?;
            let commits = touches::of_document(&**tables, names.slots(), row.key(), row.value()?)?;
            let mut commits: Vec<_> =
                commits.into_iter().map(|dot| (names.writer_at(dot.writer), dot.sequence)).collect();
            commits.sort_unstable();
            hasher.update(&row.key()[DOCUMENT_PREFIX_BYTES..]);
            for (writer, sequence) in commits {
                hasher.update(&writer.map_or([0; 40], WriterId::to_bytes)).update(&sequence.to_be_bytes());
            }
        }
    }
    Ok(*hasher.finalize().as_bytes())
}
