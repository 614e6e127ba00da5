//! Standard input that an interrupt ends, even while nothing comes.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::context::Interrupt;

/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 256 * 1024;
/// How many chunks are read ahead.
const CHUNKS_AHEAD: usize = 4;
/// How often an interrupt is looked for while nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Standard input, read by a thread of its own from the first read on.
pub(crate) struct Input {
    interrupted: Interrupt,
    chunks: Option<Receiver<io::Result<Vec<u8>>>>,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Input {
    pub(crate) fn new(interrupted: Interrupt) -> Self {
        Self { interrupted, chunks: None, chunk: Vec::new(), at: 0, ended: false }
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let chunks = self.chunks.get_or_insert_with(|| {
            let (to, chunks) = sync_channel(CHUNKS_AHEAD);
            std::thread::spawn(move || forward(&to));
            chunks
        });
        loop {
            if self.interrupted.is_raised() {
                return Err(io::Error::other("interrupted"));
            }
            match chunks.recv_timeout(LOOK_EVERY) {
                Ok(chunk) => {
                    self.chunk = chunk?;
                    self.at = 0;
                    self.ended = self.chunk.is_empty();
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.ended = true;
                    return Ok(());
                }
            }
        }
    }
}

impl Read for Input {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() && !self.ended {
            self.next_chunk()?;
        }
        let rest = &self.chunk[self.at..];
        let taken = out.len().min(rest.len());
        out[..taken].copy_from_slice(&rest[..taken]);
        self.at += taken;
        Ok(taken)
    }
}

/// Reads standard input until it ends, or nobody takes it any more. The last chunk is empty.
fn forward(to: &SyncSender<io::Result<Vec<u8>>>) {
    let mut input = io::stdin().lock();
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = input.read(&mut chunk).map(|read| {
            chunk.truncate(read);
            chunk
        });
        let goes_on = matches!(&read, Ok(chunk) if !chunk.is_empty());
        if to.send(read).is_err() || !goes_on {
            return;
        }
    }
}
