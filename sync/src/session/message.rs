//! The messages of a session, one a frame: a kind, then its fields. `docs/spec/session.md` is the specification.

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::{Branch, Plane, Prefix};

use super::TicketRefusal;
use super::limits::{LOGS_PER_FRAME, MAX_FRAME_BYTES, MAX_REASON_BYTES, RUNGS, SPACES_PER_FRAME};
use super::numbers::LogName;
use crate::codec::{Codec, Decoded, Malformed, Reader, put_bytes, put_list, put_number, put_option};
use crate::contacts::ContactMessage;
use crate::database::{Delivery, Enrolment, Invite, MAX_PEER_ADDRESSES, Welcome};
use crate::identity::{Certificate, IdentityGenesis};
use crate::ticket::{OfferId, Ticket};

/// The kind of a batch.
const BATCH: u8 = 8;
/// An acknowledgement is one number, whose lowest bits are the verdict.
const VERDICT_BITS: u32 = 3;

/// What one frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    Hello(Hello),
    Proof(Box<Proof>),
    Join {
        offer: OfferId,
        proof: [u8; 32],
        enrolment: Enrolment,
    },
    Welcome(Welcome),
    Refuse(TicketRefusal),
    Spaces {
        more: bool,
        listed: Vec<Listing>,
    },
    Invite(Invite),
    Vectors(Vectors),
    /// As `batch` writes and reads it.
    Batch(Vec<u8>),
    /// Answers so many batch messages, of which all but the last were taken.
    Ack {
        frames: u64,
        verdict: BatchVerdict,
    },
    Addresses(Vec<String>),
    Contact(ContactMessage),
    Bye {
        why: String,
    },
    /// A space for the other side's identity, with the ticket that gives it.
    Offer(Box<Delivery>),
    /// The other side's offer is turned down.
    Decline(OfferId),
    /// The sender's own offer is over.
    Over(OfferId),
    Branches(Branches),
}

/// The first message of either side. Its layout never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hello {
    /// The oldest and the newest protocol version that the sender speaks.
    pub(super) versions: (u64, u64),
    /// The cipher suites that the sender knows, a bit each.
    pub(super) suites: u64,
    pub(super) nonce: [u8; 32],
}

/// Proves the sender's device, and names its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) signature: [u8; 64],
    pub(super) identity: Option<(IdentityGenesis, Certificate)>,
}

/// Names a space to those who know it, and says in one hash what the sender holds of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) tag: [u8; 16],
    pub(super) summary: [u8; 32],
}

/// What the sender holds of a space's logs, as far as it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vectors {
    pub(super) space: SpaceId,
    /// More frames of the same vectors follow.
    pub(super) more: bool,
    /// The sender wants the receiver's in return.
    pub(super) asks: bool,
    pub(super) logs: Vec<(Plane, WriterId, Prefix)>,
}

/// About a log of which the two sides hold different histories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Branches {
    pub(super) log: LogName,
    pub(super) say: BranchesSay,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BranchesSay {
    /// Prefixes that the sender holds, ascending: the receiver says which of them it holds too.
    Roots(Vec<Prefix>),
    /// What the sender holds beyond all that both do.
    Branch { shared: Prefix, branch: Box<Branch> },
}

/// What became of a batch, or of a part that isn't the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchVerdict {
    /// It is durable at the receiver, or staged.
    Taken,
    /// The receiver holds less of the log than the sender assumed.
    Gap,
    /// The receiver holds another branch of the log.
    Fork,
    /// Too much waits at the receiver already.
    Full,
    /// The receiver doesn't know of any authority of the writer.
    Unknown,
    /// The receiver's software is too old for an entry.
    Newer,
}

impl BatchVerdict {
    fn from_number(number: u64) -> Decoded<Self> {
        match number {
            0 => Ok(Self::Taken),
            1 => Ok(Self::Gap),
            2 => Ok(Self::Fork),
            3 => Ok(Self::Full),
            4 => Ok(Self::Unknown),
            5 => Ok(Self::Newer),
            _ => Err(Malformed("no such verdict")),
        }
    }

    /// For people on the sending side. `None`: nothing is wrong.
    pub(super) fn explain(self) -> Option<&'static str> {
        match self {
            Self::Taken => None,
            Self::Gap => Some("it holds less of the log than it said"),
            Self::Fork => Some("it holds another branch of the log"),
            Self::Full => Some("too much waits there for something else already"),
            Self::Unknown => Some("it knows of no right of the writer to write"),
            Self::Newer => Some("its software is too old; upgrade it"),
        }
    }
}

impl Message {
    /// Reads a frame.
    pub(super) fn read(mut frame: Vec<u8>) -> Decoded<Self> {
        if frame.len() > MAX_FRAME_BYTES {
            return Err(Malformed("a frame is over 384 KiB"));
        }
        if frame.first() == Some(&BATCH) {
            // Frames of this kind are large, and not held twice.
            frame.remove(0);
            return Ok(Self::Batch(frame));
        }
        Self::from_bytes(&frame)
    }
}

