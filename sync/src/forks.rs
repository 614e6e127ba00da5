//! Forks of logs, as the control plane of a space proves them: `docs/spec/membership.md`, *Forks*.

use std::collections::{BTreeMap, BTreeSet};

use tidewater_engine::id::{EpochId, SpaceId, WriterId};
use tidewater_engine::log::{Fork, Plane, Prefix, VersionVector};
use tidewater_engine::space::{EffectiveTable, SecretKey};
use tidewater_engine::store::{ControlRecord, ReadError, Store, VoidReason, WriteError};

use crate::membership::Membership;
use crate::space::ControlOperation;

type Log = (Plane, WriterId);

/// What is known of the forks of a space's logs. A proof counts wherever it stands: it is looked for in commits that count for
/// nothing, and in those that wait, since what they wait for may be the other branch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forks {
    /// The earliest fork of each log.
    proofs: BTreeMap<Log, Fork>,
    /// The earliest that is said in a log that everybody gets.
    said: BTreeMap<Log, u64>,
    /// How much of each control log was looked at while it waited.
    looked: BTreeMap<WriterId, u64>,
    /// Epochs that nothing in the control plane tells of any more, since whoever started them forked its log, and whether this
    /// device's own data is sealed under them.
    untold: BTreeMap<EpochId, bool>,
}

impl Forks {
    /// Hands all forks that the control plane proves to the engine, until there is no more to find: what one of them takes may
    /// be what others waited for. Gives the control commits as they are then, and the vector that they were read at.
    pub(crate) fn settle(
        &mut self,
        store: &Store,
        space: &SpaceId,
    ) -> Result<(VersionVector, Vec<ControlRecord>), WriteError> {
        loop {
            // Read first: what is read after covers it at least.
            let control = store.applied(space, Plane::Control)?;
            let records = store.control_history(space)?;
            self.learn(store, space, &records)?;
            let table = store.effective(space).ok_or(ReadError::UnknownSpace { space: *space })?;
            let forks = self.added_to(&table.forks);
            if forks == table.forks {
                return Ok((control, records));
            }
            store.set_effective(*space, EffectiveTable { forks, ..EffectiveTable::clone(&table) })?;
        }
    }

    fn learn(&mut self, store: &Store, space: &SpaceId, records: &[ControlRecord]) -> Result<(), ReadError> {
        // What was said where everybody got it may have come to lie beyond a fork.
        self.said.clear();
        for ControlRecord { commit, void } in records {
            let is_exchanged = void.as_ref().is_none_or(|void| void.reason != VoidReason::Fork);
            self.look(space, &commit.body, is_exchanged);
        }
        for body in store.waiting_control(space, &mut self.looked)? {
            self.look(space, &body, false);
        }
        Ok(())
    }

    fn look(&mut self, space: &SpaceId, body: &[u8], is_exchanged: bool) {
        if !body.starts_with(&ControlOperation::FORK) || planted!(ForkForgotten) {
            return;
        }
        let Ok(ControlOperation::Fork(fork)) = ControlOperation::read(body) else { return };
        let log = (fork.plane, fork.writer);
        let is_known = self.proofs.get(&log) == Some(&*fork);
        if !is_known && !fork.verify(space) {
            return;
        }
        if is_exchanged {
            let said = self.said.entry(log).or_insert(u64::MAX);
            *said = fork.shared.length.min(*said);
        }
        if self.proofs.get(&log).is_none_or(|known| fork.shared.length < known.shared.length) {
            self.proofs.insert(log, *fork);
        }
    }

    /// The forks in `known`, and those that are proved here.
    fn added_to(&self, known: &BTreeMap<Log, Prefix>) -> BTreeMap<Log, Prefix> {
        let mut forks = known.clone();
        for (log, proof) in &self.proofs {
            let earliest = forks.entry(*log).or_insert(proof.shared);
            if proof.shared.length < earliest.length {
                *earliest = proof.shared;
            }
        }
        forks
    }

    /// Looks which of the keys that are held nothing tells of any more. Others may need them for what this device wrote.
    pub(crate) fn look_for_stranded(
        &mut self,
        store: &Store,
        space: &SpaceId,
        membership: &Membership,
        held: &BTreeMap<EpochId, SecretKey>,
    ) -> Result<(), ReadError> {
        let told: BTreeSet<EpochId> = membership.named_epochs().collect();
        self.untold.retain(|epoch, _| !told.contains(epoch));
        let is_news = |epoch: &EpochId| !told.contains(epoch) && !self.untold.contains_key(epoch);
        let news: BTreeSet<EpochId> = held.keys().copied().filter(is_news).collect();
        if !news.is_empty() {
            let used = store.written_under(space, &news)?;
            self.untold.extend(news.into_iter().map(|epoch| (epoch, used.contains(&epoch))));
        }
        Ok(())
    }

    /// The epochs that nothing tells of any more and this device's own data is sealed under.
    pub(crate) fn stranded(&self) -> impl Iterator<Item = &EpochId> {
        self.untold.iter().filter(|(_, is_used)| **is_used).map(|(epoch, _)| epoch)
    }

    /// A fork that is proved where others don't get it: beyond another fork.
    pub(crate) fn unsaid(&self) -> Option<&Fork> {
        let is_said = |log: &Log, fork: &Fork| self.said.get(log).is_some_and(|said| *said <= fork.shared.length);
        self.proofs.iter().find(|(log, fork)| !is_said(log, fork)).map(|(_, fork)| fork)
    }
}
