//! What this side sent, as it is remembered: see [`Database::accesses`](crate::Database::accesses).

use std::collections::BTreeMap;

use tidewater_engine::id::SpaceId;
use tidewater_engine::log::Plane;

use super::Session;
use crate::database::AuditAccess;

/// How old what is remembered of a session may become while it goes on, in milliseconds.
const REMEMBER_EVERY_MS: i64 = 60_000;

/// What the other side fetched in this session, by space and plane.
#[derive(Debug, Default)]
pub(super) struct Fetches(BTreeMap<(SpaceId, Plane), Fetch>);

#[derive(Debug)]
struct Fetch {
    access: AuditAccess,
    /// The number of its record, and what that record says.
    remembered: Option<(u64, AuditAccess)>,
}

impl Session {
    /// Counts what is sent. The first of it is remembered at once, what follows once a minute and at the end.
    pub(super) fn note_fetched(&mut self, space: SpaceId, plane: Plane, entries: u64) {
        let now_ms = self.database.host().now_ms();
        let fetch = self.fetches.0.entry((space, plane)).or_insert_with(|| {
            let (device, identity) = (self.config.remote, self.peer);
            let access = AuditAccess { device, identity, space, plane, entries: 0, first_ms: now_ms, last_ms: now_ms };
            Fetch { access, remembered: None }
        });
        fetch.access.entries += entries;
        fetch.access.last_ms = now_ms;
        let due = |(_, known): &(u64, AuditAccess)| now_ms.saturating_sub(known.last_ms) >= REMEMBER_EVERY_MS;
        if fetch.remembered.as_ref().is_none_or(due) {
            self.remember_fetched(&(space, plane));
        }
    }

    /// Remembers all that was sent.
    pub(super) fn remember_all_fetched(&mut self) {
        let all: Vec<_> = self.fetches.0.keys().copied().collect();
        all.iter().for_each(|of| self.remember_fetched(of));
    }

    fn remember_fetched(&mut self, of: &(SpaceId, Plane)) {
        let Some(fetch) = self.fetches.0.get_mut(of) else { return };
        if fetch.remembered.as_ref().is_some_and(|(_, known)| *known == fetch.access) {
            return;
        }
        let number = fetch.remembered.as_ref().map(|(number, _)| *number);
        match self.database.note_access(number, &fetch.access) {
            Ok(number) => fetch.remembered = Some((number, fetch.access.clone())),
            // What is sent stays sent: that it could not be written down must not stop it, and is told.
            Err(error) => self.note_error(&format!("what the peer fetched could not be remembered: {error}")),
        }
    }
}
