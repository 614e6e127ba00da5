//! What a profile has to stand.

use super::*;
use crate::simulation::Person;

fn full() -> Profile {
    Profile {
        name: "Ada".into(),
        email: "ada@example.org".into(),
        phone: "+44 20 7946 0000".into(),
        location: "London".into(),
        bio: "Engines.\nAnd notes.".into(),
        tags: ["engines".to_owned(), "math".to_owned()].into(),
        devices: [(DeviceId([7; 32]), DeviceKind::Laptop)].into(),
    }
}

fn signed_by(person: &Person, device: usize, audience: Audience, revision: u64, profile: Profile) -> SignedProfile {
    let (key, _, certificate) = &person.devices[device];
    SignedProfile::sign(key, person.genesis, *certificate, (audience, revision), profile)
}

#[test]
fn a_profile_proves_itself_and_what_is_not_public_is_not_in_that_for_everyone() {
    let ada = Person::new(1, "Ada");
    let public = full().with_only(&[ProfileField::Tags].into());
    let (everyone, contacts) =
        (signed_by(&ada, 0, Audience::Everyone, 3, public.clone()), signed_by(&ada, 0, Audience::Contacts, 3, full()));
    for one in [&everyone, &contacts] {
        assert_eq!(SignedProfile::read(&one.to_vec()).as_ref(), Ok(one));
        assert_eq!(one.identity(), ada.id());
    }
    assert_eq!((public.name.as_str(), public.tags.len()), ("Ada", 2));
    let bytes = everyone.to_vec();
    for hidden in ["ada@example.org", "7946", "London", "Engines"] {
        assert!(!bytes.windows(hidden.len()).any(|part| part == hidden.as_bytes()), "{hidden}");
    }
    let all: BTreeSet<_> = ProfileField::ALL.into();
    assert_eq!(full().with_only(&all), full());
}

/// Any changed bit of a profile is noticed.
#[test]
fn attack_every_changed_bit_of_a_profile_is_noticed() {
    let ada = Person::new(2, "Ada");
    let bytes = signed_by(&ada, 0, Audience::Contacts, 1, full()).to_vec();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(SignedProfile::read(&changed).is_err(), "bit {bit}");
    }
}

/// A profile that another identity's device signed, or that shows another's certificate, is nobody's.
#[test]
fn attack_profile_signed_by_a_foreign_device_is_nobodys() {
    let (ada, eve) = (Person::new(3, "Ada"), Person::new(4, "Eve"));
    let (_, _, adas) = &ada.devices[0];
    let (key, _, eves) = &eve.devices[0];
    for (genesis, certificate) in [(ada.genesis, *adas), (ada.genesis, *eves), (eve.genesis, *adas)] {
        let forged = SignedProfile::sign(key, genesis, certificate, (Audience::Everyone, 9), full());
        assert!(SignedProfile::read(&forged.to_vec()).is_err());
    }
    // A certificate that Ada's device never agreed to.
    let claimed = eve.certify(key, [1; 32], 0);
    let honest = SignedProfile::sign(key, eve.genesis, claimed, (Audience::Everyone, 9), full());
    assert_eq!(SignedProfile::read(&honest.to_vec()).map(|profile| profile.identity()), Ok(eve.id()));
}

/// An older profile that is replayed is less than the newer one; the next root key outranks whatever a thief signed.
#[test]
fn attack_replayed_and_stolen_revisions_come_after_the_owners() {
    let mut ada = Person::new(5, "Ada");
    ada.add_device();
    let of = |device, revision| signed_by(&ada, device, Audience::Contacts, revision, full());
    assert!(of(0, 2).order() > of(0, 1).order() && of(1, 3).order() > of(0, 2).order());
    let (one, other) = (of(0, 2), of(1, 2));
    assert_eq!(one.order() > other.order(), one.hash() > other.hash(), "equal revisions are ordered by hash");
    assert_ne!(one.order(), other.order());
    let stolen = of(1, u64::MAX);
    ada.renew_root();
    let renewed = ada.add_device();
    let (key, _, _) = ada.devices.last().unwrap();
    let own = SignedProfile::sign(key, ada.genesis, renewed, (Audience::Contacts, 1), full());
    assert_eq!(own.verify(), Ok(()));
    assert!(own.order() > stolen.order());
}

