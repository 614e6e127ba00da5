//! What the commands about contacts, the own profile and the policy take.

use std::net::SocketAddr;

use clap::{Args, Subcommand};
use tidewater_sync::{Decision, DeviceKind, ProfileField, Proposal, Relationship, SearchField};

const REQUEST_EXAMPLES: &str = "\
Examples:
  tide contact request --db notes.db DEVICE=192.168.1.5:7400 --note 'We met at the fair'
  tide contact request --db notes.db 9c…

DEVICE is any device of the other side; it says its id with `tide status`. An identity whose devices are known is asked in the next
session with any of them. Whoever is asked lists requests with `tide contact requests`.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  tide contact number --db notes.db 9c…
  tide contact verify --db notes.db 9c… --number '21089 23251 38374 …'
  tide contact verify --db notes.db 9c… --number tidesame1…

The other side shows the number with `tide contact number`; compare it face to face, or scan the code.";

#[derive(Debug, Subcommand)]
pub(crate) enum ContactCommand {
    /// Ask another identity to become a contact
    #[command(after_help = REQUEST_EXAMPLES)]
    Request(RequestContact),
    /// List requests, sent and received, with what they have come to
    #[command(
        after_help = "Examples:\n  tide contact requests --db notes.db\n  tide contact requests --db notes.db --json"
    )]
    Requests,
    /// Accept a request
    #[command(after_help = "Examples:\n  tide contact accept --db notes.db 9c…")]
    Accept(OfIdentity),
    /// Reject a request
    #[command(after_help = "Examples:\n  tide contact reject --db notes.db 9c…")]
    Reject(OfIdentity),
    /// Take a request back
    #[command(after_help = "Examples:\n  tide contact withdraw --db notes.db 9c…")]
    Withdraw(OfIdentity),
    /// List the contacts
    #[command(after_help = "Examples:\n  tide contact list --db notes.db")]
    List,
    /// Find people among the profiles that are held, of contacts and of those who ask
    #[command(
        after_help = "Examples:\n  tide contact search --db notes.db ada\n  tide contact search --db notes.db math --in tags"
    )]
    Search(SearchProfiles),
    /// Show a contact with all that it says of itself
    #[command(after_help = "Examples:\n  tide contact show --db notes.db 9c…")]
    Show(OfIdentity),
    /// Show the number that you and another identity compare, as digits and as a QR code
    #[command(after_help = VERIFY_EXAMPLES)]
    Number(OfIdentity),
    /// Mark a contact as verified, by the number that it shows
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyContact),
    /// Hear no more of an identity
    #[command(after_help = "Examples:\n  tide contact block --db notes.db 9c…")]
    Block(OfIdentity),
    /// Take a block back
    #[command(after_help = "Examples:\n  tide contact unblock --db notes.db 9c…")]
    Unblock(OfIdentity),
    /// List the identities that are blocked
    #[command(after_help = "Examples:\n  tide contact blocked --db notes.db")]
    Blocked,
    /// Forget a contact
    #[command(after_help = "Examples:\n  tide contact remove --db notes.db 9c…")]
    Remove(OfIdentity),
}

#[derive(Debug, Args)]
pub(crate) struct OfIdentity {
    /// The identity's id
    pub(crate) identity: String,
}

