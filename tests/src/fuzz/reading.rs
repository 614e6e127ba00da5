//! Reading all that a database says: what a hostile file is put through.

use tidewater_engine::id::DocumentId;
use tidewater_engine::log::Plane;
use tidewater_engine::query::{Order, Query};
use tidewater_engine::store::{Durability, WriteError};
use tidewater_sync::Database;

use super::people::fields;

/// Asks everything that can be asked, and writes a little. Answers may be errors. True: none was.
pub(super) fn read_everything(database: &Database) -> bool {
    let mut sound = true;
    let mut note = |ok: bool| sound &= ok;
    note(database.spaces_info().is_ok());
    note(database.peers().is_ok() && database.space_offers().is_ok());
    for space in database.spaces() {
        note(database.members(&space).is_ok());
        note(database.digest(&space).is_ok());
        note(database.control_commits(&space).is_ok());
        for plane in [Plane::Control, Plane::Data] {
            note(database.applied_order(&space, plane, 0, usize::MAX).is_ok());
            let Ok(vector) = database.vector(&space, plane) else { continue };
            for (writer, prefix) in vector.iter() {
                note(database.read_log(&space, plane, writer, 0, usize::MAX).is_ok());
                note(database.prefix_proof(&space, plane, writer, prefix.length / 2, prefix.length).is_ok());
            }
        }
    }
    note(read_documents(database).is_some());
    note(database.verify(&mut |_, _| {}).is_ok_and(|report| report.problems.is_empty()));
    let written = database.transaction(Durability::Local, |transaction| -> Result<_, WriteError> {
        transaction.delete("notes", "n1")?;
        transaction.insert("notes", None, fields(&[("title", "new".into()), ("size", 3.into())]))
    });
    note(written.is_ok());
    sound
}

fn read_documents(database: &Database) -> Option<()> {
    let snapshot = database.snapshot().ok()?;
    for collection in snapshot.collections().ok()? {
        let found = snapshot.find(&Query::all(&*collection).order_by(Order::descending("size")));
        for id in ["n0", "n1", "n2", "n3", "all", "by-ada"] {
            let document = snapshot.get(None, &collection, id);
            let conflicts = snapshot.conflicts(None, &collection, &DocumentId::new(id).expect("an id"));
            document.ok().and(conflicts.ok())?;
        }
        found.ok()?;
    }
    Some(())
}
