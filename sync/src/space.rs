//! Control operations: what the control plane of a space says, and its layout.
//!
//! `docs/spec/membership.md` is the specification; the least rank each operation needs stands there and in
//! [`crate::membership`].

mod fork;
mod genesis;
mod operation;
mod removal;

pub(crate) use genesis::{Founder, SpaceGenesis};
pub(crate) use operation::{
    ControlOperation, CutRecord, EpochStart, EpochWrap, Grant, Leave, OlderEpoch, OperationError, Revoke,
};
pub(crate) use removal::Removal;
