//! Two sides that hold different histories of one log find out where they part, and show each other their branches:
//! `docs/spec/session.md`, *Forks*.

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::{Branch, EMPTY_ROOT, Fork, Plane, Prefix};

use super::limits::{MAX_BRANCHES_FRAMES, RUNGS};
use super::message::{Branches, BranchesSay, Message};
use super::numbers::LogName;
use super::{Session, SessionError, SessionEvent};

/// At most [`RUNGS`] lengths above `low`, evenly spread, the last of them `high`.
fn rungs(low: u64, high: u64) -> impl Iterator<Item = u64> {
    let (span, count) = (high - low, (high - low).min(RUNGS as u64));
    // In 128 bits, since lengths have 63.
    (1..=count).map(move |rung| low + (u128::from(span) * u128::from(rung)).div_ceil(u128::from(count)) as u64)
}

impl Session {
    /// The two sides hold different histories of a log, of which both have `length` entries at least.
    pub(super) fn note_fork(
        &mut self,
        space: &SpaceId,
        plane: Plane,
        writer: WriterId,
        length: u64,
    ) -> Result<(), SessionError> {
        if self.mark_fork(space, plane, writer, length)? {
            self.compare_branches(LogName { space: *space, plane, writer }, 0, length)?;
        }
        Ok(())
    }

    /// False: that is known.
    fn mark_fork(
        &mut self,
        space: &SpaceId,
        plane: Plane,
        writer: WriterId,
        length: u64,
    ) -> Result<bool, SessionError> {
        // The branch of who doesn't know of the fork yet is no news: what proves it is on the way, in the control plane.
        let known = self.database.space_state(space)?.table.fork_length(plane, &writer) < length;
        let new = !known && self.exchanges.get_mut(space).is_some_and(|exchange| exchange.mark_forked(plane, writer));
        if new {
            self.event(SessionEvent::Forked { space: *space, plane, writer, length });
        }
        Ok(new)
    }

    /// Tells prefixes of this side's branch, of more than `low` entries and `high` at most.
    fn compare_branches(&mut self, log: LogName, low: u64, high: u64) -> Result<(), SessionError> {
        let held = self.database.vector(&log.space, log.plane)?.length(&log.writer);
        let mut roots = Vec::new();
        for length in rungs(low, high.min(held).max(low)) {
            roots.extend(self.database.prefix_at(&log.space, log.plane, &log.writer, length)?);
        }
        if !roots.is_empty() {
            self.say_of_branches(log, BranchesSay::Roots(roots));
        }
        Ok(())
    }

    fn say_of_branches(&mut self, log: LogName, say: BranchesSay) {
        let dispute = self.exchanges.get_mut(&log.space);
        let Some(dispute) = dispute.and_then(|exchange| exchange.dispute(log.plane, &log.writer)) else { return };
        if dispute.frames < MAX_BRANCHES_FRAMES {
            dispute.frames += 1;
            self.send(&Message::Branches(Branches { log, say }));
        }
    }

    pub(super) fn take_branches(&mut self, Branches { log, say }: Branches) -> Result<(), SessionError> {
        // Of a space that is not open nothing is said: unknown and forbidden look the same.
        if !self.exchanges.get(&log.space).is_some_and(|exchange| exchange.open) {
            return Ok(());
        }
        match say {
            BranchesSay::Roots(roots) => self.take_roots(log, &roots),
            BranchesSay::Branch { shared, branch } => self.take_branch(log, shared, *branch),
        }
    }

    fn take_roots(&mut self, log: LogName, roots: &[Prefix]) -> Result<(), SessionError> {
        if !roots.is_sorted_by(|one, next| one.length < next.length) || roots.iter().any(|root| root.length == 0) {
            return Err(SessionError::Protocol { why: "prefixes of a log that don't ascend".into() });
        }
        let mut shared = Prefix { length: 0, root: EMPTY_ROOT };
        let mut differs = None;
        for theirs in roots {
            match self.database.prefix_at(&log.space, log.plane, &log.writer, theirs.length)? {
                Some(ours) if ours == *theirs => shared = ours,
                Some(_) => {
                    differs = Some(theirs.length);
                    break;
                }
                None => break,
            }
        }
        // No difference here: the other side finds one in what this side tells.
        let Some(differs) = differs else { return Ok(()) };
        self.mark_fork(&log.space, log.plane, log.writer, differs)?;
        if differs == shared.length + 1 {
            self.show_branch(log, shared)
        } else {
            self.compare_branches(log, shared.length, differs)
        }
    }

    /// Shows this side's branch, once.
    fn show_branch(&mut self, log: LogName, shared: Prefix) -> Result<(), SessionError> {
        let Some(branch) = self.database.branch(&log.space, log.plane, &log.writer, &shared)? else { return Ok(()) };
        let dispute = self.exchanges.get_mut(&log.space);
        let dispute = dispute.and_then(|exchange| exchange.dispute(log.plane, &log.writer));
        if dispute.is_some_and(|dispute| !std::mem::replace(&mut dispute.shown, true)) {
            self.say_of_branches(log, BranchesSay::Branch { shared, branch: Box::new(branch) });
        }
        Ok(())
    }

    /// With the other side's branch the fork is proved, and is said in the control plane for everybody.
    fn take_branch(&mut self, log: LogName, shared: Prefix, theirs: Branch) -> Result<(), SessionError> {
        let LogName { space, plane, writer } = log;
        let Some(ours) = self.database.branch(&space, plane, &writer, &shared)? else { return Ok(()) };
        if ours.leaf == theirs.leaf {
            return Ok(());
        }
        if !theirs.verify(&space, plane, &writer, &shared) {
            return Err(SessionError::Protocol { why: "a branch of a log that its writer didn't sign".into() });
        }
        self.mark_fork(&space, plane, writer, shared.length + 1)?;
        self.show_branch(log, shared)?;
        self.database.say_fork(&space, Fork::new(plane, writer, shared, [ours, theirs]))?;
        self.review(&space)?;
        self.compare(&space)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_narrow_down_to_one_entry_whatever_the_length() {
        for high in [1, 2, 31, 32, 33, 1_000, 1 << 40, i64::MAX as u64] {
            for at in [0, high / 3, high - 1] {
                let (mut low, mut top, mut rounds) = (0, high, 0);
                while top - low > 1 {
                    let lengths: Vec<u64> = rungs(low, top).collect();
                    assert!(lengths.is_sorted_by(|one, next| one < next) && lengths.len() <= RUNGS);
                    assert_eq!(lengths.last(), Some(&top));
                    low = lengths.iter().copied().filter(|length| *length <= at).max().unwrap_or(low);
                    top = lengths.iter().copied().find(|length| *length > at).unwrap();
                    rounds += 1;
                }
                assert_eq!((low, top), (at, at + 1), "{high}");
                assert!(rounds < MAX_BRANCHES_FRAMES / 2);
            }
        }
    }
}
