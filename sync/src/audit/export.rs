//! Writing a trail into a file that proves itself.

use std::io::Write;

use tidewater_engine::id::SpaceId;
use tidewater_engine::log::Plane;
use tidewater_engine::store::Store;

use super::fault::AuditExportError;
use super::format::{Kind, RecordWriter, Start, claim, encode_entry};
use crate::codec::Codec;
use crate::device::DeviceKey;

/// What an export came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditExported {
    /// How many control logs.
    pub logs: u64,
    /// How many entries in them.
    pub entries: u64,
    /// How many bytes the file has.
    pub bytes: u64,
}

/// Writes the control logs of a space as far as they are held now. Between two heads at most is in memory at once.
pub(crate) fn export(
    store: &Store,
    key: &DeviceKey,
    now_ms: i64,
    start: &Start,
    output: impl Write,
) -> Result<AuditExported, AuditExportError> {
    let space: SpaceId = start.space;
    // Logs grow meanwhile: what is written after this moment is left out of all of them alike.
    let held = store.vector(&space, Plane::Control)?;
    if held.is_empty() {
        return Err(AuditExportError::Empty { space });
    }
    let mut writer = RecordWriter::new(output)?;
    writer.record(Kind::Start, &start.to_bytes())?;
    let mut exported = AuditExported { logs: 0, entries: 0, bytes: 0 };
    for (log, prefix) in held.iter() {
        writer.record(Kind::Log, &log.to_bytes())?;
        exported.logs += 1;
        let mut from = 0;
        while from < prefix.length {
            let Some(batch) = store.read_log(&space, Plane::Control, log, from, 1)? else { break };
            for entry in &batch.entries {
                writer.record(Kind::Entry, &encode_entry(entry))?;
            }
            writer.record(Kind::Head, &batch.head.signature)?;
            from = batch.head.length;
        }
        exported.entries += from;
    }
    exported.bytes = writer.end(&claim(&key.device(), now_ms), |message| key.sign(message))?;
    Ok(exported)
}
