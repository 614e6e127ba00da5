//! Relations: what this identity decided about others, as documents of its private space.

use tidewater_engine::document::Document;
use tidewater_engine::id::SpaceId;
use tidewater_engine::query::Query;
use tidewater_engine::store::Durability;
use tidewater_engine::value::{Fields, Value};

use super::ContactError;
use crate::codec::Codec;
use crate::contacts::{Audience, SignedProfile, Status};
use crate::database::Database;
use crate::database::control::Control;
use crate::identity::{IdentityCard, IdentityId};

/// The collection of relations.
pub(super) const COLLECTION: &str = "tide_contact";
/// How many identities there are relations to at most.
pub const MAX_RELATIONS: usize = 4_096;
/// How long a request, and the answer to one, holds, in milliseconds: 30 days.
pub(super) const REQUEST_MS: i64 = 30 * 24 * 3_600_000;

/// What this identity decided about another one, and what it holds of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Relation {
    pub(super) identity: IdentityId,
    /// As it was decided, whether it has expired since or not.
    decided: Status,
    pub(super) since_ms: i64,
    pub(super) expires_ms: Option<i64>,
    pub(super) note: String,
    /// Whether this identity asked; else the other one did.
    pub(super) asked_by_us: bool,
    pub(super) profile: Option<SignedProfile>,
    pub(super) card: Option<IdentityCard>,
    pub(super) verified: bool,
    pub(super) refreshed_ms: i64,
}

impl Relation {
    /// None yet.
    pub(super) fn none(identity: IdentityId) -> Self {
        Self {
            identity,
            decided: Status::None,
            since_ms: 0,
            expires_ms: None,
            note: String::new(),
            asked_by_us: false,
            profile: None,
            card: None,
            verified: false,
            refreshed_ms: 0,
        }
    }

    /// What counts at this time.
    pub(crate) fn status(&self, now_ms: i64) -> Status {
        match self.decided {
            Status::Contact { .. } => {
                let audience = self.profile.as_ref().map(|profile| profile.audience);
                Status::Contact { answered: audience == Some(Audience::Contacts) }
            }
            decided if self.expires_ms.is_some_and(|at| at <= now_ms) => {
                debug_assert!(decided != Status::Blocked, "nobody is unblocked by time");
                Status::None
            }
            decided => decided,
        }
    }

    /// What was decided, expired or not.
    pub(super) fn decided(&self) -> Status {
        self.decided
    }

    /// Decides anew. What was held of the other side is forgotten, but for a contact.
    pub(super) fn decide(&mut self, status: Status, now_ms: i64) {
        let was_contact = matches!(self.decided, Status::Contact { .. });
        let is_contact = matches!(status, Status::Contact { .. });
        if !is_contact && was_contact {
            *self = Self::none(self.identity);
        }
        if !(is_contact && was_contact) {
            self.since_ms = now_ms;
        }
        let expires = matches!(status, Status::Requested | Status::Rejected | Status::Withdrawn | Status::Refused);
        self.expires_ms = expires.then(|| now_ms.saturating_add(REQUEST_MS));
        self.decided = status;
    }

    /// Holds a profile of the other side, if it is newer than what is held, or the first one for contacts. True: it is.
    pub(super) fn hold(&mut self, profile: &SignedProfile, now_ms: i64) -> bool {
        let newer = match &self.profile {
            None => true,
            Some(held) if held.audience == profile.audience => held.order() < profile.order(),
            Some(held) => held.audience < profile.audience,
        };
        if newer {
            (self.profile, self.refreshed_ms) = (Some(profile.clone()), now_ms);
        }
        newer
    }

    fn of(document: &Document) -> Option<Self> {
        let fields = &document.fields;
        let text = |name: &str| match fields.get(name) {
            Some(Value::String(text)) => Some(text.as_str()),
            _ => None,
        };
        let time = |name: &str| match fields.get(name) {
            Some(Value::Timestamp(at_ms)) => Some(*at_ms),
            _ => None,
        };
        let bytes = |name: &str| match fields.get(name) {
            Some(Value::Bytes(bytes)) => Some(bytes.as_slice()),
            _ => None,
        };
        // Whoever writes here is a device of this identity, which checked what it wrote.
        Some(Self {
            identity: document.id.as_str().parse().ok()?,
            decided: status_named(text("status")?)?,
            since_ms: time("since").unwrap_or_default(),
            expires_ms: time("expires"),
            note: text("note").unwrap_or_default().to_owned(),
            asked_by_us: text("asked") == Some("us"),
            profile: bytes("profile").and_then(|bytes| SignedProfile::from_bytes(bytes).ok()),
            card: bytes("card").and_then(|bytes| IdentityCard::from_bytes(bytes).ok()),
            verified: fields.get("verified") == Some(&Value::Bool(true)),
            refreshed_ms: time("refreshed").unwrap_or_default(),
        })
    }

