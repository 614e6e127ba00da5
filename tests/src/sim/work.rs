//! What the users of the replicas do: write, read, change schemas, and compare what they see with what they must see.

use std::collections::BTreeMap;

use tidewater_engine::id::SpaceId;
use tidewater_engine::log::Plane;
use tidewater_engine::query::{Filter, Query};
use tidewater_engine::schema::Schema;
use tidewater_engine::store::{Durability, Edit, ReadError, Transaction, TransactionError, WriteError};
use tidewater_engine::value::{Fields, Value};

use super::Failure;
use super::fault::Fault;
use super::ledger::Acknowledged;
use super::world::World;
use crate::disk::Faults;
use crate::edits::{Action, Write, is_refusal};
use crate::random::Random;

/// Schemas that `declared` goes through: the kinds stay, the indexes change.
const SCHEMAS: [&str; 3] = [
    crate::edits::SCHEMA,
    r#"{"fields": {"counter": {"kind": "counter"}, "set": {"kind": "set"}, "text": {"kind": "text"}, "json": {"kind": "json"}},
        "indexes": {"by_counter": {"fields": ["counter", "register"]}, "by_set": {"fields": ["set"]}}}"#,
    r#"{"fields": {"counter": {"kind": "counter"}, "set": {"kind": "set"}, "text": {"kind": "text"}, "json": {"kind": "json"}},
        "indexes": {"by_register": {"fields": ["register"]}, "by_text": {"fields": ["text"]}, "by_json": {"fields": ["json.a"]}}}"#,
];

/// How large a document is that fills a disk, in bytes, and how many are tried.
const FILLER_BYTES: usize = 24 << 10;
const FILLERS: usize = 40;

/// The user gives a transaction up.
#[derive(Debug)]
pub(super) enum Given {
    Up,
    Refused(WriteError),
}

impl From<WriteError> for Given {
    fn from(error: WriteError) -> Self {
        Self::Refused(error)
    }
}

impl From<ReadError> for Given {
    fn from(error: ReadError) -> Self {
        Self::Refused(error.into())
    }
}

impl World {
    /// One thing that somebody does, and maybe one that goes wrong.
    pub(super) fn act(&mut self, tick: u32, random: &mut Random) -> Result<(), Failure> {
        self.trace.note(self.now_ms, &tick.to_le_bytes());
        let on = self.faults.on();
        if !on.is_empty() && random.one_in(7) {
            let fault = *random.pick(&on);
            match fault {
                Fault::OneWay | Fault::Isolated | Fault::Bridged | Fault::Slow => self.darken(fault, random),
                Fault::Contrived => self.contrive(random)?,
                _ => self.break_machine(fault, random)?,
            }
        }
        let running: Vec<usize> =
            (0..self.replicas.len()).filter(|number| self.replicas[*number].running.is_some()).collect();
        if running.is_empty() {
            return Ok(());
        }
        let number = *random.pick(&running);
        match random.below(100) {
            0..58 => self.write(number, random),
            58..70 => self.bear_witness(number, random),
            70..80 => self.look_around(number, random),
            80..84 => self.change_schema(number, random),
            84..96 => self.share(number, random),
            _ => {
                let after_ms = random.below(3_000) as i64;
                self.restart(number, after_ms);
                Ok(())
            }
        }
    }

    /// A space that a replica holds; mostly the first.
    pub(super) fn some_space(&self, number: usize, random: &mut Random) -> Option<SpaceId> {
        let database = self.replicas[number].database()?;
        let spaces = database.spaces();
        let main = self.spaces[0].0;
        if spaces.contains(&main) && !random.one_in(4) {
            return Some(main);
        }
        (!spaces.is_empty()).then(|| *random.pick(&spaces))
    }

