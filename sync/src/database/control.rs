//! From the control log to what it means, and what this device has to add to it.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard};

use tidewater_engine::id::{DeviceId, EpochId, SpaceId};
use tidewater_engine::log::{Fork, Plane, VersionVector};
use tidewater_engine::space::{EffectiveTable, Rank, SecretKey};
use tidewater_engine::store::{LogBatch, ReceiveError, ReceiveOutcome};

use super::records::{self, SpaceRecord};
use super::{Database, SpaceError, lock};
use crate::codec::Codec;
use crate::device::random_secret;
use crate::forks::Forks;
use crate::identity::Certificate;
use crate::keys::{NotePurpose, SealedNote, Wrapped, epoch_context};
use crate::membership::{self, Membership};
use crate::space::{ControlOperation, CutRecord, EpochStart, EpochWrap, OlderEpoch, Removal, SpaceGenesis};

/// Proof that the lock over all control planes is held.
#[derive(Debug, Default)]
pub(crate) struct Control(());

/// What a space's control plane means here.
pub(crate) struct SpaceState {
    pub(crate) record: SpaceRecord,
    pub(crate) genesis: SpaceGenesis,
    pub(crate) membership: Membership,
    pub(crate) table: Arc<EffectiveTable>,
    pub(crate) forks: Forks,
}

impl SpaceState {
    /// The newest epoch keys held: no held key leads to them. With them come all older ones.
    fn tips(&self) -> Vec<&SecretKey> {
        let epochs = &self.table.epochs;
        let reachable =
            |id| self.membership.older.iter().any(|(older, note)| older == id && epochs.contains_key(&note.epoch));
        epochs.iter().filter(|(id, _)| !reachable(*id)).map(|(_, key)| key).collect()
    }

    fn write_key(&self) -> Option<&SecretKey> {
        self.table.epochs.get(&self.membership.write_epoch()?)
    }
}

/// Writing a commit can make the next one due: the keys of a large space take several. What is left waits for the next
/// change.
const MAX_ROUNDS: usize = 16;

