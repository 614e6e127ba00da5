//! Exporting documents.

use std::io::{self, Write};
use std::ops::ControlFlow;

use crate::id::SpaceId;
use crate::query::{Page, Query};
use crate::store::{ReadError, Snapshot};

/// How many documents are read at a time.
const PAGE_DOCUMENTS: usize = 500;

/// What to export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportOptions {
    /// The collection's name.
    pub collection: String,
    /// The spaces; `None`: all of the database's.
    pub spaces: Option<Vec<SpaceId>>,
}

/// How far an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExportProgress {
    /// Documents written.
    pub exported: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// Why an export stopped. Whole lines were written up to there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A document can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The output failed.
    #[error("the output failed: {0}")]
    Io(#[from] io::Error),
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// Writes every document of a collection as of one moment: one JSON object a line, ordered by id and then by space; in
/// it `id` first and the fields by name, as [`crate::document::Document::write_json`] has it. Equal documents give
/// equal bytes.
///
/// `progress` is called after every few hundred documents; when it breaks, the export stops.
///
/// # Errors
/// [`ExportError`].
pub fn export(
    snapshot: &Snapshot,
    mut output: impl Write,
    options: &ExportOptions,
    progress: &mut dyn FnMut(ExportProgress) -> ControlFlow<()>,
) -> Result<ExportProgress, ExportError> {
    let mut query = Query::all(&*options.collection);
    query.spaces.clone_from(&options.spaces);
    query.page = Page { limit: Some(PAGE_DOCUMENTS), ..Page::default() };
    let mut done = ExportProgress::default();
    let mut lines = String::new();
    loop {
        let found = snapshot.find(&query)?;
        lines.clear();
        for document in &found.documents {
            document.write_json(&mut lines);
            lines.push('\n');
        }
        output.write_all(lines.as_bytes())?;
        done.exported += found.documents.len() as u64;
        done.bytes += lines.len() as u64;
        query.page.after = found.cursors.into_iter().next_back();
        if !found.has_more || query.page.after.is_none() {
            output.flush()?;
            return Ok(done);
        }
        if progress(done).is_break() {
            return Err(ExportError::Cancelled);
        }
    }
}
