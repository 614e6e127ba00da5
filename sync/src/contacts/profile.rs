//! Profiles: what an identity says of itself, signed by one of its devices.

use std::collections::{BTreeMap, BTreeSet};

use tidewater_engine::id::DeviceId;

use crate::codec::{Codec, Decoded, Malformed, Reader, put_bytes, put_number};
use crate::device::{DeviceKey, verify};
use crate::identity::{Certificate, IdentityGenesis, IdentityId, RootOrder};
use crate::keys::SealedNote;

/// What a person wants others to know. Empty texts are not said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// The name: 1 to 200 bytes. Everybody sees it.
    pub name: String,
    /// At most [`Profile::MAX_EMAIL_BYTES`].
    pub email: String,
    /// At most [`Profile::MAX_PHONE_BYTES`].
    pub phone: String,
    /// At most [`Profile::MAX_LOCATION_BYTES`].
    pub location: String,
    /// At most [`Profile::MAX_BIO_BYTES`]; it may have lines.
    pub bio: String,
    /// At most [`Profile::MAX_TAGS`] of 1 to [`Profile::MAX_TAG_BYTES`] each.
    pub tags: BTreeSet<String>,
    /// What kind of machine a device is. A claim, not evidence.
    pub devices: BTreeMap<DeviceId, DeviceKind>,
}

/// A field of a profile that is for everyone, or for contacts only. The name is for everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProfileField {
    /// [`Profile::email`].
    Email,
    /// [`Profile::phone`].
    Phone,
    /// [`Profile::location`].
    Location,
    /// [`Profile::bio`].
    Bio,
    /// [`Profile::tags`].
    Tags,
    /// [`Profile::devices`].
    Devices,
}

impl ProfileField {
    /// Every field.
    pub const ALL: [Self; 6] = [Self::Email, Self::Phone, Self::Location, Self::Bio, Self::Tags, Self::Devices];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Location => "location",
            Self::Bio => "bio",
            Self::Tags => "tags",
            Self::Devices => "devices",
        }
    }

    /// The field of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

/// What kind of machine a device is, as its owner says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceKind {
    /// Something else.
    Other,
    /// A laptop.
    Laptop,
    /// A desktop computer.
    Desktop,
    /// A phone.
    Phone,
    /// A tablet.
    Tablet,
    /// A server, a hub.
    Server,
}

impl DeviceKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Other, Self::Laptop, Self::Desktop, Self::Phone, Self::Tablet, Self::Server];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Laptop => "laptop",
            Self::Desktop => "desktop",
            Self::Phone => "phone",
            Self::Tablet => "tablet",
            Self::Server => "server",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Why a profile can't be said, or is not what it claims.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid profile: {why}")]
pub struct ProfileError {
    /// What is wrong with it and what is allowed.
    pub why: String,
}

impl From<Malformed> for ProfileError {
    fn from(Malformed(why): Malformed) -> Self {
        Self { why: why.to_owned() }
    }
}

impl Profile {
    /// The longest email, in bytes.
    pub const MAX_EMAIL_BYTES: usize = 254;
    /// The longest phone number, in bytes.
    pub const MAX_PHONE_BYTES: usize = 32;
    /// The longest location, in bytes.
    pub const MAX_LOCATION_BYTES: usize = 100;
    /// The longest bio, in bytes.
    pub const MAX_BIO_BYTES: usize = 1_000;
    /// How many tags there are at most.
    pub const MAX_TAGS: usize = 16;
    /// The longest tag, in bytes.
    pub const MAX_TAG_BYTES: usize = 40;
    /// How many devices are named at most.
    pub const MAX_DEVICES: usize = 32;

