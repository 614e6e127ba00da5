//! Target: control operations, said by a hostile member with a right to speak: an admin, a writer, or another device of the
//! owner. The owner's database stays sound, can still be written to, and agrees with the others.

use ed25519_dalek::SigningKey;
use tidewater_engine::id::{Incarnation, WriterId};
use tidewater_engine::log::seal::EntryDraft;
use tidewater_engine::log::{Moved, Plane};
use tidewater_engine::store::{Durability, WriteError};
use tidewater_sync::{Database, Purpose};

use super::people::{fields, open, open_on, people};
use super::script::{Script, put_block};
use super::session::{check_alone, digest};
use super::{Memory, Target};
use crate::conversation::converse;
use crate::disk::Disk;
use crate::forger::Forger;

pub(super) const TARGET: Target = Target {
    name: "control",
    run,
    seeds,
    input_bytes_max: 8_192,
    memory: Memory { fixed: 64 << 20, per_byte: 16 << 10 },
    executions: 150,
};

/// Operations of one script at most.
const MAX_OPERATIONS: usize = 8;

/// Who speaks; then for each operation what it was said after, and its bytes.
fn run(input: &[u8]) -> bool {
    let people = people();
    let mut script = Script::new(input);
    let disk = [&people.ben, &people.eve, &people.laptop][usize::from(script.byte()) % 3];
    let disk = Disk::holding(disk.clone());
    speak(&open_on(&disk, 31), &mut script);
    // Opened once more, it draws the conclusions itself.
    let hostile = open_on(&disk, 32);
    let honest = open(&people.ada, 33);
    converse(&hostile, &honest, Purpose::Member, 11);
    let written = honest.transaction(Durability::Local, |transaction| -> Result<_, WriteError> {
        transaction.insert("notes", Some("later"), fields(&[("title", "later".into())]))
    });
    assert!(written.is_ok(), "a member keeps the owner from writing: {written:?}");
    honest.members(&people.space).expect("the members are known");
    check_alone(&honest);
    converse(&honest, &hostile, Purpose::Member, 12);
    let applied = |database: &Database| database.applied(&people.space, Plane::Data).expect("a vector");
    // Who was given no key, or garbage for one, can't apply what is sealed with it.
    if applied(&honest) == applied(&hostile) {
        assert_eq!(digest(&honest), digest(&hostile), "the same is applied, and the states differ");
    }
    honest.spaces_info().is_ok_and(|spaces| spaces.len() == 1)
}

/// Writes the script's operations into a control log of the device.
fn speak(speaker: &Database, script: &mut Script<'_>) {
    let space = people().space;
    let key = speaker.effective(&space).and_then(|table| table.control_key.clone()).expect("members hold the key");
    let writer = WriterId { device: speaker.device(), incarnation: Incarnation([0xab; 8]) };
    let signing = SigningKey::from_bytes(speaker.device_key().expose_seed());
    let mut forger = Forger::new(signing, space, Plane::Control, writer);
    let known = speaker.applied(&space, Plane::Control).expect("a vector");
    let mut said = false;
    for number in 0..MAX_OPERATIONS {
        let after = script.byte();
        let body = script.block();
        if script.is_over() && body.is_empty() {
            break;
        }
        let all = || known.iter().map(|(writer, prefix)| (*writer, *prefix)).collect::<Moved>();
        let dependencies = if number == 0 && after % 8 != 7 { all() } else { Moved::new() };
        let clock = if after & 8 == 0 { 1_790_000_000_000 } else { i64::MAX };
        let draft = EntryDraft { timestamp_ms: clock, first: true, last: true, dependencies, control: Moved::new() };
        said |= forger.seal(draft, &key, body);
    }
    if said {
        speaker.receive(&forger.batch(0)).expect("what a member signs is taken");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let people = people();
    let mut bodies = Vec::new();
    for database in [open(&people.ada, 34), open(&people.ben, 35)] {
        bodies
            .extend(database.control_commits(&people.space).expect("an honest log").into_iter().map(|said| said.body));
        let card = people.cards[1].identity();
        let _ = database.revoke(&people.space, &card);
        let _ = database.rename_space(&people.space, "elsewhere");
        let _ = database.rotate(&people.space);
        let others = people.cards[0].certificates.iter().map(|one| one.device).filter(|one| *one != database.device());
        // Only the device that holds the root key may.
        others.for_each(|one| drop(database.remove_device(&one)));
        let _ = database.leave(&people.space);
        bodies
            .extend(database.control_commits(&people.space).expect("an honest log").into_iter().map(|said| said.body));
    }
    bodies.sort();
    bodies.dedup();
    let mut seeds = Vec::new();
    for (number, body) in bodies.iter().enumerate() {
        let mut seed = vec![(number % 3) as u8, 0];
        put_block(&mut seed, body);
        seeds.push(seed);
    }
    seeds
}
