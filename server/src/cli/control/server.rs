//! The side of `tide serve`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use clap::Parser;
use tidewater_net::node::Node;
use tidewater_sync::Database;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::frame::{self, CHUNK_BYTES, Kind};
use super::socket_path;
use crate::cli::arguments::Arguments;
use crate::cli::context::{Context, Interrupt};
use crate::cli::failure::{Done, Failure};
use crate::cli::output::Output;

/// How many commands run at once; further ones wait.
const MAX_COMMANDS: usize = 16;
/// How many pieces of input wait for a command to read them.
const QUEUED_INPUT: usize = 4;

/// The open door.
pub(crate) struct Door {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Door {
    /// Lets running commands end, and takes the socket away.
    pub(crate) async fn close(self) {
        // Commands are interrupted by the same signal, and end by themselves.
        let _ = self.task.await;
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What every command of the door works with.
#[derive(Clone)]
struct Inside {
    database: Database,
    node: Node,
    stop: watch::Receiver<bool>,
}

/// Opens the door beside the database's file. The caller holds the database, so a socket that is there is nobody's.
pub(crate) fn open(
    database_path: &Path,
    database: Database,
    node: Node,
    stop: watch::Receiver<bool>,
) -> io::Result<Door> {
    let path = socket_path(database_path);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let owner = std::fs::metadata(database_path)?.uid();
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let task = tokio::spawn(accept(listener, owner, Inside { database, node, stop }));
    Ok(Door { path, task })
}

async fn accept(listener: UnixListener, owner: u32, inside: Inside) {
    let room = Arc::new(Semaphore::new(MAX_COMMANDS));
    let mut stop = inside.stop.clone();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        // The socket's mode keeps others out already; between making it and setting the mode, this does.
        if !stream.peer_cred().is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0) {
            continue;
        }
        let inside = inside.clone();
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = stream.into_std().and_then(|stream| converse(&stream, inside, runtime)) {
                tracing::debug!(%error, "a command's connection broke");
            }
            drop(permit);
        });
    }
}

fn converse(stream: &UnixStream, inside: Inside, runtime: tokio::runtime::Handle) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    let Some((Kind::Command, command)) = frame::read(stream)? else {
        return Err(io::Error::other("the first frame is no command"));
    };
    let interrupted = Interrupt::default();
    let (to_input, input) = sync_channel(QUEUED_INPUT);
    let reading = stream.try_clone()?;
    let raised = interrupted.clone();
    let demultiplexer = std::thread::spawn(move || receive(&reading, &to_input, &raised));
    let (mut stopping, raised) = (inside.stop.clone(), interrupted.clone());
    let stopper = runtime.spawn(async move {
        let _ = stopping.wait_for(|stopped| *stopped).await;
        raised.raise();
    });
    let sender = Arc::new(Mutex::new(stream.try_clone()?));
    let outcome = run(&command, &sender, input, inside, runtime, interrupted);
    stopper.abort();
    let (code, message) = match outcome {
        Ok(()) => (0, String::new()),
        Err(Failure { code, message }) => (code as u8, message),
    };
    let mut content = vec![code];
    content.extend(message.bytes().take(CHUNK_BYTES));
    let sent = send(&sender, Kind::Exit, &content);
    // Ends the thread that still waits for what the client says.
    let _ = stream.shutdown(std::net::Shutdown::Read);
    let _ = demultiplexer.join();
    sent
}

/// Takes what the client says until it is gone. Gone is interrupted.
fn receive(stream: &UnixStream, input: &SyncSender<Vec<u8>>, interrupted: &Interrupt) {
    loop {
        match frame::read(stream) {
            // The command may have ended without reading all of it.
            Ok(Some((Kind::Input, bytes))) => drop(input.send(bytes)),
            Ok(Some((Kind::Interrupt, _))) => interrupted.raise(),
            _ => return interrupted.raise(),
        }
    }
}

fn run(
    command: &[u8],
    sender: &Arc<Mutex<UnixStream>>,
    input: Receiver<Vec<u8>>,
    inside: Inside,
    runtime: tokio::runtime::Handle,
    interrupted: Interrupt,
) -> Done {
    #[derive(serde::Deserialize)]
    struct Command {
        arguments: Vec<String>,
        folder: PathBuf,
    }
    let Command { arguments, folder } = serde_json::from_slice(command).map_err(Failure::usage)?;
    let arguments = Arguments::try_parse_from(arguments).map_err(Failure::usage)?;
    let output = Box::new(Answering(Arc::clone(sender)));
    let input = Asking { sender: Arc::clone(sender), input, asked: false, rest: Vec::new(), ended: false };
    let mut context = Context {
        database: inside.database,
        node: Some(inside.node),
        output: Output::new(&arguments.global, output),
        input: Box::new(BufReader::with_capacity(CHUNK_BYTES, input)) as Box<dyn BufRead + Send>,
        interrupted,
        runtime,
        shows_progress: false,
        folder,
    };
    let done = crate::cli::run_open(&arguments.command, &mut context);
    let flushed = context.output.flush();
    done.and(flushed)
}

fn send(to: &Mutex<UnixStream>, kind: Kind, content: &[u8]) -> io::Result<()> {
    frame::write(&*to.lock().unwrap_or_else(PoisonError::into_inner), kind, content)
}

/// Standard output of a command: frames to the client.
struct Answering(Arc<Mutex<UnixStream>>);

impl Write for Answering {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = &bytes[..bytes.len().min(CHUNK_BYTES)];
        send(&self.0, Kind::Output, chunk)?;
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard input of a command: asked of the client once it is read.
struct Asking {
    sender: Arc<Mutex<UnixStream>>,
    input: Receiver<Vec<u8>>,
    asked: bool,
    rest: Vec<u8>,
    ended: bool,
}

impl Read for Asking {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !std::mem::replace(&mut self.asked, true) {
            send(&self.sender, Kind::WantInput, b"")?;
        }
        if self.rest.is_empty() && !self.ended {
            self.rest = self.input.recv().map_err(|_| io::Error::other("the client went away"))?;
            self.ended = self.rest.is_empty();
        }
        let taken = out.len().min(self.rest.len());
        out[..taken].copy_from_slice(&self.rest[..taken]);
        self.rest.drain(..taken);
        Ok(taken)
    }
}
