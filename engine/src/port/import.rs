//! Importing records.

mod record;

use std::io::{self, BufRead};
use std::ops::{ControlFlow, Range};

use self::record::Record;
use super::lines::{Batch, LineFault, Lines};
use crate::id::SpaceId;
use crate::query::{Page, Query};
use crate::schema::{Inference, SAMPLE_RECORDS, Schema};
use crate::space::Rank;
use crate::store::{Durability, ReadError, Store, Transaction, TransactionError, WriteError};
use crate::value::JsonFault;

/// How many records one commit holds.
pub const DEFAULT_COMMIT_RECORDS: usize = 1_000;
/// The longest line, in bytes.
pub const DEFAULT_LINE_BYTES: usize = 16 << 20;
/// A commit is closed once the text of its records has so many bytes.
const COMMIT_TEXT_BYTES: usize = 4 << 20;

/// What to import where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOptions {
    /// The space; `None`: home.
    pub space: Option<SpaceId>,
    /// The collection's name.
    pub collection: String,
    /// The field that holds the id: a string, or an int, which is taken as its digits. A field called `id` becomes the
    /// id and nothing else; one of another name also stays a field. Records without it, and all records when this is
    /// `None`, get time-ordered ids.
    pub id_field: Option<String>,
    /// All or nothing: every record is imported, or the database stays as it is. The records still become commits of
    /// [`ImportOptions::commit_records`], stored in one storage transaction; another device may see some of them before
    /// the rest arrive. Other writers wait until it is done.
    pub atomic: bool,
    /// Declare a schema that fits the first [`SAMPLE_RECORDS`] records, if the collection has neither a schema nor
    /// documents in the space and this device may declare one. Registers that turn out too narrow later are widened.
    pub infer_schema: bool,
    /// How many records one commit holds.
    pub commit_records: usize,
    /// The longest line, in bytes.
    pub line_bytes: usize,
    /// The first line to import, from 1: to resume after an error.
    pub from_line: u64,
    /// When a commit counts as done.
    pub durability: Durability,
}

