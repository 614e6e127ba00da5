//! How the world begins: the first replica founds the space, the others join with tickets.

use tidewater_engine::space::Rank;

use super::Failure;
use super::replica::Replica;
use super::world::{World, mix};

/// How long a ticket is valid, in milliseconds.
const TICKET_MS: i64 = 3_600_000;
/// How long a join may take.
const JOIN_MS: i64 = 60_000;

/// The ranks that are given at first; most write.
const RANKS: [Rank; 7] =
    [Rank::Writer, Rank::Writer, Rank::Writer, Rank::Writer, Rank::Admin, Rank::Reader, Rank::Relay];

impl World {
    /// Makes the replicas. Nothing goes wrong until they have all joined.
    pub(super) fn be_born(&mut self) -> Result<(), Failure> {
        let faults = std::mem::take(&mut self.faults);
        let founder = self.create(Some("founder"), true)?;
        let home = self.replicas[founder].database().and_then(|database| database.home());
        let space = home.ok_or_else(|| self.failure("a database without home"))?;
        self.spaces.push((space, founder));
        self.ledger.note_reader(space, self.replicas[founder].identity);
        self.declare_first(founder, space)?;
        for number in 1..self.settings.replicas {
            let hostile = self.settings.hostile && number + 1 == self.settings.replicas;
            if self.chance.one_in(3) && !hostile {
                self.join(number, None)?;
            } else {
                let rank = if hostile { Rank::Writer } else { *self.chance.pick(&RANKS) };
                self.join(number, Some(rank))?;
            }
            self.replicas[number].honest = !hostile;
        }
        let numbers = 0..self.settings.replicas;
        for pair in numbers.clone().flat_map(|one| numbers.clone().map(move |other| (one, other))) {
            // Everybody knows the first; the others know some of each other.
            if pair.0 < pair.1 && (pair.0 == founder || self.chance.one_in(2)) {
                self.dial_now(pair);
            }
        }
        let on = faults.on();
        self.faults = faults;
        self.tell(&format!("faults that happen here: {on:?}"));
        Ok(())
    }

    fn create(&mut self, identity: Option<&str>, home: bool) -> Result<usize, Failure> {
        let number = self.replicas.len();
        let seed = mix(self.settings.seed, 0xdead_0000 + number as u64);
        let replica = Replica::create(seed, identity, home);
        self.replicas.push(replica.map_err(|error| self.failure(format!("a new database: {error}")))?);
        Ok(number)
    }

    /// A further replica: a device of the founder, or with a rank an identity of its own.
    fn join(&mut self, number: usize, rank: Option<Rank>) -> Result<(), Failure> {
        let (space, founder) = self.spaces[0];
        let name = format!("person {number}");
        self.create(rank.is_some().then_some(name.as_str()), false)?;
        let database = self.replicas[founder].database().expect("runs from the beginning").clone();
        let ticket = match rank {
            None => database.link_ticket(Vec::new(), TICKET_MS),
            Some(rank) => database.share_ticket(&space, rank, Vec::new(), TICKET_MS),
        };
        let ticket = ticket.map_err(|error| self.failure(format!("a ticket: {error}")))?;
        let pair = (founder, number);
        self.pairs.entry(pair).or_default().ticket = Some((number, ticket));
        self.dial_now(pair);
        let deadline = self.now_ms + JOIN_MS;
        while !self.replicas[number].follows(&space) || !self.is_member(number) {
            if self.now_ms > deadline {
                return Err(self.failure(format!("replica {number} did not join within {JOIN_MS} ms")));
            }
            self.pass(20)?;
        }
        let joined = self.replicas[number].database().expect("nothing goes wrong yet").clone();
        self.replicas[number].identity = joined.identity().expect("it has joined");
        if rank.is_none_or(|rank| rank >= Rank::Reader) {
            self.ledger.note_reader(space, self.replicas[number].identity);
        }
        joined.set_home(space).map_err(|error| self.failure(format!("a home: {error}")))?;
        self.settle(number)?;
        let rank = rank.map_or("a device of the founder".to_owned(), |rank| format!("of rank {rank:?}"));
        self.tell(&format!("replica {number} joins, {rank}"));
        Ok(())
    }

    fn is_member(&self, number: usize) -> bool {
        let replica = &self.replicas[number];
        replica.database().is_some_and(|database| replica.rank_in(&self.spaces[0].0, database).is_some())
    }
}
