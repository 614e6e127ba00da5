//! What a change of a json value asks of operations of earlier changes. Each of those is decoded once for every level that
//! the objects lie deep, however the operations jump between them.

use std::collections::{BTreeMap, BTreeSet};

use super::past::{Past, Place};
use super::{Malformed, Stop};
use crate::rich::MAX_JSON_OPERATIONS;
use crate::rich::change::Frame;
use crate::rich::operations::{Action, Id, Key, Op, Operations};

/// An operation's id, comparable across changes: the actor's place in `Past::actors`, and the counter.
pub(super) type GlobalId = Id;

/// What later operations may ask of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    /// `None`: the root map.
    pub object: Option<GlobalId>,
    pub key: FactKey,
    pub insert: bool,
    pub action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FactKey {
    Map(Box<str>),
    Head,
    Element(GlobalId),
}

/// Where an operation is: its change's generation and number, and its place there.
type Spot = (usize, u64, u64);

/// The operations of earlier changes that a change names, and the objects in which they lie.
pub(super) struct Earlier(BTreeMap<Spot, Fact>);

impl Earlier {
    /// What `operations` name. What they name wrongly, or what does not decode, is told when they are checked.
    pub fn named_by(mut operations: Operations<'_>, past: &mut Past<'_>) -> Result<Self, Stop> {
        let (mut wanted, mut preds) = (BTreeSet::new(), Vec::new());
        while let Ok(Some(op)) = operations.next(&mut preds) {
            let element = if let Key::Element(element) = op.key { Some(element) } else { None };
            for id in op.object.into_iter().chain(element).chain(preds.iter().copied()) {
                wanted.extend(spot(past, id)?);
            }
        }
        let mut earlier = Self(BTreeMap::new());
        // Every object on the way to the root passed the gate, so there are no more levels than values nest.
        while !wanted.is_empty() {
            wanted = earlier.load(wanted, past)?;
        }
        Ok(earlier)
    }

    pub fn get(&self, generation: usize, number: u64, index: u64) -> Option<&Fact> {
        self.0.get(&(generation, number, index))
    }

    /// Decodes the changes that hold these operations, which were let through. Gives the objects in which those lie and
    /// which are not known yet.
    fn load(&mut self, wanted: BTreeSet<Spot>, past: &mut Past<'_>) -> Result<BTreeSet<Spot>, Stop> {
        let mut objects = Vec::new();
        let mut spots = wanted.into_iter().peekable();
        while let Some(&(generation, number, _)) = spots.peek() {
            let bytes = past.change(generation, number)?;
            let frame = Frame::parse(&bytes)?;
            let global: Vec<u32> =
                [&frame.actor].into_iter().chain(&frame.other_actors).map(|actor| past.place(actor)).collect();
            let mut operations = Operations::new(&frame, MAX_JSON_OPERATIONS)?;
            let (mut at, mut preds) = (0, Vec::new());
            while let Some(spot) = spots.next_if(|spot| (spot.0, spot.1) == (generation, number)) {
                while let Some(op) = operations.next(&mut preds)? {
                    at += 1;
                    if at > spot.2 {
                        let fact = fact(&op, |id| Id { actor: global[id.actor as usize], counter: id.counter });
                        objects.extend(fact.object);
                        self.0.insert(spot, fact);
                        break;
                    }
                }
            }
        }
        let mut next = BTreeSet::new();
        for id in objects {
            next.extend(spot(past, id)?.filter(|spot| !self.0.contains_key(spot)));
        }
        Ok(next)
    }
}

/// Where an operation of an earlier change is. `None`: it is not one, or not there.
fn spot(past: &mut Past<'_>, id: GlobalId) -> Result<Option<Spot>, Stop> {
    match past.find(id, MAX_JSON_OPERATIONS) {
        Ok(Place::Earlier { generation, number, index, .. }) => Ok(Some((generation, number, index))),
        Ok(Place::Genesis | Place::Here(_)) | Err(Stop::Malformed(Malformed::Reference { .. })) => Ok(None),
        Err(other) => Err(other),
    }
}

pub(super) fn fact(op: &Op<'_>, id: impl Fn(Id) -> GlobalId) -> Fact {
    let key = match op.key {
        Key::Map(key) => FactKey::Map(key.into()),
        Key::Head => FactKey::Head,
        Key::Element(element) => FactKey::Element(id(element)),
    };
    Fact { object: op.object.map(id), key, insert: op.insert, action: op.action }
}