impl ImportOptions {
    /// Imports into `collection` of the home space: `id` is the id, a schema is inferred.
    #[must_use]
    pub fn new(collection: impl Into<String>) -> Self {
        Self {
            space: None,
            collection: collection.into(),
            id_field: Some("id".to_owned()),
            atomic: false,
            infer_schema: true,
            commit_records: DEFAULT_COMMIT_RECORDS,
            line_bytes: DEFAULT_LINE_BYTES,
            from_line: 1,
            durability: Durability::Local,
        }
    }
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportProgress {
    /// Records imported; those of an atomic import are not stored before its end.
    pub imported: u64,
    /// The last line that was read.
    pub line: u64,
    /// How many bytes were read.
    pub bytes: u64,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImportReport {
    /// Records imported: the sum of the next three.
    pub imported: u64,
    /// Documents that are new.
    pub inserted: u64,
    /// Documents that existed and got fields of the record.
    pub updated: u64,
    /// Documents that existed with all the record's fields.
    pub unchanged: u64,
    /// Lines read, blank ones included.
    pub lines: u64,
    /// Bytes read.
    pub bytes: u64,
    /// The schema that was inferred and declared.
    pub schema: Option<Schema>,
}

/// Why an import stopped. What was imported before stays, unless the import is atomic; it can be resumed from the line.
#[derive(Debug, thiserror::Error)]
#[error("imported {imported}, line {line}: {fault}")]
pub struct ImportError {
    /// How many records were imported and stay.
    pub imported: u64,
    /// The first line that was not imported.
    pub line: u64,
    /// What is wrong with it.
    #[source]
    pub fault: ImportFault,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportFault {
    /// The input failed.
    #[error("the input failed: {0}")]
    Io(#[from] io::Error),
    /// The line is too long.
    #[error("the line has more than {limit} bytes")]
    LineTooLong {
        /// The limit.
        limit: usize,
    },
    /// The line is not the JSON of an object.
    #[error("column {column}: {fault}")]
    Json {
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong there.
        fault: JsonFault,
    },
    /// The record's id can't be one.
    #[error("{why}")]
    Id {
        /// Why not.
        why: String,
    },
    /// The record does not fit what was inferred from the ones before, and widening can't help.
    #[error("{why}, as the records before let infer; import without inferring, or declare the field first")]
    Inferred {
        /// Which rule is broken.
        why: String,
    },
    /// The record can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl From<ReadError> for ImportFault {
    fn from(error: ReadError) -> Self {
        Self::Write(error.into())
    }
}

impl From<LineFault> for ImportFault {
    fn from(fault: LineFault) -> Self {
        match fault {
            LineFault::TooLong(limit) => Self::LineTooLong { limit },
            LineFault::Io(error) => Self::Io(error),
        }
    }
}

/// A fault, and the first line that was not imported because of it.
type Stopped<T> = Result<T, (u64, ImportFault)>;

/// Imports newline-delimited JSON, one object a line, in commits of [`ImportOptions::commit_records`].
///
/// A record whose id exists sets the fields it has: importing the same input again changes nothing. Blank lines, CRLF
/// and a byte order mark are accepted. `progress` is called after every commit; when it breaks, the import stops.
///
/// # Errors
/// [`ImportError`] at the first line that can't be imported. All lines before it are imported, unless the import is
/// atomic.
pub fn import(
    store: &Store,
    input: impl BufRead,
    options: &ImportOptions,
    progress: &mut dyn FnMut(ImportProgress) -> ControlFlow<()>,
) -> Result<ImportReport, ImportError> {
    let lines = Lines::new(input, options.line_bytes);
    let mut source = Source { lines, batch: Batch::default(), next: 0, rest: Ok(true), sampling: false, progress };
    let mut import = Import { options, space: None, inferred: None, report: ImportReport::default() };
    let outcome = match source.lines.skip_to(options.from_line).map_err(Into::into).and_then(|()| import.prepare(store))
    {
        Err(fault) => Err((source.lines.number + 1, fault)),
        Ok(sampling) => {
            source.sampling = sampling;
            if options.atomic { import.run_atomic(store, &mut source) } else { import.run(store, &mut source) }
        }
    };
    match outcome {
        Ok(()) => Ok(ImportReport { lines: source.lines.number, bytes: source.lines.bytes, ..import.report }),
        Err((line, fault)) => {
            let imported = if options.atomic { 0 } else { import.report.imported };
            Err(ImportError { imported, line, fault })
        }
    }
}

/// Where the records of an import come from.
struct Source<'p, R> {
    lines: Lines<R>,
    batch: Batch,
    /// How many lines of the batch were given out.
    next: usize,
    /// Whether lines follow those of the batch.
    rest: Result<bool, LineFault>,
    /// Whether the first batch is a sample to infer a schema from.
    sampling: bool,
    progress: &'p mut dyn FnMut(ImportProgress) -> ControlFlow<()>,
}

/// An import that runs.
#[derive(Clone)]
struct Import<'o> {
    options: &'o ImportOptions,
    space: Option<SpaceId>,
    inferred: Option<Inferred>,
    report: ImportReport,
}

/// A schema that this import inferred.
#[derive(Clone)]
struct Inferred {
    schema: Schema,
    /// Whether the collection has it.
    declared: bool,
}

impl Import<'_> {
    /// Finds the space, and says whether to infer a schema.
    fn prepare(&mut self, store: &Store) -> Result<bool, ImportFault> {
        let space = self.options.space.or_else(|| store.home()).ok_or(WriteError::NoHome)?;
        self.space = Some(space);
        if !self.options.infer_schema {
            return Ok(false);
        }
        let rank = store.effective(&space).and_then(|table| table.rank(&store.writer().device));
        let snapshot = store.snapshot()?;
        let mut any = Query::all(&*self.options.collection);
        any.spaces = Some(vec![space]);
        any.page = Page { limit: Some(1), ..Page::default() };
        Ok(rank >= Some(Rank::Admin)
            && snapshot.schema(&space, &self.options.collection)?.is_none()
            && snapshot.find(&any)?.documents.is_empty())
    }

    /// Imports all lines, in one commit after the other.
    fn run<R: BufRead>(&mut self, store: &Store, source: &mut Source<'_, R>) -> Stopped<()> {
        while let Some(records) = self.next(source)? {
            self.commit(store, &source.batch, &source.batch.lines[records.clone()])?;
            self.report_progress(source, records)?;
        }
        Ok(())
    }

    /// Imports all lines or none.
    fn run_atomic<R: BufRead>(&mut self, store: &Store, source: &mut Source<'_, R>) -> Stopped<()> {
        let (mut first, mut last) = (source.lines.number + 1, 0..0);
        let outcome = store.transactions(self.options.durability, |transaction| {
            let Some(records) = self.next(source)? else { return Ok(ControlFlow::Break(())) };
            last = records.clone();
            let lines = &source.batch.lines[records.clone()];
            first = lines.first().map_or(first, |(line, _)| *line);
            self.write(transaction, &source.batch, lines).map_err(|(index, fault)| (lines[index].0, fault))?;
            self.report_progress(source, records)?;
            Ok(ControlFlow::Continue(()))
        });
        outcome.map_err(|error| match error {
            TransactionError::Aborted(stopped) => stopped,
            TransactionError::Write(error) => {
                let lines = &source.batch.lines[last];
                match self.culprit(&source.batch, lines) {
                    Some((index, fault)) => (lines[index].0, fault),
                    None => (first, error.into()),
                }
            }
        })
    }

    /// The next lines that become a commit, as positions in the batch. `None` at the end.
    fn next<R: BufRead>(&mut self, source: &mut Source<'_, R>) -> Stopped<Option<Range<usize>>> {
        let most = self.options.commit_records.max(1);
        if source.next == source.batch.lines.len() {
            match std::mem::replace(&mut source.rest, Ok(true)) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(fault) => return Err((source.lines.number, fault.into())),
            }
            let sampling = std::mem::take(&mut source.sampling);
            let lines = if sampling { most.max(SAMPLE_RECORDS) } else { most };
            source.rest = source.batch.fill(&mut source.lines, lines, COMMIT_TEXT_BYTES);
            source.next = 0;
            if sampling {
                self.infer(&source.batch);
            }
            if source.batch.lines.is_empty() {
                return self.next(source);
            }
        }
        let start = source.next;
        source.next = source.batch.lines.len().min(start + most);
        Ok(Some(start..source.next))
    }

