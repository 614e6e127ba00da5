//! Who may do what, and how two replicas agree: identities, spaces, keys, tickets and the sans-io session.
//!
//! [`Database`] is a [`tidewater_engine::store::Store`] that knows whose it is: it keeps the device's keys, the identity
//! and what every space's control plane means. [`Session`] is the protocol between two databases as a state machine: it
//! opens no socket, reads no clock and draws no randomness of its own, so it runs alike over every transport and in a test.

#[macro_use(planted)]
extern crate tidewater_engine;

mod armor;
pub mod audit;
mod codec;
pub mod contacts;
pub mod database;
pub mod device;
pub mod forks;
mod identity;
mod keys;
mod membership;
pub mod session;
#[cfg(test)]
mod simulation;
mod space;
pub mod status;
pub mod ticket;
#[cfg(test)]
mod vectors;

pub use audit::{
    AuditAction, AuditEntry, AuditExportError, AuditExported, AuditFault, AuditFaultKind, AuditFinding, AuditMeaning,
    AuditParty, AuditReport, AuditVerifyError, MAX_AUDIT_FINDINGS, verify_audit,
};
pub use contacts::{
    Audience, Decision, DeviceKind, MAX_NOTE_BYTES, MAX_POLICY_RULES, MAX_SEARCH_RESULTS, Policy, PolicyRule, Profile,
    ProfileError, ProfileField, Proposal, Relationship, RequestState, SearchField, SignedProfile, VerificationNumber,
};
pub use database::{
    AuditAccess, Author, Contact, ContactError, ContactRequest, CreateOptions, Database, DatabaseError, MAX_ACCESSES,
    MAX_DEPARTURES, MAX_FINISHED_OFFERS, MAX_PEER_ADDRESSES, MAX_PENDING_TICKETS, MAX_RELATIONS, MAX_SPACE_OFFERS,
    MAX_WAITING_REQUESTS, Member, MemberDevice, Offer, OfferState, OpenOptions, OwnProfile, PeerRecord, SpaceError,
    SpaceInfo, SpaceOffer,
};
pub use device::DeviceKey;
pub use identity::{CardError, Certificate, IdentityCard, IdentityGenesis, IdentityId, RecoveryWords, WordsError};
pub use membership::Verdict;
pub use session::{
    ContactNews, Input, Output, Purpose, Role, Session, SessionConfig, SessionError, SessionEvent, TicketRefusal,
};
pub use status::{PeerStatus, SpaceStatus, SyncStatus};
pub use ticket::{OfferId, OfferIdError, Ticket, TicketError, TicketKind};
