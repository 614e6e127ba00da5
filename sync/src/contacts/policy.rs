//! What is accepted without asking: one function decides.

use super::DeviceKind;
use crate::codec::{Codec, Decoded, Malformed, Reader, put_list, put_number, put_option};

/// How many rules a policy has at most.
pub const MAX_POLICY_RULES: usize = 64;

/// Who asks, as far as this database knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relationship {
    /// A device of this very identity.
    OwnDevice,
    /// A contact whose number was compared.
    VerifiedContact,
    /// A contact.
    Contact,
    /// Anyone else.
    Stranger,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proposal {
    /// To follow a space.
    Space,
    /// To become contacts.
    Request,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// It is accepted at once.
    Accept,
    /// It waits for a person.
    Ask,
    /// It is passed over without a word.
    Refuse,
}

macro_rules! named {
    ($name:ident, $malformed:literal, $($variant:ident = $text:literal),*) => {
        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// What it is called.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),*
                }
            }

            /// The one of that name.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }

        impl Codec for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                out.push(*self as u8);
            }
            fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
                Self::ALL.get(usize::from(reader.byte()?)).copied().ok_or(Malformed($malformed))
            }
        }
    };
}
named!(
    Relationship,
    "no such relationship",
    OwnDevice = "own",
    VerifiedContact = "verified",
    Contact = "contact",
    Stranger = "stranger"
);
named!(Proposal, "no such proposal", Space = "space", Request = "request");
named!(Decision, "no such decision", Accept = "accept", Ask = "ask", Refuse = "refuse");

/// One rule of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyRule {
    /// What is asked for.
    pub proposal: Proposal,
    /// Who asks.
    pub from: Relationship,
    /// From a device of this kind, as its owner says; `None`: from any.
    pub device: Option<DeviceKind>,
    /// A space of at most so many entries, as who offers it says; `None`: of any size.
    pub max_entries: Option<u64>,
    /// What is done.
    pub decision: Decision,
}

impl PolicyRule {
    fn fits(&self, proposal: Proposal, from: Relationship, device: DeviceKind, entries: u64) -> bool {
        self.proposal == proposal
            && self.from == from
            && self.device.is_none_or(|kind| kind == device)
            && self.max_entries.is_none_or(|most| entries <= most)
    }
}

/// What is accepted without asking. Without a rule that fits, one's own devices are accepted, and everything else waits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// At most [`MAX_POLICY_RULES`]; the first that fits decides.
    pub rules: Vec<PolicyRule>,
}

impl Policy {
    const VERSION: u8 = 1;

    /// What is to be done. `entries` counts for spaces only.
    #[must_use]
    pub fn decide(&self, proposal: Proposal, from: Relationship, device: DeviceKind, entries: u64) -> Decision {
        let ruled = self.rules.iter().find(|rule| rule.fits(proposal, from, device, entries));
        let default = if from == Relationship::OwnDevice { Decision::Accept } else { Decision::Ask };
        ruled.map_or(default, |rule| rule.decision)
    }
}

impl Codec for Policy {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::VERSION);
        put_list(out, &self.rules);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        if reader.byte()? != Self::VERSION {
            return Err(Malformed("its version is unknown; upgrade"));
        }
        Ok(Self { rules: reader.list(MAX_POLICY_RULES)? })
    }
}

impl Codec for PolicyRule {
    fn encode(&self, out: &mut Vec<u8>) {
        self.proposal.encode(out);
        self.from.encode(out);
        put_option(out, self.device.as_ref());
        out.push(u8::from(self.max_entries.is_some()));
        if let Some(most) = self.max_entries {
            put_number(out, most);
        }
        self.decision.encode(out);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            proposal: Proposal::decode(reader)?,
            from: Relationship::decode(reader)?,
            device: reader.option()?,
            max_entries: if reader.bool()? { Some(reader.number()?) } else { None },
            decision: Decision::decode(reader)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(from: Relationship, decision: Decision) -> PolicyRule {
        PolicyRule { proposal: Proposal::Space, from, device: None, max_entries: None, decision }
    }

    #[test]
    fn without_rules_own_devices_are_accepted_and_all_else_waits() {
        for proposal in Proposal::ALL {
            for from in Relationship::ALL {
                let decision = Policy::default().decide(*proposal, *from, DeviceKind::Other, 7);
                let expected = if *from == Relationship::OwnDevice { Decision::Accept } else { Decision::Ask };
                assert_eq!(decision, expected, "{proposal:?} {from:?}");
            }
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let verified = Relationship::VerifiedContact;
        let small = PolicyRule { max_entries: Some(100), ..rule(verified, Decision::Accept) };
        let phones = PolicyRule { device: Some(DeviceKind::Phone), ..rule(verified, Decision::Refuse) };
        let policy = Policy { rules: vec![phones, small, rule(Relationship::Stranger, Decision::Refuse)] };
        let decide = |from, device, entries| policy.decide(Proposal::Space, from, device, entries);
        assert_eq!(decide(verified, DeviceKind::Laptop, 100), Decision::Accept);
        assert_eq!(decide(verified, DeviceKind::Laptop, 101), Decision::Ask);
        assert_eq!(decide(verified, DeviceKind::Phone, 1), Decision::Refuse);
        assert_eq!(decide(Relationship::Contact, DeviceKind::Laptop, 1), Decision::Ask);
        assert_eq!(decide(Relationship::Stranger, DeviceKind::Laptop, 1), Decision::Refuse);
        assert_eq!(policy.decide(Proposal::Request, Relationship::Stranger, DeviceKind::Laptop, 0), Decision::Ask);
        assert_eq!(Policy::from_bytes(&policy.to_bytes()), Ok(policy));
    }

    #[test]
    fn names_are_read_as_they_are_written_and_bytes_within_their_bounds() {
        assert!(Relationship::ALL.iter().all(|one| Relationship::named(one.name()) == Some(*one)));
        assert!(Proposal::ALL.iter().all(|one| Proposal::named(one.name()) == Some(*one)));
        assert!(Decision::ALL.iter().all(|one| Decision::named(one.name()) == Some(*one)));
        assert_eq!(Decision::named("perhaps"), None);
        let many = Policy { rules: vec![rule(Relationship::Contact, Decision::Ask); MAX_POLICY_RULES + 1] };
        assert_eq!(Policy::from_bytes(&many.to_bytes()), Err(Malformed("a length is over its limit")));
        for wrong in [
            &[2, 0][..],
            &[1, 1, 2, 0, 0, 0, 0],
            &[1, 1, 0, 4, 0, 0, 0],
            &[1, 1, 0, 0, 0, 0, 3],
            &[1, 1, 0, 0, 1, 6, 0, 0],
        ] {
            assert!(Policy::from_bytes(wrong).is_err(), "{wrong:?}");
        }
    }
}
