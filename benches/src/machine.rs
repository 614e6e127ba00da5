//! Databases under test, on this machine's clock and randomness.

use std::path::Path;
use std::sync::Arc;

use tidewater_engine::store::{Location, MirrorLocation};
use tidewater_net::host::SystemHost;
use tidewater_sync::{CreateOptions, Database, OpenOptions};

use crate::contender::Outcome;

/// The storage's page cache of every database under test, in bytes.
pub(crate) const CACHE_BYTES: usize = 64 << 20;

fn options(folder: &Path) -> OpenOptions {
    let mirror = Some(MirrorLocation::Folder(folder.join("mirror")));
    OpenOptions { host: Arc::new(SystemHost), mirror, cache_bytes: CACHE_BYTES }
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
