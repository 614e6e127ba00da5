//! Who fetched what from this database: a local log, of this device alone. Nobody signs it, and it leaves the file with nobody.

use tidewater_engine::id::SpaceId;
use tidewater_engine::store::Durability;

use super::records::{self, ACCESS_PREFIX};
use super::{AuditAccess, Database, SpaceError, lock};
use crate::codec::Codec;

/// How many accesses are remembered. A newer one takes the place of the oldest.
pub const MAX_ACCESSES: u64 = 4_096;

impl Database {
    /// What other devices fetched from this database, of one space or of all, newest first, at most `limit` of them: for each
    /// session, space and plane how many entries were sent, and when. The last [`MAX_ACCESSES`] are remembered; after a crash
    /// the counts of its last minute may be missing. A member who fetches again and again drives out older ones.
    ///
    /// # Errors
    /// [`SpaceError::Read`], [`SpaceError::Record`].
    pub fn accesses(&self, space: Option<&SpaceId>, limit: usize) -> Result<Vec<AuditAccess>, SpaceError> {
        let accesses =
            records::read_all::<AuditAccess>(&self.inner.store, ACCESS_PREFIX)?.into_iter().map(|(_, access)| access);
        let mut wanted: Vec<AuditAccess> =
            accesses.filter(|access| space.is_none_or(|space| access.space == *space)).collect();
        // Records are by when each access began.
        wanted.reverse();
        wanted.sort_by_key(|access| std::cmp::Reverse(access.last_ms));
        wanted.truncate(limit);
        Ok(wanted)
    }

    /// Remembers an access; `number` is what an earlier call for the same one gave. A crash soon after may forget it again: it
    /// is not worth waiting for.
    pub(crate) fn note_access(&self, number: Option<u64>, access: &AuditAccess) -> Result<u64, SpaceError> {
        let mut next = lock(&self.inner.next_access);
        let begun = match *next {
            Some(next) => next,
            None => {
                let held = self.inner.store.locals(ACCESS_PREFIX)?;
                held.last().and_then(|(name, _)| records::access_number(name)).map_or(0, |last| last + 1)
            }
        };
        // One that newer ones have driven out begins anew.
        let kept = number.filter(|number| begun - number <= MAX_ACCESSES);
        let number = kept.unwrap_or(begun);
        let (name, record) = (records::access(number), access.to_bytes());
        let oldest = number.checked_sub(MAX_ACCESSES).map(records::access);
        let mut writes = vec![(name.as_str(), Some(record.as_slice()))];
        writes.extend(oldest.as_deref().filter(|_| kept.is_none()).map(|oldest| (oldest, None)));
        self.inner.store.set_local_as(Durability::Buffered, &writes)?;
        *next = Some(begun.max(number + 1));
        Ok(number)
    }
}
