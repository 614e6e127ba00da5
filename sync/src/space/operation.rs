//! The operations of a control plane. One commit carries one operation.

use tidewater_engine::id::{DeviceId, EpochId, WriterId};
use tidewater_engine::log::{Fork, Plane};
use tidewater_engine::space::Rank;

use super::genesis::SpaceGenesis;
use super::removal::Removal;
use crate::codec::{Codec, Decoded, Malformed, Reader, put_list, put_number};
use crate::identity::{Certificate, IdentityCard, IdentityGenesis, IdentityId};
use crate::keys::{SealedNote, Wrapped};

/// What a control commit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ControlOperation {
    /// Makes the space. Counts only where its hash is the space's id.
    Genesis(SpaceGenesis),
    /// Gives an identity a rank.
    Grant(Grant),
    /// Takes all the ranks an identity was given before.
    Revoke(Revoke),
    /// A further device of an identity, with the keys it needs.
    AddDevice { genesis: IdentityGenesis, certificate: Certificate, wraps: Vec<EpochWrap> },
    /// Starts an epoch.
    Rotate(EpochStart),
    /// Renames the space.
    Label(SealedNote),
    /// Gives devices keys that an earlier operation, made without knowing of them, left out.
    Wraps(Vec<EpochWrap>),
    /// Raises the space's feature level.
    Level(u64),
    /// An identity removes a device of its own.
    RemoveDevice(Removal),
    /// An identity leaves.
    Leave(Leave),
    /// Proves that there are several histories of a log.
    Fork(Box<Fork>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) genesis: IdentityGenesis,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) rank: Rank,
    pub(crate) name: SealedNote,
    pub(crate) wraps: Vec<EpochWrap>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revoke {
    pub(crate) identity: IdentityId,
    pub(crate) cuts: Vec<CutRecord>,
    /// A removal without new keys would remove nothing.
    pub(crate) rotation: EpochStart,
}

/// An identity gives up its ranks. It carries no keys: whoever leaves must not know the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leave {
    pub(crate) identity: IdentityId,
    /// How far the data logs of its devices count. Of their control logs counts what precedes the leave.
    pub(crate) cuts: Vec<CutRecord>,
}

/// How far a log of a removed writer counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CutRecord {
    pub(crate) plane: Plane,
    pub(crate) writer: WriterId,
    pub(crate) length: u64,
    pub(crate) root: [u8; 32],
}

/// A new epoch: its key for every device that may read, and the keys before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EpochStart {
    /// One more than the highest that its author knew.
    pub(crate) number: u64,
    pub(crate) id: EpochId,
    pub(crate) wraps: Vec<(DeviceId, Wrapped)>,
    /// The keys of the newest epochs its author held, sealed under this one's.
    pub(crate) older: Vec<OlderEpoch>,
}

/// An epoch key for a device that came later than the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EpochWrap {
    pub(crate) epoch: EpochId,
    pub(crate) device: DeviceId,
    pub(crate) wrapped: Wrapped,
}

/// An older epoch's key, sealed under a newer one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OlderEpoch {
    pub(crate) id: EpochId,
    pub(crate) sealed: SealedNote,
}

/// Why the body of a control commit is not an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OperationError {
    /// A version or kind that this software doesn't know. Whether it may be judged, the commit's feature level tells.
    Unknown,
    /// It is wrong on every replica.
    Malformed(Malformed),
}

impl ControlOperation {
    const VERSION: u8 = 1;
    const MAX_KIND: u8 = 10;
    /// How the body of a proof of a fork begins.
    pub(crate) const FORK: [u8; 2] = [Self::VERSION, 10];
    /// Keys in one operation, so that it fits the 64 KiB of a control commit. Devices beyond it get theirs by
    /// [`ControlOperation::Wraps`].
    pub(crate) const MAX_WRAPS: usize = 400;
    pub(crate) const MAX_CUTS: usize = 400;
    pub(crate) const MAX_OLDER: usize = 64;

    /// Reads the body of a control commit.
    pub(crate) fn read(body: &[u8]) -> Result<Self, OperationError> {
        match body {
            [] => Err(OperationError::Malformed(Malformed("an empty operation"))),
            [version, ..] if *version != Self::VERSION => Err(OperationError::Unknown),
            [_, kind, ..] if *kind > Self::MAX_KIND => Err(OperationError::Unknown),
            _ => Self::from_bytes(body).map_err(OperationError::Malformed),
        }
    }
}

