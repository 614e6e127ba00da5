//! Faults in what is sealed, and for whom.

use tidewater_engine::planted::Fault;

use super::harness::{HOSTILE_WORLD, LONG_WORLD, WORLD, search_finds};

#[test]
fn planted_constant_salt_is_found() {
    WORLD.finds(Fault::SaltConstant, 0, "has the salt of another one");
}

#[test]
fn planted_unhedged_salt_is_found() {
    HOSTILE_WORLD.finds(Fault::SaltUnhedged, 3, "has the salt of another one");
}

#[test]
fn planted_old_epoch_is_found() {
    WORLD.finds(Fault::OldEpochUsed, 1, "writes with key");
}

#[test]
fn planted_body_in_plain_is_found() {
    search_finds(Fault::BodyInPlain, "is in the relay's file");
}

#[test]
fn planted_note_in_plain_is_found() {
    search_finds(Fault::NoteInPlain, "is in the relay's file");
}

#[test]
fn planted_key_for_a_relay_is_found() {
    LONG_WORLD.finds(Fault::KeyToRelay, 1, "and has keys");
}
