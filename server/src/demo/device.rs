//! One device: a file, the commands run on it, and the process that serves it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value as Json;

use super::watching::Watching;
use super::{argument, post};

/// A device.
pub(super) struct Device {
    pub(super) name: &'static str,
    folder: PathBuf,
    file: PathBuf,
    /// What seals the file, once it was made.
    key: PathBuf,
    process: Option<Child>,
    /// Where GraphQL is served, once it was.
    http: Option<SocketAddr>,
    /// Where it listens for others, once it did: it comes back at the same place.
    p2p: Option<SocketAddr>,
}

impl Device {
    pub(super) fn new(name: &'static str, folder: &Path) -> Self {
        let file = folder.join(format!("{name}.db"));
        let key = folder.join(format!("{name}.key"));
        Self { name, folder: folder.to_path_buf(), file, key, process: None, http: None, p2p: None }
    }

    fn command(&self, arguments: &[&str]) -> Result<Command, String> {
        let program = std::env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
        let mut command = Command::new(program);
        let settings = ["TIDE_OUTPUT", "TIDE_SPACE", "TIDE_NAME", "TIDE_HTTP", "TIDE_P2P"];
        let sealing = ["TIDE_PASSPHRASE_FILE", "TIDE_KEY_FILE", "TIDE_PLAIN_FILE"];
        for name in settings.iter().chain(&sealing) {
            command.env_remove(name);
        }
        if self.key.exists() {
            command.env("TIDE_KEY_FILE", &self.key);
        }
        command.env("TIDE_DB", argument(&self.file)?).env("XDG_STATE_HOME", self.folder.join("state"));
        command.args(arguments).stdin(Stdio::null());
        Ok(command)
    }

    /// Makes the key file that seals the database from its first command on.
    pub(super) fn make_key(&self) -> Result<(), String> {
        self.run(&["key", "new", argument(&self.key)?]).map(drop)
    }

    /// Runs a command on the file, its progress shown; gives what it printed as JSON.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<Json, String> {
        let what = format!("tide {} on the {} device", arguments.first().unwrap_or(&""), self.name);
        let mut command = self.command(arguments)?;
        let output = command.arg("--json").stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| format!("{what}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{what}: {}", output.status));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{what}: its output is not JSON: {error}"))
    }

    /// Starts to serve the file, at the same addresses as before.
    pub(super) fn serve(&mut self) -> Result<(), String> {
        let what = format!("tide serve on the {} device", self.name);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (http, p2p) = (self.http.unwrap_or(any).to_string(), self.p2p.unwrap_or(any).to_string());
        let mut command = self.command(&["serve", "--http", &http, "--p2p", &p2p, "--json"])?;
        let mut process = command.stdout(Stdio::piped()).spawn().map_err(|error| format!("{what}: {error}"))?;
        let mut line = String::new();
        if let Some(out) = process.stdout.take() {
            BufReader::new(out).read_line(&mut line).map_err(|error| format!("{what}: {error}"))?;
        }
        self.process = Some(process);
        let started: Json = serde_json::from_str(&line).map_err(|_| format!("{what}: it did not start"))?;
        let p2p = started["p2p"][0].as_str().and_then(|address| address.strip_prefix("quic://"));
        self.http = started["http"].as_str().and_then(|address| address.parse().ok());
        self.p2p = p2p.and_then(|address| address.parse().ok());
        match (self.http, self.p2p) {
            (Some(_), Some(_)) => Ok(()),
            _ => Err(format!("{what}: it did not say where it listens")),
        }
    }

    /// The number of the process that serves the file.
    pub(super) fn process_number(&self) -> u32 {
        self.process.as_ref().map_or(0, Child::id)
    }

    /// Asks GraphQL.
    pub(super) fn ask(&self, query: &str, variables: &Json) -> Result<Json, String> {
        let http = self.http.ok_or_else(|| format!("the {} device does not serve", self.name))?;
        post::graphql(http, query, variables)
    }

    /// Begins to watch a collection.
    pub(super) fn watch(&self, collection: &str) -> Result<Watching, String> {
        Watching::start(self.command(&["watch", collection, "--json"])?)
    }

    /// The digests of the spaces, by space.
    pub(super) fn digests(&self) -> Result<Vec<(String, String)>, String> {
        let answer = self.ask("{ spaces { id digest } }", &Json::Null)?;
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        let spaces = answer["spaces"].as_array().cloned().unwrap_or_default();
        let mut digests: Vec<_> = spaces.iter().map(|space| (text(&space["id"]), text(&space["digest"]))).collect();
        digests.sort();
        Ok(digests)
    }

    /// Ends the process that serves the file at once, as a power cut would.
    pub(super) fn kill(&mut self) -> Result<(), String> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let ended = process.kill().and_then(|()| process.wait());
        ended.map(drop).map_err(|error| format!("ending the {} device's process: {error}", self.name))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // On the way out after an error, there is nothing better to do with a second one.
        let _ = self.kill();
    }
}
