//! Spaces and their members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidewater_engine::id::{DeviceId, EpochId, SpaceId};
use tidewater_engine::space::{Rank, SecretKey};

use super::control::{Control, SpaceState};
use super::records::{self, MAX_GENESIS_BYTES, SpaceRecord};
use super::{Author, Database, Member, MemberDevice, SpaceError, SpaceInfo, lock};
use crate::codec::{Codec, Decoded, Reader, put_bytes, put_number};
use crate::device::random_secret;
use crate::identity::{CardError, IdentityCard, IdentityId};
use crate::keys::{NotePurpose, SealedNote, Wrapped};
use crate::membership::{MemberState, Membership};
use crate::space::{ControlOperation, Founder, Grant, Revoke, SpaceGenesis};

/// How many offers of spaces wait for a decision at most.
pub const MAX_SPACE_OFFERS: usize = 64;

/// What a member needs in order to follow a space: its genesis, and its control key wrapped for the member's device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invite {
    pub(crate) genesis: Vec<u8>,
    pub(crate) control_key: Wrapped,
    /// How many entries the sender holds of it: for who decides, and not believed for anything else.
    pub(crate) entries: u64,
}

impl Codec for Invite {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.genesis);
        self.control_key.encode(out);
        put_number(out, self.entries);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let (genesis, control_key) = (reader.bytes(MAX_GENESIS_BYTES)?.to_vec(), Wrapped::decode(reader)?);
        Ok(Self { genesis, control_key, entries: reader.number()? })
    }
}

impl Invite {
    pub(crate) fn space(&self) -> SpaceId {
        SpaceGenesis::space_of(&self.genesis)
    }
}

pub(super) fn control_context(space: &SpaceId, device: &DeviceId) -> Vec<u8> {
    [b"tidewater 2026 control wrap v1".as_slice(), &space.0, &device.0].concat()
}

fn check_label(label: &str) -> Result<(), SpaceError> {
    let limit = SealedNote::MAX_BYTES;
    if label.len() > limit {
        return Err(SpaceError::Invalid {
            why: format!("a label has at most {limit} bytes, this one has {}", label.len()),
        });
    }
    Ok(())
}

/// A member and its rank.
pub(super) fn member_of<'a>(
    state: &'a SpaceState,
    space: &SpaceId,
    identity: &IdentityId,
) -> Result<(&'a MemberState, Rank), SpaceError> {
    let member = state.membership.identities.get(identity);
    let member = member.and_then(|member| Some((member, member.rank?)));
    member.ok_or(SpaceError::NoMember { space: *space, identity: *identity })
}

/// The members, highest rank first, with the names that these keys open.
pub(crate) fn members_of(membership: &Membership, epochs: &BTreeMap<EpochId, SecretKey>) -> Vec<Member> {
    let members = membership.identities.iter().filter_map(|(identity, member)| {
        let devices = member.devices.values();
        let devices = devices.map(|one| MemberDevice { device: one.device, certified_ms: one.issued_ms });
        Some(Member { identity: *identity, name: member.name(epochs), rank: member.rank?, devices: devices.collect() })
    });
    let mut members: Vec<Member> = members.collect();
    members.sort_by(|a, b| b.rank.cmp(&a.rank).then_with(|| (&a.name, a.identity).cmp(&(&b.name, b.identity))));
    members
}

impl Database {
    /// Makes a space owned by this identity. `label` has at most 200 bytes.
    ///
    /// # Errors
    /// [`SpaceError::NoIdentity`], [`SpaceError::Invalid`] for the label, [`SpaceError::Write`].
    pub fn new_space(&self, label: &str) -> Result<SpaceId, SpaceError> {
        let record = self.draft_space(label)?;
        self.add_space(&self.control(), &record, &[])
    }

    /// The genesis and the control key of a space that is still to be made.
    pub(super) fn draft_space(&self, label: &str) -> Result<SpaceRecord, SpaceError> {
        self.draft_space_with(label, |_, random| random)
    }

