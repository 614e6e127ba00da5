//! What one identity decided about another, and what becomes of it: the tables of `docs/spec/contacts.md` as functions.

/// The longest note of a request, in bytes.
pub const MAX_NOTE_BYTES: usize = 200;

/// What this identity decided about another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// Nothing, or what was decided has expired.
    None,
    /// To ask it.
    Requested,
    /// That it is a contact. *Answered*: its profile for contacts is here.
    Contact { answered: bool },
    /// Not to be its contact.
    Rejected,
    /// It was asked, and said no.
    Refused,
    /// It was asked, and this was taken back.
    Withdrawn,
    /// Not to hear of it.
    Blocked,
}

/// What a request has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestState {
    /// It waits for the side that was asked.
    Waiting,
    /// The side that was asked agreed.
    Accepted,
    /// The side that was asked said no.
    Rejected,
    /// The side that asked took it back.
    Withdrawn,
    /// Nobody answered in time.
    Expired,
}

impl RequestState {
    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }
}

/// What the other side says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Heard {
    /// It asks.
    Request,
    /// It takes this identity for a contact.
    Contact,
    Reject,
    Withdraw,
    /// Which profile of this identity it holds. *Current*: the one there is.
    Known {
        current: bool,
    },
}

/// What is said to the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Said {
    Request,
    Contact,
    Reject,
    Withdraw,
    Known,
}

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Request,
    Withdraw,
    Accept,
    Reject,
    Remove,
    Block,
    Unblock,
}

/// Why what a person wants can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoRequest,
    NoContact,
    IsContact,
    IsBlocked,
    NotBlocked,
}

/// What becomes of what the other side said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The status from now on.
    pub(crate) status: Status,
    /// Whether its request takes a place in the inbox.
    pub(crate) takes_place: bool,
    /// Whether its request leaves the inbox.
    pub(crate) leaves_inbox: bool,
    /// Whether the profile that came is kept, if it is newer.
    pub(crate) keeps_profile: bool,
    /// What is answered at once.
    pub(crate) answer: Option<Said>,
}

/// What becomes of what the other side said.
pub(crate) fn hears(status: Status, heard: Heard) -> Outcome {
    let same = Outcome { status, takes_place: false, leaves_inbox: false, keeps_profile: false, answer: None };
    let contact = |answered| Outcome {
        status: Status::Contact { answered },
        leaves_inbox: true,
        keeps_profile: true,
        answer: Some(Said::Contact),
        ..same
    };
    match (status, heard) {
        (Status::None | Status::Refused | Status::Withdrawn, Heard::Request) => Outcome { takes_place: true, ..same },
        (Status::Requested, Heard::Request) => contact(false),
        (Status::Requested | Status::Contact { answered: false }, Heard::Contact) => contact(true),
        (Status::Contact { .. }, Heard::Request) => Outcome { answer: Some(Said::Contact), ..same },
        (Status::Contact { .. }, Heard::Contact) => Outcome { keeps_profile: true, ..same },
        (Status::Contact { .. }, Heard::Known { current: false }) => Outcome { answer: Some(Said::Contact), ..same },
        (Status::Contact { answered: false }, Heard::Withdraw) => Outcome { status: Status::None, ..same },
        (Status::Rejected, Heard::Request) => Outcome { answer: Some(Said::Reject), ..same },
        (Status::Requested, Heard::Reject) => Outcome { status: Status::Refused, ..same },
        (Status::Withdrawn, Heard::Contact) => Outcome { answer: Some(Said::Withdraw), ..same },
        (Status::None | Status::Requested | Status::Refused | Status::Withdrawn, Heard::Withdraw) => {
            Outcome { leaves_inbox: true, ..same }
        }
        (Status::None | Status::Refused | Status::Rejected, Heard::Contact)
        | (Status::Rejected | Status::Contact { answered: true }, Heard::Withdraw)
        | (Status::Contact { .. }, Heard::Reject | Heard::Known { current: true })
        | (Status::None | Status::Rejected | Status::Refused | Status::Withdrawn, Heard::Reject)
        | (
            Status::None | Status::Requested | Status::Rejected | Status::Refused | Status::Withdrawn,
            Heard::Known { .. },
        )
        | (Status::Blocked, _) => same,
    }
}

