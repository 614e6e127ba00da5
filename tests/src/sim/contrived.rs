//! Commits that no honest database writes, rightly signed by a hostile member: false histories, bodies that say nothing,
//! operations beyond its rank, generations out of reach, commits without an end.

use std::collections::BTreeMap;
use std::fmt;

use ed25519_dalek::SigningKey;
use tidewater_engine::id::{DocumentId, Incarnation, SpaceId, WriterId};
use tidewater_engine::log::seal::EntryDraft;
use tidewater_engine::log::{Moved, Plane, Prefix};
use tidewater_engine::operation::{Action, FieldOp, Operation, encode_commit};
use tidewater_engine::space::{EffectiveTable, Rank};
use tidewater_engine::value::Value;
use tidewater_sync::Database;

use super::Failure;
use super::fault::Fault;
use super::world::World;
use crate::forger::Forger;
use crate::random::Random;

/// The logs that are written by hand, one for each space.
#[derive(Default)]
pub(super) struct Contrived(BTreeMap<SpaceId, Forger>);

impl fmt::Debug for Contrived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl World {
    /// The hostile member adds a commit to a log that its database didn't write.
    pub(super) fn contrive(&mut self, random: &mut Random) -> Result<(), Failure> {
        let number = self.settings.replicas - 1;
        let Some(space) = self.some_space(number, random) else { return Ok(()) };
        let Some(database) = self.replicas[number].healthy().cloned() else { return Ok(()) };
        let Some(table) = database.effective(&space) else { return Ok(()) };
        let Some(key) = table.write_epoch.and_then(|epoch| table.epochs.get(&epoch)) else { return Ok(()) };
        let signing = SigningKey::from_bytes(database.device_key().expose_seed());
        let forger = self.mischief.contrived.0.entry(space).or_insert_with(|| {
            let writer =
                WriterId { device: database.device(), incarnation: Incarnation(random.number().to_be_bytes()) };
            Forger::new(signing, space, Plane::Data, writer)
        });
        let before = forger.length();
        let what = *random.pick(&WHAT);
        let (dependencies, bytes) = what.of(&database, &space, &table, random);
        let (first, last) = what.flags();
        let timestamp_ms = database.host().now_ms();
        let draft = EntryDraft { timestamp_ms, first, last, dependencies, control: Moved::new() };
        if what == What::Endless && before > 0 || !forger.seal(draft, key, &bytes) {
            return Ok(());
        }
        let batch = forger.batch(before);
        // Refused where it is the member's own database that finds it out: then nobody else sees it either.
        let outcome = database.receive(&batch);
        if outcome.is_err() {
            self.mischief.contrived.0.remove(&space);
        } else {
            self.faults.note(Fault::Contrived);
        }
        self.tell(&format!("{number} signs {what:?}: taken {}", outcome.is_ok()));
        self.settle(number)
    }
}

/// What is wrong with a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Nothing: it is written by hand, and right.
    Nothing,
    /// It names a root that a log never had.
    OtherRoot,
    /// It names more of a log than there is.
    Future,
    /// It names a writer that nobody knows.
    Unknown,
    /// Its body holds no operations.
    Noise,
    /// It needs rank admin.
    Schema,
    /// It names a generation that nobody can have reached.
    FarGeneration,
    /// It edits a life that nothing opened.
    Unopened,
    /// It opens and closes at once what others use.
    Churn,
    /// It begins and never ends.
    Endless,
}

const WHAT: [What; 10] = [
    What::Nothing,
    What::OtherRoot,
    What::Future,
    What::Unknown,
    What::Noise,
    What::Schema,
    What::FarGeneration,
    What::Unopened,
    What::Churn,
    What::Endless,
];

impl What {
    fn flags(self) -> (bool, bool) {
        (true, self != Self::Endless)
    }

    /// What such a commit depends on, and its bytes.
    fn of(self, database: &Database, space: &SpaceId, table: &EffectiveTable, random: &mut Random) -> (Moved, Vec<u8>) {
        let set = |generation, action: fn(Vec<(String, FieldOp)>) -> Action| {
            let fields = vec![("register".to_owned(), FieldOp::Set(Value::String("contrived".into())))];
            operation("free", "one", generation, action(fields))
        };
        let bytes = match self {
            Self::Noise | Self::Endless => {
                let count = 1 + random.below(200);
                return (Moved::new(), (0..count).map(|_| random.number() as u8).collect());
            }
            Self::Schema if table.rank(&database.device()) < Some(Rank::Admin) => {
                vec![operation("$schemas", "free", 1, Action::Insert(Vec::new()))]
            }
            Self::FarGeneration => vec![set(u64::MAX - 1, Action::Insert)],
            Self::Unopened => vec![set(2 + random.below(4) as u64, Action::Edit)],
            Self::Churn => {
                let generation = 1 + random.below(4) as u64;
                let counted = vec![("counter".to_owned(), FieldOp::Add(i64::MAX))];
                vec![
                    operation("declared", "one", generation, Action::Insert(counted)),
                    operation("declared", "one", generation, Action::Delete),
                    operation("declared", "one", generation + 1, Action::Restore { continues: generation }),
                ]
            }
            _ => vec![set(1, Action::Edit)],
        };
        (self.dependencies(database, space, random), encode_commit(&bytes).expect("well-formed, if not true"))
    }

    fn dependencies(self, database: &Database, space: &SpaceId, random: &mut Random) -> Moved {
        let vector = database.vector(space, Plane::Data).unwrap_or_default();
        let logs: Vec<(WriterId, Prefix)> =
            vector.iter().filter(|(writer, _)| writer.device != database.device()).map(|(w, p)| (*w, *p)).collect();
        if logs.is_empty() {
            return Moved::new();
        }
        let (writer, held) = *random.pick(&logs);
        match self {
            Self::OtherRoot => vec![(writer, Prefix { root: [7; 32], ..held })],
            Self::Future => vec![(writer, Prefix { length: held.length + 9, root: [7; 32] })],
            Self::Unknown => {
                let stranger = WriterId { incarnation: Incarnation([random.number() as u8; 8]), ..writer };
                vec![(stranger, Prefix { length: 1, root: [7; 32] })]
            }
            _ => Moved::new(),
        }
    }
}

fn operation(collection: &str, id: &str, generation: u64, action: Action) -> Operation {
    Operation { collection: collection.to_owned(), id: DocumentId::new(id).expect("an id"), generation, action }
}