    /// The same with a nonce made of 16 random bytes and the owner.
    pub(super) fn draft_space_with(
        &self,
        label: &str,
        nonce: impl FnOnce(&IdentityId, [u8; 16]) -> [u8; 16],
    ) -> Result<SpaceRecord, SpaceError> {
        check_label(label)?;
        let identity = self.identity_record().ok_or(SpaceError::NoIdentity)?;
        let host = &*self.inner.host;
        let recovery = (identity.genesis.recovery_device(), identity.genesis.recovery_agreement);
        let devices = identity.certificates.iter().map(|one| (one.device, one.agreement));
        let recipients = devices.chain([recovery]).collect();
        let (key, epoch) = self.new_epoch(1, recipients, Vec::new());
        let mut random = [0; 16];
        host.fill_random(&mut random);
        let owner = Founder {
            genesis: identity.genesis,
            certificates: identity.certificates.clone(),
            name: SealedNote::seal(host, &key, NotePurpose::Name, identity.name.as_bytes()),
        };
        let genesis = ControlOperation::Genesis(SpaceGenesis {
            nonce: nonce(&identity.genesis.id(), random),
            feature_level: SpaceGenesis::FEATURE_LEVEL,
            history_open: true,
            owners: vec![owner],
            epoch,
            label: SealedNote::seal(host, &key, NotePurpose::Label, label.as_bytes()),
        });
        let control_key = SecretKey::new(*random_secret(host));
        Ok(SpaceRecord { control_key, genesis: genesis.to_bytes(), founded: true })
    }

    /// Records a space and begins to follow it. Interrupted in between, opening the database goes on.
    pub(super) fn add_space(
        &self,
        control: &Control,
        record: &SpaceRecord,
        others: &[(&str, Option<&[u8]>)],
    ) -> Result<SpaceId, SpaceError> {
        let space = SpaceGenesis::space_of(&record.genesis);
        let (name, bytes) = (records::space(&space), record.to_bytes());
        let mut writes = vec![(name.as_str(), Some(bytes.as_slice()))];
        writes.extend_from_slice(others);
        self.inner.store.set_local(&writes)?;
        self.refresh(control, &space)?;
        Ok(space)
    }

    /// The spaces of this database, home first, then by label.
    ///
    /// # Errors
    /// [`SpaceError::Read`].
    pub fn spaces_info(&self) -> Result<Vec<SpaceInfo>, SpaceError> {
        let home = self.inner.store.home();
        let mut spaces = Vec::new();
        for space in self.inner.store.spaces() {
            let state = self.space_state(&space)?;
            spaces.push(SpaceInfo {
                space,
                label: state.table.label.clone(),
                home: home == Some(space),
                private: self.is_private_state(&state),
                rank: state.membership.rank(&self.device()),
                left: self.has_left(&state),
                members: state.membership.identities.values().filter(|member| member.rank.is_some()).count(),
            });
        }
        spaces.sort_by(|a, b| (!a.home, &a.label, a.space).cmp(&(!b.home, &b.label, b.space)));
        Ok(spaces)
    }

    /// The members of a space, highest rank first.
    ///
    /// # Errors
    /// [`SpaceError::UnknownSpace`], [`SpaceError::Read`].
    pub fn members(&self, space: &SpaceId) -> Result<Vec<Member>, SpaceError> {
        let state = self.space_state(space)?;
        Ok(members_of(&state.membership, &state.table.epochs))
    }

    /// Whose a device is that wrote to a space, those of removed members included. `None`: the control plane does not name it.
    ///
    /// # Errors
    /// [`SpaceError::UnknownSpace`], [`SpaceError::Read`].
    pub fn author(&self, space: &SpaceId, device: &DeviceId) -> Result<Option<Author>, SpaceError> {
        let state = self.space_state(space)?;
        let mut identities = state.membership.identities.iter();
        let found = identities.find(|(_, member)| member.ever_had(device));
        Ok(found.map(|(identity, member)| Author {
            identity: *identity,
            name: member.name(&state.table.epochs),
            rank: member.rank,
        }))
    }

    /// Gives an identity a rank, and its devices the keys that come with it. Those devices learn of it when they next
    /// talk to a member: see [`Database::space_offers`].
    ///
    /// # Errors
    /// [`SpaceError::Forbidden`] below admin, [`SpaceError::NotBelow`] for a rank not below one's own,
    /// [`SpaceError::Card`] for a card that is not genuine, [`SpaceError::UnknownSpace`], [`SpaceError::Write`].
    pub fn grant(&self, space: &SpaceId, card: &IdentityCard, rank: Rank) -> Result<(), SpaceError> {
        self.grant_locked(&self.control(), space, card, rank)
    }

    pub(super) fn grant_locked(
        &self,
        control: &Control,
        space: &SpaceId,
        card: &IdentityCard,
        rank: Rank,
    ) -> Result<(), SpaceError> {
        card.verify()?;
        let state = self.refresh(control, space)?;
        self.needs_above(&state, space, rank)?;
        self.may_give(&state, space, rank)?;
        if let Some(member) = state.membership.identities.get(&card.identity()) {
            let known = card.certificates.iter().all(|one| member.devices.contains_key(&one.device));
            if known && member.rank >= Some(rank) {
                return Ok(());
            }
        }
        self.give(control, space, &state, card, rank)
    }

