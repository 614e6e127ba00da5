//! This machine's clock and randomness, for the databases under test.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tidewater_engine::host::Host;
use tidewater_engine::store::Location;
use tidewater_sync::{CreateOptions, Database, OpenOptions};

use crate::contender::Outcome;

/// The storage's page cache of every database under test, in bytes.
pub(crate) const CACHE_BYTES: usize = 64 << 20;

/// The clock and the randomness of this machine.
pub(crate) struct Machine;

impl Host for Machine {
    fn now_ms(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
    }

    fn fill_random(&self, out: &mut [u8]) {
        getrandom::fill(out).expect("the system has randomness");
    }
}

fn options(folder: &Path) -> OpenOptions {
    OpenOptions { host: Arc::new(Machine), mirror: Some(folder.join("mirror")), cache_bytes: CACHE_BYTES }
}

/// Opens the database in `folder`, or creates it: with an identity and a home space, or to be linked.
pub(crate) fn database(folder: &Path, identity: bool) -> Outcome<Database> {
    let path = folder.join("tidewater.tide");
    if path.exists() {
        return Ok(Database::open(Location::File(path), options(folder))?);
    }
    let create = CreateOptions { open: options(folder), identity: identity.then(|| "bench".into()), home: identity };
    Ok(Database::create(Location::File(path), create)?)
}
