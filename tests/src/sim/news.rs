//! What is written and decided while all are connected is told to every member at once, and to nobody else.

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::Plane;
use tidewater_engine::store::{Durability, ReadError};
use tidewater_engine::value::{Fields, Value};

use super::Failure;
use super::world::World;

/// How long news may take, in milliseconds: sessions must not wait until they compare vectors.
const NEWS_MS: i64 = 2_000;

/// The planes, and who is to be told of what was written to them.
struct News {
    space: SpaceId,
    writer: WriterId,
    /// How long the author's logs are with it.
    lengths: [(Plane, u64); 2],
    author: usize,
    members: Vec<usize>,
}

impl World {
    /// Lets one member of every space write, and looks who holds it a moment later.
    pub(super) fn check_news(&mut self) -> Result<(), Failure> {
        if self.settings.hostile || self.ledger.has_forks() {
            return Ok(());
        }
        let mut all = Vec::new();
        for (space, _) in self.spaces.clone() {
            all.extend(self.make_news(space)?);
        }
        self.pass(NEWS_MS)?;
        for News { space, writer, lengths, author, members } in all {
            for (number, (plane, length)) in
                self.honest().into_iter().flat_map(|number| lengths.map(|length| (number, length)))
            {
                // Who declined a space is a member, and may follow it after all.
                let declined = self.ledger.declined.contains(&(number, space));
                let Some(database) = self.replicas[number].healthy().filter(|_| !declined) else { continue };
                let holds = database.vector(&space, plane).is_ok_and(|held| held.length(&writer) >= length);
                if holds != members.contains(&number) {
                    let what = if holds { "was told, and is no member" } else { "was not told at once" };
                    return Err(
                        self.failure(format!("replica {number} {what}, of the {plane:?} of {author} in {space}"))
                    );
                }
            }
            self.trace.count("news told");
        }
        Ok(())
    }

    fn make_news(&mut self, space: SpaceId) -> Result<Option<News>, Failure> {
        let Some((best, _)) = self.most_complete(&space) else { return Ok(None) };
        let known = self.replicas[best].database().expect("it runs").clone();
        let rank = |world: &Self, number: usize| world.replicas[number].rank_in(&space, &known);
        let mut members = self.honest();
        members.retain(|number| rank(self, *number).is_some() && !self.ledger.declined.contains(&(*number, space)));
        let Some(author) = members.iter().copied().max_by_key(|number| (rank(self, *number), usize::MAX - number))
        else {
            return Ok(None);
        };
        let outcome = self.transact(author, space, Durability::Local, |transaction| {
            transaction.upsert("free", "news", Fields::from([("by".to_owned(), Value::Int(author as i64))]))?;
            Ok(())
        })?;
        let database = self.replicas[author].database().expect("it runs").clone();
        if outcome != "writes" || database.rename_space(&space, "news").is_err() {
            return Ok(None);
        }
        self.settle(author)?;
        let writer = database.writer();
        let length = |plane| -> Result<_, ReadError> { Ok((plane, database.vector(&space, plane)?.length(&writer))) };
        let lengths = || -> Result<_, ReadError> { Ok([length(Plane::Control)?, length(Plane::Data)?]) };
        let lengths = lengths().map_err(|error| self.failure(error.to_string()))?;
        Ok(Some(News { space, writer, lengths, author, members }))
    }
}
