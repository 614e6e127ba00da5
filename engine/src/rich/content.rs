//! The automerge document of a cell, with what still waits to be put into it: others' changes, and the last splice.
//!
//! Automerge walks the whole text for every batch of changes, however small, so changes wait until someone looks. A small
//! text that nobody edits is shown without automerge.

use std::sync::LazyLock;

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, Change, LoadOptions, ObjId, ROOT, ReadDoc, TextEncoding, VerificationMode};

use super::change::{Frame, Summary};
use super::contain::{contain, unavailable};
use super::operations::INSERT;
use super::render::Characters;
use super::run::Run;
use super::{Made, RichError, first, genesis};
use crate::operation::FieldKind;

/// How many changes wait at most.
const MAX_WAITING_CHANGES: usize = 1 << 15;
/// How many bytes of changes wait at most.
const MAX_WAITING_BYTES: usize = 8 << 20;
/// The most changes of a text that is shown without automerge.
const MAX_RENDERED_CHANGES: u64 = 1 << 10;
/// The most bytes of changes of a text that is shown without automerge.
const MAX_RENDERED_BYTES: u64 = 64 << 10;

/// What the genesis changes make, to be copied. An error is the same every time: automerge does not know its own bytes.
static EMPTY_TEXT: LazyLock<Result<AutoCommit, String>> = LazyLock::new(|| empty(FieldKind::Text));
static EMPTY_JSON: LazyLock<Result<AutoCommit, String>> = LazyLock::new(|| empty(FieldKind::Json));

fn empty(kind: FieldKind) -> Result<AutoCommit, String> {
    let made = contain(|| {
        let mut document = AutoCommit::new_with_encoding(TextEncoding::UnicodeCodePoint);
        let first = Change::from_bytes(genesis::bytes(kind).to_vec()).map_err(unavailable)?;
        document.apply_changes([first]).map_err(unavailable)?;
        Ok(document)
    });
    made.map_err(|error| error.to_string())
}

#[derive(Clone)]
pub(super) struct Content {
    kind: FieldKind,
    /// `None`: as the genesis change makes it, and not needed yet.
    document: Option<Document>,
    /// Changes of others that are not applied yet.
    waiting: Vec<Box<[u8]>>,
    waiting_bytes: usize,
    /// Who makes the coming edits.
    actor: Option<ActorId>,
    /// The last splice of the open transaction.
    run: Option<Run>,
    /// The text's length with the run, once known.
    length: Option<usize>,
    /// Why the document is of no more use: automerge failed in the middle of something.
    broken: Option<String>,
}

#[derive(Clone)]
struct Document {
    automerge: AutoCommit,
    /// The text object; for json the root.
    object: ObjId,
}

impl Document {
    fn over(kind: FieldKind, automerge: AutoCommit) -> Result<Self, RichError> {
        let object = match kind {
            FieldKind::Text => {
                let found = automerge.get(ROOT, genesis::ROOT_KEY).map_err(unavailable)?;
                found.map(|(_, object)| object).ok_or_else(|| unavailable("the text object is missing"))?
            }
            _ => ROOT,
        };
        Ok(Self { automerge, object })
    }

    fn empty(kind: FieldKind) -> Result<Self, RichError> {
        let template = if kind == FieldKind::Text { &EMPTY_TEXT } else { &EMPTY_JSON };
        Self::over(kind, template.as_ref().map_err(unavailable)?.clone())
    }
}

impl Content {
    /// What the genesis change makes.
    pub fn new(kind: FieldKind) -> Self {
        Self::over(kind, None)
    }

    /// What [`Content::save`] saved.
    pub fn load(kind: FieldKind, saved: &[u8]) -> Result<Self, RichError> {
        let options = LoadOptions::new()
            .text_encoding(TextEncoding::UnicodeCodePoint)
            .verification_mode(VerificationMode::DontCheck);
        let document = contain(|| {
            let automerge = AutoCommit::load_with_options(saved, options).map_err(unavailable)?;
            Document::over(kind, automerge)
        })?;
        Ok(Self::over(kind, Some(document)))
    }

    /// Whether a cell with so many changes is better shown without automerge than loaded from a snapshot.
    pub fn is_small(kind: FieldKind, changes: u64, bytes: u64) -> bool {
        kind == FieldKind::Text && changes <= MAX_RENDERED_CHANGES && bytes <= MAX_RENDERED_BYTES
    }

    fn over(kind: FieldKind, document: Option<Document>) -> Self {
        Self {
            kind,
            document,
            waiting: Vec::new(),
            waiting_bytes: 0,
            actor: None,
            run: None,
            length: None,
            broken: None,
        }
    }

    /// Does something to the document. After a failure of automerge nothing more is done to it.
    fn work<T>(&mut self, work: impl FnOnce(&mut AutoCommit, &ObjId) -> Result<T, RichError>) -> Result<T, RichError> {
        if let Some(why) = &self.broken {
            return Err(unavailable(why));
        }
        let kind = self.kind;
        let slot = &mut self.document;
        let done = contain(|| {
            let document = match slot {
                Some(document) => document,
                None => slot.insert(Document::empty(kind)?),
            };
            work(&mut document.automerge, &document.object)
        });
        if let Err(RichError::Unavailable { why }) = &done {
            self.broken = Some(why.clone());
        }
        done
    }

