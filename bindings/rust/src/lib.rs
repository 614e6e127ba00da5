//! The public names of Tidewater for Rust programs: re-exports, and nothing of its own.
//!
#![doc = include_str!("../README.md")]

pub use tidewater_engine::document::{Conflict, ConflictPolicy, ConflictedDocument, Document, Sibling};
pub use tidewater_engine::fields;
pub use tidewater_engine::host::Host;
pub use tidewater_engine::id::{
    CommitId, ConflictVersion, DatabaseId, DeviceId, DocumentId, IdError, SpaceId, WriterId,
};
pub use tidewater_engine::operation::FieldKind;
pub use tidewater_engine::port;
pub use tidewater_engine::query::{
    Access, Comparison, Cursor, Delta, Filter, Found, LanguageError, LiveError, LiveQuery, Nulls, Order, Page, Plan,
    Query,
};
pub use tidewater_engine::schema::{Field, Index, Schema, ValueType};
pub use tidewater_engine::space::Rank;
pub use tidewater_engine::store::{
    Change, ChangeGuard, Collection, Cost, Durability, Edit, Location, OpenError, PathSegment, ReadError, Resolution,
    Resolved, Seal, SealError, SealKind, SecretError, Snapshot, SpaceReport, Store, Transaction, TransactionError,
    VerifyReport, Watch, WatchStopper, WriteError,
};
pub use tidewater_engine::value::{Blob, Fields, JsonError, Reference, Value, fields_from_json, fields_to_json};
pub use tidewater_net::host::{SystemHost, create, create_unlinked, in_memory, open, open_options, state_folder};
pub use tidewater_net::node::{
    ConnectError, ConnectionMode, Events, JoinError, Joined, Node, NodeConfig, NodeEvent, NodePeer, NodeStatus,
    RetryPolicy, StartError,
};
pub use tidewater_net::transport::{Addr, AddrError};
pub use tidewater_sync::{
    Audience, AuditAccess, AuditAction, AuditEntry, AuditExportError, AuditExported, AuditFault, AuditFaultKind,
    AuditFinding, AuditMeaning, AuditParty, AuditReport, AuditVerifyError, Author, Contact, ContactError, ContactNews,
    ContactRequest, CreateOptions, Database, DatabaseError, Decision, DeviceKind, IdentityCard, IdentityId, Member,
    MemberDevice, Offer, OfferId, OfferIdError, OfferState, OpenOptions, OwnProfile, PeerRecord, PeerStatus, Policy,
    PolicyRule, Profile, ProfileError, ProfileField, Proposal, RecoveryWords, Relationship, RequestState, SearchField,
    SessionEvent, SignedProfile, SpaceError, SpaceInfo, SpaceOffer, SpaceStatus, SyncStatus, Ticket, TicketError,
    TicketKind, Verdict, VerificationNumber, WordsError, verify_audit,
};