    fn fields(&self) -> Fields {
        let bytes = |bytes: Option<Vec<u8>>| bytes.map_or(Value::Null, Value::Bytes);
        Fields::from([
            ("status".to_owned(), Value::String(status_name(self.decided).to_owned())),
            ("since".to_owned(), Value::Timestamp(self.since_ms)),
            ("expires".to_owned(), self.expires_ms.map_or(Value::Null, Value::Timestamp)),
            ("note".to_owned(), Value::String(self.note.clone())),
            ("asked".to_owned(), Value::String(if self.asked_by_us { "us" } else { "them" }.to_owned())),
            ("profile".to_owned(), bytes(self.profile.as_ref().map(Codec::to_bytes))),
            ("card".to_owned(), bytes(self.card.as_ref().map(Codec::to_bytes))),
            ("verified".to_owned(), Value::Bool(self.verified)),
            ("refreshed".to_owned(), Value::Timestamp(self.refreshed_ms)),
        ])
    }
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::None => "none",
        Status::Requested => "requested",
        Status::Contact { .. } => "contact",
        Status::Rejected => "rejected",
        Status::Refused => "refused",
        Status::Withdrawn => "withdrawn",
        Status::Blocked => "blocked",
    }
}

fn status_named(name: &str) -> Option<Status> {
    Some(match name {
        "requested" => Status::Requested,
        "contact" => Status::Contact { answered: false },
        "rejected" => Status::Rejected,
        "refused" => Status::Refused,
        "withdrawn" => Status::Withdrawn,
        "blocked" => Status::Blocked,
        _ => return None,
    })
}

impl Database {
    /// What this identity decided about another one.
    pub(super) fn relation(&self, identity: &IdentityId) -> Result<Relation, ContactError> {
        self.relation_in(&self.private_spaces()?, identity)
    }

    /// The same by these private spaces.
    pub(super) fn relation_in(&self, spaces: &[SpaceId], identity: &IdentityId) -> Result<Relation, ContactError> {
        let snapshot = self.snapshot()?;
        for space in spaces {
            let document = snapshot.get(Some(space), COLLECTION, &identity.to_string())?;
            if let Some(relation) = document.as_ref().and_then(Relation::of) {
                return Ok(relation);
            }
        }
        Ok(Relation::none(*identity))
    }

    /// Every relation, by identity.
    pub(super) fn relations(&self) -> Result<Vec<Relation>, ContactError> {
        self.relations_in(&self.private_spaces()?)
    }

    fn relations_in(&self, spaces: &[SpaceId]) -> Result<Vec<Relation>, ContactError> {
        let query = Query { spaces: Some(spaces.to_vec()), ..Query::all(COLLECTION) };
        let mut documents = if spaces.is_empty() { Vec::new() } else { self.snapshot()?.find(&query)?.documents };
        // Of several to one identity, that in the space with the least id counts.
        documents.sort_by(|a, b| (a.id.as_str(), a.space).cmp(&(b.id.as_str(), b.space)));
        documents.dedup_by(|later, first| later.id == first.id);
        Ok(documents.iter().filter_map(Relation::of).collect())
    }

    /// Deletes what has expired. True: there was some.
    fn forget_expired(&self, spaces: &[SpaceId]) -> Result<bool, ContactError> {
        let now_ms = self.host().now_ms();
        let relations = self.relations_in(spaces)?.into_iter();
        let expired: Vec<String> = relations
            .filter(|relation| relation.status(now_ms) == Status::None)
            .map(|relation| relation.identity.to_string())
            .collect();
        for space in spaces {
            self.transaction(Durability::Local, |transaction| {
                transaction.in_space(*space)?;
                expired.iter().try_for_each(|id| transaction.delete(COLLECTION, id).map(drop))
            })?;
        }
        Ok(!expired.is_empty())
    }

    fn count_relations(&self, space: &SpaceId) -> Result<usize, ContactError> {
        let documents = self.snapshot()?.report(space)?.documents;
        let counted = documents.into_iter().find(|(name, _)| name == COLLECTION);
        Ok(counted.map_or(0, |(_, count)| usize::try_from(count).unwrap_or(usize::MAX)))
    }

    /// Writes down what was decided, on all devices of this identity.
    pub(super) fn put_relation(&self, control: &Control, relation: &Relation) -> Result<(), ContactError> {
        let spaces = self.private_spaces_or_new(control)?;
        let (id, fields) = (relation.identity.to_string(), relation.fields());
        let gone = relation.decided == Status::None;
        for (number, space) in spaces.iter().enumerate() {
            let held = self.snapshot()?.get(Some(space), COLLECTION, &id)?;
            if number > 0 || gone {
                if held.is_some() {
                    self.transaction(Durability::Local, |transaction| {
                        transaction.in_space(*space)?;
                        transaction.delete(COLLECTION, &id).map(|_| ())
                    })?;
                }
                continue;
            }
            if held.is_none() && self.count_relations(space)? >= MAX_RELATIONS && !self.forget_expired(&spaces)? {
                let why =
                    format!("there are at most {MAX_RELATIONS} contacts, requests and blocked identities; remove some");
                return Err(ContactError::Invalid { why });
            }
            let held = held.map(|document| document.fields).unwrap_or_default();
            let changed: Fields =
                fields.clone().into_iter().filter(|(name, value)| held.get(name) != Some(value)).collect();
            if !changed.is_empty() {
                self.transaction(Durability::Local, |transaction| {
                    transaction.in_space(*space)?;
                    transaction.upsert(COLLECTION, &id, changed.clone()).map(|_| ())
                })?;
            }
        }
        Ok(())
    }
}