    fn write(&mut self, number: usize, random: &mut Random) -> Result<(), Failure> {
        let Some(space) = self.some_space(number, random) else { return Ok(()) };
        let count = if random.one_in(3) { 1 + random.below(6) } else { 1 };
        let writes: Vec<Write> = (0..count).map(|_| self.some_write(number, space, random)).collect();
        let gives_up = random.one_in(12);
        let durability = if random.one_in(6) { Durability::Buffered } else { Durability::Local };
        for write in &writes {
            self.check_read(number, space, write)?;
        }
        let outcome = self.transact(number, space, durability, |transaction| {
            writes.iter().try_for_each(|write| write.run(transaction))?;
            if gives_up { Err(Given::Up) } else { Ok(()) }
        })?;
        let done: Vec<String> =
            writes.iter().map(|write| format!("{}/{} {:?}", write.collection, write.id, write.action)).collect();
        self.tell(&format!("{number} {outcome} ({durability:?}): {}", done.join("; ")));
        if outcome == "writes"
            && let Some(running) = &mut self.replicas[number].running
        {
            let hostile = self.settings.hostile;
            writes.iter().for_each(|write| running.model.write(space, write, hostile));
        }
        if self.replicas[number].healthy().is_some() {
            for write in &writes {
                self.check_read(number, space, write)?;
            }
        }
        if random.one_in(4)
            && let Some(database) = self.replicas[number].healthy()
        {
            database.flush().map_err(|error| self.failure(format!("a flush: {error}")))?;
            self.settle_own(number)?;
        }
        Ok(())
    }

    /// A write that has a chance: most others are refused, since the document is there, or is not.
    fn some_write(&self, number: usize, space: SpaceId, random: &mut Random) -> Write {
        let alive = |write: &Write| {
            let snapshot = self.replicas[number].healthy()?.snapshot().ok()?;
            Some(snapshot.get(Some(&space), write.collection, write.id).ok()?.is_some())
        };
        let mut write = Write::random(random);
        for _ in 0..4 {
            match (alive(&write), &write.action) {
                (Some(true), Action::Insert(_) | Action::Restore)
                | (Some(false), Action::Update(_) | Action::Delete) => {
                    write = Write::random(random);
                }
                _ => break,
            }
        }
        write
    }

    /// Writes until the power goes, maybe in the middle of a commit.
    pub(super) fn write_until_dark(&mut self, number: usize, random: &mut Random) {
        let Some(database) = self.replicas[number].healthy().cloned() else { return };
        let calls = random.below(24) as u32;
        self.replicas[number].disk.set_faults(Faults { power: Some(calls), ..Faults::default() });
        let durability = if random.one_in(4) { Durability::Buffered } else { Durability::Local };
        let Some(home) = database.home() else { return };
        for _ in 0..=random.below(4) {
            let write = Write::random(random);
            let outcome = database.transaction(durability, |transaction| write.run(transaction));
            // What became of one that failed is told by the disk, when it is read again.
            if outcome.is_ok()
                && let Ok(vector) = database.vector(&home, Plane::Data)
            {
                self.ledger.held.insert((number, home), vector);
            }
        }
    }

    /// Writes until there is no room for more.
    pub(super) fn write_until_full(&mut self, number: usize) -> Result<(), Failure> {
        let Some(space) = self.replicas[number].database().and_then(|database| database.home()) else { return Ok(()) };
        let mut written = 0;
        while written < FILLERS && self.replicas[number].disk.counts().full == 0 {
            let mut bytes = vec![0; FILLER_BYTES];
            bytes.iter_mut().for_each(|byte| *byte = self.chance.number() as u8);
            let outcome = self.transact(number, space, Durability::Local, |transaction| {
                transaction.upsert("fillers", "one", Fields::from([("bytes".into(), Value::Bytes(bytes))]))?;
                Ok(())
            })?;
            if outcome != "writes" {
                break;
            }
            written += 1;
        }
        self.tell(&format!("{number} writes {written} large documents until its disk is full"));
        Ok(())
    }

    /// One of a member's two lives writes its number.
    pub(super) fn write_as_twin(&mut self, number: usize) -> Result<(), Failure> {
        let Some(home) = self.replicas[number].database().and_then(|database| database.home()) else { return Ok(()) };
        let fields = Fields::from([("number".to_owned(), Value::Int(number as i64))]);
        self.transact(number, home, Durability::Local, |transaction| {
            transaction.upsert("free", "twin", fields)?;
            Ok(())
        })?;
        Ok(())
    }

