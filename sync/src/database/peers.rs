//! Other devices: how to reach them, and how far the exchange with each has come.

use tidewater_engine::id::DeviceId;
use tidewater_engine::store::Durability;

use super::records::{self, PeerEntry};
use super::{Database, PeerRecord, SpaceError, lock};
use crate::codec::Codec;
use crate::identity::IdentityId;
use crate::status::PeerStatus;
use crate::ticket::Ticket;

/// How many addresses of one peer are kept.
pub const MAX_PEER_ADDRESSES: usize = 16;

impl Database {
    /// The devices this database knows how to reach or was reached by, by id.
    ///
    /// # Errors
    /// [`SpaceError::Read`].
    pub fn peers(&self) -> Result<Vec<PeerRecord>, SpaceError> {
        let mut peers = Vec::new();
        for (name, entry) in records::read_all::<PeerEntry>(&self.inner.store, records::PEER_PREFIX)? {
            let device = name[records::PEER_PREFIX.len()..].parse();
            let device = device.map_err(|_| SpaceError::Record { name, why: "its name has no device id" })?;
            let PeerEntry { identity, addresses, seen_ms } = entry;
            peers.push(PeerRecord { device, identity, addresses, seen_ms });
        }
        Ok(peers)
    }

    /// Puts addresses of a device in front of those known; at most [`MAX_PEER_ADDRESSES`] are kept, of at most
    /// [`Ticket::MAX_ADDRESS_BYTES`] bytes each; longer ones are left out.
    ///
    /// # Errors
    /// [`SpaceError::Write`].
    pub fn remember_peer(&self, device: &DeviceId, addresses: &[String]) -> Result<(), SpaceError> {
        self.update_entry(device, Durability::Local, |entry| {
            let mut merged: Vec<String> = Vec::new();
            for address in addresses.iter().chain(&entry.addresses) {
                let fits = address.len() <= Ticket::MAX_ADDRESS_BYTES && merged.len() < MAX_PEER_ADDRESSES;
                if fits && !merged.contains(address) {
                    merged.push(address.clone());
                }
            }
            entry.addresses = merged;
        })
    }

    /// Removes what is known about a device. Its ranks stay as they are.
    ///
    /// # Errors
    /// [`SpaceError::Write`].
    pub fn forget_peer(&self, device: &DeviceId) -> Result<(), SpaceError> {
        self.inner.store.set_local(&[(&records::peer(device), None)])?;
        lock(&self.inner.status).peers.remove(device);
        Ok(())
    }

    /// Notes that a session with a device was ready. A crash soon after may forget it again: it is not worth waiting for.
    pub(crate) fn saw_peer(&self, device: &DeviceId, identity: Option<IdentityId>) -> Result<(), SpaceError> {
        let now_ms = self.inner.host.now_ms();
        self.update_entry(device, Durability::Buffered, |entry| {
            entry.identity = identity.or(entry.identity);
            entry.seen_ms = Some(now_ms);
        })
    }

    fn update_entry(
        &self,
        device: &DeviceId,
        durability: Durability,
        change: impl FnOnce(&mut PeerEntry),
    ) -> Result<(), SpaceError> {
        let _control = self.control();
        let name = records::peer(device);
        let known: Option<PeerEntry> = records::read(&self.inner.store, &name)?;
        let mut entry = known.clone().unwrap_or_default();
        change(&mut entry);
        if known.as_ref() == Some(&entry) {
            return Ok(());
        }
        Ok(self.inner.store.set_local_as(durability, &[(&name, Some(&entry.to_bytes()))])?)
    }

    /// Notes in the status that a peer could not be reached, or that talking to it failed.
    pub fn report_failure(&self, device: &DeviceId, why: &str) {
        self.enter_status(device, |status| status.last_error = Some(why.to_owned()));
    }

    /// Notes that a session with a peer is open. Each is followed by one [`Database::leave_status`].
    pub(crate) fn join_status(&self, device: &DeviceId, identity: Option<IdentityId>) {
        *lock(&self.inner.sessions).entry(*device).or_default() += 1;
        self.enter_status(device, |status| {
            status.connected = true;
            status.identity = identity.or(status.identity);
            status.last_error = None;
        });
    }

    /// Notes that a session with a peer is over. Another one may still be open.
    pub(crate) fn leave_status(&self, device: &DeviceId) {
        let mut sessions = lock(&self.inner.sessions);
        let left = sessions.get(device).map_or(0, |count| count.saturating_sub(1));
        if left > 0 {
            sessions.insert(*device, left);
        } else {
            sessions.remove(device);
            self.update_status(device, |status| status.connected = false);
        }
    }

    /// Changes what the status says about a peer, and begins to tell about it if it didn't.
    fn enter_status(&self, device: &DeviceId, change: impl FnOnce(&mut PeerStatus)) {
        change(lock(&self.inner.status).peers.entry(*device).or_default());
    }

    /// Changes what the status says about a peer, if it tells about it at all.
    pub(crate) fn update_status(&self, device: &DeviceId, change: impl FnOnce(&mut PeerStatus)) {
        if let Some(status) = lock(&self.inner.status).peers.get_mut(device) {
            change(status);
        }
    }
}
