//! Arguments of sharing: who is let in, with which rank, and who goes.

use std::net::SocketAddr;

use clap::{Args, Subcommand};
use tidewater_engine::space::Rank;

use super::{InSpace, Invite, rank};

pub(super) const LEAVE_EXAMPLES: &str = "\
Examples:
  tide leave --db notes.db Family
  tide leave --db notes.db 3f… --forget

What was read stays in this database unless it is forgotten, too. An owner can't leave.";

#[derive(Debug, Args)]
pub(crate) struct Leave {
    /// The space, by id or label
    pub(crate) space: String,
    /// Then remove it from the database's file, once a member has heard
    #[arg(long)]
    pub(crate) forget: bool,
    /// Where other devices can reach this one
    #[arg(long, value_name = "ADDR", env = "TIDE_P2P", default_value = "127.0.0.1:0")]
    pub(crate) p2p: SocketAddr,
    /// How long to look for a member to tell, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) timeout: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OfferCommand {
    /// List them, newest first: open, used and by whom, cancelled, declined, expired
    #[command(after_help = "Examples:\n  tide offer list --db notes.db")]
    List,
    /// Take one back that was not used yet
    #[command(after_help = "Examples:\n  tide offer cancel --db notes.db 5b…")]
    Cancel {
        /// The offer's id
        offer: String,
    },
}

pub(super) const SHARE_EXAMPLES: &str = "\
Examples:
  tide share --db notes.db
  tide share --db notes.db --space 3f… --rank read --p2p 192.168.1.5:7400
  tide share --db notes.db --space 3f… --to 9c…";

#[derive(Debug, Args)]
pub(crate) struct Share {
    /// The only identity that may use it; its devices are told of it when they next meet this one
    #[arg(long, value_name = "IDENTITY")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) space: InSpace,
    /// What the invited may do: relay, read, write or admin
    #[arg(long, default_value = "write", value_parser = rank)]
    pub(crate) rank: Rank,
    #[command(flatten)]
    pub(crate) invite: Invite,
}

#[derive(Debug, Args)]
pub(crate) struct ChangeRank {
    /// The member's identity
    pub(crate) identity: String,
    /// The new rank: relay, read, write or admin
    #[arg(value_parser = rank)]
    pub(crate) rank: Rank,
    #[command(flatten)]
    pub(crate) space: InSpace,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The member's identity
    pub(crate) identity: String,
    #[command(flatten)]
    pub(crate) space: InSpace,
}
