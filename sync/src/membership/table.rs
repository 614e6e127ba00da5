//! From a membership and the keys this device can open to the table the engine works with.

use std::collections::BTreeMap;

use tidewater_engine::id::{DeviceId, EpochId, WriterId};
use tidewater_engine::log::{Plane, Prefix, VersionVector};
use tidewater_engine::space::{EffectiveTable, Rank, SecretKey};

use super::Membership;
use crate::keys::{AgreementKey, NotePurpose, epoch_context};

/// Every epoch key this device can have: those it holds already, those wrapped for it, and those sealed under either.
pub(crate) fn held_epochs(
    membership: &Membership,
    device: &DeviceId,
    agreement: &AgreementKey,
    held: &BTreeMap<EpochId, SecretKey>,
) -> BTreeMap<EpochId, SecretKey> {
    let mut epochs = held.clone();
    for (epoch, recipient, wrapped) in &membership.wraps {
        if recipient != device || epochs.contains_key(epoch) {
            continue;
        }
        let opened = wrapped.open(agreement, &epoch_context(epoch, device));
        // The id commits to the key: a garbage wrap is no key of any epoch.
        if let Some(key) = opened.filter(|key| key.epoch_id() == *epoch) {
            epochs.insert(*epoch, key);
        }
    }
    // A key sealed under a key that is itself sealed needs another round; each round opens one at least.
    loop {
        let news: Vec<SecretKey> = membership
            .older
            .iter()
            .filter(|(id, _)| !epochs.contains_key(id))
            .filter_map(|(id, note)| {
                let plaintext = note.open(epochs.get(&note.epoch)?, NotePurpose::OlderEpoch)?;
                let key = SecretKey::new(plaintext.as_slice().try_into().ok()?);
                (key.epoch_id() == *id).then_some(key)
            })
            .collect();
        if news.is_empty() {
            return epochs;
        }
        epochs.extend(news.into_iter().map(|key| (key.epoch_id(), key)));
    }
}

/// The engine's table for `device`, evaluated at `control`, where these `forks` are known.
pub(crate) fn effective_table(
    membership: &Membership,
    device: &DeviceId,
    control: VersionVector,
    control_key: SecretKey,
    epochs: BTreeMap<EpochId, SecretKey>,
    forks: BTreeMap<(Plane, WriterId), Prefix>,
) -> EffectiveTable {
    let may_write =
        (membership.rank(device) >= Some(Rank::Writer) || planted!(ReaderWrites)) && !membership.needs_upgrade();
    let write_epoch = membership.write_epoch().filter(|epoch| may_write && epochs.contains_key(epoch));
    let label = membership.label.as_ref().and_then(|label| label.read(&epochs, NotePurpose::Label));
    EffectiveTable {
        control,
        devices: membership.devices.clone(),
        control_key: Some(control_key),
        epochs,
        write_epoch,
        raised: membership.raised.clone(),
        forks,
        label: label.unwrap_or_default(),
    }
}
