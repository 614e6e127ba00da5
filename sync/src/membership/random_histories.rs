//! Random histories: devices that act, with authority or without, and hear of each other now and then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidewater_engine::host::Host;
use tidewater_engine::id::{DeviceId, EpochId, Incarnation, WriterId};
use tidewater_engine::log::{Plane, Prefix, VersionVector};
use tidewater_engine::space::{Rank, SecretKey};
use tidewater_engine::store::ControlCommit;

use super::oracle::Oracle;
use super::{Membership, Verdict, evaluate};
use crate::codec::Codec;
use crate::identity::{Certificate, IdentityCard};
use crate::keys::{NotePurpose, SealedNote, Wrapped};
use crate::simulation::{Person, SimulatedHost};
use crate::space::{ControlOperation, CutRecord, EpochStart, Founder, Grant, Leave, Revoke, SpaceGenesis};

/// Commits without a store: who knows what is kept by hand.
pub(super) struct World {
    pub(super) host: Arc<SimulatedHost>,
    pub(super) people: Vec<Person>,
    pub(super) genesis: SpaceGenesis,
    pub(super) commits: Vec<ControlCommit>,
    known: BTreeMap<DeviceId, VersionVector>,
    incarnations: BTreeMap<DeviceId, Incarnation>,
}

impl World {
    /// People by number; the first owns the space. Each has two devices, the second not yet part of anything.
    pub(super) fn new(seed: u64, people: usize) -> Self {
        let host = SimulatedHost::new(seed);
        let people: Vec<Person> = (0..people)
            .map(|number| {
                let mut person = Person::new(seed * 100 + number as u64, &format!("person {number}"));
                person.add_device();
                person
            })
            .collect();
        let owner = Founder {
            genesis: people[0].genesis,
            certificates: vec![people[0].devices[0].2],
            name: note(&host, "owner"),
        };
        let genesis = SpaceGenesis {
            nonce: [0; 16],
            feature_level: 1,
            history_open: true,
            owners: vec![owner],
            epoch: EpochStart {
                number: 1,
                id: EpochId([0; 32]),
                wraps: vec![(people[0].devices[0].0.device(), no_key())],
                older: vec![],
            },
            label: note(&host, "label"),
        };
        Self { host, people, genesis, commits: vec![], known: BTreeMap::new(), incarnations: BTreeMap::new() }
    }

    pub(super) fn device(&self, person: usize, device: usize) -> DeviceId {
        self.people[person].devices[device].0.device()
    }

    /// The device's file begins a new life.
    pub(super) fn reincarnate(&mut self, device: DeviceId) {
        self.incarnations.entry(device).or_insert(Incarnation([0; 8])).0[7] += 1;
    }

    pub(super) fn writer(&self, device: DeviceId) -> WriterId {
        WriterId { device, incarnation: self.incarnations.get(&device).copied().unwrap_or(Incarnation([0; 8])) }
    }

    /// `device` says something, knowing what it knows.
    pub(super) fn say(&mut self, device: DeviceId, operation: &ControlOperation) {
        let writer = self.writer(device);
        let past = self.known.entry(device).or_default();
        let sequence = past.length(&writer);
        self.commits.push(ControlCommit {
            writer,
            sequence,
            timestamp_ms: self.host.now_ms(),
            past: past.clone(),
            body: operation.to_bytes(),
        });
        past.set(writer, Prefix { length: sequence + 1, root: [0; 32] });
    }

    /// `device` hears everything that `from` knows.
    pub(super) fn hear(&mut self, device: DeviceId, from: DeviceId) {
        let news = self.known.get(&from).cloned().unwrap_or_default();
        let known = self.known.entry(device).or_default();
        for (writer, prefix) in news.iter() {
            if prefix.length > known.length(writer) {
                known.set(*writer, *prefix);
            }
        }
    }

    /// Everyone hears everything.
    pub(super) fn gather(&mut self) {
        let devices: Vec<DeviceId> = self.known.keys().copied().collect();
        for to in &devices {
            for from in &devices {
                self.hear(*to, *from);
            }
        }
    }

    pub(super) fn grant(&self, person: usize, rank: Rank) -> ControlOperation {
        let certificates = vec![self.people[person].devices[0].2];
        let IdentityCard { genesis, .. } = self.people[person].card();
        ControlOperation::Grant(Grant { genesis, certificates, rank, name: note(&self.host, "name"), wraps: vec![] })
    }

