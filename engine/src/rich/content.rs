//! The automerge document of a cell, with what still waits to be put into it: others' changes, and the last splice.
//!
//! Automerge walks the whole text for every batch of changes, however small, so changes wait until someone looks.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, Change, LoadOptions, ObjId, ROOT, ReadDoc, TextEncoding, VerificationMode};

use super::contain::{contain, unavailable};
use super::run::Run;
use super::{RichError, genesis};
use crate::operation::FieldKind;

/// How many changes wait at most.
const MAX_WAITING_CHANGES: usize = 1 << 15;
/// How many bytes of changes wait at most.
const MAX_WAITING_BYTES: usize = 8 << 20;

#[derive(Clone)]
pub(super) struct Content {
    document: AutoCommit,
    /// The text object; for json the root.
    object: ObjId,
    /// Changes of others that are not applied yet.
    waiting: Vec<Box<[u8]>>,
    waiting_bytes: usize,
    /// The last splice of the open transaction.
    run: Option<Run>,
    /// The text's length with the run, once known.
    length: Option<usize>,
    /// Why the document is of no more use: automerge failed in the middle of something.
    broken: Option<String>,
}

impl Content {
    /// What the genesis change makes.
    pub fn new(kind: FieldKind) -> Result<Self, RichError> {
        let document = contain(|| {
            let mut document = AutoCommit::new_with_encoding(TextEncoding::UnicodeCodePoint);
            let first = Change::from_bytes(genesis::bytes(kind).to_vec()).map_err(unavailable)?;
            document.apply_changes([first]).map_err(unavailable)?;
            Ok(document)
        })?;
        Self::over(kind, document)
    }

    /// What [`Content::save`] saved.
    pub fn load(kind: FieldKind, saved: &[u8]) -> Result<Self, RichError> {
        let options = LoadOptions::new()
            .text_encoding(TextEncoding::UnicodeCodePoint)
            .verification_mode(VerificationMode::DontCheck);
        let document = contain(|| AutoCommit::load_with_options(saved, options).map_err(unavailable))?;
        Self::over(kind, document)
    }

    fn over(kind: FieldKind, document: AutoCommit) -> Result<Self, RichError> {
        let object = match kind {
            FieldKind::Text => {
                let found = document.get(ROOT, genesis::ROOT_KEY).map_err(unavailable)?;
                found.map(|(_, object)| object).ok_or_else(|| unavailable("the text object is missing"))?
            }
            _ => ROOT,
        };
        Ok(Self { document, object, waiting: Vec::new(), waiting_bytes: 0, run: None, length: None, broken: None })
    }

    /// Does something to the document. After a failure of automerge nothing more is done to it.
    fn work<T>(&mut self, work: impl FnOnce(&mut AutoCommit) -> Result<T, RichError>) -> Result<T, RichError> {
        if let Some(why) = &self.broken {
            return Err(unavailable(why));
        }
        let done = contain(|| work(&mut self.document));
        if let Err(RichError::Unavailable { why }) = &done {
            self.broken = Some(why.clone());
        }
        done
    }

    /// Edits the document, with nothing waiting.
    pub fn edit(&mut self, edit: impl FnOnce(&mut AutoCommit) -> Result<(), RichError>) -> Result<(), RichError> {
        self.settle()?;
        self.work(edit)
    }

    /// Looks at the document, with nothing waiting.
    pub fn look<T>(&mut self, look: impl FnOnce(&AutoCommit) -> Result<T, RichError>) -> Result<T, RichError> {
        self.settle()?;
        self.work(|document| look(document))
    }

    /// Takes a change of another writer, to be applied before the next look.
    pub fn apply(&mut self, change: &[u8]) -> Result<(), RichError> {
        if self.is_open() {
            return Err(unavailable("a transaction is open"));
        }
        self.waiting.push(change.into());
        self.waiting_bytes += change.len();
        self.length = None;
        if self.waiting.len() >= MAX_WAITING_CHANGES || self.waiting_bytes >= MAX_WAITING_BYTES {
            self.settle()?;
        }
        Ok(())
    }

