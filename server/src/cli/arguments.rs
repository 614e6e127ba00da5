//! What the command line takes.

mod audit;
mod conflicts;
mod contacts;
mod identity;
mod key;
mod sharing;

use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) use audit::{AuditAccesses, AuditCommand, AuditExport, AuditList, AuditVerify};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tidewater_engine::space::Rank;

use conflicts::{CONFLICTS_EXAMPLES, RESOLVE_EXAMPLES, UNDO_EXAMPLES};
pub(crate) use conflicts::{Conflicts, Policy, Resolve, Undo};
pub(crate) use contacts::{
    AddRule, ContactCommand, PolicyCommand, ProfileCommand, RequestContact, SearchProfiles, SetProfile,
};
use identity::RECOVER_EXAMPLES;
pub(crate) use identity::{DeviceCommand, IdentityCommand, Recover};
pub(crate) use key::{ChangeKey, KeyCommand, Sealing};
pub(crate) use sharing::{ChangeRank, Leave, OfferCommand, Revoke, Share};
use sharing::{LEAVE_EXAMPLES, SHARE_EXAMPLES};

/// A local-first database that syncs.
#[derive(Debug, Parser)]
#[command(name = "tide", version, max_term_width = 100, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed
  2    the command line is wrong
  3    not found: the database, document, collection, space, member, conflict
  4    the database is in use by another process
  5    the database, or the audit trail, is damaged, or is none of this version
  6    not allowed: this device's rank does not suffice
  7    the database is sealed, and what was given does not open it
  130  interrupted";

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The database file
    #[arg(long, global = true, value_name = "FILE", env = "TIDE_DB")]
    pub(crate) db: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sealing: Sealing,
    /// How results are written to standard output
    #[arg(long, global = true, value_name = "FORMAT", env = "TIDE_OUTPUT", default_value = "table")]
    pub(crate) output: Format,
    /// Short for --output json
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// One JSON value
    Json,
    /// One JSON value a line
    Ndjson,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a database with an identity and a home space
    #[command(after_help = INIT_EXAMPLES)]
    Init(Init),
    /// Read records from newline-delimited JSON
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(Import),
    /// Write a collection as newline-delimited JSON, ordered by id
    #[command(
        after_help = "Examples:\n  tide export --db notes.db --collection notes > notes.ndjson\n  tide export --db notes.db --collection notes notes.ndjson"
    )]
    Export(Export),
    /// Show a document
    #[command(
        after_help = "Examples:\n  tide get --db notes.db notes n1\n  tide get --db notes.db notes n1 --json | jq .title"
    )]
    Get(Place),
    /// Insert a document, or set the given fields of an existing one
    #[command(after_help = PUT_EXAMPLES)]
    Put(Put),
    /// Change fields of a document: count, add, remove, type
    #[command(after_help = UPDATE_EXAMPLES)]
    Update(Update),
    /// Delete a document
    #[command(after_help = "Examples:\n  tide delete --db notes.db notes n1")]
    Delete(Place),
    /// Bring a deleted document back, with edits that the delete did not see
    #[command(after_help = "Examples:\n  tide restore --db notes.db notes n1")]
    Restore(Place),
    /// List documents with conflicts, or show those of one: concurrent values, who wrote them and when; edits of a deleted document
    #[command(after_help = CONFLICTS_EXAMPLES)]
    Conflicts(Conflicts),
    /// Settle a conflict between concurrent values of a field
    #[command(after_help = RESOLVE_EXAMPLES)]
    Resolve(Resolve),
    /// Undo a resolution: write what the field showed before
    #[command(after_help = UNDO_EXAMPLES)]
    Undo(Undo),
    /// Find documents, or run GraphQL
    #[command(after_help = QUERY_EXAMPLES)]
    Query(Query),
    /// Print changes as they happen, here or on other devices
    #[command(
        after_help = "Examples:\n  tide watch --db notes.db notes\n  tide watch --db notes.db notes 'done=false' --json"
    )]
    Watch(Watch),
    /// List collections; show and declare their schemas
    #[command(subcommand)]
    Collection(CollectionCommand),
    /// List, add and remove secondary indexes of a collection
    #[command(subcommand)]
    Index(IndexCommand),
    /// List and create spaces
    #[command(subcommand)]
    Space(SpaceCommand),
    /// Invite another identity to a space: print a ticket, and stay until it was used
    #[command(after_help = SHARE_EXAMPLES)]
    Share(Share),
    /// List the offers that this device made and what became of each; cancel one
    #[command(subcommand)]
    Offer(OfferCommand),
    /// Invite a further device of this identity: print a ticket, and stay until it was used
    #[command(after_help = "Examples:\n  tide link --db notes.db\n  tide link --db notes.db --p2p 192.168.1.5:0")]
    Link(Invite),
    /// Use a ticket: become a further device, or a member of a space; then sync
    #[command(
        after_help = "Examples:\n  tide join --db laptop.db tide1…\n  tide join --db theirs.db --name Grace tide1…"
    )]
    Join(Join),
    /// Make an identity's new device from its recovery words and any member of its spaces
    #[command(after_help = RECOVER_EXAMPLES)]
    Recover(Recover),
    /// Show this identity and its recovery words
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// List and remove the devices of this identity
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Ask people to become contacts, answer them, verify them, find them
    #[command(subcommand)]
    Contact(ContactCommand),
    /// Show and change what this identity says of itself
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Show and change what this device accepts without asking
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// List the members of a space
    #[command(after_help = "Examples:\n  tide members --db notes.db\n  tide members --db notes.db --space 3f…")]
    Members(InSpace),
    /// List the commits of a space that count for nothing, with the reason
    #[command(
        after_help = "Examples:\n  tide void --db notes.db\n  tide void --db notes.db --space 3f… --output ndjson"
    )]
    Void(Void),
    /// Show who gave whom which rank in a space and what became of it, and who fetched what
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Give a member another rank
    #[command(
        after_help = "Examples:\n  tide rank --db notes.db 9c… read\n  tide rank --db notes.db --space Family 9c… admin"
    )]
    Rank(ChangeRank),
    /// Take a member's rank
    #[command(after_help = "Examples:\n  tide revoke --db notes.db 9c…")]
    Revoke(Revoke),
    /// Leave a space: give up this identity's rank in it, and tell the members
    #[command(after_help = LEAVE_EXAMPLES)]
    Leave(Leave),
    /// List the devices this one knows
    #[command(
        after_help = "Examples:\n  tide peers --db notes.db\n  tide peers --db notes.db --add DEVICE=192.168.1.5:7400"
    )]
    Peers(Peers),
    /// Make key files, and seal the database under another passphrase or key file
    #[command(subcommand)]
    Key(KeyCommand),
    /// Show what the database is and holds
    #[command(after_help = "Examples:\n  tide status --db notes.db --json")]
    Status,
    /// One hash over the state of each space: equal on devices that hold the same
    #[command(
        after_help = "Examples:\n  tide digest --db notes.db\n  diff <(tide digest --db a.db) <(tide digest --db b.db)"
    )]
    Digest(Digest),
    /// Check every record, root and signature, and documents and indexes against the logs
    #[command(after_help = "Examples:\n  tide verify --db notes.db")]
    Verify,
    /// Serve GraphQL over HTTP, and sync with other devices
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Serve),
    /// Show two devices sync, diverge and converge, in a temporary folder
    #[command(
        after_help = "Examples:\n  tide demo\n  tide demo --records 50000\n  tide demo --input packages.ndjson --collection packages --id id"
    )]
    Demo(Demo),
    /// Print a completion script for a shell
    #[command(after_help = "Examples:\n  tide completions bash > /etc/bash_completion.d/tide")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