    /// Edits the document, with nothing waiting.
    pub fn edit(&mut self, edit: impl FnOnce(&mut AutoCommit) -> Result<(), RichError>) -> Result<(), RichError> {
        self.settle()?;
        self.take_actor()?;
        self.work(|document, _| edit(document))
    }

    /// Looks at the document, with nothing waiting.
    pub fn look<T>(&mut self, look: impl FnOnce(&AutoCommit) -> Result<T, RichError>) -> Result<T, RichError> {
        self.settle()?;
        self.work(|document, _| look(document))
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
        self.work(|document, _| {
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
        self.run.is_some() || self.pending_operations() > 0
    }

    /// How many operations the open transaction has, about: a run counts in full.
    pub fn pending(&self) -> u64 {
        let run = self.run.as_ref().map_or(0, |run| run.delete + run.insert.len());
        (self.pending_operations() + run) as u64
    }

    fn pending_operations(&self) -> usize {
        self.document.as_ref().map_or(0, |document| document.automerge.pending_ops())
    }

    /// Who makes the coming edits.
    pub fn set_actor(&mut self, actor: ActorId) {
        self.actor = Some(actor);
    }

    fn take_actor(&mut self) -> Result<(), RichError> {
        let Some(actor) = self.actor.take() else { return Ok(()) };
        self.work(|document, _| {
            if *document.get_actor() != actor {
                document.set_actor(actor);
            }
            Ok(())
        })
    }

    pub fn text(&mut self) -> Result<String, RichError> {
        let text = self.settled_text()?;
        Ok(match &self.run {
            Some(run) => run.applied(&text),
            None => text,
        })
    }

    /// The text without the run.
    fn settled_text(&mut self) -> Result<String, RichError> {
        if self.document.is_none() && Self::is_small(self.kind, self.waiting.len() as u64, self.waiting_bytes as u64) {
            let mut characters = Characters::new();
            self.waiting.iter().try_for_each(|change| characters.apply(change))?;
            return Ok(characters.text());
        }
        self.settle()?;
        self.work(|document, object| document.text(object).map_err(unavailable))
    }

    pub fn length(&mut self) -> Result<usize, RichError> {
        if let Some(length) = self.length {
            return Ok(length);
        }
        let mut length = match self.document {
            None => self.settled_text()?.chars().count(),
            Some(_) => {
                self.settle()?;
                self.work(|document, object| Ok(document.length(object)))?
            }
        };
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
        self.settle()?;
        self.take_actor()?;
        self.work(|document, object| document.splice_text(object, run.at, delete, &insert).map_err(unavailable))
    }

    /// Ends the transaction: its change, if it made one.
    pub fn commit(&mut self) -> Result<Option<Made>, RichError> {
        if let Some(made) = self.commit_first()? {
            return Ok(Some(made));
        }
        self.end_run()?;
        if self.pending_operations() == 0 && self.broken.is_none() {
            self.rollback();
            return Ok(None);
        }
        self.work(|document, _| {
            document.commit_with(CommitOptions::default().with_time(0));
            document.get_last_local_change().ok_or_else(|| unavailable("the change is missing"))
        })
        .and_then(|change| self.made(&change))
        .map(Some)
    }

    /// The first change of an empty text does not need automerge.
    fn commit_first(&mut self) -> Result<Option<Made>, RichError> {
        let is_first = self.document.is_none() && self.waiting.is_empty() && self.kind == FieldKind::Text;
        let (true, Some(run), Some(actor)) = (is_first, &self.run, &self.actor) else { return Ok(None) };
        if run.insert.is_empty() {
            return Ok(None);
        }
        let made = first::change(actor, &run.insert);
        self.run = None;
        let length = self.length;
        self.apply(&made.bytes)?;
        self.length = length;
        Ok(Some(made))
    }

    fn made(&self, change: &Change) -> Result<Made, RichError> {
        let bytes = change.raw_bytes().to_vec();
        let inserts = match self.kind {
            FieldKind::Text => {
                let frame = Frame::parse(&bytes).map_err(unavailable)?;
                frame.column(INSERT).unwrap_or_default().to_vec()
            }
            _ => Vec::new(),
        };
        let summary = Summary {
            hash: change.hash(),
            actor: change.actor_id().clone(),
            seq: change.seq(),
            start_op: change.start_op().get(),
            max_op: change.max_op(),
            deps: change.deps().to_vec(),
            reaches: Vec::new(),
            inserts,
        };
        Ok(Made { bytes, summary })
    }

    /// Ends the transaction without a change.
    pub fn rollback(&mut self) {
        (self.run, self.length) = (None, None);
        // A document that broke before stays broken, and says so when it is used.
        if self.document.is_some() {
            let _: Result<(), RichError> = self.work(|document, _| {
                document.rollback();
                Ok(())
            });
        }
    }

    /// The document as bytes.
    pub fn save(&mut self) -> Result<Vec<u8>, RichError> {
        self.settle()?;
        self.work(|document, _| Ok(document.save()))
    }

    /// How many bytes of changes wait.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }
}