impl Codec for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello(hello) => {
                out.push(0);
                hello.encode(out);
            }
            Self::Proof(proof) => {
                out.push(1);
                out.extend_from_slice(&proof.signature);
                put_option(out, proof.identity.as_ref());
            }
            Self::Join { offer, proof, enrolment } => {
                out.push(2);
                offer.encode(out);
                out.extend_from_slice(proof);
                enrolment.encode(out);
            }
            Self::Welcome(welcome) => {
                out.push(3);
                welcome.encode(out);
            }
            Self::Refuse(refusal) => {
                out.push(4);
                refusal.encode(out);
            }
            Self::Spaces { more, listed } => {
                out.extend_from_slice(&[5, u8::from(*more)]);
                put_list(out, listed);
            }
            Self::Invite(invite) => {
                out.push(6);
                invite.encode(out);
            }
            Self::Vectors(vectors) => {
                out.push(7);
                vectors.encode(out);
            }
            Self::Batch(part) => {
                out.push(BATCH);
                out.extend_from_slice(part);
            }
            Self::Ack { frames, verdict } => {
                out.push(9);
                put_number(out, frames << VERDICT_BITS | *verdict as u64);
            }
            Self::Addresses(addresses) => {
                out.push(10);
                put_number(out, addresses.len() as u64);
                addresses.iter().for_each(|address| put_bytes(out, address.as_bytes()));
            }
            Self::Contact(message) => message.encode(out),
            Self::Bye { why } => {
                out.push(11);
                put_bytes(out, why.as_bytes());
            }
            Self::Offer(delivery) => {
                out.push(12);
                delivery.encode(out);
            }
            Self::Decline(offer) => {
                out.push(13);
                offer.encode(out);
            }
            Self::Over(offer) => {
                out.push(14);
                offer.encode(out);
            }
            Self::Branches(branches) => {
                out.push(20);
                branches.encode(out);
            }
        }
    }

    /// Of all but batches, which [`Message::read`] takes as they are.
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(match reader.byte()? {
            0 => Self::Hello(Hello::decode(reader)?),
            1 => Self::Proof(Box::new(Proof { signature: reader.array()?, identity: reader.option()? })),
            2 => Self::Join {
                offer: OfferId::decode(reader)?,
                proof: reader.array()?,
                enrolment: Enrolment::decode(reader)?,
            },
            3 => Self::Welcome(Welcome::decode(reader)?),
            4 => Self::Refuse(TicketRefusal::decode(reader)?),
            5 => Self::Spaces { more: reader.bool()?, listed: reader.list(SPACES_PER_FRAME)? },
            6 => Self::Invite(Invite::decode(reader)?),
            7 => Self::Vectors(Vectors::decode(reader)?),
            9 => {
                let answer = reader.number()?;
                let verdict = BatchVerdict::from_number(answer & ((1 << VERDICT_BITS) - 1))?;
                Self::Ack { frames: answer >> VERDICT_BITS, verdict }
            }
            10 => {
                let count = reader.count(MAX_PEER_ADDRESSES)?;
                Self::Addresses((0..count).map(|_| reader.text(Ticket::MAX_ADDRESS_BYTES)).collect::<Decoded<_>>()?)
            }
            11 => Self::Bye { why: reader.text(MAX_REASON_BYTES)? },
            12 => Self::Offer(Box::new(Delivery::decode(reader)?)),
            13 => Self::Decline(OfferId::decode(reader)?),
            14 => Self::Over(OfferId::decode(reader)?),
            20 => Self::Branches(Branches::decode(reader)?),
            kind if ContactMessage::KINDS.contains(&kind) => Self::Contact(ContactMessage::decode(kind, reader)?),
            _ => return Err(Malformed("a message of an unknown kind")),
        })
    }
}

impl Codec for Hello {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"tide");
        put_number(out, self.versions.0);
        put_number(out, self.versions.1);
        put_number(out, self.suites);
        out.extend_from_slice(&self.nonce);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        if reader.take(4)? != b"tide" {
            return Err(Malformed("a hello of another protocol"));
        }
        let versions = (reader.number()?, reader.number()?);
        Ok(Self { versions, suites: reader.number()?, nonce: reader.array()? })
    }
}

impl Codec for (IdentityGenesis, Certificate) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok((IdentityGenesis::decode(reader)?, Certificate::decode(reader)?))
    }
}

impl Codec for TicketRefusal {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Spent => 0,
            Self::HasIdentity => 1,
            Self::NeedsIdentity => 2,
            Self::OwnTicket => 3,
        });
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        match reader.byte()? {
            0 => Ok(Self::Spent),
            1 => Ok(Self::HasIdentity),
            2 => Ok(Self::NeedsIdentity),
            3 => Ok(Self::OwnTicket),
            _ => Err(Malformed("no such refusal")),
        }
    }
}

impl Codec for Listing {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tag);
        out.extend_from_slice(&self.summary);
    }
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { tag: reader.array()?, summary: reader.array()? })
    }
}

impl Codec for Vectors {
    fn encode(&self, out: &mut Vec<u8>) {
        self.space.encode(out);
        out.extend_from_slice(&[u8::from(self.more), u8::from(self.asks)]);
        put_list(out, &self.logs);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            space: SpaceId::decode(reader)?,
            more: reader.bool()?,
            asks: reader.bool()?,
            logs: reader.list(LOGS_PER_FRAME)?,
        })
    }
}

impl Codec for (Plane, WriterId, Prefix) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
        self.2.encode(out);
    }
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok((Plane::decode(reader)?, WriterId::decode(reader)?, Prefix::decode(reader)?))
    }
}

impl Codec for Branches {
    fn encode(&self, out: &mut Vec<u8>) {
        self.log.encode(out);
        match &self.say {
            BranchesSay::Roots(roots) => {
                out.push(0);
                put_list(out, roots);
            }
            BranchesSay::Branch { shared, branch } => {
                out.push(1);
                shared.encode(out);
                branch.encode(out);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let log = LogName::decode(reader)?;
        let say = match reader.byte()? {
            0 => BranchesSay::Roots(reader.list(RUNGS)?),
            1 => BranchesSay::Branch { shared: Prefix::decode(reader)?, branch: Box::new(Branch::decode(reader)?) },
            _ => return Err(Malformed("no such word about branches")),
        };
        Ok(Self { log, say })
    }
}
