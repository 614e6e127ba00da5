//! What a session holds and sends at most. `tests/tests/all/bounds.rs` measures what they come to: less than 1 MiB for a
//! stranger and 8 MiB for a member, with what the channel holds.

use tidewater_engine::log::header::MOVED_LOGS_MAX;

/// The largest frame, in bytes.
pub const MAX_FRAME_BYTES: usize = 384 << 10;
/// How many bytes of entries may be on their way and not yet acknowledged. One frame may exceed it.
pub(super) const WINDOW_BYTES: usize = 4 << 20;
/// How many bytes of entries are read for one batch, unless its first head comes later.
pub(super) const BATCH_BYTES: usize = 256 << 10;
/// From which size on a batch is continued in another frame. With one entry more it still fits a frame.
pub(super) const PART_BYTES: usize = 64 << 10;
/// From how many named logs on a batch is continued in another frame.
pub(super) const PART_NAMES: usize = 255;
/// How many logs one frame of a batch gives numbers to: those before its last entry, those of that entry, and its own.
pub(super) const MAX_NAMES: usize = PART_NAMES + 2 * MOVED_LOGS_MAX + 1;
/// From how many bytes of entries on what arrived together becomes durable, without waiting for more.
pub(super) const GROUP_BYTES: usize = 1 << 20;
/// The same in frames.
pub(super) const GROUP_FRAMES: usize = 1_024;
/// How many logs have numbers before all numbers are forgotten, unless one frame names more.
pub(super) const MAX_NUMBERED_LOGS: usize = 256;
/// How many bytes of entries a batch has at most, as they are stored. Writers sign at least every 256 KiB.
pub(super) const MAX_STAGED_BYTES: usize = 512 << 10;
/// How many entries a batch has at most. Writers sign at least every 1,000.
pub(super) const MAX_BATCH_ENTRIES: usize = 1_024;
/// The longest header of an entry, in bytes.
pub(super) const MAX_HEADER_BYTES: usize = 64 << 10;
/// The longest body of an entry, in bytes.
pub(super) const MAX_BODY_BYTES: usize = 256 << 10;
/// How many bytes of outputs wait to be polled before the session asks for no more input.
pub(super) const MAX_QUEUED_BYTES: usize = 512 << 10;
/// How many spaces one frame lists.
pub(super) const SPACES_PER_FRAME: usize = 2_048;
/// How many spaces of the other side that this one can't match are remembered.
pub(super) const MAX_UNMATCHED: usize = 16_384;
/// The same of a stranger.
pub(super) const MAX_UNMATCHED_OF_STRANGER: usize = 1_024;
/// How many invitations are taken in one session.
pub(super) const MAX_INVITES: usize = 4_096;
/// How many messages about being contacts are taken in one session.
pub(super) const MAX_CONTACT_MESSAGES: usize = 256;
/// How many offers are taken in one session; the others are passed over.
pub(super) const MAX_OFFERS_TAKEN: usize = 256;
/// How many logs one frame of a version vector names.
pub(super) const LOGS_PER_FRAME: usize = 2_048;
/// How many logs that aren't held here are remembered of the other side's vectors, all spaces together. Of the others it is
/// only known how many entries they have.
pub(super) const MAX_FOREIGN_LOGS: usize = 4_096;
/// How many prefixes of a log one frame compares.
pub(super) const RUNGS: usize = 32;
/// How many frames about the branches of one log this side sends in a session: enough to find the fork of the longest log.
pub(super) const MAX_BRANCHES_FRAMES: u32 = 32;
/// How long the other side may take from the first frame to the proof, and to answer a ticket, in milliseconds.
pub(super) const HELLO_TIMEOUT_MS: i64 = 15_000;
/// The longest reason for closing, in bytes.
pub(super) const MAX_REASON_BYTES: usize = 200;
