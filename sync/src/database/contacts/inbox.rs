//! Requests that wait for a decision: local records of this device, within bounds.

use tidewater_engine::store::Durability;

use super::ContactError;
use super::relations::REQUEST_MS;
use crate::codec::{Codec, Decoded, Malformed, Reader, put_bytes, put_time};
use crate::contacts::{MAX_NOTE_BYTES, SignedProfile};
use crate::database::control::Control;
use crate::database::{Database, lock, records};
use crate::identity::IdentityId;

/// How many requests of strangers wait at most, and as many of identities that have a rank in a space of this database.
pub const MAX_WAITING_REQUESTS: usize = 64;
/// How long a request stands before another one of the same identity takes its place, in milliseconds.
const REPLACE_MS: i64 = 60_000;
const PREFIX: &str = "request/";

/// A request that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Whether it is of somebody without a rank in any space of this database, by when it came.
    pub(super) stranger: bool,
    pub(super) received_ms: i64,
    pub(super) note: String,
    pub(super) profile: SignedProfile,
}

impl Waiting {
    const VERSION: u8 = 1;

    pub(super) fn expires_ms(&self) -> i64 {
        self.received_ms.saturating_add(REQUEST_MS)
    }

    fn has_expired(&self, now_ms: i64) -> bool {
        self.expires_ms() <= now_ms
    }
}

impl Codec for Waiting {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[Self::VERSION, u8::from(self.stranger)]);
        put_time(out, self.received_ms);
        put_bytes(out, self.note.as_bytes());
        self.profile.encode(out);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        if reader.byte()? != Self::VERSION {
            return Err(Malformed("its version is unknown; upgrade"));
        }
        let (stranger, received_ms) = (reader.bool()?, reader.time()?);
        Ok(Self { stranger, received_ms, note: reader.text(MAX_NOTE_BYTES)?, profile: SignedProfile::decode(reader)? })
    }
}

fn name_of(identity: &IdentityId) -> String {
    format!("{PREFIX}{identity}")
}

impl Database {
    /// The request of an identity, if one waits that has not expired.
    pub(super) fn waiting(&self, from: &IdentityId) -> Result<Option<Waiting>, ContactError> {
        let waiting: Option<Waiting> = records::read(&self.inner.store, &name_of(from))?;
        let now_ms = self.inner.host.now_ms();
        Ok(waiting.filter(|waiting| !waiting.has_expired(now_ms)))
    }

    /// All requests that wait, expired ones too, by identity.
    pub(super) fn all_waiting(&self) -> Result<Vec<(IdentityId, Waiting)>, ContactError> {
        let records = records::read_all::<Waiting>(&self.inner.store, PREFIX)?.into_iter();
        Ok(records.map(|(_, waiting)| (waiting.profile.identity(), waiting)).collect())
    }

    /// Gives a request a place, if there is one. False: all are taken, or it stands there already.
    pub(super) fn take_place(
        &self,
        _control: &Control,
        from: &IdentityId,
        note: &str,
        profile: &SignedProfile,
    ) -> Result<bool, ContactError> {
        let now_ms = self.inner.host.now_ms();
        let stranger = !self.is_member_somewhere(from);
        let all = self.all_waiting()?;
        let held = all.iter().find(|(identity, waiting)| identity == from && !waiting.has_expired(now_ms));
        if let Some((_, held)) = held {
            let same = held.note == note && held.profile == *profile;
            let soon = now_ms.saturating_sub(held.received_ms) < REPLACE_MS;
            // An older profile that is replayed, or one that changes all the time, changes nothing.
            if same || soon || held.profile.order() > profile.order() {
                return Ok(false);
            }
        }
        let (expired, standing): (Vec<_>, Vec<_>) =
            all.iter().partition(|(identity, waiting)| waiting.has_expired(now_ms) && identity != from);
        let taken = standing.iter().filter(|(identity, waiting)| identity != from && waiting.stranger == stranger);
        if taken.count() >= MAX_WAITING_REQUESTS {
            return Ok(false);
        }
        let expired: Vec<String> = expired.iter().map(|(identity, _)| name_of(identity)).collect();
        let (name, record) = (
            name_of(from),
            Waiting { stranger, received_ms: now_ms, note: note.to_owned(), profile: profile.clone() }.to_bytes(),
        );
        let mut writes: Vec<(&str, Option<&[u8]>)> = expired.iter().map(|name| (name.as_str(), None)).collect();
        writes.push((&name, Some(&record)));
        self.inner.store.set_local(&writes)?;
        Ok(true)
    }

    /// Frees the place of a request.
    pub(super) fn leave_inbox(&self, from: &IdentityId) -> Result<bool, ContactError> {
        let name = name_of(from);
        let waits = self.inner.store.local(&name)?.is_some();
        if waits {
            self.inner.store.set_local_as(Durability::Local, &[(&name, None)])?;
        }
        Ok(waits)
    }

    /// Whether an identity has a rank in any space of this database.
    pub(super) fn is_member_somewhere(&self, identity: &IdentityId) -> bool {
        let spaces = lock(&self.inner.spaces);
        let mut members = spaces.values().filter_map(|state| state.membership.identities.get(identity));
        members.any(|member| member.rank.is_some())
    }
}
