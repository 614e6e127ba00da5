//! Joining with a ticket.

use std::time::Duration;

use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_sync::{Purpose, Role, SpaceError, Ticket};

use super::event::{Ending, Unreachable};
use super::race::race;
use super::run::Started;
use super::{Node, blocking, keep};
use crate::transport::{Addr, CloseCode};

/// How often a join is tried while connections of both devices cross each other.
const CROSSING_ATTEMPTS: u32 = 6;
/// How long is waited in between; it grows by this much every time.
const CROSSING_WAIT: Duration = Duration::from_millis(250);

/// What a ticket gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Who honoured it; this device is kept connected from now on.
    pub inviter: DeviceId,
    /// The spaces that came with it. Their content follows.
    pub spaces: Vec<SpaceId>,
}

/// Why joining failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The ticket names no address that this node can dial.
    #[error("the ticket has no address that can be dialled from here; ask for one made while the other node listens")]
    NoAddress,
    /// The device that made the ticket cannot be reached. The ticket stays good until it expires.
    #[error("the device that made the ticket cannot be reached: {0}")]
    Unreachable(#[from] Unreachable),
    /// The session ended before the ticket was honoured.
    #[error("{0}")]
    Ended(Ending),
    /// Joined, but where the inviter can be reached cannot be stored.
    #[error("joined, but the inviter's addresses cannot be stored: {0}")]
    Database(#[from] SpaceError),
}

impl Node {
    /// Joins with a ticket, and keeps the device that made it connected from then on. Returns once the ticket is
    /// honoured; the content of the spaces follows, as [`Node::events`] tells.
    ///
    /// # Errors
    /// [`JoinError`]: nothing has changed then, except with [`JoinError::Database`].
    pub async fn join(&self, ticket: &Ticket) -> Result<Joined, JoinError> {
        let inviter = ticket.inviter;
        let addresses: Vec<Addr> = ticket.addresses.iter().filter_map(|text| text.parse().ok()).collect();
        if addresses.is_empty() {
            return Err(JoinError::NoAddress);
        }
        let mut crossings = 0;
        let spaces = loop {
            match self.try_join(ticket, &addresses).await? {
                Ok(spaces) => break spaces,
                // Both devices dialled each other, and the other connection was kept: ask again on one of our own.
                Err(ending) if ending.is_replaced() && crossings < CROSSING_ATTEMPTS => {
                    crossings += 1;
                    tokio::time::sleep(CROSSING_WAIT * crossings).await;
                }
                Err(ending) => return Err(JoinError::Ended(ending)),
            }
        };
        blocking(&self.shared.database, {
            let addresses = ticket.addresses.clone();
            move |database| database.remember_peer(&inviter, &addresses)
        })
        .await?;
        keep::start(&self.shared, inviter);
        Ok(Joined { inviter, spaces })
    }

    async fn try_join(&self, ticket: &Ticket, addresses: &[Addr]) -> Result<Result<Vec<SpaceId>, Ending>, JoinError> {
        let shared = &self.shared;
        let connection = race(&shared.config, ticket.inviter, addresses).await?;
        let Started { joined, ended } =
            match shared.converse(connection, Role::Dialer, Purpose::Join(Box::new(ticket.clone()))) {
                Ok(started) => started,
                Err(code @ CloseCode::Duplicate) => {
                    return Ok(Err(crate::transport::CloseReason::local(code, "").into()));
                }
                Err(_) => return Err(Unreachable::Full.into()),
            };
        match joined.await {
            Ok(spaces) => Ok(Ok(spaces)),
            // The session is gone without it, and says why.
            Err(_) => Ok(Err(ended.await.map_or(Ending::Stopped, |ended| ended.why))),
        }
    }
}