impl Codec for ControlOperation {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::VERSION);
        match self {
            Self::Genesis(genesis) => {
                out.push(0);
                genesis.encode(out);
            }
            Self::Grant(grant) => {
                out.push(1);
                grant.genesis.encode(out);
                put_list(out, &grant.certificates);
                grant.rank.encode(out);
                grant.name.encode(out);
                put_list(out, &grant.wraps);
            }
            Self::Revoke(revoke) => {
                out.push(2);
                revoke.identity.encode(out);
                put_list(out, &revoke.cuts);
                revoke.rotation.encode(out);
            }
            Self::AddDevice { genesis, certificate, wraps } => {
                out.push(3);
                genesis.encode(out);
                certificate.encode(out);
                put_list(out, wraps);
            }
            Self::Rotate(start) => {
                out.push(4);
                start.encode(out);
            }
            Self::Label(label) => {
                out.push(5);
                label.encode(out);
            }
            Self::Wraps(wraps) => {
                out.push(6);
                put_list(out, wraps);
            }
            Self::Level(level) => {
                out.push(7);
                put_number(out, *level);
            }
            Self::RemoveDevice(removal) => {
                out.push(8);
                removal.encode(out);
            }
            Self::Leave(leave) => {
                out.push(9);
                leave.identity.encode(out);
                put_list(out, &leave.cuts);
            }
            Self::Fork(fork) => {
                out.push(10);
                fork.encode(out);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        // `read` looked at the version: another one is no malformed operation.
        let [_version, kind] = reader.array()?;
        Ok(match kind {
            0 => Self::Genesis(SpaceGenesis::decode(reader)?),
            1 => Self::Grant(Grant {
                genesis: IdentityGenesis::decode(reader)?,
                certificates: reader.list(IdentityCard::MAX_DEVICES)?,
                rank: Rank::decode(reader)?,
                name: SealedNote::decode(reader)?,
                wraps: reader.list(Self::MAX_WRAPS)?,
            }),
            2 => Self::Revoke(Revoke {
                identity: IdentityId::decode(reader)?,
                cuts: reader.list(Self::MAX_CUTS)?,
                rotation: EpochStart::decode(reader)?,
            }),
            3 => Self::AddDevice {
                genesis: IdentityGenesis::decode(reader)?,
                certificate: Certificate::decode(reader)?,
                wraps: reader.list(Self::MAX_WRAPS)?,
            },
            4 => Self::Rotate(EpochStart::decode(reader)?),
            5 => Self::Label(SealedNote::decode(reader)?),
            6 => Self::Wraps(reader.list(Self::MAX_WRAPS)?),
            7 => match reader.number()? {
                0 => return Err(Malformed("feature levels count from 1")),
                level => Self::Level(level),
            },
            8 => Self::RemoveDevice(Removal::decode(reader)?),
            9 => Self::Leave(Leave::decode(reader)?),
            10 => Self::Fork(Box::new(Fork::decode(reader)?)),
            _ => return Err(Malformed("the operation's kind is unknown")),
        })
    }
}

impl Leave {
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let identity = IdentityId::decode(reader)?;
        let cuts: Vec<CutRecord> = reader.list(ControlOperation::MAX_CUTS)?;
        let of_data = cuts.iter().all(|cut| cut.plane == Plane::Data);
        if of_data { Ok(Self { identity, cuts }) } else { Err(Malformed("a leave cuts data logs only")) }
    }
}

impl Codec for CutRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        self.plane.encode(out);
        self.writer.encode(out);
        put_number(out, self.length);
        out.extend_from_slice(&self.root);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            plane: Plane::decode(reader)?,
            writer: WriterId::decode(reader)?,
            length: reader.number()?,
            root: reader.array()?,
        })
    }
}

impl Codec for EpochStart {
    fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.number);
        self.id.encode(out);
        put_list(out, &self.wraps);
        put_list(out, &self.older);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            number: reader.number()?,
            id: EpochId::decode(reader)?,
            wraps: reader.list(ControlOperation::MAX_WRAPS)?,
            older: reader.list(ControlOperation::MAX_OLDER)?,
        })
    }
}

impl Codec for (DeviceId, Wrapped) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok((DeviceId::decode(reader)?, Wrapped::decode(reader)?))
    }
}

