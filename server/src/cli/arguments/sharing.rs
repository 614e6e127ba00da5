//! Arguments of leaving a space, and of offers.

use std::net::SocketAddr;

use clap::{Args, Subcommand};

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