const INIT_EXAMPLES: &str = "\
Examples:
  tide init --db notes.db
  tide init --db notes.db --name 'Ada Lovelace' --passphrase-file passphrase.txt
  tide key new notes.key && tide init --db notes.db --key-file notes.key

At a terminal it asks for a passphrase; elsewhere say --passphrase-file, --key-file or --plain-file.";

const IMPORT_EXAMPLES: &str = "\
Examples:
  tide import --db notes.db --collection notes notes.ndjson
  zcat packages.ndjson.gz | tide import --db pkg.db --collection packages --id name -
  tide import --db notes.db --collection notes --from-line 40001 notes.ndjson

A record whose id exists sets the fields it has. An import that stops says at which line it goes on.";

const PUT_EXAMPLES: &str = "\
Examples:
  tide put --db notes.db notes n1 '{\"title\": \"Milk\", \"done\": false}'
  echo '{\"title\": \"Milk\"}' | tide put --db notes.db notes n1 -
  tide put --db notes.db notes --new '{\"title\": \"Milk\"}'";

const UPDATE_EXAMPLES: &str = "\
Examples:
  tide update --db notes.db notes n1 '{\"title\": {\"set\": \"Milk\"}, \"views\": {\"increment\": 1}}'
  tide update --db notes.db notes n1 '{\"tags\": {\"add\": [\"home\"], \"remove\": [\"work\"]}}'
  tide update --db notes.db notes n1 '{\"body\": {\"splice\": {\"at\": 0, \"delete\": 0, \"insert\": \"Hi\"}}}'";