    /// Says the grant that gives an identity a rank and the keys that come with it.
    fn give(
        &self,
        control: &Control,
        space: &SpaceId,
        state: &SpaceState,
        card: &IdentityCard,
        rank: Rank,
    ) -> Result<(), SpaceError> {
        let recovery = (card.genesis.recovery_device(), card.genesis.recovery_agreement);
        let devices = card.certificates.iter().map(|one| (one.device, one.agreement));
        let devices: Vec<_> = devices.chain([recovery]).collect();
        let wraps = if rank >= Rank::Reader || planted!(KeyToRelay) {
            self.wraps_for_newcomers(state, &devices)
        } else {
            Vec::new()
        };
        let grant = Grant {
            genesis: card.genesis,
            certificates: card.certificates.clone(),
            rank,
            name: self.seal_note(state, NotePurpose::Name, &card.name),
            wraps,
        };
        self.append(control, space, &ControlOperation::Grant(grant))?;
        Ok(())
    }

    /// Takes an identity's rank: what its devices wrote counts as far as this database holds it, nothing later does, and
    /// new keys are given to everyone who stays.
    ///
    /// # Errors
    /// As [`Database::grant`], and [`SpaceError::NoMember`].
    pub fn revoke(&self, space: &SpaceId, identity: &IdentityId) -> Result<(), SpaceError> {
        let control = self.control();
        let state = self.refresh(&control, space)?;
        let (member, held) = member_of(&state, space, identity)?;
        self.needs_above(&state, space, held)?;
        self.take(&control, space, &state, identity, member)
    }

    /// Gives a member another rank. For a higher one it is granted once more. A lower one follows a revocation: what its devices
    /// wrote counts as far as this database holds it, and they go on in new logs; what they could read stays with them, and a
    /// rank below reader gets no new keys. Nothing is said when it has the rank.
    ///
    /// # Errors
    /// As [`Database::grant`], for both ranks, and [`SpaceError::NoMember`].
    pub fn change_rank(&self, space: &SpaceId, identity: &IdentityId, rank: Rank) -> Result<(), SpaceError> {
        let control = self.control();
        let state = self.refresh(&control, space)?;
        let (member, held) = member_of(&state, space, identity)?;
        self.needs_above(&state, space, held.max(rank))?;
        self.may_give(&state, space, rank)?;
        if rank == held {
            return Ok(());
        }
        let genesis =
            member.genesis.ok_or(CardError { why: "its recovery key did not agree to be that of the identity" })?;
        let name = member.name(&state.table.epochs);
        let card = IdentityCard { genesis, name, certificates: member.devices.values().copied().collect() };
        if rank < held {
            self.take(&control, space, &state, identity, member)?;
        }
        self.give(&control, space, &*self.state_under(&control, space)?, &card, rank)
    }

    /// Says the revocation that takes an identity's ranks.
    fn take(
        &self,
        control: &Control,
        space: &SpaceId,
        state: &SpaceState,
        identity: &IdentityId,
        member: &MemberState,
    ) -> Result<(), SpaceError> {
        let theirs: BTreeSet<DeviceId> = member.recipients().map(|(device, _)| device).collect();
        let (cuts, rotation) = self.cut_off(space, state, &theirs)?;
        let revoke = Revoke { identity: *identity, cuts, rotation };
        self.append(control, space, &ControlOperation::Revoke(revoke))?;
        Ok(())
    }

    /// Renames a space. `label` has at most 200 bytes.
    ///
    /// # Errors
    /// [`SpaceError::Forbidden`] below admin, [`SpaceError::Invalid`] for the label, [`SpaceError::UnknownSpace`],
    /// [`SpaceError::Write`].
    pub fn rename_space(&self, space: &SpaceId, label: &str) -> Result<(), SpaceError> {
        check_label(label)?;
        let control = self.control();
        let state = self.refresh(&control, space)?;
        self.needs(&state, space, Rank::Admin)?;
        let label = self.seal_note(&state, NotePurpose::Label, label);
        self.append(&control, space, &ControlOperation::Label(label))?;
        Ok(())
    }

    /// Starts a new epoch: new entries are sealed under a fresh key that every current reader gets.
    ///
    /// # Errors
    /// [`SpaceError::Forbidden`] below writer, [`SpaceError::UnknownSpace`], [`SpaceError::Write`].
    pub fn rotate(&self, space: &SpaceId) -> Result<(), SpaceError> {
        let control = self.control();
        let state = self.refresh(&control, space)?;
        self.needs(&state, space, Rank::Writer)?;
        let start = self.start_epoch(&state, state.membership.readers().into_iter().collect());
        self.append(&control, space, &ControlOperation::Rotate(start))?;
        Ok(())
    }

