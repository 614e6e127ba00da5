//! The side of a command that found its database in use.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::frame::{self, CHUNK_BYTES, Kind};
use super::socket_path;
use crate::cli::context::Interrupt;
use crate::cli::failure::{Code, Done, Failure};

/// Has a command run by the process that holds the database. `None`: there is no door.
pub(crate) fn call(database: &Path, runtime: &tokio::runtime::Handle, interrupted: &Interrupt) -> Option<Done> {
    let stream = UnixStream::connect(socket_path(database)).ok()?;
    Some(converse(stream, runtime, interrupted))
}

fn converse(stream: UnixStream, runtime: &tokio::runtime::Handle, interrupted: &Interrupt) -> Done {
    let lost = |error: io::Error| Failure::failed(format!("the process that holds the database went away: {error}"));
    let arguments: Vec<String> =
        std::env::args_os().map(|argument| argument.into_string()).collect::<Result<_, _>>().map_err(|_| {
            Failure::usage("the database is in use, and arguments that are not UTF-8 can't be passed on")
        })?;
    let folder = std::env::current_dir().map_err(Failure::failed)?;
    let command = json!({ "arguments": arguments, "folder": folder.to_string_lossy() }).to_string();
    let sender = Arc::new(Mutex::new(stream.try_clone().map_err(lost)?));
    send(&sender, Kind::Command, command.as_bytes()).map_err(lost)?;
    let (raised, to) = (interrupted.clone(), Arc::clone(&sender));
    runtime.spawn(async move {
        raised.raised().await;
        // The connection may be gone: then there is nothing to interrupt.
        let _ = send(&to, Kind::Interrupt, b"");
    });
    let mut out = io::stdout().lock();
    loop {
        match frame::read(&stream).map_err(lost)? {
            Some((Kind::Output, bytes)) => {
                out.write_all(&bytes).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))?;
            }
            Some((Kind::WantInput, _)) => {
                let to = Arc::clone(&sender);
                std::thread::spawn(move || forward_input(&to));
            }
            Some((Kind::Exit, content)) => return ended(&content),
            Some(_) => return Err(lost(io::Error::other("it does not speak this version's language"))),
            None => return Err(lost(io::Error::other("it closed the connection"))),
        }
    }
}

fn ended(content: &[u8]) -> Done {
    match content.split_first() {
        Some((0, _)) => Ok(()),
        Some((code, message)) => {
            Err(Failure { code: Code::from_byte(*code), message: String::from_utf8_lossy(message).into_owned() })
        }
        None => Err(Failure::failed("the process that holds the database gave no result")),
    }
}

fn send(to: &Mutex<UnixStream>, kind: Kind, content: &[u8]) -> io::Result<()> {
    frame::write(&*to.lock().unwrap_or_else(PoisonError::into_inner), kind, content)
}

/// Sends standard input until it ends, or nobody takes it any more.
fn forward_input(to: &Mutex<UnixStream>) {
    let mut input = io::stdin().lock();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = input.read(&mut chunk).unwrap_or(0);
        if send(to, Kind::Input, &chunk[..read]).is_err() || read == 0 {
            return;
        }
    }
}
