//! What the commands for conflicts take.

use clap::{Args, ValueEnum};

use super::InSpace;

pub(super) const CONFLICTS_EXAMPLES: &str = "\
Examples:
  tide conflicts --db notes.db
  tide conflicts --db notes.db notes --first 20 --json
  tide conflicts --db notes.db notes n1";

pub(super) const RESOLVE_EXAMPLES: &str = "\
Examples:
  tide resolve --db notes.db notes n1 title --pick 3fa0… --seen 91c2…
  tide resolve --db notes.db notes n1 title --value '\"Oat milk\"' --seen 91c2…
  tide resolve --db notes.db notes n1 stars --by max

`tide conflicts` shows what stands behind --pick and --seen. --seen names the values that you have looked at: when another one
came since, nothing is written. A policy takes the values that are there: latest, max, min, or keep-all for a list of them.";

pub(super) const UNDO_EXAMPLES: &str = "\
Examples:
  tide undo --db notes.db notes n1 title 5be7…

`tide resolve` shows the commit. The value that was shown before is written again, on top of all; the values that were in
conflict do not come back beside it. When the field was written since, nothing is undone.";

#[derive(Debug, Args)]
pub(crate) struct Conflicts {
    /// The collection; all of them when not given
    pub(crate) collection: Option<String>,
    /// The document's id: its conflicts are shown
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) space: InSpace,
    /// How many documents are listed at most
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "id")]
    pub(crate) first: usize,
    /// Go on after the last one of an earlier list, by its cursor, which --json shows
    #[arg(long, value_name = "CURSOR", conflicts_with = "id")]
    pub(crate) after: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// The collection
    pub(crate) collection: String,
    /// The document's id
    pub(crate) id: String,
    /// The field
    pub(crate) field: String,
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// The version of the conflict that you have seen
    #[arg(long, value_name = "VERSION", conflicts_with = "by", required_unless_present = "by")]
    pub(crate) seen: Option<String>,
    #[command(flatten)]
    pub(crate) space: InSpace,
}

#[derive(Debug, Args)]
pub(crate) struct Undo {
    /// The collection
    pub(crate) collection: String,
    /// The document's id
    pub(crate) id: String,
    /// The field
    pub(crate) field: String,
    /// The commit of the resolution
    pub(crate) commit: String,
    #[command(flatten)]
    pub(crate) space: InSpace,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Choice {
    /// Take the value of this commit
    #[arg(long, value_name = "COMMIT")]
    pub(crate) pick: Option<String>,
    /// Take this value, JSON (`-`: standard input)
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub(crate) value: Option<String>,
    /// Take what a policy makes of the values
    #[arg(long, value_name = "POLICY")]
    pub(crate) by: Option<Policy>,
}

/// Which of concurrent values is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Policy {
    /// The one that was written last, by the clocks of its writers
    Latest,
    /// The greatest
    Max,
    /// The least
    Min,
    /// A list of them all
    KeepAll,
}
