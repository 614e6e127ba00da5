//! The program `tide` as people run it: processes on files in a temporary folder.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use serde_json::Value as Json;

use crate::namespace::Namespace;

/// A temporary folder with databases, where `tide` is run.
#[derive(Debug, Clone)]
pub struct Desk {
    folder: Arc<tempfile::TempDir>,
    /// What starts the program, when it is not started directly.
    within: Vec<String>,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// What a command that has ended did.
    #[must_use]
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// When the command failed, or wrote something else.
    #[must_use]
    pub fn json(&self) -> Json {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that it failed as it should: with this exit code, and one line for people that says so.
    ///
    /// # Panics
    /// When it did not.
    pub fn assert_refused(&self, code: i32, said: &str) {
        assert_eq!(self.code, code, "{self:?}, expected {said:?}");
        assert!(self.err.contains(said), "{self:?}, expected {said:?}");
        assert!(self.err.starts_with("tide: ") && self.err.lines().count() == 1, "{self:?}");
    }
}

impl Desk {
    /// The program, as it was built beside this one.
    ///
    /// # Panics
    /// When it was not.
    #[must_use]
    pub fn program() -> PathBuf {
        let this = std::env::current_exe().expect("the path of this program");
        // Tests are in a folder of their own.
        let folder = this.ancestors().skip(1).find(|folder| !folder.ends_with("deps"));
        let program = folder.expect("target/PROFILE").join("tide");
        assert!(program.exists(), "{} is missing: cargo build -p tidewater-server", program.display());
        program
    }

    /// An empty folder.
    ///
    /// # Panics
    /// When the system gives none.
    #[must_use]
    pub fn new() -> Self {
        Self { folder: Arc::new(tempfile::tempdir().expect("a temporary folder")), within: Vec::new() }
    }

    /// The same folder, with commands that run inside of a namespace. Relative paths do not work there.
    #[must_use]
    pub fn within(&self, namespace: &Namespace) -> Self {
        Self { folder: Arc::clone(&self.folder), within: namespace.entrance() }
    }

    /// A folder with one database, `a.db`, in it.
    #[must_use]
    pub fn with_database() -> Self {
        let desk = Self::new();
        assert_eq!(desk.run("a", &["init", "--name", "Ada"]).code, 0);
        desk
    }

    /// A file in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with that content.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file in a temporary folder");
        path
    }

    /// A command on the database `NAME.db`.
    ///
    /// # Panics
    /// When `tide` was not built beside this test.
    #[must_use]
    pub fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let program = Self::program();
        let mut command = match self.within.split_first() {
            None => Command::new(program),
            Some((enter, how)) => {
                let mut command = Command::new(enter);
                command.args(how).arg(program);
                command
            }
        };
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("TIDE_DB", self.path(&format!("{name}.db"))).env("XDG_STATE_HOME", self.path("state"));
        // Most tests look into the files, or start very many commands; those about sealed files say so.
        command.env("TIDE_PLAIN_FILE", "1");
        command.env("TMPDIR", self.folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command on the database `NAME.db` to its end.
    ///
    /// # Panics
    /// When it can't be run.
    #[must_use]
    pub fn run(&self, name: &str, arguments: &[&str]) -> Ran {
        Ran::of(self.command(name, arguments).output().expect("tide runs"))
    }

    /// The same with something on standard input.
    ///
    /// # Panics
    /// When it can't be run.
    #[must_use]
    pub fn run_with(&self, name: &str, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self.command(name, arguments).stdin(Stdio::piped()).spawn().expect("tide runs");
        let mut to = child.stdin.take().expect("piped");
        let input = input.to_vec();
        // A command that refuses early does not read everything.
        let writer = std::thread::spawn(move || drop(to.write_all(&input)));
        let ran = Ran::of(child.wait_with_output().expect("tide ends"));
        writer.join().expect("the writer ends");
        ran
    }

    /// Starts a command that prints a line of JSON and goes on.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start(&self, name: &str, arguments: &[&str]) -> Running {
        let arguments = [arguments, &["--json"]].concat();
        let mut child = self.command(name, &arguments).stderr(Stdio::inherit()).spawn().expect("tide runs");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        let said = serde_json::from_str(&line).unwrap_or_else(|error| panic!("tide {arguments:?}: {error}: {line}"));
        Running { child, out, said }
    }

    /// Starts `tide serve` on loopback, at addresses that are free.
    #[must_use]
    pub fn serve(&self, name: &str) -> Running {
        self.serve_at(name, "127.0.0.1:0")
    }

    /// The same where other devices know to find it.
    #[must_use]
    pub fn serve_at(&self, name: &str, p2p: &str) -> Running {
        self.start(name, &["serve", "--http", "127.0.0.1:0", "--p2p", p2p])
    }

    /// Links a new database to one that is served: a further device of the same identity, which has everything.
    ///
    /// # Panics
    /// When that fails.
    pub fn link(&self, from: &str, to: &str) {
        let ticket = self.run(from, &["link", "--json"]).json();
        let ticket = ticket["ticket"].as_str().expect("a ticket");
        let joined = self.run(to, &["join", ticket, "--p2p", "127.0.0.1:0"]);
        assert_eq!(joined.code, 0, "{joined:?}");
    }

    /// Waits until both of two served databases hold what either holds now, each with a document that names it as news.
    ///
    /// A document comes to another device after everything that its writer held when it wrote it.
    ///
    /// # Panics
    /// When a command fails.
    pub fn await_each_other(&self, one: &str, other: &str, news: &str) {
        for (from, to) in [(one, other), (other, one)] {
            let id = format!("{news}-from-{from}");
            let put = self.run(from, &["put", "news", &id, "{}"]);
            assert_eq!(put.code, 0, "{put:?}");
            let seen = self.start(to, &["watch", "news", &format!("id={id:?}")]);
            assert_eq!(seen.said["added"]["id"], id);
            assert_eq!(seen.stop(), 0);
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

/// A command that goes on until it is stopped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    /// What it said first.
    pub said: Json,
}

impl Running {
    /// A text of what it said first.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.said[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.said))
    }

    /// Where `tide serve` said that other devices find it, as its option `--p2p` takes it.
    ///
    /// # Panics
    /// When it did not.
    #[must_use]
    pub fn p2p(&self) -> String {
        let address = self.said["p2p"][0].as_str().unwrap_or_else(|| panic!("no address in {}", self.said));
        address.trim_start_matches("quic://").to_owned()
    }

    /// The number of the process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints, as JSON.
    ///
    /// # Panics
    /// When it ends instead.
    pub fn next_line(&mut self) -> Json {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Sends a signal by its name, as `kill -NAME`.
    ///
    /// # Panics
    /// When the system has no `kill`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().expect("kill runs").success());
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(self) {
        drop(self);
    }

    /// Waits for its end, and gives the exit code.
    ///
    /// # Panics
    /// When the system fails.
    pub fn wait(mut self) -> i32 {
        self.child.wait().expect("it ends").code().unwrap_or(-1)
    }

    /// Asks it to end, as Ctrl-C does, and gives the exit code.
    #[must_use]
    pub fn stop(self) -> i32 {
        self.signal("INT");
        self.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
