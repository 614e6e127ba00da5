//! The audit trail: who gave whom which rank, and what became of it; as a list, and as a file that proves itself.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::{Value as Json, json};
use tidewater_engine::id::SpaceId;
use tidewater_sync::{AuditEntry, AuditExportError, AuditMeaning, AuditReport, AuditVerifyError, verify_audit};

use super::arguments::{AuditAccesses, AuditCommand, AuditExport, AuditList, AuditVerify};
use super::context::Context;
use super::failure::{Code, Done, Failure};
use super::output::Output;
use super::sharing::rank_name;
use super::transfer::readable;
use crate::audit::{counted, short, shown, told};
use crate::graphql::{self, place_cursor};

pub(crate) fn audit(context: &mut Context, command: &AuditCommand) -> Done {
    match command {
        AuditCommand::List(wanted) => list(context, wanted),
        AuditCommand::Export(wanted) => export(context, wanted),
        AuditCommand::Access(wanted) => access(context, wanted),
        AuditCommand::Verify(wanted) => {
            let path = context.folder.join(&wanted.file);
            verify(&mut context.output, &path, wanted)
        }
    }
}

fn list(context: &mut Context, wanted: &AuditList) -> Done {
    let space = context.space_or_home(&wanted.space)?;
    let after = wanted.after.as_ref().map(|after| place_cursor::parse(&space, after));
    let after =
        after.map(|after| after.ok_or_else(|| Failure::usage("--after takes the cursor that an earlier list gave")));
    let entries = context.database.audit(&space, after.transpose()?.as_ref(), wanted.first)?;
    trail(&mut context.output, &entries)
}

fn trail(output: &mut Output, entries: &[AuditEntry]) -> Done {
    let table = output.is_table();
    let records: Vec<Json> = entries.iter().map(|entry| record(entry, table)).collect();
    output.records(&["claimed", "who", "what", "verdict", "why", "sequence", "writer"], &records)
}

/// One entry; in a table, who wrote it in short.
fn record(entry: &AuditEntry, table: bool) -> Json {
    let said = told(entry);
    let author = entry.author.as_ref();
    let mut record = json!({
        "claimed": graphql::time(entry.claimed_ms), "identity": author.map(|party| party.identity.to_string()),
        "name": author.map(|party| &party.name), "device": entry.place.writer.device.to_string(),
        "action": said.action, "what": said.what, "subject": said.subject.map(|identity| identity.to_string()),
        "rank": said.rank.map(rank_name), "verdict": entry.verdict.name(), "why": entry.why,
        "writer": entry.place.writer.to_string(), "sequence": entry.place.sequence,
        "cursor": place_cursor::text(&entry.place),
    });
    if table {
        let device = || short(&entry.place.writer.device.to_string());
        record["who"] = author.map_or_else(device, shown).into();
    }
    record
}

fn access(context: &mut Context, wanted: &AuditAccesses) -> Done {
    let space = context.space(&wanted.space)?;
    let accesses = context.database.accesses(space.as_ref(), wanted.first)?;
    let records: Vec<Json> = accesses
        .iter()
        .map(|access| {
            json!({
                "device": access.device.to_string(), "identity": access.identity.map(|identity| identity.to_string()),
                "space": access.space.to_string(), "plane": access.plane.name(), "entries": access.entries,
                "first": graphql::time(access.first_ms), "last": graphql::time(access.last_ms),
            })
        })
        .collect();
    context.output.records(&["last", "entries", "plane", "device", "space"], &records)
}

