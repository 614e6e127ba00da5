//! The audit trail of a space.

use std::io::Write;

use tidewater_engine::id::SpaceId;
use tidewater_engine::log::{Place, Plane};

use super::{Database, SpaceError};
use crate::audit::{self, AuditEntry, AuditExportError, AuditExported, Start, Trail};

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
        let mut state = self.state_under(&control, space)?;
        if state.table.control != self.inner.store.applied(space, Plane::Control)? {
            state = self.refresh(&control, space)?;
        }
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

    /// Writes the audit trail of a space as a file that [`verify_audit`](crate::verify_audit) checks without a database: the
    /// genesis and all control logs as they were signed and sealed, signed by this device. `docs/spec/audit.md` tells what it
    /// shows, and what it can't. Between two heads of one log at most are in memory at once.
    ///
    /// With the space's control key in it, whoever has the file reads what relays see: members, ranks, devices, which keys
    /// went to whom, of what was said and of what will be said in the space; never labels, names or documents. `sealed` leaves
    /// the key out.
    ///
    /// # Errors
    /// [`AuditExportError`]: the space is not here, or is empty; the database could not be read; the output failed.
    pub fn export_audit(
        &self,
        space: &SpaceId,
        sealed: bool,
        output: impl Write,
    ) -> Result<AuditExported, AuditExportError> {
        let state = self.space_state(space)?;
        let control_key = (!sealed).then(|| state.record.control_key.clone());
        let start = Start { space: *space, control_key, genesis: state.record.genesis.clone() };
        audit::export(&self.inner.store, &self.inner.key, self.inner.host.now_ms(), &start, output)
    }
}
