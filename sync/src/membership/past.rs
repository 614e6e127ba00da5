//! Control commits read once, and which of them lie in the causal past of which.

use std::collections::BTreeMap;

use tidewater_engine::id::WriterId;
use tidewater_engine::store::ControlCommit;

use crate::space::{ControlOperation, OperationError};

/// Where something was said: in the space's genesis, or by the commit of this number in [`History`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    Genesis,
    Commit(usize),
}

/// The control commits in a causal order that depends on nothing but the commits, each read once.
pub(super) struct History<'a> {
    commits: Vec<(&'a ControlCommit, Result<ControlOperation, OperationError>)>,
    /// The commit with which each writer began.
    first: BTreeMap<WriterId, usize>,
}

impl<'a> History<'a> {
    pub(super) fn read(commits: &'a [ControlCommit]) -> Self {
        let mut sorted: Vec<&ControlCommit> = commits.iter().collect();
        // A commit's past is larger than the past of everything in it.
        sorted.sort_by_key(|commit| (commit.past.total(), commit.writer, commit.sequence));
        let commits: Vec<_> = sorted.into_iter().map(|commit| (commit, ControlOperation::read(&commit.body))).collect();
        let first = commits.iter().enumerate().filter(|(_, (commit, _))| commit.sequence == 0);
        let first = first.map(|(number, (commit, _))| (commit.writer, number)).collect();
        Self { commits, first }
    }

    pub(super) fn len(&self) -> usize {
        self.commits.len()
    }

    pub(super) fn commit(&self, number: usize) -> &'a ControlCommit {
        self.commits[number].0
    }

    pub(super) fn operation(&self, number: usize) -> Result<&ControlOperation, OperationError> {
        self.commits[number].1.as_ref().map_err(|error| *error)
    }

    /// The well-formed operations with their numbers, in causal order.
    pub(super) fn operations(&self) -> impl Iterator<Item = (usize, &ControlOperation)> {
        self.commits.iter().enumerate().filter_map(|(number, (_, operation))| Some((number, operation.as_ref().ok()?)))
    }

    pub(super) fn first_of(&self, writer: &WriterId) -> Option<usize> {
        self.first.get(writer).copied()
    }

    /// Whether `earlier` lies in the causal past of the commit `later`.
    pub(super) fn precedes(&self, earlier: Origin, later: usize) -> bool {
        match earlier {
            Origin::Genesis => true,
            Origin::Commit(earlier) => {
                let earlier = self.commit(earlier);
                self.commit(later).past.length(&earlier.writer) > earlier.sequence
            }
        }
    }
}