    /// Whether everything is within its limits.
    ///
    /// # Errors
    /// [`ProfileError`] names the first field that is not.
    pub fn check(&self) -> Result<(), ProfileError> {
        let texts = [
            ("the name", &self.name, 1, SealedNote::MAX_BYTES, false),
            ("the email", &self.email, 0, Self::MAX_EMAIL_BYTES, false),
            ("the phone", &self.phone, 0, Self::MAX_PHONE_BYTES, false),
            ("the location", &self.location, 0, Self::MAX_LOCATION_BYTES, false),
            ("the bio", &self.bio, 0, Self::MAX_BIO_BYTES, true),
        ];
        let tags = self.tags.iter().map(|tag| ("a tag", tag, 1, Self::MAX_TAG_BYTES, false));
        for (what, text, least, most, lines) in texts.into_iter().chain(tags) {
            if text.len() < least || text.len() > most {
                let why = format!("{what} has {least} to {most} bytes, this one has {}", text.len());
                return Err(ProfileError { why });
            }
            if text.chars().any(|c| c.is_control() && !(lines && c == '\n')) {
                return Err(ProfileError { why: format!("{what} has a control character") });
            }
        }
        for (what, count, most) in
            [("tags", self.tags.len(), Self::MAX_TAGS), ("devices", self.devices.len(), Self::MAX_DEVICES)]
        {
            if count > most {
                return Err(ProfileError { why: format!("it names at most {most} {what}, this one {count}") });
            }
        }
        Ok(())
    }

    /// What of it everyone may see.
    #[must_use]
    pub fn with_only(&self, public: &BTreeSet<ProfileField>) -> Self {
        let text = |field, text: &String| if public.contains(&field) { text.clone() } else { String::new() };
        Self {
            name: self.name.clone(),
            email: text(ProfileField::Email, &self.email),
            phone: text(ProfileField::Phone, &self.phone),
            location: text(ProfileField::Location, &self.location),
            bio: text(ProfileField::Bio, &self.bio),
            tags: if public.contains(&ProfileField::Tags) { self.tags.clone() } else { BTreeSet::new() },
            devices: if public.contains(&ProfileField::Devices) { self.devices.clone() } else { BTreeMap::new() },
        }
    }
}

impl Codec for Profile {
    fn encode(&self, out: &mut Vec<u8>) {
        for text in [&self.name, &self.email, &self.phone, &self.location, &self.bio] {
            put_bytes(out, text.as_bytes());
        }
        put_number(out, self.tags.len() as u64);
        self.tags.iter().for_each(|tag| put_bytes(out, tag.as_bytes()));
        put_number(out, self.devices.len() as u64);
        for (device, kind) in &self.devices {
            device.encode(out);
            out.push(*kind as u8);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let mut profile = Self {
            name: reader.text(SealedNote::MAX_BYTES)?,
            email: reader.text(Self::MAX_EMAIL_BYTES)?,
            phone: reader.text(Self::MAX_PHONE_BYTES)?,
            location: reader.text(Self::MAX_LOCATION_BYTES)?,
            bio: reader.text(Self::MAX_BIO_BYTES)?,
            ..Self::default()
        };
        for _ in 0..reader.count(Self::MAX_TAGS)? {
            let tag = reader.text(Self::MAX_TAG_BYTES)?;
            if profile.tags.last() >= Some(&tag) {
                return Err(Malformed("tags are not in order"));
            }
            profile.tags.insert(tag);
        }
        for _ in 0..reader.count(Self::MAX_DEVICES)? {
            let (device, kind) = (DeviceId::decode(reader)?, DeviceKind::decode(reader)?);
            if profile.devices.last_key_value().map(|(last, _)| last) >= Some(&device) {
                return Err(Malformed("devices are not in order"));
            }
            profile.devices.insert(device, kind);
        }
        Ok(profile)
    }
}

impl Codec for DeviceKind {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let number = usize::from(reader.byte()?);
        Self::ALL.get(number).copied().ok_or(Malformed("no such kind of device"))
    }
}

/// Whom a profile is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// Everyone: it has the public fields.
    Everyone,
    /// Contacts: it has all fields.
    Contacts,
}