const QUERY_EXAMPLES: &str = "\
Examples:
  tide query --db notes.db notes 'done=false and tags:home' --order created:desc --first 20
  tide query --db notes.db packages 'depends:libc6 installed_size>=1000' --count --explain
  tide query --db notes.db notes '{\"title\": {\"startsWith\": \"To do\"}}'
  tide query --db notes.db '{ notes(first: 3) { nodes { id title } } }'
  tide query --db notes.db 'mutation($n: String) { createNote(input: {title: $n}) { id } }' --variables '{\"n\": \"x\"}'

Filters: = != > >= < <= compare, : is contains, ^= starts with, ~ matches (% any run, _ any one), in (a, b), exists,
missing; combined by and, or, not and brackets. In JSON: eq ne gt gte lt lte in nin like startsWith contains any all
exists; and, or, not.";

const SERVE_EXAMPLES: &str = "\
Examples:
  tide serve --db notes.db
  tide serve --db notes.db --http 127.0.0.1:8080 --p2p 0.0.0.0:7400
  tide serve --db notes.db --http 127.0.0.1:0 --p2p 127.0.0.1:0 --json

HTTP is served on loopback addresses only. GraphQL is at /graphql; /healthz and /readyz tell whether it runs.
Stop it with SIGINT or SIGTERM.";

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The name of the identity: yours, for others to see
    #[arg(long, env = "TIDE_NAME")]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file; `-` or nothing: standard input
    #[arg(value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// The collection
    #[arg(long, short)]
    pub(crate) collection: String,
    /// The field that holds the id; it is not stored a second time
    #[arg(long, value_name = "FIELD", default_value = "id")]
    pub(crate) id: String,
    /// All records or none
    #[arg(long)]
    pub(crate) atomic: bool,
    /// Do not declare a schema from the first records
    #[arg(long)]
    pub(crate) no_schema: bool,
    /// Pass over the lines before this one, counted from 1
    #[arg(long, value_name = "LINE", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from_line: u64,
    /// How many records are stored at once
    #[arg(long, value_name = "RECORDS", default_value_t = tidewater_engine::port::DEFAULT_COMMIT_RECORDS)]
    pub(crate) batch: usize,
    #[command(flatten)]
    pub(crate) space: InSpace,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The file; `-` or nothing: standard output
    #[arg(value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    /// The collection
    #[arg(long, short)]
    pub(crate) collection: String,
    #[command(flatten)]
    pub(crate) space: InSpace,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct InSpace {
    /// The space, by id or label; the home space for writes, all spaces for reads when not given
    #[arg(long, value_name = "SPACE", env = "TIDE_SPACE")]
    pub(crate) space: Option<String>,
}