/// What is said at the start of a session, and whenever the status changes.
pub(crate) fn says(status: Status) -> &'static [Said] {
    match status {
        Status::None | Status::Refused | Status::Blocked => &[],
        Status::Requested => &[Said::Request],
        Status::Contact { answered: false } => &[Said::Contact, Said::Known],
        Status::Contact { answered: true } => &[Said::Known],
        Status::Rejected => &[Said::Reject],
        Status::Withdrawn => &[Said::Withdraw],
    }
}

/// What becomes of what a person wants. `waits`: a request of the other side is in the inbox. Whatever is decided, it leaves it.
pub(crate) fn wants(status: Status, act: Act, waits: bool) -> Result<Status, Refusal> {
    const CONTACT: Status = Status::Contact { answered: false };
    match (act, status) {
        (Act::Block, _) => Ok(Status::Blocked),
        (Act::Unblock, Status::Blocked) => Ok(Status::None),
        (Act::Unblock, _) => Err(Refusal::NotBlocked),
        (_, Status::Blocked) => Err(Refusal::IsBlocked),
        (Act::Remove, Status::Contact { .. }) => Ok(Status::None),
        (Act::Remove, _) => Err(Refusal::NoContact),
        (Act::Accept, Status::Contact { .. }) => Ok(status),
        (Act::Request | Act::Withdraw | Act::Reject, Status::Contact { .. }) => Err(Refusal::IsContact),
        (Act::Request | Act::Accept, _) if waits => Ok(CONTACT),
        (Act::Request, _) => Ok(Status::Requested),
        (Act::Accept, _) => Err(Refusal::NoRequest),
        (Act::Reject, Status::Rejected) => Ok(status),
        (Act::Reject, _) if waits => Ok(Status::Rejected),
        (Act::Reject, _) => Err(Refusal::NoRequest),
        (Act::Withdraw, Status::Requested | Status::Withdrawn) => Ok(Status::Withdrawn),
        (Act::Withdraw, _) => Err(Refusal::NoRequest),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};

    use super::*;

    const STATUSES: [Status; 8] = [
        Status::None,
        Status::Requested,
        Status::Contact { answered: false },
        Status::Contact { answered: true },
        Status::Rejected,
        Status::Refused,
        Status::Withdrawn,
        Status::Blocked,
    ];
    const ACTS: [Act; 7] =
        [Act::Request, Act::Withdraw, Act::Accept, Act::Reject, Act::Remove, Act::Block, Act::Unblock];

    /// The table of the specification, row by row.
    #[test]
    fn what_is_heard_does_what_the_table_says() {
        let heard = [Heard::Request, Heard::Contact, Heard::Reject, Heard::Withdraw, Heard::Known { current: false }];
        let table = "
            inbox . . leaves .
            contact+c holds+c refused leaves .
            +c holds+c . none +c
            +c newer . . +c
            +r . . . .
            inbox . . leaves .
            inbox +w . leaves .
            . . . . .";
        for (row, status) in table.trim().lines().zip(STATUSES) {
            for (cell, heard) in row.split_whitespace().zip(heard) {
                let Outcome { status: next, takes_place, leaves_inbox, keeps_profile, answer } = hears(status, heard);
                let word = match (takes_place, leaves_inbox && next == status, keeps_profile, next) {
                    (true, ..) => "inbox",
                    (_, true, false, _) => "leaves",
                    (_, _, true, Status::Contact { answered: true }) if status != next => "holds",
                    (_, _, true, Status::Contact { answered: true }) => "newer",
                    (_, _, true, _) => "contact",
                    (_, _, false, Status::Refused) if status != next => "refused",
                    (_, _, false, Status::None) if status != next => "none",
                    _ => "",
                };
                let answer = match answer {
                    None => "",
                    Some(Said::Contact) => "+c",
                    Some(Said::Reject) => "+r",
                    Some(Said::Withdraw) => "+w",
                    Some(other) => panic!("{other:?} is no answer"),
                };
                let told = format!("{word}{answer}");
                assert_eq!(if told.is_empty() { "." } else { &told }, cell, "{status:?} hears {heard:?}");
            }
        }
    }

    #[test]
    fn what_people_want_does_what_the_table_says() {
        // For each status: request, withdraw, accept, reject, remove, block, unblock; with a request in the inbox behind the stroke.
        let table = "
            q/c e/e e/c e/j e/e b/b e/e
            q/c w/w e/c e/j e/e b/b e/e
            e/e e/e =/= e/e n/n b/b e/e
            e/e e/e =/= e/e n/n b/b e/e
            q/c e/e e/c =/= e/e b/b e/e
            q/c e/e e/c e/j e/e b/b e/e
            q/c w/w e/c e/j e/e b/b e/e
            e/e e/e e/e e/e e/e b/b n/n";
        for (row, status) in table.trim().lines().zip(STATUSES) {
            for (cell, act) in row.split_whitespace().zip(ACTS) {
                let told = [false, true].map(|waits| match wants(status, act, waits) {
                    Err(_) => "e",
                    Ok(Status::Blocked) => "b",
                    Ok(next) if next == status && act != Act::Withdraw && act != Act::Request => "=",
                    Ok(Status::None) => "n",
                    Ok(Status::Requested) => "q",
                    Ok(Status::Contact { .. }) => "c",
                    Ok(Status::Rejected) => "j",
                    Ok(Status::Withdrawn) => "w",
                    Ok(Status::Refused) => "f",
                });
                assert_eq!(told.join("/"), cell, "{status:?} wants {act:?}");
            }
        }
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    struct Side {
        status: Status,
        waits: bool,
        /// It asked or accepted at some time.
        agreed: bool,
        /// The other side has its current profile.
        known: bool,
    }

    /// Two people, and what is on its way to each of them.
    #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
    struct World {
        sides: [Side; 2],
        on_the_way: [VecDeque<Said>; 2],
    }

    /// More messages than this are on their way only where a side changes its mind again and again.
    const MAX_ON_THE_WAY: usize = 3;

    impl World {
        fn new() -> Self {
            let side = Side { status: Status::None, waits: false, agreed: false, known: false };
            Self { sides: [side; 2], on_the_way: Default::default() }
        }

        fn say(&mut self, from: usize, said: &[Said]) {
            self.on_the_way[1 - from].extend(said);
        }

        fn act(&mut self, side: usize, act: Act) {
            let Side { status, waits, .. } = self.sides[side];
            let Ok(next) = wants(status, act, waits) else { return };
            let one = &mut self.sides[side];
            (one.status, one.waits) = (next, false);
            one.agreed |= matches!(act, Act::Request | Act::Accept);
            self.forget(side);
            if next != status {
                self.say(side, says(next));
            }
        }

        /// Who is no contact any more, of that nothing is held.
        fn forget(&mut self, side: usize) {
            let is_contact = matches!(self.sides[side].status, Status::Contact { .. });
            self.sides[1 - side].known &= is_contact;
        }

        fn deliver(&mut self, to: usize) {
            let Some(said) = self.on_the_way[to].pop_front() else { return };
            let heard = match said {
                Said::Request => Heard::Request,
                Said::Contact => Heard::Contact,
                Said::Reject => Heard::Reject,
                Said::Withdraw => Heard::Withdraw,
                Said::Known => Heard::Known { current: self.sides[to].known },
            };
            let before = self.sides[to];
            let outcome = hears(before.status, heard);
            let one = &mut self.sides[to];
            one.status = outcome.status;
            one.waits = (before.waits || outcome.takes_place) && !outcome.leaves_inbox;
            if outcome.keeps_profile && said == Said::Contact {
                self.sides[1 - to].known = true;
            }
            self.forget(to);
            self.say(to, outcome.answer.as_slice());
            if outcome.status != before.status {
                self.say(to, says(outcome.status));
            }
        }

        /// The session breaks, and another one begins.
        fn meet(&mut self) {
            self.on_the_way = Default::default();
            for side in 0..2 {
                self.say(side, says(self.sides[side].status));
            }
        }

        /// Nobody acts any more, and they talk until all is said.
        fn settle(mut self) -> Self {
            for _ in 0..3 {
                self.meet();
                for step in 0.. {
                    assert!(step < 100, "they never fall silent: {self:?}");
                    if self.on_the_way.iter().all(VecDeque::is_empty) {
                        break;
                    }
                    self.deliver(step % 2);
                }
            }
            self
        }

        fn check(&self) {
            for side in 0..2 {
                let (one, other) = (self.sides[side], self.sides[1 - side]);
                if matches!(one.status, Status::Contact { .. }) {
                    assert!(one.agreed, "a contact by nobody's decision: {self:?}");
                }
                if one.status == (Status::Contact { answered: true }) {
                    assert!(other.agreed, "the other side never agreed: {self:?}");
                }
            }
        }

        fn check_settled(&self) {
            self.check();
            let mut pair = self.sides.map(|side| side.status);
            pair.sort();
            let contact = |answered| Status::Contact { answered };
            let open = [
                [Status::Requested, Status::Requested],
                [Status::Requested, contact(false)],
                [Status::Requested, contact(true)],
                [Status::Requested, Status::Rejected],
                [contact(false), contact(false)],
                [contact(false), contact(true)],
                [contact(false), Status::Withdrawn],
            ];
            assert!(!open.contains(&pair), "left open: {self:?}");
            let waiting = |side: usize| self.sides[side].status == Status::Requested;
            for side in 0..2 {
                let other = self.sides[1 - side];
                let asks = matches!(other.status, Status::None | Status::Refused | Status::Withdrawn);
                assert!(!(waiting(side) && asks) || other.waits, "a request that was lost: {self:?}");
            }
        }
    }

    /// Every order in which two people ask, answer, change their mind, are cut off and meet again: nobody becomes a contact of
    /// somebody who did not agree, and once they talk in peace, nothing is left open.
    #[test]
    fn every_order_of_two_peoples_acts_and_messages_ends_well() {
        let mut seen = BTreeSet::from([World::new()]);
        let mut next = vec![World::new()];
        let (mut ended, mut settled) = (BTreeSet::new(), BTreeSet::new());
        while let Some(world) = next.pop() {
            world.check();
            // What is on its way is lost when they meet anew, so each pair of sides comes to one end.
            if ended.insert(world.sides) {
                let peace = world.clone().settle();
                peace.check_settled();
                settled.insert(peace.sides.map(|side| side.status));
            }
            let mut steps = Vec::new();
            for side in 0..2 {
                for act in ACTS {
                    let mut step = world.clone();
                    step.act(side, act);
                    steps.push(step);
                }
                let mut step = world.clone();
                step.deliver(side);
                steps.push(step);
            }
            let mut step = world.clone();
            step.meet();
            steps.push(step);
            for step in steps {
                let fits = step.on_the_way.iter().all(|queue| queue.len() <= MAX_ON_THE_WAY);
                if fits && seen.insert(step.clone()) {
                    next.push(step);
                }
            }
        }
        assert!(seen.len() > 10_000, "{} orders", seen.len());
        assert!(settled.contains(&[Status::Contact { answered: true }; 2]), "{settled:?}");
        assert!(settled.contains(&[Status::Refused, Status::Rejected]), "{settled:?}");
    }
}