#[derive(Debug, Args)]
pub(crate) struct RequestContact {
    /// Whom: an identity's id, or a device of it and where to reach it
    #[arg(value_name = "IDENTITY | DEVICE=ADDR")]
    pub(crate) whom: String,
    /// What to say with it, 200 bytes at most
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
    /// Where other devices can reach this one
    #[arg(long, value_name = "ADDR", env = "TIDE_P2P", default_value = "0.0.0.0:0")]
    pub(crate) p2p: SocketAddr,
    /// Give up when it takes longer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct SearchProfiles {
    /// A part of what is searched for
    pub(crate) text: String,
    /// Where: any, name, email, location or tags
    #[arg(long = "in", value_name = "FIELD", default_value = "any", value_parser = field)]
    pub(crate) field: SearchField,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyContact {
    /// The identity's id
    pub(crate) identity: String,
    /// The 60 digits that the other side shows, or the text of its QR code
    #[arg(long, value_name = "DIGITS | CODE")]
    pub(crate) number: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Show what this identity says of itself, and to whom
    #[command(after_help = "Examples:\n  tide profile show --db notes.db")]
    Show,
    /// Change what this identity says of itself; what is not given stays
    #[command(after_help = PROFILE_EXAMPLES)]
    Set(SetProfile),
}

const PROFILE_EXAMPLES: &str = "\
Examples:
  tide profile set --db notes.db --name 'Ada Lovelace' --email ada@example.org --tag math --tag engines
  tide profile set --db notes.db --public location,tags --private email
  tide profile set --db notes.db --phone '' --device-kind laptop

Without --public a field is for contacts only. The name is for everyone.";

#[derive(Debug, Args)]
pub(crate) struct SetProfile {
    /// The name
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The email; empty: none
    #[arg(long)]
    pub(crate) email: Option<String>,
    /// The phone number; empty: none
    #[arg(long)]
    pub(crate) phone: Option<String>,
    /// The location; empty: none
    #[arg(long)]
    pub(crate) location: Option<String>,
    /// A few lines; `-`: from standard input; empty: none
    #[arg(long)]
    pub(crate) bio: Option<String>,
    /// A tag, in place of those there are; give it again for more; empty: none
    #[arg(long)]
    pub(crate) tag: Vec<String>,
    /// What this device is: laptop, desktop, phone, tablet, server or other
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub(crate) device_kind: Option<DeviceKind>,
    /// Fields that everyone sees from now on: email, phone, location, bio, tags, devices
    #[arg(long, value_name = "FIELD", value_delimiter = ',', value_parser = profile_field)]
    pub(crate) public: Vec<ProfileField>,
    /// Fields that only contacts see from now on
    #[arg(long, value_name = "FIELD", value_delimiter = ',', value_parser = profile_field)]
    pub(crate) private: Vec<ProfileField>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// List the rules; the first that fits decides
    #[command(after_help = "Examples:\n  tide policy list --db notes.db")]
    List,
    /// Add a rule after the others
    #[command(after_help = POLICY_EXAMPLES)]
    Add(AddRule),
    /// Remove a rule by its number in the list
    #[command(after_help = "Examples:\n  tide policy remove --db notes.db 1")]
    Remove {
        /// Its number, from 1
        number: usize,
    },
}

const POLICY_EXAMPLES: &str = "\
Examples:
  tide policy add --db notes.db space verified accept --max-entries 10000
  tide policy add --db notes.db space own ask --device phone
  tide policy add --db notes.db request stranger refuse

Without a rule that fits, one's own devices are accepted, and everything else waits for you. How large a space is, and what kind
of device it comes from, is what the other side says.";

#[derive(Debug, Args)]
pub(crate) struct AddRule {
    /// What for: space (an offered space) or request (to become a contact)
    #[arg(value_parser = proposal)]
    pub(crate) proposal: Proposal,
    /// From whom: own (device), verified (contact), contact or stranger
    #[arg(value_parser = relationship)]
    pub(crate) from: Relationship,
    /// What is done: accept, ask or refuse
    #[arg(value_parser = decision)]
    pub(crate) decision: Decision,
    /// Only from a device of this kind: laptop, desktop, phone, tablet, server or other
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub(crate) device: Option<DeviceKind>,
    /// Only a space of at most so many entries
    #[arg(long, value_name = "N")]
    pub(crate) max_entries: Option<u64>,
}

/// What `named` finds, or what there is.
fn one_of<T>(text: &str, found: Option<T>, names: &[&str]) -> Result<T, String> {
    found.ok_or_else(|| format!("{text:?} is none of {}", names.join(", ")))
}

fn field(text: &str) -> Result<SearchField, String> {
    one_of(text, SearchField::named(text), &SearchField::ALL.map(SearchField::name))
}

fn profile_field(text: &str) -> Result<ProfileField, String> {
    one_of(text, ProfileField::named(text), &ProfileField::ALL.map(ProfileField::name))
}

fn kind(text: &str) -> Result<DeviceKind, String> {
    one_of(text, DeviceKind::named(text), &DeviceKind::ALL.map(DeviceKind::name))
}

fn proposal(text: &str) -> Result<Proposal, String> {
    one_of(text, Proposal::named(text), &["space", "request"])
}

fn relationship(text: &str) -> Result<Relationship, String> {
    one_of(text, Relationship::named(text), &["own", "verified", "contact", "stranger"])
}

fn decision(text: &str) -> Result<Decision, String> {
    one_of(text, Decision::named(text), &["accept", "ask", "refuse"])
}
