//! Import and export.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::json;
use tidewater_engine::port::{self, ExportOptions, ImportError, ImportOptions};

use super::arguments::{Export, Import};
use super::context::Context;
use super::failure::{Code, Done, Failure};
use super::progress::Progress;

/// How much of a file is read at once, in bytes.
const READ_BYTES: usize = 1 << 20;

/// Whether a path means the standard stream.
fn is_standard(path: Option<&Path>) -> bool {
    path.is_none_or(|path| path.as_os_str() == "-")
}

pub(crate) fn import(context: &mut Context, import: &Import) -> Done {
    let options = ImportOptions {
        space: context.space(&import.space)?,
        id_field: Some(import.id.clone()),
        atomic: import.atomic,
        infer_schema: !import.no_schema,
        commit_records: import.batch,
        from_line: import.from_line,
        ..ImportOptions::new(import.collection.as_str())
    };
    let mut progress = Progress::start("importing", "records", None, context.shows_progress);
    let stop = context.interrupted.clone();
    let mut tell = |now: port::ImportProgress| {
        progress.at(now.imported, None);
        if stop.is_raised() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let store = &context.database;
    let outcome = match &import.input {
        path if is_standard(path.as_deref()) => port::import(store, &mut context.input, &options, &mut tell),
        Some(path) => {
            let file = readable(&context.folder.join(path))?;
            port::import(store, BufReader::with_capacity(READ_BYTES, file), &options, &mut tell)
        }
        None => return Err(Failure::usage("no input")),
    };
    progress.finish();
    let report = outcome.map_err(|error| stopped(error, import.atomic, context.interrupted.is_raised()))?;
    let schema = report.schema.as_ref().map(|schema| schema.fields.len());
    let record = json!({
        "collection": import.collection, "imported": report.imported, "inserted": report.inserted,
        "updated": report.updated, "unchanged": report.unchanged, "lines": report.lines, "bytes": report.bytes,
        "schema_fields": schema,
    });
    let declared = schema.map_or(String::new(), |fields| format!("; declared a schema of {fields} fields"));
    let sentence = format!(
        "imported {} records into {}: {} new, {} changed, {} as they were{declared}",
        report.imported, import.collection, report.inserted, report.updated, report.unchanged,
    );
    context.output.say(&sentence, &record)
}

/// Why an import stopped, and how it goes on.
fn stopped(error: ImportError, atomic: bool, interrupted: bool) -> Failure {
    let (imported, line) = (error.imported, error.line);
    let resume = match (atomic, interrupted) {
        (true, _) => "nothing was stored".to_owned(),
        (false, true) => format!("go on with --from-line {line}"),
        (false, false) => format!("correct it and go on with --from-line {line}"),
    };
    if interrupted {
        return Failure::new(Code::Interrupted, format!("imported {imported}: interrupted; {resume}"));
    }
    let Failure { code, message } = error.into();
    Failure::new(code, format!("{message}; {resume}"))
}

pub(crate) fn export(context: &mut Context, export: &Export) -> Done {
    let spaces = context.space(&export.space)?.map(|space| vec![space]);
    let options = ExportOptions { collection: export.collection.clone(), spaces };
    let snapshot = context.database.snapshot()?;
    if !snapshot.collections()?.contains(&export.collection) {
        let why = format!("no collection {:?}; see `tide collection list`", export.collection);
        return Err(Failure::not_found(why));
    }
    let to_file = export.to.as_deref().filter(|path| !is_standard(Some(path)));
    let mut progress = Progress::start("exporting", "documents", None, context.shows_progress && to_file.is_some());
    let stop = context.interrupted.clone();
    let mut tell = |now: port::ExportProgress| {
        progress.at(now.exported, None);
        if stop.is_raised() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let done = match to_file {
        None => port::export(&snapshot, context.output.writer(), &options, &mut tell).map(|_| None),
        Some(path) => {
            let path = &context.folder.join(path);
            let file = File::create(path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
            let mut file = BufWriter::new(file);
            let done = port::export(&snapshot, &mut file, &options, &mut tell);
            file.flush().map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
            done.map(Some)
        }
    };
    progress.finish();
    match done? {
        // The documents themselves went to standard output.
        None => Ok(()),
        Some(done) => {
            let record = json!({ "collection": export.collection, "exported": done.exported, "bytes": done.bytes });
            let sentence =
                format!("exported {} documents of {} ({} bytes)", done.exported, export.collection, done.bytes);
            context.output.say(&sentence, &record)
        }
    }
}

/// Opens a file to read, unless it is a directory.
pub(crate) fn readable(path: &Path) -> Done<File> {
    let refuse = |why: &dyn std::fmt::Display| Failure::failed(format!("{}: {why}", path.display()));
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::not_found(format!("{}: no such file", path.display())),
        _ => refuse(&error),
    })?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(refuse(&"a directory"));
    }
    Ok(file)
}