    pub(super) fn add_device(&self, person: usize, certificate: Certificate) -> ControlOperation {
        ControlOperation::AddDevice { genesis: self.people[person].genesis, certificate, wraps: vec![] }
    }

    /// A revocation by `device` that cuts every log of the person at what `device` knows of it.
    pub(super) fn revoke(&self, device: DeviceId, person: usize, epoch: u8) -> ControlOperation {
        let known = self.known.get(&device).cloned().unwrap_or_default();
        let theirs: BTreeSet<DeviceId> = self.people[person].devices.iter().map(|(key, _, _)| key.device()).collect();
        let mut cuts = Vec::new();
        for (writer, prefix) in known.iter().filter(|(writer, _)| theirs.contains(&writer.device)) {
            cuts.push(CutRecord { plane: Plane::Control, writer: *writer, length: prefix.length, root: [0; 32] });
            cuts.push(CutRecord { plane: Plane::Data, writer: *writer, length: prefix.length * 10, root: [0; 32] });
        }
        let rotation = self.start(2, epoch, &[device]);
        ControlOperation::Revoke(Revoke { identity: self.people[person].id(), cuts, rotation })
    }

    /// The person says by `device` that the device `stolen`, of this person or not, belongs to the person no more.
    pub(super) fn remove(&self, device: DeviceId, person: usize, stolen: DeviceId, epoch: u8) -> ControlOperation {
        let known = self.known.get(&device).cloned().unwrap_or_default();
        let mut cuts = Vec::new();
        for (writer, prefix) in known.iter().filter(|(writer, _)| writer.device == stolen) {
            cuts.push(CutRecord { plane: Plane::Control, writer: *writer, length: prefix.length, root: [0; 32] });
            cuts.push(CutRecord { plane: Plane::Data, writer: *writer, length: prefix.length * 10, root: [0; 32] });
        }
        self.people[person].remove(&self.genesis.space(), stolen, cuts, self.start(2, epoch, &[device]))
    }

    /// The person leaves; `device` knows so much of the person's data logs.
    pub(super) fn leave(&self, device: DeviceId, person: usize) -> ControlOperation {
        let known = self.known.get(&device).cloned().unwrap_or_default();
        let theirs: BTreeSet<DeviceId> = self.people[person].devices.iter().map(|(key, _, _)| key.device()).collect();
        let logs = known.iter().filter(|(writer, _)| theirs.contains(&writer.device));
        let cut = |(writer, prefix): (&WriterId, &Prefix)| CutRecord {
            plane: Plane::Data,
            writer: *writer,
            length: prefix.length * 10,
            root: [0; 32],
        };
        ControlOperation::Leave(Leave { identity: self.people[person].id(), cuts: logs.map(cut).collect() })
    }

    pub(super) fn start(&self, number: u64, id: u8, recipients: &[DeviceId]) -> EpochStart {
        let wraps = recipients.iter().map(|device| (*device, no_key())).collect();
        EpochStart { number, id: EpochId([id; 32]), wraps, older: vec![] }
    }

    pub(super) fn evaluate(&self) -> Membership {
        evaluate(&self.genesis, &self.commits)
    }