    pub(super) fn needs(&self, state: &SpaceState, space: &SpaceId, needed: Rank) -> Result<Rank, SpaceError> {
        let held = state.membership.rank(&self.device());
        if held.is_none() && self.has_left(state) {
            return Err(SpaceError::Left { space: *space });
        }
        held.filter(|held| *held >= needed).ok_or(SpaceError::Forbidden { space: *space, needed, held })
    }

    /// A private space is for this identity's own devices. A hub may keep it, since it reads nothing.
    pub(super) fn may_give(&self, state: &SpaceState, space: &SpaceId, rank: Rank) -> Result<(), SpaceError> {
        let private = rank > Rank::Relay && self.is_private_state(state);
        if private { Err(SpaceError::Private { space: *space }) } else { Ok(()) }
    }

    /// Grants and revocations need rank admin, and act on lower ranks.
    pub(super) fn needs_above(&self, state: &SpaceState, space: &SpaceId, rank: Rank) -> Result<(), SpaceError> {
        let held = self.needs(state, space, Rank::Admin)?;
        if rank < held || planted!(GrantTooHigh) { Ok(()) } else { Err(SpaceError::NotBelow { rank, held }) }
    }

    /// What a device that has a rank needs in order to follow the space. `None`: its X25519 key is unusable, or unknown.
    pub(crate) fn invite_to(&self, state: &SpaceState, device: &DeviceId) -> Option<Invite> {
        let agreement = state.membership.agreement(device)?;
        let space = SpaceGenesis::space_of(&state.record.genesis);
        let context = control_context(&space, device);
        let key = &state.record.control_key;
        let control_key = Wrapped::seal(&*self.inner.host, &agreement, &context, key)?;
        let held = self.inner.store.snapshot().and_then(|snapshot| snapshot.report(&space));
        let entries = held.map_or(0, |report| report.entries);
        Some(Invite { genesis: state.record.genesis.clone(), control_key, entries })
    }

    /// Opens an invitation. `None`: it is not for this device, or the genesis is not one this software can follow.
    pub(super) fn open_invite(&self, invite: &Invite) -> Option<SpaceRecord> {
        let control_key =
            invite.control_key.open(self.agreement(), &control_context(&invite.space(), &self.device()))?;
        let Ok(ControlOperation::Genesis(genesis)) = ControlOperation::read(&invite.genesis) else { return None };
        let understood = genesis.feature_level <= SpaceGenesis::FEATURE_LEVEL;
        let record = SpaceRecord { control_key, genesis: invite.genesis.clone(), founded: false };
        (understood && genesis.verify()).then_some(record)
    }

    /// Follows the space of an invitation. `None`: it could not be opened.
    pub(crate) fn accept_invite(&self, invite: &Invite) -> Result<Option<SpaceId>, SpaceError> {
        let Some(record) = self.open_invite(invite) else { return Ok(None) };
        self.follow(&record).map(Some)
    }

    /// A space that was forgotten comes back with another writer only.
    pub(super) fn needs_writer_for(&self, space: &SpaceId) -> Result<(), SpaceError> {
        if lock(&self.inner.forgotten).contains(space) { Err(SpaceError::Reopen { space: *space }) } else { Ok(()) }
    }

    /// Follows a space on somebody's decision, whatever was decided before.
    pub(super) fn follow(&self, record: &SpaceRecord) -> Result<SpaceId, SpaceError> {
        let space = SpaceGenesis::space_of(&record.genesis);
        self.needs_writer_for(&space)?;
        let (invite, departure) = (records::invite(&space), records::departure(&space));
        let accepted = self.departure_accepted(&space)?;
        self.add_space(&self.control(), record, &[(&invite, None), (&departure, accepted.as_deref())])
    }

    /// [`Database::all_spaces`] for who holds the lock already.
    pub(super) fn all_spaces_under(&self, control: &Control) -> Result<Vec<(SpaceId, Arc<SpaceState>)>, SpaceError> {
        let spaces = self.inner.store.spaces().into_iter();
        spaces.map(|space| self.state_under(control, &space).map(|state| (space, state))).collect()
    }

    /// Every space of this database with what it means.
    pub(crate) fn all_spaces(&self) -> Result<Vec<(SpaceId, Arc<SpaceState>)>, SpaceError> {
        let spaces = self.inner.store.spaces().into_iter();
        spaces.map(|space| self.space_state(&space).map(|state| (space, state))).collect()
    }
}