impl Database {
    pub(crate) fn control(&self) -> MutexGuard<'_, Control> {
        lock(&self.inner.control)
    }

    /// What a space means, as of the last change of its control plane.
    ///
    /// # Errors
    /// [`SpaceError::UnknownSpace`], or what reading the control log fails with.
    pub(crate) fn space_state(&self, space: &SpaceId) -> Result<Arc<SpaceState>, SpaceError> {
        if let Some(state) = self.cached_state(space) {
            return Ok(state);
        }
        self.refresh(&self.control(), space)
    }

    /// [`Database::space_state`] for who holds the lock already.
    pub(super) fn state_under(&self, control: &Control, space: &SpaceId) -> Result<Arc<SpaceState>, SpaceError> {
        self.cached_state(space).map_or_else(|| self.refresh(control, space), Ok)
    }

    fn cached_state(&self, space: &SpaceId) -> Option<Arc<SpaceState>> {
        lock(&self.inner.spaces).get(space).cloned()
    }

    /// Says in every space which devices of this identity are removed.
    pub(super) fn finish_removal(&self, control: &Control) -> Result<(), SpaceError> {
        self.refresh_all(control)?;
        Ok(self.inner.store.set_local(&[(records::REMOVING, None)])?)
    }

    /// Finishes what an interrupted process left: spaces recorded but not made, and devices that are not removed everywhere.
    pub(super) fn resume_spaces(&self) -> Result<(), SpaceError> {
        let control = self.control();
        if self.inner.store.local(records::REMOVING)?.is_some() {
            self.finish_removal(&control)?;
        }
        for (name, record) in records::read_all::<SpaceRecord>(&self.inner.store, records::SPACE_PREFIX)? {
            let space = SpaceGenesis::space_of(&record.genesis);
            if name != records::space(&space) {
                return Err(SpaceError::Record { name, why: "the genesis is that of another space" });
            }
            // A space whose table is up to date is evaluated when it is first asked for.
            let table = self.inner.store.effective(&space).filter(|table| !table.control.is_empty());
            let applied = self.inner.store.applied(&space, Plane::Control);
            if !matches!((table, applied), (Some(table), Ok(applied)) if table.control == applied) {
                self.refresh(&control, &space)?;
            }
        }
        Ok(())
    }

    /// Takes batches from a peer, all in one durable storage transaction, and draws the conclusions when they move control
    /// planes.
    ///
    /// # Errors
    /// [`SpaceError::Write`], nothing is stored then; or what working out the conclusions fails with.
    pub(crate) fn receive_batches(
        &self,
        batches: &[LogBatch],
    ) -> Result<Vec<Result<ReceiveOutcome, ReceiveError>>, SpaceError> {
        let moving = batches.iter().filter(|batch| batch.plane == Plane::Control);
        let moved: BTreeSet<SpaceId> = moving.map(|batch| batch.space).collect();
        if moved.is_empty() {
            return Ok(self.inner.store.receive_all(batches)?);
        }
        let control = self.control();
        let outcomes = self.inner.store.receive_all(batches)?;
        for space in &moved {
            self.refresh(&control, space)?;
        }
        Ok(outcomes)
    }

    /// Says in the control plane that there are several histories of a log, if that is news. `fork` is genuine.
    pub(crate) fn say_fork(&self, space: &SpaceId, fork: Fork) -> Result<(), SpaceError> {
        let control = self.control();
        let state = self.state_under(&control, space)?;
        let known = state.table.fork_length(fork.plane, &fork.writer) <= fork.shared.length;
        if known || state.membership.rank(&self.device()).is_none() || state.membership.needs_upgrade() {
            return Ok(());
        }
        self.append(&control, space, &ControlOperation::Fork(Box::new(fork)))?;
        Ok(())
    }

    /// Says something in the control plane, and draws the conclusions.
    pub(super) fn append(
        &self,
        control: &Control,
        space: &SpaceId,
        operation: &ControlOperation,
    ) -> Result<Arc<SpaceState>, SpaceError> {
        self.inner.store.append_control(space, &operation.to_bytes())?;
        self.refresh(control, space)
    }

    /// Evaluates a space's control plane and hands the result to the engine; then says what this device owes the others.
    pub(super) fn refresh(&self, _control: &Control, space: &SpaceId) -> Result<Arc<SpaceState>, SpaceError> {
        let name = records::space(space);
        let known = self.cached_state(space).map(|state| state.record.clone());
        let record = match known {
            Some(record) => record,
            None => records::read(&self.inner.store, &name)?.ok_or(SpaceError::UnknownSpace { space: *space })?,
        };
        let Ok(ControlOperation::Genesis(genesis)) = ControlOperation::read(&record.genesis) else {
            return Err(SpaceError::Record { name, why: "the genesis can't be read" });
        };
        let mut state = self.conclude(space, &record, &genesis)?;
        for _ in 0..MAX_ROUNDS {
            self.learn_devices(&state.membership)?;
            let Some(due) = self.due(space, &state)? else { break };
            self.inner.store.append_control(space, &due.to_bytes())?;
            state = self.conclude(space, &record, &genesis)?;
        }
        self.follow_departure(space, &state)?;
        Ok(state)
    }

    fn conclude(
        &self,
        space: &SpaceId,
        record: &SpaceRecord,
        genesis: &SpaceGenesis,
    ) -> Result<Arc<SpaceState>, SpaceError> {
        let store = &self.inner.store;
        let mut forks = self.cached_state(space).map(|state| state.forks.clone()).unwrap_or_default();
        let (control, records) = match store.effective(space) {
            Some(_) => forks.settle(store, space)?,
            None => (VersionVector::default(), Vec::new()),
        };
        let before = store.effective(space);
        let commits = records.into_iter().filter(|record| record.void.is_none()).map(|record| record.commit);
        let membership = membership::evaluate(genesis, &commits.collect::<Vec<_>>());
        let held = before.as_ref().map(|table| table.epochs.clone()).unwrap_or_default();
        let device = self.device();
        let epochs = membership::held_epochs(&membership, &device, &self.inner.agreement, &held);
        forks.look_for_stranded(store, space, &membership, &epochs)?;
        let known_forks = before.as_ref().map(|table| table.forks.clone()).unwrap_or_default();
        let key = record.control_key.clone();
        let table = membership::effective_table(&membership, &device, control, key, epochs, known_forks);
        let changed = before.as_deref() != Some(&table);
        let table = Arc::new(table);
        let (record, genesis) = (record.clone(), genesis.clone());
        let state = Arc::new(SpaceState { record, genesis, membership, table: table.clone(), forks });
        // First, because listeners that the store tells look here.
        lock(&self.inner.spaces).insert(*space, state.clone());
        if changed && let Err(error) = store.set_effective(*space, EffectiveTable::clone(&table)) {
            lock(&self.inner.spaces).remove(space);
            return Err(error.into());
        }
        Ok(state)
    }

    /// Remembers devices of this identity that a control plane names, and those that it says are removed.
    fn learn_devices(&self, membership: &Membership) -> Result<(), SpaceError> {
        let Some(identity) = self.identity_record() else { return Ok(()) };
        let Some(member) = membership.identities.get(&identity.genesis.id()) else { return Ok(()) };
        let is_removed = |device: &DeviceId| identity.removed.contains(device) || member.removed.contains(device);
        let is_new = |one: &&Certificate| {
            let known = identity.certificate(&one.device).map(Certificate::order);
            known < Some(one.order()) && !is_removed(&one.device)
        };
        let news: Vec<_> = member.devices.values().filter(is_new).copied().collect();
        if news.is_empty() && member.removed.iter().all(|device| identity.removed.contains(device)) {
            return Ok(());
        }
        self.change_identity(&[], |record| {
            record.add_certificates(&news);
            record.remove_devices(&member.removed);
        })
    }

    /// What this device should say next in a space, if anything.
    fn due(&self, space: &SpaceId, state: &SpaceState) -> Result<Option<ControlOperation>, SpaceError> {
        if state.record.founded && state.table.control.is_empty() {
            return Ok(Some(ControlOperation::Genesis(state.genesis.clone())));
        }
        if state.membership.needs_upgrade() {
            return Ok(None);
        }
        let Some(rank) = state.membership.rank(&self.device()) else { return Ok(None) };
        if state.table.effective_length(Plane::Control, &self.inner.store.writer()) < u64::MAX {
            // What this device says in that log counts for nothing; once the database is opened again it has another.
            return Ok(None);
        }
        if let Some(fork) = state.forks.unsaid() {
            return Ok(Some(ControlOperation::Fork(Box::new(fork.clone()))));
        }
        if let Some(removal) = self.due_removal(space, state)? {
            return Ok(Some(removal));
        }
        Ok(self
            .missing_device(state)
            .or_else(|| self.due_rotation(state, rank))
            .or_else(|| self.missing_wraps(state, rank))
            .or_else(|| self.stranded_wraps(state)))
    }

    /// A device that this identity removed, and that the space still takes for one of its own.
    fn due_removal(&self, space: &SpaceId, state: &SpaceState) -> Result<Option<ControlOperation>, SpaceError> {
        let Some(identity) = self.identity_record() else { return Ok(None) };
        let Some(secrets) = &identity.secrets else { return Ok(None) };
        let root = &secrets.root;
        let member = state.membership.identities.get(&identity.genesis.id());
        let member = member.filter(|member| member.rank.is_some() && root.order() >= member.root);
        let mut devices = member.into_iter().flat_map(|member| member.devices.keys());
        let Some(device) = devices.find(|device| identity.removed.contains(device)) else { return Ok(None) };
        let (cuts, rotation) = self.cut_off(space, state, &[*device].into())?;
        let removal = Removal::sign(root, identity.genesis, space, *device, cuts, rotation);
        Ok(Some(ControlOperation::RemoveDevice(removal)))
    }

    /// What takes devices out of a space: how far each of their logs counts, which is as far as it is held here, and new keys for
    /// everyone who stays. Nobody stays by having more logs than a removal lists.
    pub(super) fn cut_off(
        &self,
        space: &SpaceId,
        state: &SpaceState,
        devices: &BTreeSet<DeviceId>,
    ) -> Result<(Vec<CutRecord>, EpochStart), SpaceError> {
        let cuts = self.cuts(space, &[Plane::Control, Plane::Data], devices)?;
        let stay = state.membership.readers().into_iter().filter(|(device, _)| !devices.contains(device)).collect();
        Ok((cuts, self.start_epoch(state, stay)))
    }

    /// How far the logs of devices count: as far as they are held here.
    pub(super) fn cuts(
        &self,
        space: &SpaceId,
        planes: &[Plane],
        devices: &BTreeSet<DeviceId>,
    ) -> Result<Vec<CutRecord>, SpaceError> {
        let mut cuts = Vec::new();
        for plane in planes.iter().copied() {
            let held = self.inner.store.vector(space, plane)?;
            let logs = held.iter().filter(|(writer, _)| devices.contains(&writer.device));
            cuts.extend(logs.map(|(writer, prefix)| CutRecord {
                plane,
                writer: *writer,
                length: prefix.length,
                root: prefix.root,
            }));
        }
        Ok(longest(cuts))
    }

    /// A device of this identity that the space doesn't know yet, or by an older certificate only.
    fn missing_device(&self, state: &SpaceState) -> Option<ControlOperation> {
        let identity = self.identity_record()?;
        let member = state.membership.identities.get(&identity.genesis.id()).filter(|member| member.rank.is_some())?;
        let missing = |one: &&Certificate| {
            // What an older root key signs now counts for nothing.
            let counts = one.root() >= member.root && !member.removed.contains(&one.device);
            counts && member.devices.get(&one.device).map(Certificate::order) < Some(one.order())
        };
        let certificate = *identity.certificates.iter().find(missing)?;
        let has_keys =
            member.devices.get(&certificate.device).is_some_and(|known| known.agreement == certificate.agreement);
        let wraps = if member.rank >= Some(Rank::Reader) && !has_keys {
            self.wraps_of_tips(state, &[(certificate.device, certificate.agreement)])
        } else {
            Vec::new()
        };
        Some(ControlOperation::AddDevice { genesis: identity.genesis, certificate, wraps })
    }

    /// A new epoch, where every epoch has a recipient who may not read any more, or this device lacks the key to write with:
    /// whoever started that epoch may have given its key to nobody.
    fn due_rotation(&self, state: &SpaceState, rank: Rank) -> Option<ControlOperation> {
        let stuck = rank >= Rank::Writer && state.write_key().is_none();
        stuck.then(|| {
            ControlOperation::Rotate(self.start_epoch(state, state.membership.readers().into_iter().collect()))
        })
    }

    /// The keys of epochs whose starters didn't know of some readers: of the write epoch, and of all where the space's history
    /// is open. Admins repair, so that not everybody does.
    fn missing_wraps(&self, state: &SpaceState, rank: Rank) -> Option<ControlOperation> {
        let write_epoch = state.membership.write_epoch().filter(|_| rank >= Rank::Admin)?;
        let due = |id: &EpochId| state.genesis.history_open || *id == write_epoch;
        let newest_first = state.membership.epochs.keys().rev().map(|(_, id)| id).filter(|id| due(id));
        let held: Vec<&SecretKey> = newest_first.filter_map(|id| state.table.epochs.get(id)).collect();
        let mut wraps = Vec::new();
        for (device, agreement) in state.membership.readers() {
            let mut within_reach = state.membership.epochs_given(&device);
            for key in &held {
                if !within_reach.contains(&key.epoch_id()) {
                    wraps.extend(self.wrap(key, (device, agreement)));
                    state.membership.extend_reach(&mut within_reach, key.epoch_id());
                }
            }
        }
        wraps.truncate(ControlOperation::MAX_WRAPS);
        (!wraps.is_empty()).then_some(ControlOperation::Wraps(wraps))
    }

    /// For every reader the keys that nothing tells of any more and this device's own data is sealed under.
    fn stranded_wraps(&self, state: &SpaceState) -> Option<ControlOperation> {
        let held = state.forks.stranded().filter_map(|epoch| state.table.epochs.get(epoch));
        let readers = state.membership.readers();
        let wraps = held.flat_map(|key| readers.iter().filter_map(|reader| self.wrap(key, (*reader.0, *reader.1))));
        let wraps: Vec<EpochWrap> = wraps.take(ControlOperation::MAX_WRAPS).collect();
        (!wraps.is_empty()).then_some(ControlOperation::Wraps(wraps))
    }

    /// One key for one device. `None`: the device's key is unusable, so it gets nothing.
    fn wrap(&self, key: &SecretKey, (device, agreement): (DeviceId, [u8; 32])) -> Option<EpochWrap> {
        let epoch = key.epoch_id();
        let wrapped = Wrapped::seal(&*self.inner.host, &agreement, &epoch_context(&epoch, &device), key)?;
        Some(EpochWrap { epoch, device, wrapped })
    }

    /// What newcomers need in order to read: everything, or only what comes, as the space's policy says.
    pub(super) fn wraps_for_newcomers(&self, state: &SpaceState, devices: &[(DeviceId, [u8; 32])]) -> Vec<EpochWrap> {
        if state.genesis.history_open {
            return self.wraps_of_tips(state, devices);
        }
        let key = state.write_key();
        key.into_iter().flat_map(|key| devices.iter().filter_map(|device| self.wrap(key, *device))).collect()
    }

    fn wraps_of_tips(&self, state: &SpaceState, devices: &[(DeviceId, [u8; 32])]) -> Vec<EpochWrap> {
        let tips = state.tips();
        let wraps = tips.iter().flat_map(|key| devices.iter().filter_map(|device| self.wrap(key, *device)));
        wraps.take(ControlOperation::MAX_WRAPS).collect()
    }

    /// A fresh epoch for `recipients`, from which the older ones can be opened if the space's history is open.
    pub(super) fn start_epoch(&self, state: &SpaceState, recipients: Vec<(DeviceId, [u8; 32])>) -> EpochStart {
        let number = state.membership.epochs.keys().next_back().map_or(1, |(highest, _)| highest.saturating_add(1));
        let older = if state.genesis.history_open { state.tips() } else { Vec::new() };
        self.new_epoch(number, recipients, older).1
    }

    pub(super) fn new_epoch(
        &self,
        number: u64,
        recipients: Vec<(DeviceId, [u8; 32])>,
        older: Vec<&SecretKey>,
    ) -> (SecretKey, EpochStart) {
        let key = SecretKey::new(*random_secret(&*self.inner.host));
        let wraps = recipients.into_iter().filter_map(|recipient| self.wrap(&key, recipient));
        let wraps = wraps.take(ControlOperation::MAX_WRAPS).map(|wrap| (wrap.device, wrap.wrapped)).collect();
        let seal =
            |older: &SecretKey| SealedNote::seal(&*self.inner.host, &key, NotePurpose::OlderEpoch, older.expose());
        let older = older.into_iter().map(|older| OlderEpoch { id: older.epoch_id(), sealed: seal(older) });
        let older = older.take(ControlOperation::MAX_OLDER).collect();
        let start = EpochStart { number, id: key.epoch_id(), wraps, older };
        (key, start)
    }

    /// Seals a label or a name for the members who may read. A space whose keys this device lacks gets an empty one.
    pub(super) fn seal_note(&self, state: &SpaceState, purpose: NotePurpose, text: &str) -> SealedNote {
        let unknown = SecretKey::new([0; 32]);
        SealedNote::seal(&*self.inner.host, state.write_key().unwrap_or(&unknown), purpose, text.as_bytes())
    }
}