    /// One random step of a random device.
    fn step(&mut self) {
        // The owner acts more often than others: without grants nothing else counts.
        let person = self.host.below(self.people.len() + 2).saturating_sub(2);
        let device = self.device(person, usize::from(self.host.below(4) == 0));
        let other = self.host.below(self.people.len());
        let operation = match self.host.below(19) {
            0..6 => {
                let from = self.device(other, usize::from(self.host.below(4) == 0));
                return self.hear(device, from);
            }
            6 => return self.reincarnate(device),
            7..11 => self
                .grant(other, [Rank::Relay, Rank::Reader, Rank::Writer, Rank::Admin, Rank::Admin][self.host.below(5)]),
            11 => {
                // Now and then by a new root key; what the old ones signed goes on being said.
                if self.host.below(4) == 0 {
                    self.people[person].renew_root();
                }
                let (key, agreement, certificate) = &self.people[person].devices[1];
                let renewed = self.people[person].certify(key, agreement.public(), certificate.issued_ms);
                self.add_device(person, if self.host.below(2) == 0 { renewed } else { *certificate })
            }
            12 => {
                let recipients = [self.device(other, 0)];
                let (number, id) = (self.host.below(3) as u64 + 1, self.host.below(200) as u8);
                ControlOperation::Rotate(self.start(number, id, &recipients))
            }
            13 if self.host.below(4) == 0 => ControlOperation::Level(1 + self.host.below(2) as u64),
            13 => ControlOperation::Label(note(&self.host, "another")),
            // Mostly the second device, or everyone would soon be gone; now and then by somebody who has no say in it.
            14 => {
                let by = if self.host.below(4) == 0 { other } else { person };
                let stolen = self.device(person, usize::from(self.host.below(4) > 0));
                self.remove(device, by, stolen, self.host.below(200) as u8)
            }
            // Mostly for oneself; now and then by somebody who has no say in it.
            15 => {
                let leave = self.leave(device, if self.host.below(4) == 0 { other } else { person });
                self.say(device, &leave);
                if self.host.below(2) == 0 {
                    return;
                }
                // The owner hears of it, and lets the person in again.
                let owner = self.device(0, 0);
                self.hear(owner, device);
                let again = self.grant(person, [Rank::Writer, Rank::Admin][self.host.below(2)]);
                return self.say(owner, &again);
            }
            _ => {
                let mut operation = self.revoke(device, other, self.host.below(200) as u8);
                // A revoker may not know of some logs.
                if let ControlOperation::Revoke(revoke) = &mut operation {
                    revoke.cuts.retain(|_| self.host.below(5) > 0);
                }
                operation
            }
        };
        self.say(device, &operation);
    }
}

pub(super) fn note(host: &SimulatedHost, text: &str) -> SealedNote {
    SealedNote::seal(host, &SecretKey::new([1; 32]), NotePurpose::Name, text.as_bytes())
}

fn no_key() -> Wrapped {
    Wrapped::from_bytes(&[0; Wrapped::BYTES]).expect("any 80 bytes are a wrap")
}

fn shuffled(host: &SimulatedHost, commits: &[ControlCommit]) -> Vec<ControlCommit> {
    let mut commits = commits.to_vec();
    for last in (1..commits.len()).rev() {
        commits.swap(last, host.below(last + 1));
    }
    commits
}

#[test]
fn random_histories_mean_what_the_rules_say_in_any_order() {
    let (mut effective, mut void, mut removed, mut stolen, mut left, mut back) = (0, 0, 0, 0, 0, 0);
    for seed in 0..100 {
        let mut world = World::new(seed, 5);
        (0..90).for_each(|_| world.step());
        let membership = world.evaluate();
        let oracle = Oracle::new(&world.genesis, &world.commits);

        for (number, person) in world.people.iter().enumerate() {
            let rank = membership.identities.get(&person.id()).and_then(|member| member.rank);
            assert_eq!(rank, oracle.rank(&person.id()), "seed {seed}, person {number}");
            let member = membership.identities.get(&person.id());
            removed += usize::from(member.is_some() && rank.is_none());
            let said = oracle.ever_left(&person.id());
            let gone = member.is_some_and(|member| member.left);
            assert_eq!(gone, member.is_some() && said && rank.is_none(), "seed {seed}, person {number}");
            left += usize::from(gone);
            back += usize::from(said && rank.is_some());
            for (key, _, _) in &person.devices {
                let device = key.device();
                assert_eq!(membership.rank(&device), oracle.rank_of_device(&device), "seed {seed}, person {number}");
                stolen += usize::from(rank.is_some() && membership.rank(&device).is_none());
            }
        }
        let counted: BTreeSet<_> = membership
            .verdicts
            .iter()
            .filter(|(_, verdict)| **verdict == Verdict::Effective)
            .map(|(dot, _)| *dot)
            .collect();
        assert_eq!(counted, oracle.effective(), "seed {seed}");
        effective += counted.len();
        void += membership.verdicts.len() - counted.len();

        let again = evaluate(&world.genesis, &shuffled(&world.host, &world.commits));
        assert_eq!(format!("{membership:?}"), format!("{again:?}"), "seed {seed}: the order of arrival showed");
    }
    // The histories are worth something only if all of it happens.
    assert!(
        effective > 500 && void > 500 && removed > 20 && stolen > 20 && left > 20 && back > 10,
        "{effective} effective, {void} void, {removed} removed, {stolen} stolen, {left} left, {back} came back"
    );
}
