//! What a change may refer to: the operations before it.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{ActorId, ChangeHash};

use super::{Malformed, Origin, Stop};
use crate::id::WriterId;
use crate::operation::FieldKind;
use crate::rich::change::Frame;
use crate::rich::columns::boolean_runs;
use crate::rich::document::Generation;
use crate::rich::genesis;
use crate::rich::operations::Id;
use crate::rich::rows::{self, damaged};

/// The operations that a change may refer to, found through the rows of its cell and of the generations it continues.
pub(super) struct Past<'a> {
    kind: FieldKind,
    /// Up to the change's own, which is the last.
    generations: &'a [Generation<'a>],
    origin: Origin<'a>,
    /// The change's own actor, the others it lists, then those that earlier changes name.
    pub actors: Vec<ActorId>,
    pub start_op: u64,
    /// Where each actor's changes are, once asked for.
    homes: Vec<Option<Home>>,
    /// Changes by actor and first counter.
    met: BTreeMap<(u32, u64), Met>,
    /// The earlier generations in which something was found.
    reached: BTreeSet<u64>,
}

/// Where an actor's changes are.
#[derive(Debug, Clone, Copy)]
struct Home {
    generation: usize,
    slot: u32,
    writer: WriterId,
}

/// A change that an operation refers to.
#[derive(Debug)]
struct Met {
    generation: usize,
    number: u64,
    max_op: u64,
    /// Ends of runs of deletions and insertions, in turn.
    inserts: Vec<(u64, bool)>,
}

/// Where an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The one operation of the genesis change.
    Genesis,
    /// In the change itself.
    Here(u64),
    /// In an earlier change.
    Earlier {
        /// The place of its generation.
        generation: usize,
        /// The change's number there.
        number: u64,
        /// The operation's place in the change.
        index: u64,
        /// Whether it inserts, in a text.
        inserts: bool,
    },
}

impl<'a> Past<'a> {
    pub fn new(kind: FieldKind, generations: &'a [Generation<'a>], origin: Origin<'a>, frame: &Frame<'_>) -> Self {
        let actors: Vec<_> = [&frame.actor].into_iter().chain(&frame.other_actors).cloned().collect();
        let homes = vec![None; actors.len()];
        let (met, reached) = (BTreeMap::new(), BTreeSet::new());
        Self { kind, generations, origin, actors, start_op: frame.start_op, homes, met, reached }
    }

    /// The place of `actor` in `actors`, which grows by those that only earlier changes name.
    pub fn place(&mut self, actor: &ActorId) -> u32 {
        let known = self.actors.iter().position(|other| other == actor);
        known.unwrap_or_else(|| {
            self.actors.push(actor.clone());
            self.homes.push(None);
            self.actors.len() - 1
        }) as u32
    }

    /// The last counter of a dependency.
    pub fn max_op(&mut self, dep: &ChangeHash) -> Result<u64, Stop> {
        if *dep == genesis::hash(self.kind) {
            return Ok(1);
        }
        for generation in self.generations.iter().rev() {
            let Some((slot, entry)) = rows::by_hash(generation.rows, dep).map_err(Stop::Read)? else { continue };
            let writer = rows::writer(generation.rows, slot).map_err(Stop::Read)?;
            if !self.seen(&writer, entry.sequence) {
                return Err(Malformed::UnseenDep(*dep).into());
            }
            self.reached.insert(generation.number);
            return Ok(entry.max_op);
        }
        Err(Malformed::UnknownDep(*dep).into())
    }

    /// Whether `id` is the object that the genesis change makes.
    pub fn is_genesis(&self, id: Id) -> bool {
        id.counter == 1 && self.actors[id.actor as usize].to_bytes() == genesis::ACTOR
    }

    /// Finds the operation `id` for operation `at` of the change, which must come after it.
    #[inline]
    pub fn find(&mut self, id: Id, at: u64) -> Result<Place, Stop> {
        if id.counter >= self.start_op + at {
            return Err(missing(at));
        }
        if id.actor == 0 && id.counter >= self.start_op {
            return Ok(Place::Here(id.counter - self.start_op));
        }
        if self.is_genesis(id) {
            return Ok(Place::Genesis);
        }
        self.find_earlier(id, at)
    }

    fn find_earlier(&mut self, id: Id, at: u64) -> Result<Place, Stop> {
        let near = self.met.range(..=(id.actor, id.counter)).next_back();
        let known = near.filter(|((actor, _), met)| *actor == id.actor && met.max_op >= id.counter);
        let start = match known {
            Some((&(_, start), _)) => start,
            None => self.meet(id, at)?,
        };
        let met = &self.met[&(id.actor, start)];
        let index = id.counter - start;
        let run = met.inserts.partition_point(|(end, _)| *end <= index);
        let inserts = met.inserts.get(run).is_some_and(|(_, inserts)| *inserts);
        Ok(Place::Earlier { generation: met.generation, number: met.number, index, inserts })
    }

    /// Looks up the change that holds `id`. Returns its first counter.
    fn meet(&mut self, id: Id, at: u64) -> Result<u64, Stop> {
        let home = self.home(id, at)?;
        let Generation { number, rows } = self.generations[home.generation];
        let entry = rows::last_of(rows, home.slot, id.counter).map_err(Stop::Read)?;
        let entry = entry.filter(|entry| entry.max_op >= id.counter).ok_or_else(|| missing(at))?;
        if !self.seen(&home.writer, entry.sequence) {
            return Err(missing(at));
        }
        self.reached.insert(number);
        let inserts = boolean_runs(&entry.inserts).map_err(|error| Stop::Read(damaged("entry", &error)))?;
        let met = Met { generation: home.generation, number: entry.number, max_op: entry.max_op, inserts };
        self.met.insert((id.actor, entry.start_op), met);
        Ok(entry.start_op)
    }

    fn home(&mut self, id: Id, at: u64) -> Result<Home, Stop> {
        if let Some(home) = self.homes[id.actor as usize] {
            return Ok(home);
        }
        for (generation, each) in self.generations.iter().enumerate().rev() {
            if let Some(slot) = rows::slot(each.rows, &self.actors[id.actor as usize]).map_err(Stop::Read)? {
                let writer = rows::writer(each.rows, slot).map_err(Stop::Read)?;
                let home = Home { generation, slot, writer };
                self.homes[id.actor as usize] = Some(home);
                return Ok(home);
            }
        }
        Err(missing(at))
    }

    fn seen(&self, writer: &WriterId, sequence: u64) -> bool {
        writer == self.origin.writer || (self.origin.past)(writer, sequence)
    }

    /// The earlier generations in which something was found, ascending.
    pub fn reaches(&self) -> Vec<u64> {
        let own = self.generations.last().map(|own| own.number);
        self.reached.iter().copied().filter(|number| Some(*number) != own).collect()
    }

    /// The bytes of an earlier change.
    pub fn change(&self, generation: usize, number: u64) -> Result<Vec<u8>, Stop> {
        rows::change(self.generations[generation].rows, number).map_err(Stop::Read)
    }
}

fn missing(operation: u64) -> Stop {
    Malformed::Reference { operation, why: "names an operation that it does not come after" }.into()
}
