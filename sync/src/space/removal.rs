//! Removals: an identity says in a space that a device is its own no more.

use tidewater_engine::id::{DeviceId, EpochId, SpaceId};

use super::operation::{ControlOperation, CutRecord, EpochStart};
use crate::codec::{Codec, Decoded, Reader, put_list};
use crate::identity::{IdentityGenesis, RootKey, RootOrder, RootSignature};

/// Removes a device of an identity from one space. Signed by a root key of the identity, which is all the
/// authority it needs: a stolen device, even an owner's, is removed by its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Removal {
    pub(crate) genesis: IdentityGenesis,
    pub(crate) device: DeviceId,
    pub(crate) cuts: Vec<CutRecord>,
    pub(crate) rotation: EpochStart,
    signature: RootSignature,
}

impl Removal {
    /// Says that `device` belongs to the identity no more, from the `cuts` of its logs on.
    pub(crate) fn sign(
        root: &RootKey,
        genesis: IdentityGenesis,
        space: &SpaceId,
        device: DeviceId,
        cuts: Vec<CutRecord>,
        rotation: EpochStart,
    ) -> Self {
        let signature = root.sign(&removal_message(space, &device, &cuts, &rotation.id));
        Self { genesis, device, cuts, rotation, signature }
    }

    /// Which root key signed it.
    pub(crate) fn root(&self) -> RootOrder {
        self.signature.order()
    }

    /// Whether the identity says it of this space. The recovery key itself can't be removed.
    pub(crate) fn verify(&self, space: &SpaceId) -> bool {
        let message = removal_message(space, &self.device, &self.cuts, &self.rotation.id);
        self.device != self.genesis.recovery_device() && self.signature.verify(&self.genesis, &message)
    }
}

/// What the identity signs. The epoch's keys are for whoever may read, which the removal need not decide.
fn removal_message(space: &SpaceId, device: &DeviceId, cuts: &[CutRecord], epoch: &EpochId) -> Vec<u8> {
    let mut message = b"tidewater 2026 device removal v1\0".to_vec();
    space.encode(&mut message);
    device.encode(&mut message);
    put_list(&mut message, cuts);
    epoch.encode(&mut message);
    message
}

impl Codec for Removal {
    fn encode(&self, out: &mut Vec<u8>) {
        self.genesis.encode(out);
        self.device.encode(out);
        put_list(out, &self.cuts);
        self.rotation.encode(out);
        self.signature.encode(out);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            genesis: IdentityGenesis::decode(reader)?,
            device: DeviceId::decode(reader)?,
            cuts: reader.list(ControlOperation::MAX_CUTS)?,
            rotation: EpochStart::decode(reader)?,
            signature: RootSignature::decode(reader)?,
        })
    }
}
