//! What entries are sealed with: no salt comes twice, and nobody writes with an old key.

use std::collections::BTreeMap;

use tidewater_engine::id::{EpochId, SpaceId, WriterId};
use tidewater_engine::log::header::SALT_BYTES;
use tidewater_engine::log::{Header, Plane};
use tidewater_engine::store::ReadError;
use tidewater_sync::Database;

use super::Failure;
use super::world::World;

/// The epoch and the salt of an entry, which tell its key and nonce at one place.
type Seal = (EpochId, [u8; SALT_BYTES]);

fn headers(
    database: &Database,
    space: &SpaceId,
    plane: Plane,
    writer: &WriterId,
    mut from: u64,
) -> Result<Vec<Vec<u8>>, ReadError> {
    let mut headers = Vec::new();
    while let Some(batch) = database.read_log(space, plane, writer, from, usize::MAX)? {
        from = batch.head.length;
        headers.extend(batch.entries.into_iter().map(|entry| entry.header));
    }
    Ok(headers)
}

impl World {
    /// No two entries have the same salt, whoever wrote them: not even two that a writer who runs twice put at one place.
    pub(super) fn check_salts(&mut self) -> Result<(), Failure> {
        let mut seals: BTreeMap<Seal, (WriterId, Vec<u8>)> = BTreeMap::new();
        for number in 0..self.replicas.len() {
            let Some(database) = self.replicas[number].database().cloned() else { continue };
            for space in database.spaces() {
                for plane in [Plane::Control, Plane::Data] {
                    let look = || -> Result<_, ReadError> {
                        let vector = database.vector(&space, plane)?;
                        let logs = vector.iter().map(|(writer, _)| *writer);
                        logs.map(|writer| Ok((writer, headers(&database, &space, plane, &writer, 0)?))).collect()
                    };
                    let logs: Vec<(WriterId, Vec<Vec<u8>>)> =
                        look().map_err(|error| self.failure(format!("replica {number}: {error}")))?;
                    for (writer, header) in
                        logs.into_iter().flat_map(|(writer, all)| all.into_iter().map(move |one| (writer, one)))
                    {
                        let Ok(Header { epoch, salt, .. }) = Header::decode(&header) else { continue };
                        let (of, known) = seals.entry((epoch, salt)).or_insert_with(|| (writer, header.clone()));
                        if *known != header {
                            let why = format!("an entry of {writer} has the salt of another one, of {of}");
                            return Err(self.failure(why));
                        }
                    }
                }
            }
        }
        self.trace.count("logs whose salts were compared");
        Ok(())
    }

    /// The last entry of a replica's own log is sealed with the key to write with.
    pub(super) fn check_epoch(&self, number: usize, space: &SpaceId, length: u64) -> Result<(), Failure> {
        let Some(database) = self.replicas[number].database() else { return Ok(()) };
        let (writer, due) = (database.writer(), database.effective(space).and_then(|table| table.write_epoch));
        let last = headers(database, space, Plane::Data, &writer, length - 1);
        let last = last.map_err(|error| self.failure(format!("replica {number}: {error}")))?.pop();
        let used = last.and_then(|header| Header::decode(&header).ok()).map(|header| header.epoch);
        if used == due {
            Ok(())
        } else {
            Err(self.failure(format!("replica {number} writes with key {used:?}, not {due:?}")))
        }
    }
}