impl Codec for EpochWrap {
    fn encode(&self, out: &mut Vec<u8>) {
        self.epoch.encode(out);
        self.device.encode(out);
        self.wrapped.encode(out);
    }
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            epoch: EpochId::decode(reader)?,
            device: DeviceId::decode(reader)?,
            wrapped: Wrapped::decode(reader)?,
        })
    }
}

impl Codec for OlderEpoch {
    fn encode(&self, out: &mut Vec<u8>) {
        self.id.encode(out);
        self.sealed.encode(out);
    }
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { id: EpochId::decode(reader)?, sealed: SealedNote::decode(reader)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Person, SimulatedHost};
    use tidewater_engine::space::SecretKey;

    fn grant() -> ControlOperation {
        let (host, ada) = (SimulatedHost::new(1), Person::new(2, "Ada"));
        let card = ada.card();
        let key = SecretKey::new([1; 32]);
        ControlOperation::Grant(Grant {
            genesis: card.genesis,
            certificates: card.certificates,
            rank: Rank::Writer,
            name: SealedNote::seal(&*host, &key, crate::keys::NotePurpose::Name, b"Ada"),
            wraps: vec![],
        })
    }

    #[test]
    fn an_operation_has_one_encoding_and_every_truncation_is_refused() {
        let bytes = grant().to_bytes();
        assert_eq!(ControlOperation::read(&bytes), Ok(grant()));
        for length in 1..bytes.len() {
            assert!(matches!(ControlOperation::read(&bytes[..length]), Err(OperationError::Malformed(_))), "{length}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(ControlOperation::read(&longer), Err(OperationError::Malformed(_))));
    }

    #[test]
    fn a_space_has_an_owner_and_a_feature_level() {
        let (host, key) = (SimulatedHost::new(1), SecretKey::new([1; 32]));
        let genesis = ControlOperation::Genesis(SpaceGenesis {
            nonce: [1; 16],
            feature_level: 1,
            history_open: true,
            owners: vec![],
            epoch: EpochStart { number: 0, id: key.epoch_id(), wraps: vec![], older: vec![] },
            label: SealedNote::seal(&*host, &key, crate::keys::NotePurpose::Label, b"Home"),
        });
        let ownerless = OperationError::Malformed(Malformed("a space without an owner"));
        assert_eq!(ControlOperation::read(&genesis.to_bytes()), Err(ownerless));
        let level = |level| ControlOperation::Level(level).to_bytes();
        assert_eq!(ControlOperation::read(&level(1)), Ok(ControlOperation::Level(1)));
        let zero = OperationError::Malformed(Malformed("feature levels count from 1"));
        assert_eq!(ControlOperation::read(&level(0)), Err(zero));
        assert_eq!(ControlOperation::read(&[]), Err(OperationError::Malformed(Malformed("an empty operation"))));
    }

    #[test]
    fn a_leave_has_one_layout_and_names_data_logs_only() {
        let writer = WriterId { device: DeviceId([2; 32]), incarnation: tidewater_engine::id::Incarnation([3; 8]) };
        let leave = |plane| {
            let cut = CutRecord { plane, writer, length: 300, root: [4; 32] };
            ControlOperation::Leave(Leave { identity: IdentityId([1; 32]), cuts: vec![cut] }).to_bytes()
        };
        let bytes = leave(Plane::Data);
        let golden = [&[1, 9][..], &[1; 32], &[1, 1], &[2; 32], &[3; 8], &[0xac, 2], &[4; 32]].concat();
        assert_eq!(bytes, golden);
        assert_eq!(ControlOperation::read(&bytes).map(|leave| leave.to_bytes()), Ok(golden));
        for length in 1..bytes.len() {
            assert!(matches!(ControlOperation::read(&bytes[..length]), Err(OperationError::Malformed(_))), "{length}");
        }
        let of_control = OperationError::Malformed(Malformed("a leave cuts data logs only"));
        assert_eq!(ControlOperation::read(&leave(Plane::Control)), Err(of_control));
    }

    #[test]
    fn a_newer_version_or_kind_is_unknown_and_not_malformed() {
        let bytes = grant().to_bytes();
        for at in [0, 1] {
            let mut newer = bytes.clone();
            newer[at] = 200;
            assert_eq!(ControlOperation::read(&newer), Err(OperationError::Unknown));
        }
    }
}
