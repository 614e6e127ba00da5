//! The audit trail of a space.

use tidewater_engine::id::SpaceId;
use tidewater_engine::log::Place;

use super::{Database, SpaceError};
use crate::audit::{AuditEntry, Trail};

impl Database {
    /// The audit trail of a space: its control commits in causal order, whatever they came to, at most `limit` of them. The
    /// next ones come `after` the place of the last of these. Databases that hold the same tell the same, but for names and
    /// labels that one of them can't read.
    ///
    /// Every page reads the whole control plane.
    ///
    /// # Errors
    /// [`SpaceError::UnknownSpace`], [`SpaceError::Invalid`] when no commit stands at `after`, [`SpaceError::Read`].
    pub fn audit(&self, space: &SpaceId, after: Option<&Place>, limit: usize) -> Result<Vec<AuditEntry>, SpaceError> {
        // Held so that what is read is what was evaluated.
        let control = self.control();
        let state = self.state_under(&control, space)?;
        let records = self.inner.store.control_history(space)?;
        drop(control);
        let trail = Trail::new(*space, records, &state.membership, &state.table.epochs);
        let from = match after {
            None => 0,
            Some(place) => {
                let unknown = || SpaceError::Invalid {
                    why: format!(
                        "no control commit of {} stands at {}; begin with the first page",
                        place.writer, place.sequence
                    ),
                };
                trail.number_of(place).ok_or_else(unknown)? + 1
            }
        };
        Ok(trail.entries(from, limit))
    }
}