    /// Two counters that always move together, and what this device has seen of the others': readers must never see
    /// one without the other, nor what was seen without what it saw.
    fn bear_witness(&mut self, number: usize, random: &mut Random) -> Result<(), Failure> {
        let Some(space) = self.some_space(number, random) else { return Ok(()) };
        let other = random.below(self.settings.replicas);
        let outcome = self.transact(number, space, Durability::Local, |transaction| {
            for side in ["left", "right"] {
                let id = format!("{side}-{number}");
                if transaction.get("pairs", &id)?.is_none() {
                    transaction.insert("pairs", Some(&id), Fields::new())?;
                }
                transaction.update("pairs", &id, vec![("n".into(), Edit::Increment(1))])?;
            }
            let seen = count_of(transaction, other)?;
            let field = format!("of-{other}");
            transaction.upsert("pairs", &format!("seen-{number}"), Fields::from([(field, Value::Int(seen))]))?;
            Ok(())
        })?;
        self.tell(&format!("{number} {outcome} both of its counters, and what it saw of {other}"));
        Ok(())
    }

    /// Runs a transaction, and notes what it came to. Only a sick disk may fail it.
    pub(super) fn transact(
        &mut self,
        number: usize,
        space: SpaceId,
        durability: Durability,
        body: impl FnOnce(&mut Transaction<'_>) -> Result<(), Given>,
    ) -> Result<&'static str, Failure> {
        let Some(database) = self.replicas[number].database().cloned() else { return Ok("is down") };
        let outcome = database.transaction(durability, |transaction| {
            transaction.in_space(space)?;
            body(transaction)
        });
        let came_to = match outcome {
            Ok(()) => {
                self.trace.count(if durability == Durability::Local { "commits" } else { "buffered commits" });
                if durability == Durability::Local && self.replicas[number].healthy().is_some() {
                    self.acknowledge(number, space)?;
                }
                "writes"
            }
            Err(TransactionError::Aborted(Given::Up)) => {
                self.trace.count("transactions given up");
                "gives up"
            }
            Err(TransactionError::Aborted(Given::Refused(error)) | TransactionError::Write(error)) => {
                let may_be = is_refusal(&error)
                    || matches!(error, WriteError::Forbidden { .. })
                    || self.replicas[number].is_sick();
                if !may_be {
                    return Err(self.failure(format!("a write of replica {number} failed: {error}")));
                }
                self.trace.count("writes refused");
                "is refused"
            }
        };
        self.settle_own(number)?;
        Ok(came_to)
    }

    fn acknowledge(&mut self, number: usize, space: SpaceId) -> Result<(), Failure> {
        let Some(database) = self.replicas[number].database() else { return Ok(()) };
        let writer = database.writer();
        let vector = database.vector(&space, Plane::Data).map_err(|error| self.failure(error.to_string()))?;
        let length = vector.length(&writer);
        let table = database.effective(&space);
        let counts =
            table.and_then(|table| Some(table.devices.get(&writer.device)?.effective_length(writer.incarnation)));
        if counts.is_none_or(|counts| counts < length) {
            let why = format!("replica {number} acknowledged commit {length} of its log, of which {counts:?} count");
            return Err(self.failure(why));
        }
        let before = self.ledger.held.get(&(number, space)).map_or(0, |held| held.length(&writer));
        if length > before {
            self.check_epoch(number, &space, length)?;
        }
        if length > 0 {
            self.ledger.acknowledged.push(Acknowledged { replica: number, space, writer, length, lost: false });
        }
        Ok(())
    }