fn export(context: &mut Context, wanted: &AuditExport) -> Done {
    if wanted.file.as_os_str() == "-" {
        return Err(Failure::usage("name a file to make: an audit trail is not written to standard output"));
    }
    let space = context.space_or_home(&wanted.space)?;
    let path = context.folder.join(&wanted.file);
    let named = |error: &dyn std::fmt::Display| Failure::failed(format!("{}: {error}", path.display()));
    // Whoever reads the control key in it sees who is a member; and a trail is no thing to write over.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(|error| match error
        .kind()
    {
        std::io::ErrorKind::AlreadyExists => named(&"it exists already; name a new file"),
        _ => named(&error),
    })?;
    let exported = context.database.export_audit(&space, wanted.sealed, BufWriter::new(&file));
    let exported = exported.and_then(|exported| file.sync_all().map(|()| exported).map_err(AuditExportError::from));
    let exported = exported.map_err(|error| {
        // What was begun is of no use; that it can't be taken away changes nothing of the failure.
        let _ = std::fs::remove_file(&path);
        match error {
            AuditExportError::Space(error) => error.into(),
            AuditExportError::Read(error) => error.into(),
            AuditExportError::Output(error) => named(&error),
            other => Failure::failed(other),
        }
    })?;
    let key = if wanted.sealed {
        "Without the control key: it shows that nothing was changed, and not what it means."
    } else {
        "It has the space's control key: who reads the file sees members, ranks and devices, as a relay does; names, \
         labels and documents stay sealed. Keep it as you keep the database, or leave the key out with --sealed."
    };
    let sentence = format!(
        "exported {} of {} ({} bytes)\n{key}",
        counted(exported.entries, "control entry", "control entries"),
        counted(exported.logs, "log", "logs"),
        exported.bytes
    );
    let record = json!({
        "space": space.to_string(), "file": path.display().to_string(), "logs": exported.logs,
        "entries": exported.entries, "bytes": exported.bytes, "sealed": wanted.sealed,
    });
    context.output.say(&sentence, &record)
}

/// Checks a file, without a database.
pub(crate) fn verify(output: &mut Output, path: &Path, wanted: &AuditVerify) -> Done {
    let expected = wanted.space.as_deref().map(str::parse::<SpaceId>).transpose();
    let expected = expected.map_err(|error| Failure::usage(format!("the space's id: {error}")))?;
    let file: File = readable(path)?;
    let report = verify_audit(BufReader::new(file), expected.as_ref()).map_err(|error| {
        let code = match &error {
            AuditVerifyError::Bad(_) | AuditVerifyError::NotAnExport | AuditVerifyError::Newer { .. } => Code::Damaged,
            _ => Code::Failed,
        };
        Failure::new(code, format!("{}: {error}", path.display()))
    })?;
    tell(output, &report, wanted.list)?;
    let Some(first) = report.findings.first() else { return Ok(()) };
    let more = report.findings_count - 1;
    Err(Failure::failed(format!("the trail is not whole: {first} (and {more} more findings)")))
}

fn tell(output: &mut Output, report: &AuditReport, list: bool) -> Done {
    let mut whole = json!({
        "space": report.space.to_string(), "digest": SpaceId(report.digest).to_string(),
        "logs": report.logs.writers(), "entries": report.entries, "exporter": report.exporter.to_string(),
        "exported": graphql::time(report.exported_ms), "sealed": report.meaning.is_none(),
    });
    if let Some(meaning) = &report.meaning {
        whole["exporter_identity"] = meaning.exporter.as_ref().map(|party| party.identity.to_string()).into();
        for (verdict, count) in meaning.verdicts() {
            whole[verdict.name()] = count.into();
        }
        whole["waiting"] = meaning.waiting.into();
    }
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    if !output.is_table() {
        whole["findings"] = findings.into();
        if let Some(meaning) = &report.meaning {
            whole["members"] = members(meaning, false).into();
            if list {
                whole["trail"] = meaning.trail.iter().map(|entry| record(entry, false)).collect::<Vec<_>>().into();
            }
        }
        return output.record(&whole);
    }
    output.record(&whole)?;
    if let Some(meaning) = &report.meaning {
        output.text("\n")?;
        output.records(&["rank", "devices", "identity"], &members(meaning, true))?;
        if list {
            output.text("\n")?;
            trail(output, &meaning.trail)?;
        }
    }
    output.text("\n")?;
    findings.iter().try_for_each(|finding| output.text(&format!("open: {finding}\n")))?;
    output.text(
        "Nothing was changed since it was exported. What the exporter left out at the end of a log can't be seen: compare\n\
         the digest with that of another member's export.\n",
    )
}

fn members(meaning: &AuditMeaning, counted: bool) -> Vec<Json> {
    let members = meaning.members.iter().map(|member| {
        let devices: Vec<String> = member.devices.iter().map(|device| device.device.to_string()).collect();
        let devices = if counted { Json::from(devices.len()) } else { Json::from(devices) };
        json!({ "rank": rank_name(member.rank), "devices": devices, "identity": member.identity.to_string() })
    });
    members.collect()
}
