//! What the commands about the identity and its devices take.

use std::net::SocketAddr;

use clap::{Args, Subcommand};

pub(super) const RECOVER_EXAMPLES: &str = "\
Examples:
  tide recover --db new.db --from DEVICE=192.168.1.5:7400 < words.txt
  tide recover --db new.db --from DEVICE=192.168.1.5:7400 --remove-others

The 24 words are read from standard input. DEVICE is any device that is a member of the identity's spaces, a relay too; it says its
id with `tide status`.";

#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// A device that has the identity's spaces, and where to reach it
    #[arg(long, value_name = "DEVICE=ADDR")]
    pub(crate) from: String,
    /// Remove every other device of the identity: they are lost
    #[arg(long)]
    pub(crate) remove_others: bool,
    /// Where other devices can reach this one
    #[arg(long, value_name = "ADDR", env = "TIDE_P2P", default_value = "0.0.0.0:0")]
    pub(crate) p2p: SocketAddr,
    /// Give up when it takes longer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) timeout: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// Show the identity
    #[command(after_help = "Examples:\n  tide identity show --db notes.db")]
    Show,
    /// Print the 24 recovery words: write them down on paper
    #[command(after_help = "Examples:\n  tide identity words --db notes.db")]
    Words,
    /// Keep the recovery words no more; they are read from standard input, as they were written down
    #[command(after_help = "Examples:\n  tide identity forget-words --db notes.db < words.txt")]
    ForgetWords,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// List the devices of this identity
    #[command(after_help = "Examples:\n  tide device list --db notes.db")]
    List,
    /// Remove a device that was lost or stolen, in every space and for good
    #[command(after_help = "Examples:\n  tide device remove --db notes.db 5a…")]
    Remove {
        /// The device's id
        device: String,
    },
}
