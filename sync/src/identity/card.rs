//! Identity cards: what one gives to others so that they can grant one a rank.

use std::fmt;
use std::str::FromStr;

use super::{Certificate, IdentityGenesis, IdentityId};
use crate::armor::{self, ArmorError};
use crate::codec::{Codec, Decoded, Malformed, Reader, put_bytes, put_list};
use crate::keys::SealedNote;

/// An identity, its name and its certified devices. As text it starts with `tidecard1` and carries a checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityCard {
    /// The identity's genesis.
    pub genesis: IdentityGenesis,
    /// The name its owner chose: 1 to 200 bytes.
    pub name: String,
    /// Its devices: 1 to [`IdentityCard::MAX_DEVICES`].
    pub certificates: Vec<Certificate>,
}

impl IdentityCard {
    /// How many devices a card lists at most.
    pub const MAX_DEVICES: usize = 32;
    const VERSION: u8 = 1;
    const PREFIX: &str = "tidecard1";

    /// The identity.
    #[must_use]
    pub fn identity(&self) -> IdentityId {
        self.genesis.id()
    }

    /// Whether every certificate is the identity's own.
    pub(crate) fn verify(&self) -> Result<(), CardError> {
        let why = if self.name.is_empty() || self.name.len() > SealedNote::MAX_BYTES {
            "its name is empty or too long"
        } else if self.certificates.is_empty() || self.certificates.len() > Self::MAX_DEVICES {
            "it lists no device, or too many"
        } else if !self.genesis.verify() {
            "its recovery key did not agree to be that of the identity"
        } else if !self.certificates.iter().all(|certificate| certificate.verify(&self.genesis)) {
            "a device certificate is not signed by the identity and the device"
        } else {
            return Ok(());
        };
        Err(CardError { why })
    }
}

/// Why a text is not an identity card, or a card not genuine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid identity card: {why}")]
pub struct CardError {
    /// What is wrong with it.
    pub why: &'static str,
}

impl fmt::Display for IdentityCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&armor::wrap(Self::PREFIX, &self.to_bytes()))
    }
}

impl FromStr for IdentityCard {
    type Err = CardError;

    fn from_str(text: &str) -> Result<Self, CardError> {
        let bytes = armor::unwrap(Self::PREFIX, text).map_err(|error| CardError {
            why: match error {
                ArmorError::Prefix => "it doesn't start with `tidecard1`",
                ArmorError::Character { .. } | ArmorError::Checksum => "it is damaged or incomplete; copy it again",
            },
        })?;
        let card = Self::from_bytes(&bytes).map_err(|Malformed(why)| CardError { why })?;
        card.verify()?;
        Ok(card)
    }
}

impl Codec for IdentityCard {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::VERSION);
        self.genesis.encode(out);
        put_bytes(out, self.name.as_bytes());
        put_list(out, &self.certificates);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        if reader.byte()? != Self::VERSION {
            return Err(Malformed("the card's version is unknown; upgrade"));
        }
        Ok(Self {
            genesis: IdentityGenesis::decode(reader)?,
            name: reader.text(SealedNote::MAX_BYTES)?,
            certificates: reader.list(Self::MAX_DEVICES)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::Person;

    #[test]
    fn a_card_round_trips_as_text_and_a_foreign_certificate_is_refused() {
        let (ada, eve) = (Person::new(6, "Ada"), Person::new(7, "Eve"));
        let card = ada.card();
        assert_eq!(card.to_string().parse(), Ok(card.clone()));
        let forged = IdentityCard { certificates: eve.card().certificates, ..card };
        assert!(forged.to_string().parse::<IdentityCard>().is_err());
    }

    #[test]
    fn a_card_has_a_name_and_devices_within_their_limits() {
        let ada = Person::new(8, "Ada");
        let with = |name: usize, devices: usize| {
            let card = ada.card();
            let certificates = vec![card.certificates[0]; devices];
            IdentityCard { name: "x".repeat(name), certificates, ..card }
        };
        for card in [with(1, 1), with(SealedNote::MAX_BYTES, IdentityCard::MAX_DEVICES)] {
            assert_eq!(card.verify(), Ok(()));
            assert_eq!(card.to_string().parse(), Ok(card), "the longest card still is a text");
        }
        for wrong in [with(0, 1), with(SealedNote::MAX_BYTES + 1, 1), with(SealedNote::MAX_BYTES + 2, 1)] {
            assert_eq!(wrong.verify(), Err(CardError { why: "its name is empty or too long" }));
        }
        for wrong in [with(1, 0), with(1, IdentityCard::MAX_DEVICES + 1), with(1, IdentityCard::MAX_DEVICES + 2)] {
            assert_eq!(wrong.verify(), Err(CardError { why: "it lists no device, or too many" }));
            assert!(wrong.to_string().parse::<IdentityCard>().is_err());
        }
    }

    #[test]
    fn an_identity_is_shown_in_full() {
        assert_eq!(IdentityId([0xa5; 32]).to_string(), "a5".repeat(32));
    }

    #[test]
    fn a_card_or_an_identity_of_another_version_is_refused() {
        let bytes = Person::new(6, "Ada").card().to_bytes();
        let with = |at: usize| {
            let mut bytes = bytes.clone();
            bytes[at] = 9;
            armor::wrap(IdentityCard::PREFIX, &bytes).parse::<IdentityCard>()
        };
        assert_eq!(with(0), Err(CardError { why: "the card's version is unknown; upgrade" }));
        assert_eq!(with(1), Err(CardError { why: "the identity's version is unknown" }));
        assert_eq!("tide1".parse::<IdentityCard>(), Err(CardError { why: "it doesn't start with `tidecard1`" }));
        let damaged = CardError { why: "it is damaged or incomplete; copy it again" };
        assert_eq!("tidecard1abc".parse::<IdentityCard>(), Err(damaged));
    }
}