#[test]
fn every_field_has_its_limit_and_the_longest_profile_fits() {
    let mut ada = Person::new(6, "Ada");
    ada.renew_root();
    ada.add_device();
    let longest = Profile {
        name: "n".repeat(200),
        email: "e".repeat(Profile::MAX_EMAIL_BYTES),
        phone: "1".repeat(Profile::MAX_PHONE_BYTES),
        location: "l".repeat(Profile::MAX_LOCATION_BYTES),
        bio: "b".repeat(Profile::MAX_BIO_BYTES),
        tags: (0..Profile::MAX_TAGS).map(|n| format!("{n:040}")).collect(),
        devices: (0..Profile::MAX_DEVICES).map(|n| (DeviceId([n as u8; 32]), DeviceKind::Server)).collect(),
    };
    let signed = signed_by(&ada, 1, Audience::Contacts, u64::MAX, longest.clone());
    assert_eq!(SignedProfile::read(&signed.to_vec()), Ok(signed));
    let wrong: [fn(&mut Profile); 9] = [
        |one| one.name.clear(),
        |one| one.name.push('n'),
        |one| one.email.push('e'),
        |one| one.phone.push('1'),
        |one| one.location.push('l'),
        |one| one.bio.push('b'),
        |one| one.tags.extend(["another".into()]),
        |one| one.devices.extend([(DeviceId([99; 32]), DeviceKind::Phone)]),
        |one| one.location = "a\u{1b}[31m".into(),
    ];
    for (number, change) in wrong.into_iter().enumerate() {
        let mut profile = longest.clone();
        change(&mut profile);
        assert!(profile.check().is_err(), "{number}");
        let signed = signed_by(&ada, 1, Audience::Contacts, 1, profile);
        assert!(SignedProfile::read(&signed.to_vec()).is_err(), "{number}");
    }
    let tag = Profile { tags: [String::new()].into(), ..longest };
    assert_eq!(tag.check(), Err(ProfileError { why: "a tag has 1 to 40 bytes, this one has 0".into() }));
    assert!(SignedProfile::read(&vec![1; SignedProfile::MAX_BYTES + 1]).is_err());
}

/// The layout, pinned: it is signed, so it never changes under the same version.
#[test]
fn the_layout_of_a_profile_is_that_of_the_specification() {
    let ada = Person::new(7, "Ada");
    let signed = signed_by(&ada, 0, Audience::Contacts, 300, full());
    let mut expected = vec![1, 1, 0xac, 2];
    expected.extend(ada.genesis.to_bytes());
    expected.extend(ada.devices[0].2.to_bytes());
    for text in ["Ada", "ada@example.org", "+44 20 7946 0000", "London", "Engines.\nAnd notes."] {
        expected.push(text.len() as u8);
        expected.extend(text.bytes());
    }
    expected.extend(b"\x02\x07engines\x04math\x01");
    expected.extend([7; 32]);
    expected.push(1);
    let bytes = signed.to_vec();
    assert_eq!(bytes[..expected.len()], expected);
    assert_eq!(bytes.len(), expected.len() + 64);
    let message = [b"tidewater 2026 profile v1\0".as_slice(), &expected].concat();
    assert_eq!(bytes[expected.len()..], ada.devices[0].0.sign(&message));
    let mut hash = String::new();
    signed.hash().iter().for_each(|byte| hash += &format!("{byte:02x}"));
    assert_eq!(hash, "2346a0fa958181cc125a4bda9187136bd0499641be30a6d8f47bf6ad36e3f768");
}
