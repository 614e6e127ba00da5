//! The control door: commands on a database that `tide serve` holds are run inside that process.
//!
//! The server listens on a Unix socket beside the file (`FILE.sock`), which only the file's owner may use. A command
//! that finds the file in use hands its arguments over, and its input as it is asked for; what comes back is what it
//! would have written itself. Frames are a byte that says what it is, a length of 4 bytes, big-endian, and content.

mod client;
mod frame;
mod server;

use std::path::{Path, PathBuf};

pub(crate) use client::call;
pub(crate) use server::open;

/// Where the socket of a database is.
fn socket_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".sock");
    PathBuf::from(path)
}
