//! What opens and seals database files, and the commands about it.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand};

/// What opens a sealed database, or seals a new one.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Sealing {
    /// The file with the passphrase that seals the database
    #[arg(long, global = true, value_name = "FILE", env = "TIDE_PASSPHRASE_FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// The key file that seals the database (see tide key new)
    #[arg(long, global = true, value_name = "FILE", env = "TIDE_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Do not seal a new database: whoever can read the file has its documents and keys
    #[arg(long, global = true, env = "TIDE_PLAIN_FILE", value_parser = FalseyValueParser::new())]
    pub(crate) plain_file: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key file
    #[command(
        after_help = "Examples:\n  tide key new notes.key\n\nKeep a copy where the database is not: without the file nothing opens what it seals."
    )]
    New {
        /// The file to make
        file: PathBuf,
    },
    /// Seal the database under another passphrase or key file
    #[command(after_help = CHANGE_EXAMPLES)]
    Change(ChangeKey),
}

const CHANGE_EXAMPLES: &str = "\
Examples:
  tide key change --db notes.db
  tide key change --db notes.db --passphrase-file old.txt --new-passphrase-file new.txt
  tide key change --db notes.db --key-file old.key --new-key-file new.key

The old one opens copies from before still. Whoever had it and the file reads later states too: then export everything into a new
database instead.";

#[derive(Debug, Args)]
pub(crate) struct ChangeKey {
    /// The file with the new passphrase
    #[arg(long, value_name = "FILE", conflicts_with = "new_key_file")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    /// The new key file
    #[arg(long, value_name = "FILE")]
    pub(crate) new_key_file: Option<PathBuf>,
}
