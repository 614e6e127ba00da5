//! The faults, and the one that is planted.

use std::cell::Cell;

thread_local! {
    static CHOSEN: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// What can be wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    // Storage.
    /// The storage is not asked to sync what says that a commit counts.
    SyncSkipped,
    /// A durable commit is stored like a buffered one.
    AcknowledgedEarly,
    /// A commit takes one phase.
    SecondPhaseSkipped,
    /// A commit that failed is acknowledged.
    FailureAcknowledged,
    /// What a document's record has no room for, of the commits that touched it, is not stored.
    TouchesForgotten,
    /// Making buffered commits durable does nothing.
    FlushSkipped,
    /// A page is taken whatever its sum says.
    SumIgnored,
    /// A row is taken whatever its check says.
    CheckIgnored,
    /// Verifying finds nothing.
    VerifyBlind,
    /// The mirror is not synced when the file is opened.
    MirrorUnsynced,
    /// The mirror knows of a commit with the next one.
    MirrorLate,

    // Logs.
    /// A copied or restored file goes on as the writer that it was.
    IncarnationKept,
    /// Entries that do not join on to what is held pass for taken.
    GapTaken,
    /// Another branch of a log passes for the one that is held.
    ForkIgnored,
    /// What proves a fork is not looked at.
    ForkForgotten,
    /// A commit is applied before what it depends on.
    DependencyIgnored,
    /// Every head passes for signed.
    SignatureUnchecked,
    /// A writer who was removed writes on in a log that stays closed.
    ClosedLogWritten,
    /// What is from the future by this device's clock has to wait.
    ClockDecides,
    /// What lies beyond a cut counts where it is held.
    RemovedStillHeard,
    /// Documents are not folded again when a table decides otherwise.
    RefoldSkipped,

    // The fold.
    /// Operations of others are folded twice.
    AppliedTwice,
    /// Deletes of others are not folded.
    DeleteDropped,
    /// A counter's increment counts twice in every generation but the first.
    CounterTwice,
    /// Of concurrent values the one of the greater writer wins, whatever the clocks say.
    WrongWinner,
    /// A write of a register replaces values that it did not see.
    LastAppliedWins,
    /// The short way of writing registers does not ask whether the write saw what it replaces.
    PlainWriteBlind,
    /// What is removed from a set goes with adds that the removal did not see.
    ConcurrentAddForgotten,
    /// Changes of text and json by others don't reach the content.
    TextForgotten,

    // Indexes and queries.
    /// A document that had index rows gets no new ones.
    IndexRowForgotten,
    /// A document that gets conflicts is not listed among those that have any.
    ConflictUnlisted,
    /// Old index rows stay.
    IndexRowLeft,
    /// A range by an index ends before its end.
    RangeEndOff,
    /// A page that is exactly full lacks its last document.
    LimitShort,
    /// A live query does not hear of a commit to several collections.
    ChangeMissed,

    // Keys.
    /// Every entry has the same salt.
    SaltConstant,
    /// A salt comes from randomness alone.
    SaltUnhedged,
    /// Entries are sealed with an old key.
    OldEpochUsed,
    /// Bodies are not sealed.
    BodyInPlain,
    /// Names and labels are not sealed.
    NoteInPlain,
    /// A relay is given the keys.
    KeyToRelay,

    // Membership.
    /// A removed writer's logs count for nothing, where they should count up to their cuts.
    CutIgnored,
    /// A reader may write.
    ReaderWrites,
    /// An admin may grant and revoke what is not below it.
    GrantTooHigh,

    // Sessions.
    /// The last entry of a batch is not sent.
    EntryLost,
    /// A listing says nothing of the data plane.
    ListingStale,
    /// A session does not send what is new until vectors are compared.
    NewsIgnored,
    /// Nobody hears of a change of the control plane.
    ControlUntold,
    /// Vectors are compared once, and never again.
    NeverComparesAgain,
    /// Commits are sent before they are durable.
    SentBeforeDurable,
    /// Vectors are asked for though nothing is new.
    NeverSilent,
    /// Who was removed is sent what is written afterwards.
    RemovedStillTold,

    // Bounds.
    /// What waited and was applied still counts as waiting.
    ParkedBytesKept,
    /// A body is inflated to whatever length it names.
    BombInflated,
}

/// A fault stays planted for as long as this lives.
#[derive(Debug)]
#[must_use = "the fault is taken out again when this is dropped"]
pub struct Planted {
    /// It belongs to the thread that planted it.
    _of_this_thread: std::marker::PhantomData<*const ()>,
}

/// Plants a fault, for what this thread does.
///
/// # Panics
/// When one is planted already.
pub fn plant(fault: Fault) -> Planted {
    let before = CHOSEN.replace(Some(fault));
    assert_eq!(before, None, "one fault at a time");
    Planted { _of_this_thread: std::marker::PhantomData }
}

impl Drop for Planted {
    fn drop(&mut self) {
        CHOSEN.set(None);
    }
}

/// Whether this fault is planted.
#[must_use]
pub fn is_planted(fault: Fault) -> bool {
    CHOSEN.get() == Some(fault)
}
