//! A small text straight from its changes, without an automerge document: what lists of documents show.
//!
//! Characters form a list. A new one goes after the character that it names, past those that follow with a greater id:
//! concurrent insertions at the same place stand in descending order, each with what was typed after it. An id is always
//! greater than that of the character it was inserted after, so this gives one order whatever the order of arrival;
//! automerge gives the same.

use std::collections::BTreeMap;

use automerge::ActorId;

use super::change::Frame;
use super::contain::unavailable;
use super::operations::{Id, Key, Op, Operations, Scalar};
use super::{MAX_TEXT_OPERATIONS, RichError};

/// The start of the list, which no operation has as its place.
const HEAD: usize = 0;

/// The characters of a text as a linked list.
pub(super) struct Characters {
    actors: Vec<ActorId>,
    nodes: Vec<Node>,
    /// Places by actor and counter.
    places: BTreeMap<(u32, u64), usize>,
}

struct Node {
    id: (u64, u32),
    character: char,
    deleted: bool,
    next: Option<usize>,
}

impl Characters {
    pub fn new() -> Self {
        let head = Node { id: (0, 0), character: '\0', deleted: true, next: None };
        Self { actors: Vec::new(), nodes: vec![head], places: BTreeMap::new() }
    }

    /// Takes a change that passed the gate; those it builds on come before it.
    pub fn apply(&mut self, bytes: &[u8]) -> Result<(), RichError> {
        let frame = Frame::parse(bytes).map_err(unavailable)?;
        let actors: Vec<u32> =
            [&frame.actor].into_iter().chain(&frame.other_actors).map(|actor| self.place_of(actor)).collect();
        let mut operations = Operations::new(&frame, MAX_TEXT_OPERATIONS).map_err(unavailable)?;
        let mut preds = Vec::new();
        let mut counter = frame.start_op;
        while let Some(op) = operations.next(&mut preds).map_err(unavailable)? {
            self.operation(&op, counter, &actors)?;
            counter += 1;
        }
        Ok(())
    }

    fn operation(&mut self, op: &Op<'_>, counter: u64, actors: &[u32]) -> Result<(), RichError> {
        let place = match op.key {
            Key::Head => HEAD,
            Key::Element(Id { actor, counter }) => {
                let place = self.places.get(&(actors[actor as usize], counter)).copied();
                place.ok_or_else(|| unavailable("a change names a character that is not there"))?
            }
            Key::Map(_) => return Err(unavailable("a text has no keys")),
        };
        match op.value {
            Scalar::Text(text) if op.insert => {
                let character = text.chars().next().ok_or_else(|| unavailable("an empty character"))?;
                self.insert(place, (counter, actors[0]), character);
            }
            _ => self.nodes[place].deleted = true,
        }
        Ok(())
    }

    fn insert(&mut self, mut after: usize, id: (u64, u32), character: char) {
        while let Some(next) = self.nodes[after].next {
            if !self.is_greater(self.nodes[next].id, id) {
                break;
            }
            after = next;
        }
        let place = self.nodes.len();
        let next = self.nodes[after].next.replace(place);
        self.nodes.push(Node { id, character, deleted: false, next });
        self.places.insert((id.1, id.0), place);
    }

    /// Ids are ordered by counter, then by the actors' bytes.
    fn is_greater(&self, one: (u64, u32), other: (u64, u32)) -> bool {
        let actor = |id: (u64, u32)| &self.actors[id.1 as usize];
        one.0 > other.0 || one.0 == other.0 && actor(one) > actor(other)
    }

    fn place_of(&mut self, actor: &ActorId) -> u32 {
        let known = self.actors.iter().position(|other| other == actor);
        known.unwrap_or_else(|| {
            self.actors.push(actor.clone());
            self.actors.len() - 1
        }) as u32
    }

    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.nodes.len());
        let mut next = self.nodes[HEAD].next;
        while let Some(place) = next {
            let node = &self.nodes[place];
            if !node.deleted {
                text.push(node.character);
            }
            next = node.next;
        }
        text
    }
}
