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
}