    /// What a device reads of the document of a write is what the plain maps say.
    fn check_read(&mut self, number: usize, space: SpaceId, write: &Write) -> Result<(), Failure> {
        let Some(database) = self.replicas[number].healthy() else { return Ok(()) };
        let look = || {
            let snapshot = database.snapshot()?;
            let declared = snapshot.schema(&space, "declared")?.is_some();
            Ok((declared, snapshot.get(Some(&space), write.collection, write.id)?))
        };
        let read: Result<_, ReadError> = look();
        let (declared, read) = read.map_err(|error| self.failure(format!("a read of replica {number}: {error}")))?;
        let Some(running) = &mut self.replicas[number].running else { return Ok(()) };
        if !declared {
            // Before the schema comes, fields have any kind.
            running.model.forget(&space);
            return Ok(());
        }
        let fields = read.map(|document| document.fields);
        let checked = running.model.check(space, write.collection, write.id, fields);
        checked.map_err(|why| self.failure(format!("replica {number}: {why}")))
    }

    /// Queries give what a scan by hand gives.
    fn look_around(&mut self, number: usize, random: &mut Random) -> Result<(), Failure> {
        let Some(database) = self.replicas[number].healthy().cloned() else { return Ok(()) };
        let (collection, text, holds): (_, _, fn(&Fields) -> bool) = match random.below(6) {
            0 => ("declared", "register=ebb", |fields| text_of(fields, "register") == Some("ebb")),
            1 => {
                ("declared", "register>=neap", |fields| text_of(fields, "register").is_some_and(|text| text >= "neap"))
            }
            2 => ("declared", "counter>1", |fields| matches!(fields.get("counter"), Some(Value::Int(n)) if *n > 1)),
            3 => ("declared", "set:flood", |fields| {
                let flood = Value::String("flood".into());
                matches!(fields.get("set"), Some(Value::List(all)) if all.contains(&flood))
            }),
            4 => ("declared", "register<=ebb", |fields| text_of(fields, "register").is_some_and(|text| text <= "ebb")),
            _ => ("free", "not register exists", |fields| !fields.contains_key("register")),
        };
        let look = || -> Result<_, ReadError> {
            let snapshot = database.snapshot()?;
            let all = snapshot.find(&Query::all(collection))?.documents;
            let query = Query::all(collection).filter(Filter::parse(text).expect("a filter"));
            let found = snapshot.find(&query)?.documents;
            let page = snapshot.find(&query.limit(found.len().max(1)))?.documents;
            Ok((all, found, page))
        };
        let (mut all, found, page) = look().map_err(|error| self.failure(format!("a query of {number}: {error}")))?;
        all.retain(|document| holds(&document.fields));
        if all != found {
            return Err(self.failure(format!("replica {number}: {collection} {text} finds {found:?}, not {all:?}")));
        }
        if page != found {
            return Err(
                self.failure(format!("replica {number}: {collection} {text} finds {page:?} as a page of {found:?}"))
            );
        }
        self.trace.count("queries");
        self.check_witnesses(number)
    }

    /// A new space gets its schema from who made it.
    pub(super) fn declare_first(&mut self, number: usize, space: SpaceId) -> Result<(), Failure> {
        let schema = Schema::from_json(SCHEMAS[0].as_bytes()).expect("a schema");
        self.transact(
            number,
            space,
            Durability::Local,
            |transaction| Ok(transaction.set_schema("declared", &schema)?),
        )?;
        Ok(())
    }

    fn change_schema(&mut self, number: usize, random: &mut Random) -> Result<(), Failure> {
        let Some(space) = self.some_space(number, random) else { return Ok(()) };
        let schema = Schema::from_json(random.pick(&SCHEMAS).as_bytes()).expect("a schema");
        let outcome = self.transact(number, space, Durability::Local, |transaction| {
            Ok(transaction.set_schema("declared", &schema)?)
        })?;
        self.tell(&format!("{number} {outcome} a schema"));
        Ok(())
    }
}

fn text_of<'a>(fields: &'a Fields, field: &str) -> Option<&'a str> {
    match fields.get(field) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn count_of(transaction: &mut Transaction<'_>, number: usize) -> Result<i64, ReadError> {
    let left = transaction.get("pairs", &format!("left-{number}"))?;
    Ok(left.as_ref().map_or(0, |document| counter(&document.fields, "n")))
}

/// What a counter shows; nothing counts as 0.
pub(super) fn counter(fields: &BTreeMap<String, Value>, field: &str) -> i64 {
    if let Some(Value::Int(count)) = fields.get(field) { *count } else { 0 }
}
