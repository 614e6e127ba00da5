//! Target: signed profiles, as contacts and strangers send them.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use tidewater_engine::id::DeviceId;
use tidewater_sync::{Audience, DeviceKind, Profile, ProfileField, SignedProfile};

use super::people::{open, people};
use super::{Memory, Target};

pub(super) const TARGET: Target = Target {
    name: "profile",
    run,
    seeds,
    input_bytes_max: 4_500,
    memory: Memory { fixed: 64 << 10, per_byte: 64 },
    executions: 5_000,
};

fn run(input: &[u8]) -> bool {
    let Ok(read) = SignedProfile::read(input) else { return false };
    assert_eq!(read.to_vec(), input, "a profile has one encoding");
    assert!(honest().contains(&read), "a profile that nobody signed is taken for genuine");
    true
}

/// Ada's and Ben's: what a new identity says, and all that one can say, to everyone and to contacts.
pub(super) fn honest() -> &'static [SignedProfile] {
    static HONEST: OnceLock<Vec<SignedProfile>> = OnceLock::new();
    HONEST.get_or_init(|| {
        let mut honest = Vec::new();
        for (file, public) in [(&people().ada, BTreeSet::new()), (&people().ben, ProfileField::ALL.into())] {
            let database = open(file, 31);
            let signed = |audience| database.signed_profile(audience).expect("a profile");
            honest.push(signed(Audience::Contacts));
            let said = Profile {
                name: "Ada Lovelace".into(),
                email: "ada@example.org".into(),
                phone: "+44 20 7946 0000".into(),
                location: "London".into(),
                bio: "Engines.\nAnd notes.".into(),
                tags: ["engines".to_owned(), "math".to_owned()].into(),
                devices: [(DeviceId([7; 32]), DeviceKind::Laptop), (database.device(), DeviceKind::Server)].into(),
            };
            database.set_profile(&said, &public).expect("a profile that is within its limits");
            honest.extend([signed(Audience::Everyone), signed(Audience::Contacts)]);
        }
        honest
    })
}

fn seeds() -> Vec<Vec<u8>> {
    honest().iter().map(SignedProfile::to_vec).collect()
}