/// One document.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The collection
    pub(crate) collection: String,
    /// The document's id
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) space: InSpace,
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The collection
    pub(crate) collection: String,
    /// The document's id, then its fields as a JSON object (`-`: standard input); with --new the fields only
    #[arg(num_args = 1..=2, required = true, value_name = "ID FIELDS")]
    pub(crate) id_and_fields: Vec<String>,
    /// Insert under a new id
    #[arg(long)]
    pub(crate) new: bool,
    #[command(flatten)]
    pub(crate) space: InSpace,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// The collection
    pub(crate) collection: String,
    /// The document's id
    pub(crate) id: String,
    /// The changes by field, as a JSON object (`-`: standard input)
    pub(crate) patch: String,
    #[command(flatten)]
    pub(crate) space: InSpace,
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// A collection's name, or GraphQL (anything with a `{`); `-`: GraphQL from standard input
    #[arg(value_name = "COLLECTION | GRAPHQL")]
    pub(crate) text: String,
    /// Only documents for which this holds: `done=false and tags:home`, or a JSON object
    pub(crate) filter: Option<String>,
    /// Sort by FIELD, FIELD:desc, FIELD:desc:nulls-last; give it again for further keys
    #[arg(long, value_name = "FIELD[:desc]")]
    pub(crate) order: Vec<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) first: usize,
    /// Only what comes after this cursor
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
    /// Also count everything that matches
    #[arg(long)]
    pub(crate) count: bool,
    /// Also say how it was found
    #[arg(long)]
    pub(crate) explain: bool,
    /// GraphQL variables, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) variables: Option<String>,
    /// Which of several GraphQL operations runs
    #[arg(long, value_name = "NAME")]
    pub(crate) operation: Option<String>,
    #[command(flatten)]
    pub(crate) space: InSpace,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The collection
    pub(crate) collection: String,
    /// Only documents for which this holds: `done=false and tags:home`, or a JSON object
    pub(crate) filter: Option<String>,
    /// Where other devices can reach this one
    #[arg(long, value_name = "ADDR", env = "TIDE_P2P", default_value = "127.0.0.1:0")]
    pub(crate) p2p: SocketAddr,
    #[command(flatten)]
    pub(crate) space: InSpace,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CollectionCommand {
    /// List the collections
    #[command(after_help = "Examples:\n  tide collection list --db notes.db")]
    List,
    /// Show a collection's schema as JSON
    #[command(after_help = "Examples:\n  tide collection schema --db notes.db notes")]
    Schema(CollectionName),
    /// Declare a collection's schema
    #[command(after_help = SCHEMA_EXAMPLES)]
    Declare(Declare),
}

const SCHEMA_EXAMPLES: &str = "\
Examples:
  tide collection declare --db notes.db notes '{\"fields\": {\"views\": {\"kind\": \"counter\"},
      \"tags\": {\"kind\": \"set\", \"type\": \"string\"}, \"body\": {\"kind\": \"text\"}}}'

Kinds: counter, set, text, json; a register without. Types: bool, int, float, string, bytes, timestamp, list, object,
{\"list\": TYPE}, {\"reference\": COLLECTION}, {\"vector\": DIMENSIONS}.";

#[derive(Debug, Args)]
pub(crate) struct CollectionName {
    /// The collection
    pub(crate) collection: String,
    #[command(flatten)]
    pub(crate) space: InSpace,
}

#[derive(Debug, Args)]
pub(crate) struct Declare {
    /// The collection
    pub(crate) collection: String,
    /// The schema as a JSON object (`-`: standard input); it replaces the one there is
    pub(crate) schema: String,
    #[command(flatten)]
    pub(crate) space: InSpace,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IndexCommand {
    /// List a collection's indexes
    #[command(after_help = "Examples:\n  tide index list --db notes.db notes")]
    List(CollectionName),
    /// Add an index over one or more fields
    #[command(
        after_help = "Examples:\n  tide index add --db notes.db notes by_created created\n  tide index add --db notes.db people by_city address.city name"
    )]
    Add(AddIndex),
    /// Remove an index
    #[command(after_help = "Examples:\n  tide index remove --db notes.db notes by_created")]
    Remove(RemoveIndex),
}

#[derive(Debug, Args)]
pub(crate) struct AddIndex {
    /// The collection
    pub(crate) collection: String,
    /// The index's name
    pub(crate) index: String,
    /// Field paths, most significant first
    #[arg(required = true)]
    pub(crate) fields: Vec<String>,
    #[command(flatten)]
    pub(crate) space: InSpace,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveIndex {
    /// The collection
    pub(crate) collection: String,
    /// The index's name
    pub(crate) index: String,
    #[command(flatten)]
    pub(crate) space: InSpace,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SpaceCommand {
    /// List the spaces
    #[command(after_help = "Examples:\n  tide space list --db notes.db")]
    List,
    /// Create a space
    #[command(after_help = "Examples:\n  tide space new --db notes.db 'Family'")]
    New {
        /// The space's name, for people
        label: String,
    },
    /// List spaces that others offer to this identity
    #[command(after_help = "Examples:\n  tide space offers --db notes.db")]
    Offers,
    /// Take an offered space
    #[command(after_help = "Examples:\n  tide space accept --db notes.db 3f…")]
    Accept {
        /// The space's id
        space: String,
    },
    /// Remove a space that this device has left, or was removed from, from the database's file
    #[command(
        after_help = "Examples:\n  tide space forget --db notes.db 3f…\n  tide space forget --db notes.db 3f… --untold"
    )]
    Forget {
        /// The space, by id or label
        space: String,
        /// Also when no member has heard yet that this identity left: none will
        #[arg(long)]
        untold: bool,
    },
    /// Turn an offered space down
    #[command(after_help = "Examples:\n  tide space decline --db notes.db 3f…")]
    Decline {
        /// The space's id
        space: String,
    },
}