    fn report_progress<R>(&self, source: &mut Source<'_, R>, records: Range<usize>) -> Stopped<()> {
        let line = source.batch.lines[records].last().map_or(0, |(line, _)| *line);
        let now = ImportProgress { imported: self.report.imported, line, bytes: source.lines.bytes };
        match (source.progress)(now) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err((line + 1, ImportFault::Cancelled)),
        }
    }

    /// Infers a schema from the lines that are records.
    fn infer(&mut self, sample: &Batch) {
        let mut inference = Inference::default();
        for (_, range) in &sample.lines {
            if let Ok(record) = Record::parse(sample.line(range), self.options) {
                inference.observe(&record.fields);
            }
        }
        let schema = inference.finish();
        self.inferred = (!schema.fields.is_empty()).then_some(Inferred { schema, declared: false });
    }

    /// Imports lines as one commit. When one of them is at fault, the lines before it are imported all the same.
    fn commit(&mut self, store: &Store, batch: &Batch, lines: &[(u64, Range<usize>)]) -> Stopped<()> {
        let Some((first, _)) = lines.first() else { return Ok(()) };
        let mut attempt = self.clone();
        let outcome =
            store.transaction(self.options.durability, |transaction| attempt.write(transaction, batch, lines));
        match outcome {
            Ok(()) => {
                *self = attempt;
                Ok(())
            }
            Err(TransactionError::Aborted((index, fault))) if fault.is_of_the_record() => {
                self.commit(store, batch, &lines[..index])?;
                Err((lines[index].0, fault))
            }
            Err(TransactionError::Aborted((_, fault))) => Err((*first, fault)),
            Err(TransactionError::Write(error)) => match (self.culprit(batch, lines), error) {
                (Some((index, fault)), _) => {
                    self.commit(store, batch, &lines[..index])?;
                    Err((lines[index].0, fault))
                }
                (None, WriteError::TooLarge { .. }) if lines.len() > 1 => {
                    let (front, back) = lines.split_at(lines.len() / 2);
                    self.commit(store, batch, front)?;
                    self.commit(store, batch, back)
                }
                (None, error) => Err((*first, error.into())),
            },
        }
    }

    /// The first of lines whose commit was refused that could not be stored in any commit.
    fn culprit(&self, batch: &Batch, lines: &[(u64, Range<usize>)]) -> Option<(usize, ImportFault)> {
        lines.iter().enumerate().find_map(|(index, (_, range))| {
            let record = Record::parse(batch.line(range), self.options).ok()?;
            let fault = record.check(&self.options.collection).err()?;
            Some((index, fault.into()))
        })
    }

    /// Writes lines in a transaction. A fault comes with the position of the line.
    fn write(
        &mut self,
        transaction: &mut Transaction<'_>,
        batch: &Batch,
        lines: &[(u64, Range<usize>)],
    ) -> Result<(), (usize, ImportFault)> {
        let space = self.space.ok_or(WriteError::NoHome).map_err(|error| (0, error.into()))?;
        transaction.in_space(space).map_err(|error| (0, error.into()))?;
        for (index, (_, range)) in lines.iter().enumerate() {
            let written = Record::parse(batch.line(range), self.options).and_then(|record| {
                if let Some(inferred) = &mut self.inferred {
                    inferred.fit(transaction, &self.options.collection, &record)?;
                    self.report.schema = Some(inferred.schema.clone());
                }
                record.write(transaction, &self.options.collection, &mut self.report)
            });
            written.map_err(|fault| (index, fault))?;
        }
        Ok(())
    }
}

impl Inferred {
    /// Declares the schema, widened as far as the record needs.
    fn fit(&mut self, transaction: &mut Transaction<'_>, collection: &str, record: &Record) -> Result<(), ImportFault> {
        for (name, value) in &record.fields {
            while let Err(violation) = self.schema.check_value(name, value) {
                if !self.schema.widen(&violation, value) {
                    return Err(ImportFault::Inferred { why: violation.to_string() });
                }
                self.declared = false;
            }
        }
        if !self.declared {
            transaction.set_schema(collection, &self.schema)?;
            self.declared = true;
        }
        Ok(())
    }
}

impl ImportFault {
    /// Whether another record might still be imported.
    fn is_of_the_record(&self) -> bool {
        match self {
            Self::Json { .. } | Self::Id { .. } | Self::Inferred { .. } => true,
            Self::Write(error) => {
                matches!(error, WriteError::Schema { .. } | WriteError::Invalid { .. } | WriteError::TooLarge { .. })
            }
            Self::Io(_) | Self::LineTooLong { .. } | Self::Cancelled => false,
        }
    }
}