/// The cuts that a removal has room for: those of the longest logs. Logs that it doesn't list count for nothing.
fn longest(mut cuts: Vec<CutRecord>) -> Vec<CutRecord> {
    if cuts.len() > ControlOperation::MAX_CUTS {
        cuts.sort_by_key(|cut| std::cmp::Reverse(cut.length));
        cuts.truncate(ControlOperation::MAX_CUTS);
    }
    cuts
}

#[cfg(test)]
mod tests {
    use tidewater_engine::id::{Incarnation, WriterId};

    use super::*;

    /// A member with more logs than a removal lists is removed all the same; what counts of it are the longest logs.
    #[test]
    fn attack_member_with_too_many_logs_is_removed_with_the_longest() {
        let most = ControlOperation::MAX_CUTS;
        let cut = |number: usize| CutRecord {
            plane: Plane::Data,
            writer: WriterId { device: DeviceId([1; 32]), incarnation: Incarnation((number as u64).to_be_bytes()) },
            length: number as u64,
            root: [0; 32],
        };
        let lengths = |cuts: Vec<CutRecord>| cuts.iter().map(|cut| cut.length).collect::<BTreeSet<_>>();
        for logs in [0, 1, most, most + 1, most + 9] {
            let kept = longest((1..=logs).map(cut).collect());
            assert_eq!(kept.len(), logs.min(most));
            let shortest = logs.saturating_sub(most) as u64 + 1;
            assert_eq!(lengths(kept), (shortest..=logs as u64).collect());
        }
    }
}