    /// Applies what waits.
    pub fn settle(&mut self) -> Result<(), RichError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.waiting_bytes = 0;
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        self.work(|document| {
            let changes = waiting.map(|bytes| Change::try_from(&*bytes).map_err(unavailable));
            let changes: Vec<Change> = changes.collect::<Result<_, _>>()?;
            document.apply_changes(changes).map_err(unavailable)?;
            match document.get_missing_deps(&[]) {
                missing if missing.is_empty() => Ok(()),
                missing => Err(unavailable(format!("a change depends on {} that is not there", missing[0]))),
            }
        })
    }

    /// Whether edits wait for [`Content::commit`].
    pub fn is_open(&self) -> bool {
        self.run.is_some() || self.document.pending_ops() > 0
    }

    /// How many operations the open transaction has, about: a run counts in full.
    pub fn pending(&self) -> u64 {
        let run = self.run.as_ref().map_or(0, |run| run.delete + run.insert.len());
        (self.document.pending_ops() + run) as u64
    }

    /// Who makes the coming edits.
    pub fn set_actor(&mut self, actor: ActorId) {
        if *self.document.get_actor() != actor {
            self.document.set_actor(actor);
        }
    }

    pub fn text(&mut self) -> Result<String, RichError> {
        let object = self.object.clone();
        let text = self.look(|document| document.text(&object).map_err(unavailable))?;
        Ok(self.run.as_ref().map_or_else(|| text.clone(), |run| run.applied(&text)))
    }

    pub fn length(&mut self) -> Result<usize, RichError> {
        self.settle()?;
        if let Some(length) = self.length {
            return Ok(length);
        }
        let object = self.object.clone();
        let mut length = self.look(|document| Ok(document.length(&object)))?;
        if let Some(run) = &self.run {
            length = (length + run.insert.len()).saturating_sub(run.delete);
        }
        self.length = Some(length);
        Ok(length)
    }

    /// A splice within the text.
    pub fn splice(&mut self, at: usize, delete: usize, insert: &str) -> Result<(), RichError> {
        let length = self.length()? - delete + insert.chars().count();
        if !self.run.as_mut().is_some_and(|run| run.merge(at, delete, insert)) {
            self.end_run()?;
            self.run = Some(Run::new(at, delete, insert));
        }
        self.length = Some(length);
        Ok(())
    }

    fn end_run(&mut self) -> Result<(), RichError> {
        let Some(run) = self.run.take() else { return Ok(()) };
        if run.delete == 0 && run.insert.is_empty() {
            return Ok(());
        }
        let delete = isize::try_from(run.delete).map_err(unavailable)?;
        let insert: String = run.insert.iter().collect();
        let object = self.object.clone();
        self.work(|document| document.splice_text(&object, run.at, delete, &insert).map_err(unavailable))
    }

    /// Ends the transaction: its change, if it made one.
    pub fn commit(&mut self) -> Result<Option<Change>, RichError> {
        self.end_run()?;
        self.work(|document| {
            if document.pending_ops() == 0 {
                document.rollback();
                return Ok(None);
            }
            document.commit_with(CommitOptions::default().with_time(0));
            document.get_last_local_change().map(Some).ok_or_else(|| unavailable("the change is missing"))
        })
    }

    /// Ends the transaction without a change.
    pub fn rollback(&mut self) {
        (self.run, self.length) = (None, None);
        // A document that broke before stays broken, and says so when it is used.
        let _: Result<(), RichError> = self.work(|document| {
            document.rollback();
            Ok(())
        });
    }

    /// The document as bytes.
    pub fn save(&mut self) -> Result<Vec<u8>, RichError> {
        self.settle()?;
        self.work(|document| Ok(document.save()))
    }

    /// How many bytes of changes wait.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }
}