/// Where an inviter can be reached, and how long the ticket holds.
#[derive(Debug, Args)]
pub(crate) struct Invite {
    /// Where the other device can reach this one: an address of this machine (port 0: any)
    #[arg(long, value_name = "ADDR", env = "TIDE_P2P", default_value = "127.0.0.1:0")]
    pub(crate) p2p: SocketAddr,
    /// How long the ticket holds, in minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=525_600))]
    pub(crate) valid: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Join {
    /// The ticket
    pub(crate) ticket: String,
    /// The name of the identity, when a new database needs one
    #[arg(long, env = "TIDE_NAME")]
    pub(crate) name: Option<String>,
    /// Where other devices can reach this one
    #[arg(long, value_name = "ADDR", env = "TIDE_P2P", default_value = "0.0.0.0:0")]
    pub(crate) p2p: SocketAddr,
    /// Give up when it takes longer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Peers {
    /// Remember where a device can be reached
    #[arg(long, value_name = "DEVICE=ADDR")]
    pub(crate) add: Vec<String>,
    /// Forget a device
    #[arg(long, value_name = "DEVICE")]
    pub(crate) forget: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Void {
    #[command(flatten)]
    pub(crate) space: InSpace,
    /// How many are listed at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) first: usize,
    /// Go on after the last one of an earlier list, by its cursor, which --json shows
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Digest {
    #[command(flatten)]
    pub(crate) space: InSpace,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where GraphQL is served: a loopback address
    #[arg(long, value_name = "ADDR", env = "TIDE_HTTP", default_value = "127.0.0.1:8080")]
    pub(crate) http: SocketAddr,
    /// Where other devices can reach this one
    #[arg(long, value_name = "ADDR", env = "TIDE_P2P", default_value = "127.0.0.1:0")]
    pub(crate) p2p: SocketAddr,
    /// A further host name under which GraphQL is reached, behind a proxy for instance
    #[arg(long, value_name = "HOST", env = "TIDE_ALLOW_HOST", value_delimiter = ',')]
    pub(crate) allow_host: Vec<String>,
    /// An origin whose pages may call GraphQL
    #[arg(long, value_name = "ORIGIN", env = "TIDE_ALLOW_ORIGIN", value_delimiter = ',')]
    pub(crate) allow_origin: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Records to import, as newline-delimited JSON; generated ones when not given
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// The collection they go to
    #[arg(long, default_value = "packages")]
    pub(crate) collection: String,
    /// The field that holds the id
    #[arg(long, value_name = "FIELD", default_value = "id")]
    pub(crate) id: String,
    /// How many records to generate
    #[arg(long, value_name = "N", default_value_t = 5_000, conflicts_with = "input")]
    pub(crate) records: u64,
}

/// A rank that can be granted, as people call it.
fn rank(text: &str) -> Result<Rank, String> {
    match text {
        "relay" => Ok(Rank::Relay),
        "read" | "reader" => Ok(Rank::Reader),
        "write" | "writer" => Ok(Rank::Writer),
        "admin" => Ok(Rank::Admin),
        other => Err(format!("{other:?} is no rank that can be granted; say relay, read, write or admin")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        fn without_examples(command: &clap::Command, path: &str, found: &mut Vec<String>) {
            let path = format!("{path} {}", command.get_name());
            let shown = command.get_after_help().is_some_and(|help| help.to_string().contains("Examples:"));
            match command.has_subcommands() {
                true => command.get_subcommands().for_each(|command| without_examples(command, &path, found)),
                false if !shown => found.push(path),
                false => {}
            }
        }
        let mut found = Vec::new();
        without_examples(&Arguments::command(), "", &mut found);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn options_may_stand_before_and_after_the_command() {
        for line in ["tide --db x.db get notes n1 --json", "tide get notes n1 --db x.db --json"] {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(arguments.global.db, Some(PathBuf::from("x.db")));
            assert!(arguments.global.json);
        }
    }

    #[test]
    fn what_is_wrong_is_a_usage_error() {
        for line in [
            "tide nonsense",
            "tide share --rank owner",
            "tide import --collection x --from-line 0",
            "tide import",
            "tide serve --http nowhere",
            "tide get notes",
        ] {
            let error = Arguments::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
