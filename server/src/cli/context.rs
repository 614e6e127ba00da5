//! What a command works with: the open database, where it reads from and writes to, and whether it should stop.

use std::io::{BufRead, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidewater_engine::id::SpaceId;
use tidewater_engine::query::Filter;
use tidewater_engine::store::{Location, OpenError};
use tidewater_net::host::open_options;
use tidewater_net::node::Node;
use tidewater_sync::{CreateOptions, Database, DatabaseError};

use super::arguments::{Global, InSpace};
use super::failure::{Done, Failure};
use super::key;
use super::output::Output;

/// The most that is read of an argument given as `-`, in bytes.
const MAX_ARGUMENT_BYTES: u64 = 16 << 20;

/// What a command on an open database works with.
pub(crate) struct Context {
    pub(crate) database: Database,
    /// The node that keeps the database in sync, when one runs already.
    pub(crate) node: Option<Node>,
    pub(crate) output: Output,
    pub(crate) input: Box<dyn BufRead + Send>,
    pub(crate) interrupted: Interrupt,
    pub(crate) runtime: tokio::runtime::Handle,
    /// Whether progress is shown.
    pub(crate) shows_progress: bool,
    /// What relative paths are relative to.
    pub(crate) folder: PathBuf,
}

/// Whether whoever asked for the command wants it to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>, Arc<tokio::sync::Notify>);

impl Interrupt {
    /// Asks to stop.
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Release);
        self.1.notify_waiters();
        self.1.notify_one();
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Returns once it was asked to stop.
    pub(crate) async fn raised(&self) {
        while !self.is_raised() {
            self.1.notified().await;
        }
        // Whoever else waits for it wakes as well.
        self.1.notify_one();
    }
}

impl Context {
    /// The space that an option names, by id or by label.
    pub(crate) fn space(&self, named: &InSpace) -> Done<Option<SpaceId>> {
        let Some(text) = &named.space else { return Ok(None) };
        let spaces = self.database.spaces_info()?;
        if let Ok(id) = text.parse::<SpaceId>() {
            let known = spaces.iter().any(|info| info.space == id);
            return if known {
                Ok(Some(id))
            } else {
                Err(Failure::not_found(format!("no space {id} in this database")))
            };
        }
        let mut labelled = spaces.iter().filter(|info| info.label == *text);
        match (labelled.next(), labelled.next()) {
            (Some(info), None) => Ok(Some(info.space)),
            (Some(_), Some(_)) => {
                Err(Failure::usage(format!("several spaces are called {text:?}; name one by its id (tide space list)")))
            }
            (None, _) => Err(Failure::not_found(format!("no space is called {text:?}; see `tide space list`"))),
        }
    }

    /// The space that an option names, or the home space.
    pub(crate) fn space_or_home(&self, named: &InSpace) -> Done<SpaceId> {
        self.space(named)?.or_else(|| self.database.home()).ok_or_else(|| {
            Failure::usage("this database has no home space; name a space with --space (see `tide space list`)")
        })
    }

    /// An argument's text; `-` reads it from standard input.
    pub(crate) fn text(&mut self, argument: &str) -> Done<String> {
        if argument != "-" {
            return Ok(argument.to_owned());
        }
        let mut text = String::new();
        let read = (&mut self.input).take(MAX_ARGUMENT_BYTES + 1).read_to_string(&mut text);
        read.map_err(|error| Failure::failed(format!("standard input: {error}")))?;
        if text.len() as u64 > MAX_ARGUMENT_BYTES {
            return Err(Failure::usage(format!(
                "standard input: at most {MAX_ARGUMENT_BYTES} bytes; see `tide import`"
            )));
        }
        Ok(text)
    }
}

/// A filter in the short language, or as JSON.
pub(crate) fn filter(text: Option<&str>) -> Done<Filter> {
    match text.map(str::trim) {
        None => Ok(Filter::All),
        Some(json) if json.starts_with('{') => Ok(Filter::from_json(json.as_bytes())?),
        Some(text) => Filter::parse(text).map_err(|error| Failure::usage(format!("filter: {error}"))),
    }
}

/// The path of the database.
pub(crate) fn path(global: &Global) -> Done<PathBuf> {
    global.db.clone().ok_or_else(|| Failure::usage("no database named: give --db FILE, or set TIDE_DB"))
}

/// Opens the database that the command line names, with what it gives for its seal, or what a person is asked for.
pub(crate) fn open(global: &Global) -> Done<Database> {
    let location = Location::File(path(global)?);
    if let Some(seal) = key::given(&global.sealing)? {
        return Ok(Database::open(location.sealed(seal), open_options())?);
    }
    match Database::open(location, open_options()) {
        Err(DatabaseError::Open(refused @ OpenError::Sealed { by, .. })) => {
            let seal = key::for_existing(refused, by)?;
            Ok(Database::open(Location::File(path(global)?).sealed(seal), open_options())?)
        }
        opened => Ok(opened?),
    }
}

/// Creates the database that the command line names; with an identity of that name and a home space, if one is given.
pub(crate) fn create(global: &Global, identity: Option<String>) -> Done<Database> {
    let home = identity.is_some();
    let options = CreateOptions { open: open_options(), identity, home };
    let path = path(global)?;
    let shown = path.display().to_string();
    let location = match key::for_new(&global.sealing)? {
        Some(seal) => Location::File(path).sealed(seal),
        None => Location::File(path),
    };
    Database::create(location, options).map_err(|error| {
        let Failure { code, message } = error.into();
        let message = if message.contains(&shown) { message } else { format!("{shown}: {message}") };
        Failure { code, message }
    })
}

/// The name of an identity whose owner gives none: the user's.
pub(crate) fn default_name() -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "me".to_owned())
}
