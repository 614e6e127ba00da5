//! Contacts: what people say of themselves, how two identities become contacts, and what is accepted without asking.
//!
//! Everything here is a function of its arguments: no store, no clock, no randomness. `docs/spec/contacts.md` gives the layouts
//! and the rules.

mod message;
mod number;
mod policy;
mod profile;
mod relation;
mod search;

pub(crate) use message::ContactMessage;
pub use number::VerificationNumber;
pub use policy::{Decision, MAX_POLICY_RULES, Policy, PolicyRule, Proposal, Relationship};
pub(crate) use profile::ProfileHash;
pub use profile::{Audience, DeviceKind, Profile, ProfileError, ProfileField, SignedProfile};
pub(crate) use relation::{Act, Heard, Outcome, Refusal, Said, Status, hears, says, wants};
pub use relation::{MAX_NOTE_BYTES, RequestState};
pub(crate) use search::fit;
pub use search::{MAX_SEARCH_RESULTS, SearchField};
