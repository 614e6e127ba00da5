//! What the entries of a file mean: they are given to a store in memory, which applies them as every replica does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tidewater_engine::host::Host;
use tidewater_engine::id::{DeviceId, WriterId};
use tidewater_engine::space::{EffectiveTable, SecretKey};
use tidewater_engine::store::{ControlRecord, Location, LogBatch, Options, ReceiveError, Store};
use zeroize::Zeroizing;

use super::AuditMeaning;
use super::logs::Logs;
use crate::audit::Trail;
use crate::audit::fault::{AuditFaultKind, AuditVerifyError};
use crate::audit::format::Start;
use crate::database::members_of;
use crate::device::DeviceKey;
use crate::forks::Forks;
use crate::membership;
use crate::space::SpaceGenesis;

/// The store's cache of pages, in bytes.
const CACHE_BYTES: usize = 1 << 20;
/// How many bytes of entries one storage transaction takes, about.
const ROUND_BYTES: usize = 4 << 20;

/// Nothing in a store that only receives depends on the clock or on chance.
struct StillHost;

impl Host for StillHost {
    fn now_ms(&self) -> i64 {
        0
    }

    fn fill_random(&self, out: &mut [u8]) {
        out.fill(0);
    }
}

/// What the entries of a file mean. `file` is the hash of all of it.
pub(super) fn meaning(
    start: &Start,
    genesis: &SpaceGenesis,
    control_key: &SecretKey,
    exporter: &DeviceId,
    file: &blake3::Hash,
    logs: &mut Logs,
) -> Result<AuditMeaning, AuditVerifyError> {
    let entries = logs.vector().total();
    let store = store(file)?;
    let table = EffectiveTable { control_key: Some(control_key.clone()), ..EffectiveTable::default() };
    store.set_effective(start.space, table).map_err(failed)?;
    receive(&store, logs.take_batches())?;
    let (control, records) = Forks::default().settle(&store, &start.space).map_err(failed)?;
    if !begins_with_genesis(genesis, &start.genesis, &records) {
        return Err(AuditFaultKind::ControlKey.into());
    }
    let applied = control.total();
    let counted = records.iter().filter(|record| record.void.is_none()).map(|record| record.commit.clone());
    let membership = membership::evaluate(genesis, &counted.collect::<Vec<_>>());
    let no_keys = BTreeMap::new();
    let trail = Trail::new(start.space, records, &membership, &no_keys);
    Ok(AuditMeaning {
        trail: trail.entries(0, usize::MAX),
        members: members_of(&membership, &no_keys),
        exporter: trail.author(exporter),
        waiting: entries - applied,
    })
}

fn failed(error: impl std::fmt::Display) -> AuditVerifyError {
    AuditVerifyError::Evaluation { why: error.to_string() }
}

/// A store whose own log can't be in the file: its key is drawn from the file's hash.
fn store(file: &blake3::Hash) -> Result<Store, AuditVerifyError> {
    let signer = Arc::new(DeviceKey::from_seed(Zeroizing::new(*file.as_bytes())));
    let options = Options {
        host: Arc::new(StillHost),
        signer: Box::new(move |_| Ok((signer, Vec::new()))),
        create: true,
        exclusive: true,
        mirror: None,
        cache_bytes: CACHE_BYTES,
    };
    Store::open(Location::Memory, options).map_err(failed)
}

/// Gives all batches to the store, whatever order their commits wait for.
fn receive(store: &Store, batches: Vec<LogBatch>) -> Result<(), AuditVerifyError> {
    let mut logs: BTreeMap<WriterId, VecDeque<LogBatch>> = BTreeMap::new();
    batches.into_iter().for_each(|batch| logs.entry(batch.writer).or_default().push_back(batch));
    loop {
        let mut moved = false;
        for waiting in logs.values_mut() {
            while !waiting.is_empty() {
                let mut bytes = 0;
                let fits = |batch: &&LogBatch| {
                    let room = bytes < ROUND_BYTES;
                    bytes += batch.entries.iter().map(|entry| entry.header.len() + entry.body.len()).sum::<usize>();
                    room
                };
                let count = waiting.iter().take_while(fits).count();
                let round = &waiting.make_contiguous()[..count];
                let outcomes = store.receive_all(round).map_err(failed)?;
                let taken = outcomes.iter().take_while(|outcome| outcome.is_ok()).count();
                waiting.drain(..taken);
                moved |= taken > 0;
                match outcomes.into_iter().nth(taken) {
                    None | Some(Ok(_)) => {}
                    // Others have to be applied before, so that it does not wait.
                    Some(Err(ReceiveError::ParkingFull { .. })) => break,
                    Some(Err(error)) => return Err(failed(error)),
                }
            }
        }
        if !moved || logs.values().all(VecDeque::is_empty) {
            return Ok(());
        }
    }
}

/// Whether a device that the genesis names began its log with it, under the key that the bodies were read with.
fn begins_with_genesis(genesis: &SpaceGenesis, body: &[u8], records: &[ControlRecord]) -> bool {
    let certificates = genesis.owners.iter().flat_map(|owner| &owner.certificates);
    let founders: BTreeSet<DeviceId> = certificates.map(|certificate| certificate.device).collect();
    records.iter().any(|ControlRecord { commit, void }| {
        void.is_none() && commit.sequence == 0 && commit.body == body && founders.contains(&commit.writer.device)
    })
}