/// Which profile it is: the hash of all its bytes.
pub(crate) type ProfileHash = [u8; 32];

/// A profile and the signature that makes it one of an identity. It proves itself wherever it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedProfile {
    /// Whom it is for.
    pub audience: Audience,
    /// Orders the profiles of one identity.
    pub revision: u64,
    /// What it says.
    pub profile: Profile,
    genesis: IdentityGenesis,
    certificate: Certificate,
    signature: [u8; 64],
}

impl SignedProfile {
    /// The longest, in bytes.
    pub const MAX_BYTES: usize = 4 << 10;
    const VERSION: u8 = 1;

    /// Signs a profile with the key of the device that `certificate` is about.
    pub(crate) fn sign(
        key: &DeviceKey,
        genesis: IdentityGenesis,
        certificate: Certificate,
        (audience, revision): (Audience, u64),
        profile: Profile,
    ) -> Self {
        let mut signed = Self { audience, revision, profile, genesis, certificate, signature: [0; 64] };
        signed.signature = key.sign(&signed.message());
        signed
    }

    /// Reads a profile, and checks that it is genuine.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn read(bytes: &[u8]) -> Result<Self, ProfileError> {
        if bytes.len() > Self::MAX_BYTES {
            let why = format!("it has at most {} bytes, this one {}", Self::MAX_BYTES, bytes.len());
            return Err(ProfileError { why });
        }
        let profile = Self::from_bytes(bytes)?;
        profile.verify()?;
        Ok(profile)
    }

    /// The bytes that [`SignedProfile::read`] takes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.to_bytes()
    }

    /// Whose it is.
    #[must_use]
    pub fn identity(&self) -> IdentityId {
        self.genesis.id()
    }

    /// What certifies the device that signed it.
    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Whether it is the identity's own.
    pub(crate) fn verify(&self) -> Result<(), ProfileError> {
        self.profile.check()?;
        let why = if !self.genesis.verify() {
            "its recovery key did not agree to be that of the identity"
        } else if !self.certificate.verify(&self.genesis) {
            "the identity didn't certify the device that signed it"
        } else if !verify(&self.certificate.device.0, &self.message(), &self.signature) {
            "the device's signature doesn't fit it"
        } else {
            return Ok(());
        };
        Err(ProfileError { why: why.to_owned() })
    }

    /// Orders the profiles of one identity and audience: the greatest counts.
    pub(crate) fn order(&self) -> (RootOrder, u64, ProfileHash) {
        (self.certificate.root(), self.revision, self.hash())
    }

    pub(crate) fn hash(&self) -> ProfileHash {
        blake3::derive_key("tidewater 2026 profile hash v1", &self.to_bytes())
    }

    fn message(&self) -> Vec<u8> {
        let mut message = b"tidewater 2026 profile v1\0".to_vec();
        self.encode_claims(&mut message);
        message
    }

    fn encode_claims(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[Self::VERSION, self.audience as u8]);
        put_number(out, self.revision);
        self.genesis.encode(out);
        self.certificate.encode(out);
        self.profile.encode(out);
    }
}

impl Codec for SignedProfile {
    fn encode(&self, out: &mut Vec<u8>) {
        self.encode_claims(out);
        out.extend_from_slice(&self.signature);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        if reader.byte()? != Self::VERSION {
            return Err(Malformed("the profile's version is unknown; upgrade"));
        }
        let audience = match reader.byte()? {
            0 => Audience::Everyone,
            1 => Audience::Contacts,
            _ => return Err(Malformed("no such audience")),
        };
        let revision = reader.number()?;
        let (genesis, certificate) = (IdentityGenesis::decode(reader)?, Certificate::decode(reader)?);
        let profile = Profile::decode(reader)?;
        Ok(Self { audience, revision, profile, genesis, certificate, signature: reader.array()? })
    }
}

#[cfg(test)]
mod tests;
