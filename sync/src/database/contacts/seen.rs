//! When contacts were last here: local records, one for each contact.

use tidewater_engine::store::Durability;

use crate::codec::{Codec, Decoded, Malformed, Reader, put_time};
use crate::database::{Database, SpaceError, records};
use crate::identity::IdentityId;

const PREFIX: &str = "seen/";
/// How long a record stands before it is written again, in milliseconds.
const THROTTLE_MS: i64 = 60_000;

struct Seen {
    at_ms: i64,
}

impl Seen {
    const VERSION: u8 = 1;
}

impl Codec for Seen {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::VERSION);
        put_time(out, self.at_ms);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        if reader.byte()? != Self::VERSION {
            return Err(Malformed("its version is unknown; upgrade"));
        }
        Ok(Self { at_ms: reader.time()? })
    }
}

fn name_of(identity: &IdentityId) -> String {
    format!("{PREFIX}{identity}")
}

/// When a contact was last here, in milliseconds since 1970 UTC.
pub(super) fn last(database: &Database, identity: &IdentityId) -> Result<Option<i64>, SpaceError> {
    let seen: Option<Seen> = records::read(&database.inner.store, &name_of(identity))?;
    Ok(seen.map(|seen| seen.at_ms))
}

/// Notes that a contact is here now.
pub(super) fn note(database: &Database, identity: &IdentityId) -> Result<(), SpaceError> {
    let now_ms = database.inner.host.now_ms();
    if last(database, identity)?.is_some_and(|last| now_ms.abs_diff(last) < THROTTLE_MS as u64) {
        return Ok(());
    }
    let record = Seen { at_ms: now_ms }.to_bytes();
    let writes = [(&*name_of(identity), Some(record.as_slice()))];
    Ok(database.inner.store.set_local_as(Durability::Buffered, &writes)?)
}

/// Forgets it.
pub(super) fn forget(database: &Database, identity: &IdentityId) -> Result<(), SpaceError> {
    let name = name_of(identity);
    if database.inner.store.local(&name)?.is_some() {
        database.inner.store.set_local(&[(&name, None)])?;
    }
    Ok(())
}
